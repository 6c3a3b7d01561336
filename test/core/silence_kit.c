/* SPDX-License-Identifier: Apache-2.0
 * silence_kit.c - see silence_kit.h. */
#include "core/silence_kit.h"

#include "base/suite.h"

#include <stdio.h>

static void name_one(char name[static 16], unsigned i)
{
    snprintf(name, 16, "n-%u", i);
}

void bystanders(struct story *s, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char name[16];
        name_one(name, i);
        story_register(s, name, "");
    }
}

void fall_silent(struct story *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char name[16];
        name_one(name, i);
        story_silence(s, name);
    }
}

void come_back(struct story *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char name[16];
        name_one(name, i);
        story_say(s, name, "", SAME);
    }
}

struct rollout *one_in_flight(struct story *s, struct rollout_config config)
{
    story_fleet(s, 3, "job=yes", "1/a");
    bystanders(s, 6);
    struct rollout *r = story_deploy(s, "job", "2/b", &config);
    assert_string_equal(story_flying(s, r), "web-01");
    return r;
}

struct rollout *frozen_with(struct story *s, struct rollout_config config)
{
    struct rollout *r = one_in_flight(s, config);
    fall_silent(s, 1, 5);
    story_wait(s, TIMEOUT);
    assert_true(silence_is_frozen(&s->fleet));
    assert_int_equal(r->frozen_at, s->now);
    return r;
}
