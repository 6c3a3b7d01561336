/* SPDX-License-Identifier: Apache-2.0
 * test_pick_order.c - whom rollouts pick, against the plainest reading of the spec of rollouts
 * (6.2, P6 to P8): walk over all candidates in pick order, skip those that a domain or the floor
 * keeps back, take the others until the slots run out. Fleets, configurations and commands are
 * random.
 *
 * A failure prints its seed: SEED=n replays that one, SEEDS=n runs that many from 1 on. */
#include "core/story.h"
#include "core/waves.h"

#include "base/dice.h"
#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_QUICK 3000u
#define COMMANDS    200u
#define NAMES       30u
#define SLOTS       256u

/* ---- the plain picker ----------------------------------------------------------------------- */

/* The fleet as it was before some picks of the newest command. */
struct before {
    const struct fleet *fleet;
    bool is_later[SLOTS]; /* picked by the command, and that is still to come */
    uint32_t order[SLOTS], count;
};

static enum member_state state_of(const struct before *b, uint32_t slot)
{
    return b->is_later[slot] ? MEMBER_PENDING
                             : fleet_member_state(b->fleet, fleet_at(b->fleet, slot));
}

static bool is_flying(const struct before *b, uint32_t slot)
{
    return state_of(b, slot) == MEMBER_IN_PROGRESS;
}

static bool is_member(const struct before *b, const struct rollout *r, uint32_t slot)
{
    return fleet_rollout_of(b->fleet, fleet_at(b->fleet, slot)) == r;
}

static bool is_available(const struct before *b, uint32_t slot)
{
    const struct instance *inst = fleet_at(b->fleet, slot);
    return inst->presence == PRESENCE_ONLINE && inst->status == INSTANCE_HEALTHY &&
           !is_flying(b, slot);
}

static bool have_same_value(const struct before *b, struct text label, uint32_t one, uint32_t other)
{
    struct text value = TEXT_NONE, other_value = TEXT_NONE;
    const struct label_sets *sets = &b->fleet->labels;
    bool has = labels_value(sets, fleet_at(b->fleet, one)->labels, label, &value);
    bool other_has = labels_value(sets, fleet_at(b->fleet, other)->labels, label, &other_value);
    return has == other_has && (!has || text_equal(value, other_value));
}

static bool has_room(const struct before *b, const struct rollout *r, uint32_t slot,
                     const struct domain_config *domain)
{
    uint32_t total = 0, busy = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!have_same_value(b, domain->label, slot, b->order[i]))
            continue;
        total += is_member(b, r, b->order[i]) ? 1 : 0;
        busy += is_flying(b, b->order[i]) ? 1 : 0; /* of whatever rollout */
    }
    uint32_t cap = domain->max_in_progress.value;
    if (domain->max_in_progress.is_percent)
        cap = total * cap / 100 > 0 ? total * cap / 100 : 1;
    return !domain->has_max_in_progress || busy < cap;
}

static bool may_be_taken(const struct before *b, const struct rollout *r, uint32_t slot)
{
    for (uint32_t d = 0; d < r->config.domain_count; d++)
        if (!has_room(b, r, slot, &r->config.domains[d]))
            return false;
    if (!is_available(b, slot))
        return true;
    uint32_t total = 0, available = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        total += is_member(b, r, b->order[i]) ? 1 : 0;
        available += is_member(b, r, b->order[i]) && is_available(b, b->order[i]) ? 1 : 0;
    }
    uint32_t floor = r->config.min_available.value;
    if (r->config.min_available.is_percent)
        floor = (total * floor + 99) / 100;
    return available > floor;
}

static uint32_t slots_of(const struct before *b, const struct rollout *r)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < b->count; i++)
        busy += is_member(b, r, b->order[i]) && is_flying(b, b->order[i]) ? 1 : 0;
    uint32_t limit = rollout_batch_limit(r);
    if (r->state != ROLLOUT_RUNNING || r->stopped_at != 0 || busy >= limit ||
        (busy > 0 && wave_mode(r, r->open_wave) == MODE_BARRIER))
        return 0;
    return limit - busy;
}

static int compare_status(const struct instance *a, const struct instance *b)
{
    static const int ranks[instance_state_count] = { [INSTANCE_FAILED] = 0,
                                                     [INSTANCE_DEGRADED] = 1,
                                                     [INSTANCE_UNKNOWN] = 2,
                                                     [INSTANCE_HEALTHY] = 3 };
    return ranks[a->status] - ranks[b->status];
}

static bool comes_first(const struct before *b, uint32_t one, uint32_t other)
{
    const struct instance *x = fleet_at(b->fleet, one), *y = fleet_at(b->fleet, other);
    if (x->placed.is_joiner != y->placed.is_joiner)
        return y->placed.is_joiner;
    int order = compare_status(x, y);
    return order != 0 ? order < 0 : text_compare(instance_key(x), instance_key(y)) < 0;
}

