/* SPDX-License-Identifier: Apache-2.0
 * formats.c - durations, percentages, times, shares and ranges of base/format.h and the simulator:
 * what is read is printed so that it is read again as the same. */
#include "base/format.h"

#include "fuzz.h"
#include "sim/plan.h"

void fuzz_duration(struct text input)
{
    struct fuzz f;
    int64_t ms = -1, again = -1;
    fuzz_begin(&f);
    if (parse_duration(input, &ms, &f.err)) {
        CLAIM(ms >= 0 && ms <= DURATION_MAX_MS);
        format_duration(&f.out, ms);
        CLAIM(parse_duration(buffer_text(&f.out), &again, &f.err) && again == ms);
        CLAIM(f.out.size <= input.size); /* the shortest there is */
    } else {
        CLAIM(ms == -1);
        CLAIM_ERROR(&f.err, ERR_INVALID);
    }
    fuzz_end(&f);
}

void fuzz_percent(struct text input)
{
    struct fuzz f;
    struct amount amount = { .is_percent = true };
    uint32_t value = 0;
    fuzz_begin(&f);
    if (parse_percent(input, &amount.value, &f.err)) {
        CLAIM(amount.value >= 1 && amount.value <= 100);
        format_amount(&f.out, amount);
        CLAIM(parse_percent(buffer_text(&f.out), &value, &f.err) && value == amount.value);
        fuzz_claim_equal(buffer_text(&f.out), input);
        for (uint32_t total = 1; total < 300; total++) {
            uint32_t down = amount_down(amount, total), up = amount_up(amount, total);
            CLAIM(down >= 1 && down <= total && up <= total && up >= 1);
            CLAIM(up - down <= 1);
        }
    } else {
        CLAIM_ERROR(&f.err, ERR_INVALID);
    }
    fuzz_end(&f);
}

void fuzz_time(struct text input)
{
    struct fuzz f;
    int64_t ms = -1, again = -1;
    fuzz_begin(&f);
    if (parse_time(input, &ms, &f.err)) {
        CLAIM(ms >= 0);
        format_time(&f.out, ms);
        CLAIM(f.out.size == sizeof "2031-01-01T10:00:00.000Z" - 1);
        CLAIM(parse_time(buffer_text(&f.out), &again, &f.err) && again == ms);
    } else {
        CLAIM(ms == -1);
        CLAIM_ERROR(&f.err, ERR_INVALID);
    }
    fuzz_end(&f);
}

void fuzz_share(struct text input)
{
    struct err err = { .code = ERR_NONE };
    uint32_t share = 0;
    int64_t least_ms = 0, most_ms = 0;
    if (plan_parse_share(input, &share, &err))
        CLAIM(share <= 10000);
    else
        CLAIM_ERROR(&err, ERR_INVALID);
    if (plan_parse_range(input, &least_ms, &most_ms, &err))
        CLAIM(least_ms >= 0 && least_ms <= most_ms && most_ms <= DURATION_MAX_MS);
    else
        CLAIM_ERROR(&err, ERR_INVALID);
}
