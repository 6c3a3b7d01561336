/* SPDX-License-Identifier: Apache-2.0
 * world.c - see world.h. */
#include "world.h"

#include "http/api_parts.h"
#include "wire/json_write.h"
#include "wire/request.h"
#include "wire/view.h"

#include <stdio.h>
#include <stdlib.h>

#define START     1800000000000ll /* 2027, in ms */
#define SCRATCH   ((size_t)1 << 20)
#define REPLY_MAX ((size_t)64 << 20)
#define DIGITS    6u

static _Noreturn void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err->text);
    exit(1);
}

/* ---- a store that keeps nothing ------------------------------------------------------------- */

static bool scan_nothing(struct store *self, struct text first, struct text end, size_t limit,
                         store_visit_fn *visit, void *ctx, struct err *err)
{
    (void)self, (void)first, (void)end, (void)limit, (void)visit, (void)ctx, (void)err;
    return true;
}

static enum store_result forget(struct store *self, const struct store_batch *batch,
                                struct err *err)
{
    (void)self, (void)batch, (void)err;
    return STORE_DURABLE;
}

static bool nothing_to_tend(struct store *self, unsigned budget_ms)
{
    (void)self, (void)budget_ms;
    return false;
}

static bool no_backup(struct store *self, struct err *err)
{
    (void)self;
    return err_set(err, ERR_NOT_SUPPORTED, "nothing is kept");
}

static uint64_t first_term(struct store *self)
{
    (void)self;
    return 1;
}

static struct store_stats no_stats(struct store *self)
{
    (void)self;
    return (struct store_stats){ .commits = 0 };
}

static void nothing_to_close(struct store *self)
{
    (void)self;
}

struct store_port world_no_store(void)
{
    return (struct store_port){ .scan = scan_nothing,
                                .commit = forget,
                                .tend = nothing_to_tend,
                                .backup_begin = no_backup,
                                .term = first_term,
                                .stats = no_stats,
                                .close = nothing_to_close };
}

/* ---- life ----------------------------------------------------------------------------------- */

static int64_t now_ms(void *self)
{
    return ((struct world *)self)->now;
}

static void write_log(void *self, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    (void)self;
    fprintf(stderr, "bench: log %d: %s", (int)level, message);
    for (; fields && fields->name; fields++)
        fprintf(stderr, " %s=%.*s", fields->name, TEXT_ARG(fields->value));
    fprintf(stderr, "\n");
}

static void fatal(void *ctx, const struct err *why)
{
    (void)ctx;
    die("the store", why);
}

/* Every run sees the same numbers. */
static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static uint32_t *shuffle(uint32_t count)
{
    uint64_t state = 42;
    uint32_t *numbers = malloc(count * sizeof numbers[0]);
    if (!numbers)
        die("memory", &(struct err){ .text = "none" });
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = (uint32_t)(next_random(&state) % (i + 1u));
        numbers[i] = numbers[k];
        numbers[k] = i;
    }
    return numbers;
}

static void ring_nobody(void *ctx)
{
    (void)ctx;
}

void world_open(struct world *world, const struct store_port *store, uint32_t count,
                bool has_threads)
{
    world_open_ringing(world, store, count, has_threads ? ring_nobody : NULL, NULL);
}

void world_open_ringing(struct world *world, const struct store_port *store, uint32_t count,
                        void (*ring)(void *ctx), void *ctx)
{
    *world = (struct world){ .store = *store, .count = count, .now = START };
    world->shuffled = shuffle(count);
    arena_init(&world->arena, &memory_heap, SCRATCH);
    buffer_init(&world->name, &memory_heap, LIMIT_NAME);
    buffer_init(&world->body, &memory_heap, LIMIT_BODY);
    buffer_init(&world->reply, &memory_heap, REPLY_MAX);
    struct engine_options options = { .fleet = fleet_settings_default,
                                      .reconcile_interval_ms = 1000,
                                      .events_kept = LIMIT_EVENTS_KEPT,
                                      .events_kept_ms = 7ll * 24 * 3600 * 1000,
                                      .hash_seed = 7,
                                      .ring = ring,
                                      .ctx = ctx,
                                      .fatal = fatal };
    struct clock_port clock = { .now_ms = now_ms, .self = world };
    struct log_port log = { .write = write_log };
    struct err err = { .code = ERR_NONE };
    if (!engine_new(&options, &world->store, &clock, &log, &world->engine, &err))
        die("an engine", &err);
}

