/* SPDX-License-Identifier: Apache-2.0
 * swarm_parts.h - what the files of the swarm share; nobody else includes it. */
#ifndef DIDES_SIM_SWARM_PARTS_H
#define DIDES_SIM_SWARM_PARTS_H

#include "sim/draw.h"
#include "sim/model_parts.h"
#include "sim/swarm.h"

#define SWARM_SECOND 1000ll
#define SWARM_MINUTE (60 * SWARM_SECOND)
#define SWARM_HOUR   (60 * SWARM_MINUTE)

/* What operators do; swarm_acts.c. */
#define SWARM_ACTS(X)                                                                              \
    X(ACT_DEPLOY, 30)                                                                              \
    X(ACT_ROLLBACK, 10)                                                                            \
    X(ACT_PAUSE, 6)                                                                                \
    X(ACT_RESUME, 10)                                                                              \
    X(ACT_PROMOTE, 4)                                                                              \
    X(ACT_ABORT, 4)                                                                                \
    X(ACT_RETRY, 10)                                                                               \
    X(ACT_PROGRESS, 4)                                                                             \
    X(ACT_DELETE, 5)                                                                               \
    X(ACT_RELABEL, 8)                                                                              \
    X(ACT_JOIN, 8)                                                                                 \
    X(ACT_BEHAVE, 8)

enum swarm_act {
#define ACT_ITEM(id, weight) id,
    SWARM_ACTS(ACT_ITEM)
#undef ACT_ITEM
        SWARM_ACT_COUNT
};

/* What a seed is about. */
struct swarm_shape {
    uint32_t instances, dormant; /* of those, not there at first */
    int64_t safety_ms;           /* how long faults and operators go on */
    int64_t act_every_ms;
    uint64_t config_play; /* rows of the configuration that vary in this seed */
    uint32_t weights[SWARM_ACT_COUNT], weight;
    bool has_disk;
    uint64_t events_kept;
    int64_t replies_kept_ms;
};

/* What was asked with a key, to be asked again. */
struct swarm_request {
    uint8_t act;     /* enum swarm_act */
    uint32_t number; /* of the rollout it is about, or 0 */
    struct sim_dice dice;
};

struct swarm {
    uint64_t seed;
    struct swarm_options options;
    struct sim_dice dice;
    struct swarm_shape shape;
    struct fleet_settings settings;
    struct plan plan;
    struct arena arena; /* of one act */
    struct model *model;
    bool is_calm; /* the second phase */
    struct swarm_request requests[CLIENT_KEYS];
    uint32_t request_count; /* the keys from 1 to it are used */
    char reason[16];        /* of the present one */
};

static inline uint32_t swarm_roll(struct swarm *s, uint32_t end)
{
    return sim_dice_roll(&s->dice, end);
}

static inline bool swarm_chance(struct swarm *s, uint32_t percent)
{
    return swarm_roll(s, 100) < percent;
}

/* ---- swarm_draw.c: what a seed is about ----------------------------------------------------- */

bool swarm_draw(struct swarm *s, struct err *err);
struct rollout_config swarm_draw_config(struct swarm *s);
const char *swarm_draw_selector(struct swarm *s);
struct text swarm_draw_version(struct swarm *s, struct text *ret_config); /* the code version */
/* Label set in the plan, with one more user. False: no memory. */
bool swarm_draw_labels(struct swarm *s, uint32_t *ret, struct err *err);

/* ---- swarm_acts.c: what operators do -------------------------------------------------------- */

void swarm_act(void *ctx, struct model *model); /* an operate function of the model */

#endif
