/* SPDX-License-Identifier: Apache-2.0
 * story.c - the commands of a story. What is checked after each stands in story_check.c. */
#include "core/story.h"
#include "core/waves.h"

#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECTORS_MAX ((size_t)64 << 20)

/* ---- the frame ------------------------------------------------------------------------------ */

struct story *story_new(const struct fleet_settings *settings, uint64_t hash_seed)
{
    struct story *s = calloc(1, sizeof *s);
    assert_non_null(s);
    faulty_memory_init(&s->memory);
    s->now = STORY_BEGIN;
    assert_true(fleet_init(&s->fleet, &s->memory.memory,
                           settings ? settings : &fleet_settings_default, hash_seed, &s->err));
    s->fleet.started_at = s->now;
    arena_init(&s->arena, &memory_heap, SELECTORS_MAX);
    return s;
}

void story_free(struct story *s)
{
    fleet_release(&s->fleet);
    arena_release(&s->arena);
    assert_int_equal(s->memory.blocks, 0);
    free(s);
}

int story_setup(void **state)
{
    *state = story_new(NULL, 7);
    return 0;
}

int story_teardown(void **state)
{
    story_free(*state);
    return 0;
}

void story_command(struct story *s)
{
    s->err = (struct err){ .code = ERR_NONE };
    fleet_begin(&s->fleet, s->now, TEXT("tester"));
}

void story_done(struct story *s)
{
    s->commands++;
    story_check(s);
    if (!s->keeps_rounds_open)
        fleet_settle(&s->fleet, fleet_end_round(&s->fleet));
}

static enum err_code done(struct story *s, bool succeeded)
{
    story_done(s);
    assert_true(succeeded == (s->err.code == ERR_NONE));
    return s->err.code;
}

static void must(const struct story *s, enum err_code code)
{
    if (code != ERR_NONE)
        fail_msg("refused: %s", s->err.text);
}

/* ---- words ---------------------------------------------------------------------------------- */

#define LABELS_MAX 8

static size_t read_labels(const char *text, struct label_change ret[static LABELS_MAX])
{
    struct text rest = text_from(text);
    struct text part;
    size_t count = 0;
    while (rest.size > 0 && text_cut(&rest, ',', &part)) {
        assert_true(count < LABELS_MAX);
        struct label_change *change = &ret[count++];
        change->is_removal = part.data[0] == '!';
        if (change->is_removal)
            part = text_skip(part, 1);
        size_t end = text_find(part, '=');
        change->key = (struct text){ part.data, end };
        change->value = text_skip(part, end + 1);
    }
    return count;
}

/* A part that is "-" is empty. */
static void read_version(const char *text, struct text *ret_code, struct text *ret_config)
{
    struct text t = text_from(text);
    size_t end = text_find(t, '/');
    *ret_code = (struct text){ t.data, end };
    *ret_config = text_skip(t, end + 1);
    if (text_equal(*ret_code, TEXT("-")))
        *ret_code = TEXT_NONE;
    if (text_equal(*ret_config, TEXT("-")))
        *ret_config = TEXT_NONE;
}

/* ---- instances ------------------------------------------------------------------------------ */

static enum err_code register_one(struct story *s, const char *name, const char *ip,
                                  const char *labels, uint32_t *ret)
{
    struct label_change changes[LABELS_MAX];
    struct register_command command = { .name = text_from(name),
                                        .ip = text_from(ip),
                                        .labels = changes,
                                        .has_labels = labels != NULL };
    command.label_count = labels ? read_labels(labels, changes) : 0;
    struct register_result result = { .slot = FLEET_NONE };
    story_command(s);
    bool registered = fleet_register(&s->fleet, &command, &result, &s->err);
    if (registered)
        s->is_silent[result.slot] = false;
    *ret = result.slot;
    return done(s, registered);
}

uint32_t story_register(struct story *s, const char *name, const char *labels)
{
    uint32_t slot;
    must(s, register_one(s, name, NULL, labels, &slot));
    return slot;
}

enum err_code story_try_register(struct story *s, const char *name, const char *ip,
                                 const char *labels)
{
    uint32_t slot;
    return register_one(s, name, ip, labels, &slot);
}

static uint32_t slot_of(const struct story *s, const char *name)
{
    uint32_t slot = fleet_find(&s->fleet, text_from(name));
    if (slot == FLEET_NONE)
        fail_msg("there is no %s", name);
    return slot;
}

static enum err_code try_beat(struct story *s, uint32_t slot,
                              const struct heartbeat_command *command, bool *ret_is_stale)
{
    struct heartbeat_result result = { .is_stale = false };
    s->is_silent[slot] = false;
    story_command(s);
    bool heard = fleet_heartbeat(&s->fleet, slot, command, &result, &s->err);
    *ret_is_stale = result.is_stale;
    return done(s, heard);
}

