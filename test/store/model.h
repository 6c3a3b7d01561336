/* SPDX-License-Identifier: Apache-2.0
 * model.h - what a store should hold after n batches, each a function of a seed and its number, so
 * that any state can be computed again. Every batch also puts its number under the key "count":
 * a store says itself how far it came, and atomicity shows as count and content agreeing. */
#ifndef DIDES_TEST_STORE_MODEL_H
#define DIDES_TEST_STORE_MODEL_H

#include "port/store.h"

#define MODEL_KEYS 200
#define MODEL_OPS  24 /* most ops of a batch, count included */

struct model {
    uint64_t seed, count;
    size_t value_max;               /* largest value in a batch */
    struct text keys[MODEL_KEYS];   /* in order; keys[0] is "count" */
    struct text values[MODEL_KEYS]; /* data NULL: absent */
    struct store_op ops[MODEL_OPS]; /* of the batch made last */
    size_t op_keys[MODEL_OPS], op_count;
};

uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t bound);

void model_init(struct model *model, uint64_t seed, size_t value_max);
void model_release(struct model *model);
/* Goes back to the state after `count` batches, or forward to it. */
void model_go_to(struct model *model, uint64_t count);

/* The batch after the current state; borrowed until the next one is made. */
struct store_batch model_make(struct model *model);
/* The batch made last is in force. */
void model_accept(struct model *model);

/* Whether the store holds exactly what the model does; says on stderr where not. */
bool model_agrees(const struct model *model, const struct store_port *port);
/* The number under "count", 0 if there is none. False: the scan failed. */
bool model_read_count(const struct store_port *port, uint64_t *ret, struct err *err);

/* Makes a backup, in as many steps as it takes, and writes it to the new file `path`. */
void model_backup(const struct store_port *port, const char *path);
/* All that is left to read from `file`, which is closed, to the new file `path` (0600). */
void model_save(int file, const char *path);

/* A sanitizer makes everything slow: with one, every third point is enough, since the build without
 * visits all. */
#if defined(__SANITIZE_ADDRESS__)
#define POINTS_STEP 3
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POINTS_STEP 3
#endif
#endif
#ifndef POINTS_STEP
#define POINTS_STEP 1
#endif

/* How many times as much as usual a test should do: the environment variable DIDES_LONG, or 1. */
unsigned how_long(void);

/* A new, empty directory below the one for temporary files, and its removal with all in it. */
void scratch_make(char space[static 256]);
/* The same in memory if there is a folder for that: thousands of flushes would wait for a disk that
 * has nothing to say to the test. */
void scratch_make_fast(char space[static 256]);
void scratch_remove(const char *directory);
/* The file `name` in `directory`; borrowed until the call after the next. */
const char *scratch_file(const char *directory, const char *name);

#endif