/* The first candidate after `last` (FLEET_NONE: of all) in the order of picks, or FLEET_NONE. */
static uint32_t next_candidate(const struct before *b, const struct rollout *r, uint32_t last)
{
    uint32_t next = FLEET_NONE;
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t slot = b->order[i];
        const struct instance *inst = fleet_at(b->fleet, slot);
        bool is_candidate = is_member(b, r, slot) && state_of(b, slot) == MEMBER_PENDING &&
                            inst->presence == PRESENCE_ONLINE &&
                            inst->placed.wave < waves_admitted(r);
        if (is_candidate && (last == FLEET_NONE || comes_first(b, last, slot)) &&
            (next == FLEET_NONE || comes_first(b, slot, next)))
            next = slot;
    }
    return next;
}

/* The next one that the plain picker takes, after it left `*last` and those before it behind. */
static uint32_t plain_pick(const struct before *b, const struct rollout *r, uint32_t *last)
{
    for (;;) {
        *last = next_candidate(b, r, *last);
        if (*last == FLEET_NONE || may_be_taken(b, r, *last))
            return *last;
    }
}

/* ---- the comparison ------------------------------------------------------------------------- */

static struct before look_back(const struct fleet *fleet)
{
    struct before b = { .fleet = fleet };
    assert_true(fleet->slot_count <= SLOTS);
    for (uint32_t slot = 0; slot < fleet->slot_count; slot++)
        if (fleet_at(fleet, slot)->texts && !fleet_at(fleet, slot)->is_gone)
            b.order[b.count++] = slot;
    for (uint32_t i = 0; i < fleet->change_count; i++)
        if (fleet->changes[i].type == CHANGE_PICKED)
            b.is_later[fleet->changes[i].slot] = true;
    return b;
}

static void claim_same(const struct before *b, const struct rollout *r, uint32_t wanted,
                       uint32_t picked)
{
    if (wanted == picked)
        return;
    struct text none = TEXT("nobody");
    struct text w = wanted == FLEET_NONE ? none : instance_key(fleet_at(b->fleet, wanted));
    struct text p = picked == FLEET_NONE ? none : instance_key(fleet_at(b->fleet, picked));
    fail_msg("r-%u picks %.*s, and should pick %.*s", r->number, TEXT_ARG(p), TEXT_ARG(w));
}

/* Each rollout that the command let pick took whom the plain picker takes, in its order. Returns
 * how many were picked. */
static uint32_t compare_picks(const struct fleet *fleet)
{
    struct before b = look_back(fleet);
    uint32_t picks = 0;
    for (uint32_t i = 0; i < fleet->change_count;) {
        if (fleet->changes[i].type != CHANGE_PICKED) {
            i++;
            continue;
        }
        const struct rollout *r = fleet_rollout(fleet, fleet->changes[i].rollout);
        uint32_t last = FLEET_NONE;
        for (uint32_t slots = slots_of(&b, r); slots > 0; slots--) {
            uint32_t wanted = plain_pick(&b, r, &last);
            bool is_pick = i < fleet->change_count && fleet->changes[i].type == CHANGE_PICKED &&
                           fleet->changes[i].rollout == r->number;
            claim_same(&b, r, wanted, is_pick ? fleet->changes[i].slot : FLEET_NONE);
            if (wanted == FLEET_NONE)
                break;
            b.is_later[wanted] = false;
            picks++;
            i++;
        }
        bool goes_on = i < fleet->change_count && fleet->changes[i].type == CHANGE_PICKED &&
                       fleet->changes[i].rollout == r->number;
        assert_false(goes_on); /* more than there are slots */
    }
    return picks;
}

/* After a tick has evaluated all rollouts nobody is left whom the plain picker would take. */
static void claim_nobody_is_left(const struct fleet *fleet)
{
    struct before b = look_back(fleet);
    memset(b.is_later, 0, sizeof b.is_later);
    for (uint32_t i = 0; i < fleet->rollout_count; i++) {
        const struct rollout *r = fleet->rollouts[i];
        uint32_t last = FLEET_NONE;
        if (rollout_is_live(r) && slots_of(&b, r) > 0)
            claim_same(&b, r, plain_pick(&b, r, &last), FLEET_NONE);
    }
}

/* ---- random stories ------------------------------------------------------------------------- */

struct driver {
    struct story *s;
    struct dice dice;
    uint32_t names;
};

/* Over all seeds: what was seen at least, so that the comparison is no empty one. */
static uint64_t picks_seen, caps_seen, floors_seen, waves_seen;

static uint32_t roll(struct driver *d, uint32_t end)
{
    return dice_roll(&d->dice, end);
}