static void beat(struct story *s, uint32_t slot, const struct heartbeat_command *command)
{
    bool is_stale;
    must(s, try_beat(s, slot, command, &is_stale));
}

static struct heartbeat_command report_of(const char *version, int status)
{
    struct heartbeat_command command = { .has_status = status != SAME };
    if (status != SAME)
        command.status = (uint8_t)status;
    read_version(version, &command.code, &command.config);
    command.has_code = command.code.size > 0;
    command.has_config = command.config.size > 0;
    return command;
}

static void say(struct story *s, const char *name, const char *version, int status,
                bool is_outdated)
{
    struct heartbeat_command command = report_of(version, status);
    command.is_outdated = is_outdated;
    beat(s, slot_of(s, name), &command);
}

uint32_t story_ask_session(struct story *s, const char *name)
{
    struct heartbeat_command command = report_of("ignored/ignored", INSTANCE_FAILED);
    command.order = HEARTBEAT_ASKS;
    beat(s, slot_of(s, name), &command);
    return story_instance(s, name)->session;
}

enum err_code story_say_ordered(struct story *s, const char *name, uint32_t session,
                                uint32_t sequence, const char *version, int status,
                                bool *ret_is_stale)
{
    struct heartbeat_command command = report_of(version, status);
    command.order = HEARTBEAT_ORDERED;
    command.session = session;
    command.sequence = sequence;
    return try_beat(s, slot_of(s, name), &command, ret_is_stale);
}

void story_say(struct story *s, const char *name, const char *version, int status)
{
    say(s, name, version, status, false);
}

void story_say_all(struct story *s, const char *names, const char *version, int status)
{
    struct text rest = text_from(names);
    struct text name;
    while (text_cut(&rest, ' ', &name)) {
        char space[64];
        assert_true(name.size > 0 && name.size < sizeof space);
        memcpy(space, name.data, name.size);
        space[name.size] = 0;
        story_say(s, space, version, status);
    }
}

void story_say_late(struct story *s, const char *name, const char *version, int status)
{
    say(s, name, version, status, true);
}

void story_say_broken(struct story *s, const char *name, const char *message)
{
    struct heartbeat_command command = { .has_status = true,
                                         .status = INSTANCE_FAILED,
                                         .has_message = true,
                                         .message = text_from(message) };
    beat(s, slot_of(s, name), &command);
}

void story_say_labels(struct story *s, const char *name, const char *labels)
{
    struct label_change changes[LABELS_MAX];
    struct heartbeat_command command = { .labels = changes };
    command.label_count = read_labels(labels, changes);
    beat(s, slot_of(s, name), &command);
}

void story_delete(struct story *s, const char *name)
{
    uint32_t slot = slot_of(s, name);
    story_command(s);
    bool deleted = fleet_delete(&s->fleet, slot, &s->err);
    must(s, done(s, deleted));
}

void story_fleet(struct story *s, unsigned count, const char *labels, const char *version)
{
    for (unsigned i = 1; i <= count; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%02u", i);
        story_register(s, name, labels);
        story_say(s, name, version, INSTANCE_HEALTHY);
    }
}

void story_crowd(struct story *s)
{
    story_register(s, "crowd-1", "crowd=yes");
    story_register(s, "crowd-2", "crowd=yes");
    story_register(s, "crowd-3", "crowd=yes");
}

void story_silence(struct story *s, const char *name)
{
    s->is_silent[slot_of(s, name)] = true;
}

struct instance *story_instance(const struct story *s, const char *name)
{
    return fleet_at(&s->fleet, slot_of(s, name));
}

enum member_state story_member(const struct story *s, const char *name)
{
    return fleet_member_state(&s->fleet, story_instance(s, name));
}

static const char *shown(const struct story *s, struct version v)
{
    static char space[4][64];
    static unsigned next;
    struct text code = fleet_text(&s->fleet, v.code);
    struct text config = fleet_text(&s->fleet, v.config);
    char *text = space[next++ % 4];
    snprintf(text, sizeof space[0], "%.*s/%.*s", TEXT_ARG(code), TEXT_ARG(config));
    return text;
}

const char *story_wish(const struct story *s, const char *name)
{
    return shown(s, story_instance(s, name)->desired);
}

const char *story_runs(const struct story *s, const char *name)
{
    return shown(s, story_instance(s, name)->current);
}

bool story_is_online(const struct story *s, const char *name)
{
    return story_instance(s, name)->presence == PRESENCE_ONLINE;
}