void world_close(struct world *world)
{
    engine_free(world->engine);
    free(world->shuffled);
    arena_release(&world->arena);
    buffer_release(&world->name);
    buffer_release(&world->body);
    buffer_release(&world->reply);
}

/* ---- parts of requests ---------------------------------------------------------------------- */

uint32_t world_next(struct world *world)
{
    if (world->cursor == world->count)
        world->cursor = 0;
    return world->shuffled[world->cursor++];
}

void world_commit(struct world *world)
{
    engine_end_round(world->engine);
    engine_poll(world->engine);
    world->unsaved = 0;
}

/* A command was done: as many share a commit as arrive while the one before is under way. */
static void after_command(struct world *world)
{
    if (++world->unsaved == WORLD_ROUND)
        world_commit(world);
}

static struct text name_of(struct world *world, uint32_t number)
{
    buffer_clear(&world->name);
    buffer_add(&world->name, TEXT("web-"));
    buffer_add_padded(&world->name, number, DIGITS);
    return buffer_text(&world->name);
}

static uint32_t find(struct world *world, uint32_t number)
{
    uint32_t slot = fleet_find(engine_fleet(world->engine), name_of(world, number));
    if (slot == FLEET_NONE)
        die("an instance", &(struct err){ .text = "not found by its name" });
    return slot;
}

static struct json_writer begin_reply(struct world *world)
{
    struct json_writer w;
    buffer_clear(&world->reply);
    json_writer_init(&w, &world->reply);
    return w;
}

/* ---- the fleet comes up --------------------------------------------------------------------- */

static struct text env_of(uint32_t number)
{
    uint32_t share = number % 10;
    return share < 7 ? TEXT("prod") : share < 9 ? TEXT("staging") : TEXT("dev");
}

