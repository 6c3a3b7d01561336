/* SPDX-License-Identifier: Apache-2.0
 * store.c - a whole store of rows that somebody wrote: the server starts on it, or says what is
 * damaged. Each line is a key, a blank and a value. What it started on, it starts on again. */
#include "fuzz.h"
#include "http/api_parts.h"
#include "sim/invariants.h"
#include "store/memory/memory.h"

#include <string.h>

#define ROWS_MAX 64

static int64_t stand_still(void *self)
{
    (void)self;
    return 1924941600000ll;
}

static void say_nothing(void *self, enum log_level level, const char *message,
                        const struct log_field *fields)
{
    (void)self;
    (void)level;
    (void)message;
    (void)fields;
}

static void on_fatal(void *ctx, const struct err *why)
{
    (void)ctx;
    fprintf(stderr, "%s\n", why->text);
    CLAIM(why == NULL);
}

static void fill(struct store_port *store, struct text input)
{
    struct store_op ops[ROWS_MAX];
    size_t count = 0;
    struct text line;
    while (count < ROWS_MAX && input.size > 0 && text_cut(&input, '\n', &line)) {
        struct store_op op = { .key = fuzz_part(&line, ' '), .value = line };
        if (op.key.size > 0 && op.key.size <= STORE_KEY_MAX && line.size <= STORE_VALUE_MAX)
            ops[count++] = op;
    }
    struct store_batch batch = { .ops = ops, .count = count };
    CLAIM(store->commit(store->self, &batch, NULL) == STORE_DURABLE);
}

static void keep_open(struct store *store)
{
    (void)store;
}

/* What holds of any state however it came about: counters are what a recount says. */
static void claim_whole(struct fleet *fleet)
{
    struct witness w;
    struct err err = { .code = ERR_NONE };
    witness_init(&w, true);
    CLAIM(witness_begin(&w, fleet));
    struct witness *known = &w;
    if (!invariant_recount(known, &err))
        fprintf(stderr, "%s\n", err.text);
    CLAIM(err.code == ERR_NONE);
    witness_release(&w);
}

static bool start(const struct store_port *store, struct loop *loop, struct err *err)
{
    struct engine *engine = NULL;
    struct api *api = NULL;
    struct store_port borrowed = *store;
    struct clock_port clock = { .now_ms = stand_still };
    struct log_port log = { .write = say_nothing };
    struct engine_options options = { .fleet = fleet_settings_default,
                                      .reconcile_interval_ms = 1000,
                                      .events_kept = 1000,
                                      .events_kept_ms = 1000,
                                      .hash_seed = 7,
                                      .fatal = on_fatal };
    borrowed.close = keep_open;
    if (!engine_new(&options, &borrowed, &clock, &log, &engine, err))
        return false;
    struct api_options api_options = { .engine = engine, .loop = loop, .log = log };
    bool is_open = api_open(&api_options, &api, err);
    if (is_open) {
        claim_whole(engine_fleet(engine));
        engine_tick(engine);
        engine_end_round(engine);
        engine_poll(engine);
        claim_whole(engine_fleet(engine));
        api_stop(api);
    }
    engine_free(engine);
    if (is_open)
        api_close(api);
    return is_open;
}

void fuzz_store(struct text input)
{
    struct store_port store;
    struct err err = { .code = ERR_NONE };
    struct loop *loop = loop_new(NULL);
    CLAIM(loop != NULL && store_memory_open(&store, NULL) && secret_open(NULL));
    fill(&store, input);
    if (start(&store, loop, &err)) {
        if (!start(&store, loop, &err))
            fprintf(stderr, "%s\n", err.text);
        CLAIM(err.code == ERR_NONE);
    } else {
        CLAIM(err.code == ERR_CORRUPT || err.code == ERR_MEMORY);
        CLAIM(err.text[0] != '\0' && text_is_utf8(text_from(err.text)));
    }
    store.close(store.self);
    loop_free(loop);
}