/* ---- rollouts ------------------------------------------------------------------------------- */

struct rollout_config story_config(uint32_t batch_size, uint32_t failure_threshold)
{
    struct rollout_config config = rollout_config_default;
    config.batch_size.value = batch_size;
    config.failure_threshold.value = failure_threshold;
    return config;
}

static struct selector read_selector(struct story *s, const char *text)
{
    struct selector selector;
    if (!selector_parse(text_from(text), NULL, 0, &s->arena, &selector, &s->err))
        fail_msg("%s", s->err.text);
    return selector;
}

struct deploy_command story_request(struct story *s, const char *selector, const char *version,
                                    const struct rollout_config *config)
{
    struct deploy_command command = { .selector = read_selector(s, selector),
                                      .rollout = config ? *config : rollout_config_default,
                                      .reason = TEXT("a test") };
    read_version(version, &command.code, &command.config);
    return command;
}

enum err_code story_try_deploy(struct story *s, const char *selector, const char *version,
                               const struct rollout_config *config)
{
    struct deploy_command command = story_request(s, selector, version, config);
    story_command(s);
    struct rollout *r = fleet_deploy(&s->fleet, &command, NULL, &s->err);
    return done(s, r != NULL);
}

struct rollout *story_deploy(struct story *s, const char *selector, const char *version,
                             const struct rollout_config *config)
{
    struct deploy_command command = story_request(s, selector, version, config);
    story_command(s);
    struct rollout *r = fleet_deploy(&s->fleet, &command, NULL, &s->err);
    must(s, done(s, r != NULL));
    return r;
}

struct rollout *story_one(struct story *s, const struct rollout_config *config)
{
    story_fleet(s, 1, "", "1/a");
    return story_deploy(s, "", "2/b", config);
}

struct rollout *story_leftovers(struct story *s, struct rollout_config config)
{
    config.batch_size.value = 3;
    config.failure_threshold.value = 5;
    story_fleet(s, 3, "", "1/a");
    story_silence(s, "web-03");
    story_wait(s, 100 * SECOND);
    struct rollout *r = story_deploy(s, "", "2/b", &config);
    story_say(s, "web-01", "2/b", INSTANCE_HEALTHY);
    story_say(s, "web-02", "1/a", INSTANCE_FAILED);
    return r;
}

static struct rollout *give_rollback(struct story *s, const struct rollback_command *command)
{
    story_command(s);
    struct rollout *r = fleet_rollback(&s->fleet, command, NULL, &s->err);
    done(s, r != NULL);
    return r;
}

static struct rollout *roll_back(struct story *s, uint32_t number, const char *selector)
{
    struct rollback_command command = {
        .number = number, .has_selector = selector != NULL, .is_fast = true, .reason = TEXT("back")
    };
    if (selector)
        command.selector = read_selector(s, selector);
    return give_rollback(s, &command);
}

struct rollout *story_rollback(struct story *s, uint32_t number, const char *selector)
{
    struct rollout *r = roll_back(s, number, selector);
    must(s, s->err.code);
    return r;
}

enum err_code story_try_rollback(struct story *s, uint32_t number, const char *selector)
{
    roll_back(s, number, selector);
    return s->err.code;
}

struct rollout *story_rollback_slowly(struct story *s, uint32_t number,
                                      const struct rollout_config *config)
{
    struct rollback_command command = { .number = number,
                                        .config = config,
                                        .reason = TEXT("slowly back") };
    struct rollout *r = give_rollback(s, &command);
    must(s, s->err.code);
    return r;
}

static struct rollout *give_verb(struct story *s, struct rollout *r,
                                 const struct verb_command *command)
{
    struct rollout *result = NULL;
    story_command(s);
    done(s, fleet_verb(&s->fleet, r, command, &result, NULL, &s->err));
    return result;
}

static struct rollout *do_verb(struct story *s, struct rollout *r, enum verb verb)
{
    struct verb_command command = { .verb = verb, .reason = TEXT("because") };
    return give_verb(s, r, &command);
}

struct rollout *story_promote(struct story *s, struct rollout *r, bool is_full)
{
    struct verb_command command = { .verb = VERB_PROMOTE, .is_full = is_full };
    struct rollout *result = give_verb(s, r, &command);
    must(s, s->err.code);
    return result;
}

struct rollout *story_verb(struct story *s, struct rollout *r, enum verb verb)
{
    struct rollout *result = do_verb(s, r, verb);
    must(s, s->err.code);
    return result;
}

enum err_code story_try_verb(struct story *s, struct rollout *r, enum verb verb)
{
    do_verb(s, r, verb);
    return s->err.code;
}

