/* SPDX-License-Identifier: Apache-2.0
 * kit.c - see kit.h. */
#include "kit.h"

#include "wire/record.h"

static int64_t now(void *self)
{
    return ((struct kit *)self)->now;
}

static void count_log(void *self, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    (void)level;
    (void)message;
    (void)fields;
    ((struct kit *)self)->log_calls++;
}

static void count_fatal(void *ctx, const struct err *why)
{
    (void)why;
    ((struct kit *)ctx)->fatal_calls++;
}

static void keep_open(struct store *store)
{
    (void)store;
}

static void start(struct kit *kit)
{
    struct store_port borrowed = kit->store;
    struct clock_port clock = { .now_ms = now, .self = kit };
    struct log_port log = { .write = count_log, .self = kit };
    struct err err = { .code = ERR_NONE };
    borrowed.close = keep_open;
    if (!engine_new(&kit->options, &borrowed, &clock, &log, &kit->engine, &err))
        fail_msg("%s", err.text);
}

void kit_open(struct kit *kit)
{
    *kit = (struct kit){ .now = KIT_START };
    kit->options = (struct engine_options){ .fleet = fleet_settings_default,
                                            .reconcile_interval_ms = 1000,
                                            .events_kept = 1000,
                                            .events_kept_ms = 7ll * 24 * 3600 * 1000,
                                            .hash_seed = 7,
                                            .fatal = count_fatal,
                                            .ctx = kit };
    assert_true(store_memory_open(&kit->store, NULL));
    start(kit);
}

void kit_close(struct kit *kit)
{
    engine_free(kit->engine);
    kit->store.close(kit->store.self);
}

void kit_reopen(struct kit *kit)
{
    start(kit);
}

void kit_crash(struct kit *kit, int64_t later_ms)
{
    /* The old process writes nothing more: its last commit is lost with it. */
    store_memory_plan_fault(&kit->store, STORE_MEMORY_UNKNOWN_LOST, 1);
    engine_free(kit->engine);
    store_memory_plan_fault(&kit->store, STORE_MEMORY_NO_FAULT, 1);
    store_memory_crash(&kit->store);
    kit->now += later_ms;
    start(kit);
}

void kit_turn(struct kit *kit)
{
    engine_end_round(kit->engine);
    engine_poll(kit->engine);
}

uint32_t kit_register(struct kit *kit, const char *name, const char *label_value)
{
    struct label_change label = { TEXT("env"), text_from(label_value), false };
    struct register_command command = {
        .name = text_from(name), .labels = &label, .label_count = 1, .has_labels = true
    };
    struct register_result result;
    struct err err = { .code = ERR_NONE };
    engine_begin(kit->engine, TEXT("test"));
    if (!fleet_register(engine_fleet(kit->engine), &command, &result, &err))
        fail_msg("%s", err.text);
    engine_end(kit->engine);
    return result.slot;
}

struct heartbeat_result kit_heartbeat(struct kit *kit, uint32_t slot, const char *code,
                                      enum instance_state status)
{
    struct heartbeat_command command = {
        .has_code = true, .code = text_from(code), .has_status = true, .status = (uint8_t)status
    };
    struct heartbeat_result result;
    struct err err = { .code = ERR_NONE };
    engine_begin(kit->engine, TEXT("test"));
    if (!fleet_heartbeat(engine_fleet(kit->engine), slot, &command, &result, &err))
        fail_msg("%s", err.text);
    engine_end(kit->engine);
    return result;
}

uint32_t kit_instance(struct kit *kit, const char *name, const char *code)
{
    uint32_t slot = kit_register(kit, name, "prod");
    kit_heartbeat(kit, slot, code, INSTANCE_HEALTHY);
    return slot;
}

struct rollout *kit_deploy(struct kit *kit, const char *code, uint32_t batch)
{
    struct deploy_command command = { .code = text_from(code), .rollout = rollout_config_default };
    command.rollout.batch_size.value = batch;
    struct err err = { .code = ERR_NONE };
    engine_begin(kit->engine, TEXT("test"));
    struct rollout *r = fleet_deploy(engine_fleet(kit->engine), &command, NULL, &err);
    engine_end(kit->engine);
    if (!r)
        fail_msg("%s", err.text);
    return r;
}

void kit_dump(struct kit *kit, struct buffer *ret)
{
    const struct fleet *fleet = engine_fleet(kit->engine);
    buffer_init(ret, &memory_heap, (size_t)16 << 20);
    uint32_t slot = fleet_next(fleet, TEXT_NONE, true);
    for (; slot != FLEET_NONE; slot = fleet_after(fleet, slot)) {
        wire_store_instance(ret, fleet, slot);
        buffer_add_byte(ret, '\n');
    }
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        wire_store_rollout(ret, fleet, fleet->rollouts[i]);
        buffer_add_byte(ret, '\n');
    }
    assert_false(ret->failed);
}

static void note_outcome(struct engine_waiter *waiter, enum engine_outcome outcome)
{
    ((struct kit_waiter *)waiter)->outcome = (int)outcome;
}

void kit_wait(struct kit *kit, uint64_t round, struct kit_waiter *waiter)
{
    *waiter = (struct kit_waiter){ .outcome = -1 };
    waiter->waiter.done = note_outcome;
    engine_wait(kit->engine, round, &waiter->waiter);
}
