/* SPDX-License-Identifier: Apache-2.0
 * story.h - a fleet with a virtual clock, told in short sentences: who registers, what they say,
 * what operators do, how time passes. After every command everything that must always hold is
 * checked (spec of rollouts, section 15), and the round is closed and settled unless a test asks
 * otherwise. */
#ifndef DIDES_TEST_STORY_H
#define DIDES_TEST_STORY_H

#include "core/command.h"

#include "base/faulty_memory.h"

#define STORY_BEGIN    1000000000ll /* ms; where the clock of a story begins */
#define STORY_SLOTS    4096u
#define STORY_ROLLOUTS 4096u
#define SECOND         1000ll
#define MINUTE         (60 * SECOND)
#define HOUR           (60 * MINUTE)
#define SAME           (-1) /* of a status: the heartbeat leaves it out */

struct story {
    struct faulty_memory memory;
    struct fleet fleet;
    struct arena arena; /* of selectors */
    struct err err;     /* of the newest refused command */
    int64_t now;
    bool keeps_rounds_open; /* the test closes and settles them itself */
    bool checks_seldom;     /* only the cheap part of the checks after each command */
    uint32_t commands;
    bool is_silent[STORY_SLOTS];        /* sends nothing while time passes in story_wait() */
    uint64_t ended[STORY_ROLLOUTS];     /* by number: hash of the record when it ended; 0 = lives */
    uint32_t in_flight[STORY_ROLLOUTS]; /* by number: after the command before */
};

/* ---- the frame ------------------------------------------------------------------------------ */

/* `settings` NULL: the default ones. Nothing may depend on the seed of the hashes. */
struct story *story_new(const struct fleet_settings *settings, uint64_t hash_seed);
void story_free(struct story *s); /* claims that nothing leaks */
int story_setup(void **state);    /* of cmocka: *state is a struct story */
int story_teardown(void **state);
#define STORY(test) cmocka_unit_test_setup_teardown(test, story_setup, story_teardown)

/* ---- before and after commands that a test gives itself ------------------------------------- */

void story_command(struct story *s); /* fleet_begin() with the story's time */
void story_done(struct story *s);    /* checks; closes and settles the round */
void story_check(struct story *s);   /* what must hold at any time, or the test fails */

/* The whole state as text, without what is not durable (last_seen, intervals, skew) and without
 * numbers of slots: equal texts are equal states. To be freed. */
char *story_dump(const struct story *s);
uint64_t story_hash(const struct story *s);
/* Or the test fails and shows the first line that differs. */
void story_assert_same(const char *before, const char *after);

/* ---- instances ------------------------------------------------------------------------------ */

/* Labels are "env=prod,zone=a"; "!zone" removes. Versions are "code/config"; "-" leaves a part out,
 * "" both. */
uint32_t story_register(struct story *s, const char *name, const char *labels);
enum err_code story_try_register(struct story *s, const char *name, const char *ip,
                                 const char *labels);
void story_say(struct story *s, const char *name, const char *version, int status);
/* The same of several, "web-01 web-02", one after the other. */
void story_say_all(struct story *s, const char *names, const char *version, int status);
/* The same by an agent that did not know its present wish when it reported. */
void story_say_late(struct story *s, const char *name, const char *version, int status);
/* Asks for a session, which is returned; anything else that the command says is there to be
 * ignored.
 */
uint32_t story_ask_session(struct story *s, const char *name);
/* The same as story_say() in a session. ERR_NONE: it was taken, unless *ret_is_stale. */
enum err_code story_say_ordered(struct story *s, const char *name, uint32_t session,
                                uint32_t sequence, const char *version, int status,
                                bool *ret_is_stale);
/* FAILED, with a message. */
void story_say_broken(struct story *s, const char *name, const char *message);
void story_say_labels(struct story *s, const char *name, const char *labels);
void story_delete(struct story *s, const char *name);
/* web-01 to web-<count>, which run `version` and are HEALTHY. */
void story_fleet(struct story *s, unsigned count, const char *labels, const char *version);
/* Three that are heard, run nothing and have the label "crowd": with them a few silent members are
 * not most of the fleet (R18). */
void story_crowd(struct story *s);
void story_silence(struct story *s, const char *name); /* until it says something */