struct rollout *story_newest(const struct story *s)
{
    assert_true(s->fleet.rollout_count > 0);
    return s->fleet.rollouts[s->fleet.rollout_count - 1];
}

bool story_waits(const struct story *s, const struct rollout *r, enum waiting_reason reason)
{
    struct waiting list[WAITING_REASON_COUNT];
    size_t count = waiting_list(&s->fleet, r, list);
    return count > 0 && list[0].reason == reason;
}

#define LIST_SIZE 4096
static char *list_space(void)
{
    static char space[4][LIST_SIZE];
    static unsigned next;
    char *text = space[next++ % 4];
    text[0] = 0;
    return text;
}

static void add_to_list(char *list, struct text word)
{
    size_t size = strlen(list);
    int added =
        snprintf(list + size, LIST_SIZE - size, "%s%.*s", size > 0 ? " " : "", TEXT_ARG(word));
    assert_true(added >= 0 && (size_t)added < LIST_SIZE - size);
}

const char *story_wave_states(const struct rollout *r)
{
    char *list = list_space();
    for (uint32_t i = 0; i < r->wave_count; i++)
        add_to_list(list, text_from(sm_word_at(&wave_machine.states, wave_state_at(r, i))));
    return list;
}

/* Those members of `r` that are in `wave`, or in flight. */
static const char *list_members(const struct story *s, const struct rollout *r, uint32_t wave,
                                bool is_flying)
{
    char *list = list_space();
    const struct fleet *fleet = &s->fleet;
    for (uint32_t slot = fleet_next(fleet, TEXT_NONE, true); slot != FLEET_NONE;
         slot = fleet_after(fleet, slot)) {
        const struct instance *inst = fleet_at(fleet, slot);
        if (fleet_rollout_of(fleet, inst) == r &&
            (is_flying ? inst->placed.state == MEMBER_IN_PROGRESS : inst->placed.wave == wave))
            add_to_list(list, instance_key(inst));
    }
    return list;
}

const char *story_wave_members(const struct story *s, const struct rollout *r, uint32_t wave)
{
    return list_members(s, r, wave, false);
}

const char *story_flying(const struct story *s, const struct rollout *r)
{
    return list_members(s, r, 0, true);
}

unsigned story_changes(const struct story *s, enum change_type type)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < s->fleet.change_count; i++)
        count += s->fleet.changes[i].type == type;
    return count;
}

/* ---- time ----------------------------------------------------------------------------------- */

void story_tick(struct story *s)
{
    bool more = true;
    for (unsigned i = 0; more && i < 100; i++) {
        story_command(s);
        more = fleet_tick(&s->fleet, &s->err);
        must(s, s->err.code);
        story_done(s);
    }
    assert_false(more);
}

void story_undo(struct story *s)
{
    story_command(s);
    fleet_undo(&s->fleet);
    for (uint32_t number = 0; number < STORY_ROLLOUTS; number++) {
        const struct rollout *r = fleet_rollout(&s->fleet, number);
        s->in_flight[number] = r && r->live ? rollout_tally(r)->in_progress : 0;
        if (!r || rollout_is_live(r))
            s->ended[number] = 0;
    }
    story_check(s);
}

void story_restart(struct story *s, int64_t ms)
{
    s->now += ms;
    for (uint32_t i = 0; i < s->fleet.rollout_count; i++)
        if (s->fleet.rollouts[i]->live)
            fleet_end_live(&s->fleet, s->fleet.rollouts[i]);
    story_command(s);
    assert_true(fleet_finish_loading(&s->fleet, s->now, ms, &s->err));
    story_done(s);
}

void story_pass(struct story *s, int64_t ms)
{
    int64_t end = s->now + ms;
    for (;;) {
        int64_t due = fleet_next_due(&s->fleet);
        if (due > end)
            break;
        s->now = due > s->now ? due : s->now;
        story_tick(s);
        assert_true(fleet_next_due(&s->fleet) > s->now); /* what was due is done */
    }
    s->now = end;
    story_tick(s);
}

#define BEAT_EVERY (20 * SECOND)

static void beat_all(struct story *s)
{
    static const struct heartbeat_command nothing_new = { 0 };
    for (uint32_t slot = 0; slot < s->fleet.slot_count; slot++) {
        const struct instance *inst = fleet_at(&s->fleet, slot);
        if (inst->texts && !inst->is_gone && !s->is_silent[slot])
            beat(s, slot, &nothing_new);
    }
}

void story_wait(struct story *s, int64_t ms)
{
    int64_t end = s->now + ms;
    while (s->now < end) {
        int64_t left = end - s->now;
        story_pass(s, left < BEAT_EVERY ? left : BEAT_EVERY);
        beat_all(s);
    }
}