static bool chance(struct driver *d, uint32_t percent)
{
    return roll(d, 100) < percent;
}

#define PICK(d, list) ((list)[roll((d), (uint32_t)(sizeof(list) / sizeof((list)[0])))])

static const char *a_name(struct driver *d)
{
    static char name[16];
    snprintf(name, sizeof name, "n-%02u", roll(d, d->names));
    return name;
}

static const char *some_labels(struct driver *d)
{
    static const char *const zones[] = { "zone=a", "zone=b", "zone=c", "!zone" };
    static const char *const racks[] = { "rack=1", "rack=2", "rack=3", "rack=4", "!rack" };
    static const char *const hosts[] = { "host=x", "host=y", "!host" };
    static char labels[64];
    snprintf(labels, sizeof labels, "%s,%s,%s,env=%c", PICK(d, zones), PICK(d, racks),
             PICK(d, hosts), chance(d, 70) ? 'p' : 'q');
    return labels;
}

static struct amount an_amount(struct driver *d, uint32_t most)
{
    if (chance(d, 40))
        return (struct amount){ .value = 1 + roll(d, 70), .is_percent = true };
    return (struct amount){ .value = 1 + roll(d, most) };
}

static void some_domains(struct driver *d, struct rollout_config *config,
                         struct domain_config domains[static LIMIT_DOMAINS])
{
    static const char *const labels[] = { "zone", "rack", "host" };
    uint32_t skipped = roll(d, 3);
    config->domain_count = roll(d, 4);
    config->domains = domains;
    for (uint32_t i = 0; i < config->domain_count; i++)
        domains[i] = (struct domain_config){ .label = text_from(labels[(i + skipped) % 3]),
                                             .has_max_in_progress = chance(d, 85),
                                             .max_in_progress = an_amount(d, 3) };
}

static void do_deploy(struct driver *d)
{
    static const char *const selectors[] = { "env=p", "env=q", "", "env=p,zone in (a,b)" };
    static const char *const waves[] = { "one 25%; rest", "a [zone=a] batch 3; two 3; rest",
                                         "b [rack in (1,2)] barrier; c [!zone]; rest batch 50%" };
    static const char *const versions[] = { "2/b", "3/b", "3/c" };
    struct domain_config domains[LIMIT_DOMAINS];
    struct rollout_config config = story_config(1, 1000000);
    config.batch_size = an_amount(d, 12);
    config.mode = chance(d, 25) ? MODE_BARRIER : MODE_WINDOW;
    config.on_failure = ON_FAILURE_ABORT;
    config.dynamic = chance(d, 80);
    config.instance_deadline_ms = chance(d, 50) ? 2 * MINUTE : 0;
    if (chance(d, 50))
        config.min_available = an_amount(d, 15);
    some_domains(d, &config, domains);
    if (chance(d, 40))
        story_waves(d->s, &config, PICK(d, waves));
    const char *selector = PICK(d, selectors);
    story_try_deploy(d->s, selector, PICK(d, versions), &config);
}

static void do_say(struct driver *d)
{
    const char *name = a_name(d);
    if (fleet_find(&d->s->fleet, text_from(name)) == FLEET_NONE)
        return;
    if (chance(d, 60)) {
        char wish[64];
        snprintf(wish, sizeof wish, "%s", story_wish(d->s, name));
        story_say(d->s, name, wish, INSTANCE_HEALTHY);
    } else if (chance(d, 20)) {
        story_say_labels(d->s, name, some_labels(d));
    } else {
        story_say(d->s, name, chance(d, 20) ? "1/a" : "", (int)roll(d, instance_state_count));
    }
}

static void do_register(struct driver *d)
{
    const char *name = a_name(d);
    bool is_known = fleet_find(&d->s->fleet, text_from(name)) != FLEET_NONE;
    if (is_known && chance(d, 30)) {
        story_delete(d->s, name);
        return;
    }
    char labels[64];
    snprintf(labels, sizeof labels, "%s", some_labels(d));
    story_register(d->s, name, labels);
}

static void do_verb(struct driver *d)
{
    static const enum verb verbs[] = { VERB_RETRY,  VERB_RETRY,  VERB_PAUSE, VERB_RESUME,
                                       VERB_RESUME, VERB_RESUME, VERB_ABORT };
    const struct fleet *fleet = &d->s->fleet;
    if (fleet->rollout_count == 0)
        return;
    struct rollout *r = fleet->rollouts[fleet->rollout_count - 1];
    if (rollout_is_live(r))
        story_try_verb(d->s, r, PICK(d, verbs));
}

static void do_time(struct driver *d)
{
    static const int64_t jumps[] = { 1, SECOND, 2 * SECOND, 5 * SECOND };
    d->s->now += chance(d, 5) ? MINUTE : PICK(d, jumps);
    story_tick(d->s);
}

