/* SPDX-License-Identifier: Apache-2.0
 * life_kit.c - see life_kit.h. */
#include "agent/life_kit.h"

#include "base/suite.h"

const struct life_options plain = { .attempts_max = 2,
                                    .check_interval_ms = 30000,
                                    .stop_grace_ms = 10000 };

uint32_t step(struct kit *kit, struct life_event event)
{
    event.now = kit->now;
    event.random = 12345;
    kit->effects = life_step(&kit->life, &event);
    return kit->effects;
}

struct kit start_with(struct life_options options)
{
    struct kit kit = { .now = NOW };
    life_init(&kit.life, &options);
    step(&kit, (struct life_event){ .kind = LIFE_START });
    return kit;
}

uint32_t answer(struct kit *kit, struct life_answer a)
{
    a.call = a.call ? a.call : kit->life.call;
    return step(kit, (struct life_event){ .kind = LIFE_ANSWERED, .answer = &a });
}

uint32_t ended(struct kit *kit, enum command_end end, int number, const char *output)
{
    const struct command_result result = { end, number, text_from(output), text_from(output) };
    return step(kit, (struct life_event){ .kind = LIFE_ENDED, .result = &result });
}

uint32_t exited(struct kit *kit, int code, const char *output)
{
    return ended(kit, COMMAND_EXITED, code, output);
}

uint32_t stop(struct kit *kit)
{
    return step(kit, (struct life_event){ .kind = LIFE_STOP });
}

uint32_t wake(struct kit *kit)
{
    assert_true(life_due(&kit->life) != LIFE_NEVER);
    kit->now = life_due(&kit->life);
    return step(kit, (struct life_event){ .kind = LIFE_TIMER });
}

struct life_order order_of(const char *code, uint64_t generation, bool is_needed)
{
    struct life_order order = { .id = { .term = 1, .generation = generation, .rollout_size = 3 },
                                .is_needed = is_needed };
    memcpy(order.id.rollout, "r-1", 3);
    life_part_set(&order.wish.code, text_from(code));
    return order;
}

uint32_t hear_of_term(struct kit *kit, const char *code, uint64_t term, uint64_t generation)
{
    struct life_order order = order_of(code, generation, true);
    order.id.term = term;
    return answer(kit,
                  (struct life_answer){ .outcome = LIFE_TAKEN, .next_ms = 5000, .order = &order });
}

uint32_t hear(struct kit *kit, const char *code, uint64_t generation, bool is_needed)
{
    const struct life_order order = order_of(code, generation, is_needed);
    return answer(kit,
                  (struct life_answer){ .outcome = LIFE_TAKEN, .next_ms = 5000, .order = &order });
}

struct life_report report_of(const struct kit *kit)
{
    struct life_report report;
    life_report(&kit->life, &report);
    return report;
}

struct text message_of(const struct life_report *report)
{
    return (struct text){ report->message, report->message_size };
}

struct kit settled(void)
{
    struct kit kit = start_with(plain);
    answer(&kit,
           (struct life_answer){ .outcome = LIFE_TAKEN, .is_registration = true, .is_new = true });
    exited(&kit, 0, "1.0\nc1\n");
    hear(&kit, "", 0, false);
    hear(&kit, "", 0, false);
    assert_int_equal(kit.life.duty, DUTY_IDLE);
    assert_int_equal(kit.life.uplink, UPLINK_RESTING);
    return kit;
}

uint32_t beat(struct kit *kit, const char *code, uint64_t generation, bool is_needed)
{
    if (kit->life.uplink == UPLINK_RESTING) {
        kit->now = kit->life.uplink_due;
        step(kit, (struct life_event){ .kind = LIFE_TIMER });
    }
    assert_int_equal(kit->life.uplink, UPLINK_REPORTING);
    return hear(kit, code, generation, is_needed);
}