struct instance *story_instance(const struct story *s, const char *name);
enum member_state story_member(const struct story *s, const char *name);
const char *story_wish(const struct story *s,
                       const char *name); /* "code/config"; good until next */
const char *story_runs(const struct story *s, const char *name);
bool story_is_online(const struct story *s, const char *name);

/* ---- rollouts ------------------------------------------------------------------------------- */

struct rollout_config story_config(uint32_t batch_size, uint32_t failure_threshold);
/* Waves in their order, separated by ";". Each is a name, and what else is said of it:
 * "4" or "50%" members, or "[zone=a]" those with these labels; "batch 2"; "barrier" or "window";
 * "limit 1" failed members; "soak 60" seconds; "gate go" and, of that, "timeout 30" seconds and
 * what follows them: "passes", "fails", "dry" (a dry run), or else a pause. */
void story_waves(struct story *s, struct rollout_config *config, const char *words);
/* Failure domains, separated by ";": a label, and "max 2" or "max 20%" in flight, "fail 1". */
void story_domains(struct story *s, struct rollout_config *config, const char *words);
struct deploy_command story_request(struct story *s, const char *selector, const char *version,
                                    const struct rollout_config *config);
struct rollout *story_deploy(struct story *s, const char *selector, const char *version,
                             const struct rollout_config *config);
enum err_code story_try_deploy(struct story *s, const char *selector, const char *version,
                               const struct rollout_config *config);
/* A fleet of one, from 1/a to 2/b. */
struct rollout *story_one(struct story *s, const struct rollout_config *config);
/* From 1/a to 2/b: web-01 has completed, web-02 failed, web-03 is offline. */
struct rollout *story_leftovers(struct story *s, struct rollout_config config);
/* `number` 0 and `selector` NULL: not given. */
struct rollout *story_rollback(struct story *s, uint32_t number, const char *selector);
enum err_code story_try_rollback(struct story *s, uint32_t number, const char *selector);
/* With soaks and gates. `config` NULL: that of the source. */
struct rollout *story_rollback_slowly(struct story *s, uint32_t number,
                                      const struct rollout_config *config);
struct rollout *story_verb(struct story *s, struct rollout *r, enum verb verb);
enum err_code story_try_verb(struct story *s, struct rollout *r, enum verb verb);
/* With `is_full` past all later soaks and gates too. */
struct rollout *story_promote(struct story *s, struct rollout *r, bool is_full);
struct rollout *story_newest(const struct story *s); /* the rollout with the highest number */
/* States of its waves, "passed running not_started"; good until next. */
const char *story_wave_states(const struct rollout *r);
/* Names, in their order, of its members of one wave, and of those in flight; good until next. */
const char *story_wave_members(const struct story *s, const struct rollout *r, uint32_t wave);
const char *story_flying(const struct story *s, const struct rollout *r);
/* Whether the newest rollout waits for `reason` first of all. */
bool story_waits(const struct story *s, const struct rollout *r, enum waiting_reason reason);
/* Journal entries of `type` in the newest command. */
unsigned story_changes(const struct story *s, enum change_type type);

#define assert_tally(r, pending_, busy_, completed_, failed_)                                      \
    do {                                                                                           \
        const struct tally *t_ = rollout_tally(r);                                                 \
        if (t_->pending != (pending_) || t_->in_progress != (busy_) ||                             \
            t_->completed != (completed_) || t_->failed != (failed_))                              \
            fail_msg("pending %u, in flight %u, completed %u, failed %u", t_->pending,             \
                     t_->in_progress, t_->completed, t_->failed);                                  \
    } while (0)

/* ---- time ----------------------------------------------------------------------------------- */

void story_tick(struct story *s);
/* Takes back all rounds that are not settled. */
void story_undo(struct story *s);
/* No server runs for `ms`; then one starts with the records as they are, and derives the rest. */
void story_restart(struct story *s, int64_t ms);
/* The same by another server, which reads the records: rollouts and instances are others then. */
void story_reload(struct story *s, int64_t ms);
/* Both, in no time, leave the state as it is; or the test fails. */
void story_assert_survives(struct story *s);
/* Time passes and nobody says anything: a tick at every instant that is due. */
void story_pass(struct story *s, int64_t ms);
/* Time passes and all that are not silent repeat what they said every 20 s. */
void story_wait(struct story *s, int64_t ms);

#endif