static void note_waits(const struct story *s)
{
    for (uint32_t i = 0; i < s->fleet.rollout_count; i++) {
        const struct rollout *r = s->fleet.rollouts[i];
        struct waiting list[WAITING_REASON_COUNT];
        size_t count = rollout_is_live(r) ? waiting_list(&s->fleet, r, list) : 0;
        for (size_t k = 0; k < count; k++) {
            caps_seen += list[k].reason == WAITING_DOMAIN_CAP ? 1 : 0;
            floors_seen += list[k].reason == WAITING_MIN_AVAILABLE ? 1 : 0;
        }
        waves_seen += r->open_wave;
    }
}

static void step(struct driver *d)
{
    uint32_t what = roll(d, 100);
    if (what < 60)
        do_say(d);
    else if (what < 72)
        do_register(d);
    else if (what < 80)
        do_deploy(d);
    else if (what < 84)
        do_verb(d);
    else if (what < 99)
        do_time(d);
    else if (chance(d, 50))
        story_restart(d->s, 0);
    else
        story_reload(d->s, 0);
    picks_seen += compare_picks(&d->s->fleet);
    if (what >= 80 && chance(d, 50)) {
        story_tick(d->s);
        picks_seen += compare_picks(&d->s->fleet);
        claim_nobody_is_left(&d->s->fleet);
        note_waits(d->s);
    }
}

static void run_seed(uint64_t seed)
{
    struct driver d = { .dice = { .state = seed } };
    struct fleet_settings settings = fleet_settings_default;
    settings.max_concurrent = 1 + roll(&d, 2);
    d.names = 4 + roll(&d, NAMES - 3);
    d.s = story_new(&settings, seed);
    d.s->checks_seldom = true;
    for (uint32_t i = 0; i < d.names; i++) {
        do_register(&d);
        do_say(&d);
    }
    do_deploy(&d);
    picks_seen += compare_picks(&d.s->fleet);
    for (uint32_t i = 0; i < COMMANDS; i++)
        step(&d);
    story_free(d.s);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static uint64_t running; /* the seed */

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    uint64_t number;
    return text && text_to_u64(text_from(text), UINT64_MAX, &number) ? number : otherwise;
}

static void test_rollouts_pick_whom_a_plain_walk_over_all_candidates_picks(void **state)
{
    (void)state;
    uint64_t only = number_of("SEED", 0);
    uint64_t first = only ? only : 1;
    uint64_t last = only ? only : number_of("SEEDS", SEEDS_QUICK);

    for (running = first; running <= last; running++)
        run_seed(running);
    running = 0;

    if (only)
        return;
    assert_true(picks_seen > 10 * last);
    assert_true(caps_seen > last && floors_seen > last && waves_seen > last);
}

static int tell_seed(void **state)
{
    (void)state;
    if (running != 0)
        print_error("replay with SEED=%llu\n", (unsigned long long)running);
    running = 0;
    return 0;
}

/* ---- numbers in the order of keys ----------------------------------------------------------- */

static void assert_in_order_of_keys(const struct story *s)
{
    uint32_t slots[64];
    size_t count = fleet_list(&s->fleet, fleet_next(&s->fleet, TEXT_NONE, true), slots, 64);
    assert_int_equal(count, s->fleet.instance_count);
    for (size_t i = 1; i < count; i++)
        assert_true(text_compare(instance_key(fleet_at(&s->fleet, slots[i - 1])),
                                 instance_key(fleet_at(&s->fleet, slots[i]))) < 0);
}

/* A start numbers all; who comes later, or comes back in another slot, has no number. */
static void test_who_comes_between_the_numbered_stands_between_them(void **state)
{
    struct story *s = *state;
    static const char *const late[] = { "web-05", "web-01", "a", "web-032", "zone" };
    story_register(s, "web-06", "");
    story_register(s, "web-02", "");
    story_register(s, "web-04", "");
    story_register(s, "web-03", "");
    struct rollout *r = story_deploy(s, "", "2/b", NULL);
    story_delete(s, "web-03");
    for (size_t i = 0; i < sizeof late / sizeof late[0]; i++)
        story_register(s, late[i], "");
    story_register(s, "web-03", "");

    assert_in_order_of_keys(s);
    assert_int_equal(rollout_tally(r)->total, 9);

    story_verb(s, r, VERB_ABORT);
    story_delete(s, "web-04");
    story_deploy(s, "", "3/c", NULL);

    assert_in_order_of_keys(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_rollouts_pick_whom_a_plain_walk_over_all_candidates_picks,
                                  tell_seed),
        STORY(test_who_comes_between_the_numbered_stands_between_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