static void register_one(struct world *world, uint32_t number)
{
    char role[16], zone[16], ip[32];
    snprintf(role, sizeof role, "role-%u", number / 10 % 8);
    snprintf(zone, sizeof zone, "eu-west-%u", number / 80 % 12);
    snprintf(ip, sizeof ip, "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255, number & 255);
    struct label_change labels[] = { { TEXT("env"), env_of(number), false },
                                     { TEXT("role"), text_from(role), false },
                                     { TEXT("zone"), text_from(zone), false } };
    struct register_command command = { .name = name_of(world, number),
                                        .ip = text_from(ip),
                                        .labels = labels,
                                        .label_count = 3,
                                        .has_labels = true };
    struct register_result result;
    struct err err = { .code = ERR_NONE };
    engine_begin(world->engine, TEXT("agent"));
    bool done = fleet_register(engine_fleet(world->engine), &command, &result, &err);
    engine_end(world->engine);
    if (!done)
        die("a registration", &err);
    fleet_give_interval(engine_fleet(world->engine),
                        fleet_at(engine_fleet(world->engine), result.slot));
    after_command(world);
}

void world_fill(struct world *world)
{
    world_say(world, 0, "HEALTHY");
    for (uint32_t i = 0; i < world->count; i++) {
        world->now += i % 20 == 0; /* 20,000 of them a second */
        register_one(world, world->shuffled[i]);
        world_heartbeat(world, world->shuffled[i]);
    }
    world_commit(world);
}

/* ---- heartbeats ----------------------------------------------------------------------------- */

void world_say(struct world *world, uint32_t version, const char *status)
{
    buffer_clear(&world->body);
    buffer_printf(&world->body,
                  "{\"code_version\":\"2.%u.0\",\"configuration_version\":\"c%u\","
                  "\"status\":\"%s\"}",
                  version, version, status);
}

void world_heartbeat_slot(struct world *world, uint32_t slot)
{
    struct fleet *fleet = engine_fleet(world->engine);
    struct wire_heartbeat body;
    struct json_warnings warnings = { .count = 0 };
    struct heartbeat_result result;
    struct err err = { .code = ERR_NONE };
    arena_clear(&world->arena);
    if (!wire_read_heartbeat(buffer_text(&world->body), &world->arena, &body, &warnings, &err))
        die("a heartbeat", &err);
    engine_begin(world->engine, TEXT("agent"));
    bool done = fleet_heartbeat(fleet, slot, &body.command, &result, &err);
    engine_end(world->engine);
    if (!done)
        die("a heartbeat", &err);
    engine_count_heartbeat(world->engine, result.is_changed);
    struct json_writer w = begin_reply(world);
    wire_write_heartbeat_reply(&w, fleet,
                               &(struct wire_reply){ .slot = slot,
                                                     .next_heartbeat_ms = fleet_give_interval(
                                                         fleet, fleet_at(fleet, slot)),
                                                     .server_time = fleet->now,
                                                     .warnings = &warnings });
    if (result.is_changed)
        after_command(world);
}

void world_heartbeat(struct world *world, uint32_t number)
{
    world_heartbeat_slot(world, find(world, number));
}

/* ---- other requests ------------------------------------------------------------------------- */

struct rollout *world_live(const struct world *world)
{
    return fleet_first_live(engine_fleet(world->engine));
}

void world_status(struct world *world)
{
    struct json_writer w = begin_reply(world);
    json_begin_list(&w);
    wire_write_rollout(&w, engine_fleet(world->engine), world_live(world), 0);
    json_end_list(&w);
}

void world_progress(struct world *world)
{
    struct err err = { .code = ERR_NONE };
    engine_begin(world->engine, TEXT("operator"));
    bool done = fleet_progress(engine_fleet(world->engine), world_live(world), &err);
    engine_end(world->engine);
    if (!done)
        die("a progress call", &err);
    world_status(world);
    after_command(world);
}

void world_show(struct world *world, uint32_t number)
{
    uint32_t slot = find(world, number);
    struct json_writer w = begin_reply(world);
    wire_write_instance(&w, engine_fleet(world->engine), slot, true);
}

void world_list(struct world *world, uint32_t number, unsigned limit)
{
    struct fleet *fleet = engine_fleet(world->engine);
    struct json_writer w = begin_reply(world);
    uint32_t slots[64 + 1], slot = fleet_next(fleet, name_of(world, number), true);
    json_begin_list(&w);
    while (limit > 0 && slot != FLEET_NONE) { /* as src/http/inventory.c does */
        uint32_t want = limit < 64 ? limit : 64;
        uint32_t found = (uint32_t)fleet_list(fleet, slot, slots, want + 1);
        wire_write_instances(&w, fleet, slots, found < want ? found : want);
        slot = found > want ? slots[want] : FLEET_NONE;
        limit -= want;
    }
    json_end_list(&w);
}

void world_metrics(struct world *world)
{
    struct route_stats *stats = calloc(route_count + 1, sizeof *stats);
    struct api api = { .engine = world->engine, .stats = stats };
    buffer_clear(&world->reply);
    if (stats)
        metrics_write(&api, &world->reply);
    free(stats);
}

void world_deploy(struct world *world, unsigned batch, unsigned threshold)
{
    struct deploy_command command;
    struct err err = { .code = ERR_NONE };
    world->version++;
    arena_clear(&world->arena);
    buffer_clear(&world->body);
    buffer_printf(
        &world->body,
        "{\"code_version\":\"2.%u.0\",\"configuration_version\":\"c%u\",\"configuration\":"
        "{\"batch_size\":%u,\"failure_threshold\":%u}}",
        world->version, world->version, batch, threshold);
    if (!wire_read_deploy(buffer_text(&world->body), &world->arena, &command, &err))
        die("a rollout", &err);
    engine_begin(world->engine, TEXT("operator"));
    struct rollout *r = fleet_deploy(engine_fleet(world->engine), &command, NULL, &err);
    engine_end(world->engine);
    if (!r)
        die("a rollout", &err);
    world_status(world);
    world_commit(world);
}

/* ---- agents --------------------------------------------------------------------------------- */

uint32_t world_answer(struct world *world, uint32_t count)
{
    const struct fleet *fleet = engine_fleet(world->engine);
    struct version said = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        const struct rollout *r = world_live(world);
        if (!r)
            return i;
        uint32_t slot = ordered_first(&fleet->members, r->live->sets[SET_BUSY]);
        struct version wish = fleet_at(fleet, slot)->desired;
        if (!version_equal(wish, said)) {
            buffer_clear(&world->body);
            buffer_printf(&world->body,
                          "{\"code_version\":\"%.*s\",\"configuration_version\":\"%.*s\","
                          "\"status\":\"HEALTHY\"}",
                          TEXT_ARG(fleet_text(fleet, wish.code)),
                          TEXT_ARG(fleet_text(fleet, wish.config)));
            said = wish;
        }
        world_heartbeat_slot(world, slot);
    }
    return count;
}
