/* SPDX-License-Identifier: Apache-2.0
 * demo_story.h - what the demo shows: the fleet registers, one rollout completes, the next one
 * fails at its threshold and is rolled back. Told through the public API alone; it looks at the
 * world several times a second and takes the next step when the one before is done. */
#ifndef DIDES_CMD_DEMO_STORY_H
#define DIDES_CMD_DEMO_STORY_H

#include "cmd/panel.h"
#include "sim/http_fleet.h"
#include "sim/watcher.h"
#include "sm/sm.h"

#define DEMO_SELECTOR      "fleet=demo"
#define DEMO_PREFIX        "demo-"
#define DEMO_INSTANCES_MAX 10000
#define DEMO_INSTANCES_MIN 20

/* clang-format off */
#define STORY_STATES(X, T)                                                                      \
    X(T, STORY_JOINING,   "joining",   "the instances register")                                \
    X(T, STORY_TIDYING,   "tidying",   "what an earlier demo left is taken away")               \
    X(T, STORY_UPDATING,  "updating",  "a good version goes out")                               \
    X(T, STORY_RESTING,   "resting",   "a moment to look at it")                                \
    X(T, STORY_BREAKING,  "breaking",  "a bad version goes out")                                \
    X(T, STORY_RESTORING, "restoring", "the automatic rollback")                                \
    X(T, STORY_TOLD,      "told",      "it went as it should")                                  \
    X(T, STORY_SPOILT,    "spoilt",    "it did not")

#define STORY_EVENTS(X, T)                                                                      \
    X(T, STORY_READY,  "ready",  "what this part waited for is there")                          \
    X(T, STORY_WRONG,  "wrong",  "something else happened, or nothing for too long")

#define STORY_GUARDS(X, T)  X(T, STORY_ALWAYS, "always", "no condition")
#define STORY_EFFECTS(X, T)                                                                     \
    X(T, STORY_DEPLOY_GOOD, "deploy_good", "start the first rollout")                           \
    X(T, STORY_DEPLOY_BAD,  "deploy_bad",  "let the next version be bad, and start the second rollout")
/* clang-format on */

SM_STATES(story_state, STORY_STATES);
SM_EVENTS(story_event, STORY_EVENTS);
SM_GUARDS(story_guard, STORY_GUARDS);
SM_EFFECTS(story_effect, STORY_EFFECTS);

extern const struct sm_machine story_machine;

struct story_options {
    struct caller_port caller; /* not the fleet's, so that questions do not queue behind it */
    struct timer_port timer;
    struct plan *plan;
    struct http_fleet *fleet;
    const struct watcher *watcher;
    void (*told)(void *ctx, enum panel_style style, const char *sentence);
    void *ctx;
};

#define STORY_VERSION_SIZE 24

struct story {
    struct story_options options;
    uint8_t state;            /* enum story_state */
    int64_t entered_at;       /* the state */
    uint32_t good, bad, undo; /* numbers of the rollouts; 0 = not yet */
    char good_version[STORY_VERSION_SIZE], bad_version[STORY_VERSION_SIZE];
    char next_version[STORY_VERSION_SIZE]; /* for the reader to try */
    struct behaviour breaks;               /* of the bad version */
    bool is_calling, is_gone;              /* is_gone: answers are not wanted any more */
    bool has_asked;                        /* what the state needs was answered */
    uint32_t tries;                        /* of the question under way */
    uint32_t aborted;     /* number of a rollout of an earlier demo that was ended */
    uint32_t surplus;     /* highest number of an instance of earlier demos */
    uint32_t told_tenths; /* of the live rollout, for the lines that say how it goes */
    uint32_t told_failures;
    char reason[ERR_TEXT_SIZE]; /* why it is spoilt */
};

void story_start(struct story *story, const struct story_options *options);
/* To be called several times a second. */
void story_step(struct story *story);
void story_stop(struct story *story);
static inline bool story_is_over(const struct story *story)
{
    return story->state == STORY_TOLD || story->state == STORY_SPOILT;
}

/* The leading number of "12.0.0"; 0: it has none. */
uint32_t story_major(struct text version);

#endif
