/* SPDX-License-Identifier: Apache-2.0
 * life.c - what the guards of an agent's tables ask and their effects do. See life.h. */
#include "agent/life.h"

#include "agent/look.h"

#include <assert.h>

#define UNREAD_LOOKS_MAX 2 /* one may be a hiccup */

/* ---- values ------------------------------------------------------------------------------------
 */

struct text life_part_text(const struct life_part *part)
{
    return (struct text){ part->bytes, part->size };
}

void life_part_set(struct life_part *part, struct text t)
{
    assert(t.size <= sizeof part->bytes);
    part->size = (uint16_t)t.size;
    if (t.size > 0)
        memcpy(part->bytes, t.data, t.size);
}

static bool part_equal(const struct life_part *a, const struct life_part *b)
{
    return text_equal(life_part_text(a), life_part_text(b));
}

bool life_version_equal(const struct life_version *a, const struct life_version *b)
{
    return part_equal(&a->code, &b->code) && part_equal(&a->config, &b->config);
}

/* Whether every part that is wished is what `look` read. */
static bool runs(const struct life_look *look, const struct life_version *wish)
{
    bool code =
        wish->code.size == 0 || (look->is_read && part_equal(&wish->code, &look->version.code));
    bool config = wish->config.size == 0 ||
                  (look->is_read && part_equal(&wish->config, &look->version.config));
    return code && config;
}

static bool rollout_equal(const struct life_order_id *a, const struct life_order_id *b)
{
    return text_equal((struct text){ a->rollout, a->rollout_size },
                      (struct text){ b->rollout, b->rollout_size });
}

static bool record_equal(const struct life_record *a, const struct life_record *b)
{
    return a->attempts == b->attempts && a->tried.term == b->tried.term &&
           a->tried.generation == b->tried.generation && a->tried.attempt == b->tried.attempt &&
           rollout_equal(&a->tried, &b->tried) && a->seen_term == b->seen_term &&
           a->seen_generation == b->seen_generation;
}

/* The present order is the one that was tried. That its rollout has ended makes no new one of it,
 * nor that an operator wants another attempt as long as the rollout has no slot for it. */
static bool is_tried(const struct life *life)
{
    const struct life_order_id *tried = &life->record.tried, *id = &life->order.id;
    bool is_rollout = id->rollout_size == 0 || rollout_equal(id, tried);
    bool is_attempt = id->attempt == 0 || id->attempt == tried->attempt;
    bool is_place = id->term == tried->term && id->generation == tried->generation;
    return life->has_order && is_place && is_rollout && is_attempt;
}

static bool may_try(const struct life *life)
{
    return !is_tried(life) || life->record.attempts < life->options.attempts_max;
}

/* Somebody repaired it, or it came right later: the target runs healthy, and that it had failed was
 * said. */
static bool is_healed(const struct life *life)
{
    return life->failure_is_told && life->look.status == INSTANCE_HEALTHY &&
           runs(&life->look, &life->order.wish);
}

static bool is_content(const struct life *life)
{
    if (!life->has_order)
        return true;
    if (is_tried(life) && life->attempt_failed)
        return is_healed(life);
    /* While no version can be read the server goes on thinking that the last one told runs. */
    bool is_lost = !life->look.is_read && life->unread_looks >= UNREAD_LOOKS_MAX;
    return runs(&life->look, &life->order.wish) || !(life->order.is_needed || is_lost);
}

static bool uplink_holds(const void *subject, unsigned guard)
{
    const struct life *life = subject;
    switch ((enum uplink_guard)guard) {
    case UPLINK_IS_KNOWN: return life->has_credential;
    case UPLINK_HAS_NEWS: return life->must_tell;
    case UPLINK_IS_HELD: return life->call_is_held;
    case UPLINK_ALWAYS:
    case uplink_guard_count: break;
    }
    return true;
}

static bool duty_holds(const void *subject, unsigned guard)
{
    const struct life *life = subject;
    switch ((enum duty_guard)guard) {
    case DUTY_CAN_PROBE: return life->options.can_probe;
    case DUTY_IS_CONTENT: return is_content(life);
    case DUTY_MUST_PAUSE:
        return is_tried(life) && life->attempt_failed && !life->has_paused && may_try(life);
    case DUTY_MAY_TRY: return may_try(life);
    case DUTY_IS_OTHER: return !is_tried(life);
    case DUTY_ALWAYS:
    case duty_guard_count: break;
    }
    return true;
}

/* ---- reports -----------------------------------------------------------------------------------
 */

static bool asks(const struct life *life)
{
    return life->session.size == 0 && !life->is_plain;
}

void life_report(const struct life *life, struct life_report *ret)
{
    *ret = (struct life_report){ .asks = asks(life) };
    if (ret->asks)
        return;
    ret->session = life->session;
    ret->has_observed = life->has_observed;
    ret->observed_generation = life->observed;
    ret->observed_term = life->observed_term;
    if (!life->has_looked || !life->has_order || life->is_at_work)
        return;
    ret->has_status = true;
    ret->has_version = life->look.is_read;
    ret->version = life->look.version;
    ret->status = life->has_given_up ? INSTANCE_FAILED : life->look.status;
    ret->message_size = life->has_given_up ? life->failure_size : life->look.note_size;
    memcpy(ret->message, life->has_given_up ? life->failure : life->look.note, ret->message_size);
}

static bool says_the_same(const struct life_report *a, const struct life_report *b)
{
    struct text a_message = { a->message, a->message_size };
    struct text b_message = { b->message, b->message_size };
    return a->has_status == b->has_status && a->has_version == b->has_version &&
           a->status == b->status && text_equal(a_message, b_message) &&
           (!a->has_version || life_version_equal(&a->version, &b->version));
}

/* ---- one step ----------------------------------------------------------------------------------
 */

/* What came with the event, and what is to be done about it. */
struct step {
    struct life *life;
    int64_t now;
    uint64_t random;
    const struct life_answer *answer;
    const struct command_result *result;
    uint32_t effects; /* enum life_effect */
};

static void duty_step(struct step *step, enum duty_event event);
static void uplink_step(struct step *step, enum uplink_event event);

int64_t life_backoff_ms(uint64_t random, uint32_t misses)
{
    assert(misses >= 1);
    uint32_t doublings = misses - 1 < 6 ? misses - 1 : 6; /* 2^6 s is over the bound already */
    int64_t bound = (int64_t)LIFE_BACKOFF_MS << doublings;
    if (bound > LIFE_BACKOFF_MAX_MS)
        bound = LIFE_BACKOFF_MAX_MS;
    return (int64_t)(random % (uint64_t)(bound + 1));
}

static int64_t at_most(int64_t value, int64_t max)
{
    return value < max ? value : max;
}

static void back_off(struct step *step)
{
    struct life *life = step->life;
    if (life->misses < UINT32_MAX)
        life->misses++;
    int64_t wait = life_backoff_ms(step->random, life->misses);
    /* What the server asks for is added to the jitter, or all would come back at that instant. */
    if (step->answer && step->answer->retry_after_ms > 0)
        wait += at_most(step->answer->retry_after_ms, LIFE_INTERVAL_MAX_MS);
    life->uplink_due = step->now + wait;
}

/* Only who waits for orders has its heartbeat held. */
static bool may_be_held(const struct life *life)
{
    return life->duty == DUTY_IDLE && life->has_order && !life->must_tell &&
           !life->wait_is_refused && !asks(life);
}

/* A server that held the request for its time is asked again at once: that is the long poll. One
 * that answers early without news is not, or it would be asked without end. After a report that
 * could not be held the long poll begins at once. */
static void rest(struct step *step)
{
    struct life *life = step->life;
    int64_t wait = step->answer->next_ms > 0 ? step->answer->next_ms : LIFE_INTERVAL_MS;
    bool was_held = life->call_is_held && step->now - life->call_sent_at >= LIFE_WAIT_MS / 2;
    bool holds_next = !life->call_is_held && may_be_held(life);
    life->uplink_due =
        step->now + (was_held || holds_next ? 0 : at_most(wait, LIFE_INTERVAL_MAX_MS));
}

static void send_registration(struct step *step)
{
    struct life *life = step->life;
    life->call++;
    life->call_sent_at = step->now;
    life->call_is_held = false;
    life->call_tells_failure = false;
    life->uplink_due = LIFE_NEVER;
    step->effects |= LIFE_REGISTER;
}

static void send_report(struct step *step)
{
    struct life *life = step->life;
    life->call++;
    life->call_sent_at = step->now;
    life->call_is_held = may_be_held(life);
    if (life->session.size > 0)
        life->session.sequence++;
    life_report(life, &life->told);
    life->call_tells_failure = life->told.has_status && life->has_given_up;
    life->must_tell = false;
    life->uplink_due = LIFE_NEVER;
    step->effects |= LIFE_REPORT;
}

/* Below 0: older than the newest order that ever came. */
static int compare_to_seen(const struct life *life, const struct life_order_id *id)
{
    const struct life_record *r = &life->record;
    if (id->term != r->seen_term)
        return id->term < r->seen_term ? -1 : 1;
    return (id->generation > r->seen_generation) - (id->generation < r->seen_generation);
}

/* What is newer is told, so that the server learns that it is an old copy of itself (FS9). */
static void ignore(struct step *step)
{
    struct life *life = step->life;
    if (!life->is_ignoring)
        step->effects |= LIFE_IGNORED;
    life->is_ignoring = true;
    if (life->has_observed)
        return;
    life->has_observed = true;
    life->observed_term = life->record.seen_term;
    life->observed = life->record.seen_generation;
}

static void heed(struct step *step)
{
    struct life *life = step->life;
    const struct life_order *order = step->answer->order;
    if (life->call_tells_failure && step->answer->call == life->call)
        life->failure_is_told = true;
    if (!order)
        return;
    if (compare_to_seen(life, &order->id) < 0) {
        ignore(step);
        return;
    }
    life->is_ignoring = false;
    life->record.seen_term = order->id.term;
    life->record.seen_generation = order->id.generation;
    life->order = *order;
    life->has_order = true;
    duty_step(step, DUTY_ORDER);
}

static void keep(struct step *step)
{
    struct life *life = step->life;
    step->effects |= LIFE_KEEP;
    life->has_credential = step->answer->gave_credential;
    if (!step->answer->is_new && !life->was_unknown)
        return;
    life->was_unknown = false;
    life->has_order = false;
    life->is_ignoring = false;
    life->has_observed = false;
    life->record = (struct life_record){ .attempts = 0 };
}

static void uplink_do(struct step *step, uint32_t effects)
{
    struct life *life = step->life;
    if (effects & SM_DO(uplink, UPLINK_KEEP))
        keep(step);
    if (effects & SM_DO(uplink, UPLINK_DROP)) {
        life->has_credential = false;
        step->effects |= LIFE_DROP;
    }
    if (effects & SM_DO(uplink, UPLINK_REGISTER))
        send_registration(step);
    if (effects & SM_DO(uplink, UPLINK_REST))
        rest(step);
    if (effects & SM_DO(uplink, UPLINK_BACK_OFF))
        back_off(step);
    if (effects & SM_DO(uplink, UPLINK_HANG_UP))
        life->uplink_due = LIFE_NEVER;
    if (effects & SM_DO(uplink, UPLINK_HEED))
        heed(step);
    if (effects & SM_DO(uplink, UPLINK_REPORT))
        send_report(step);
}

static void uplink_step(struct step *step, enum uplink_event event)
{
    struct life *life = step->life;
    const struct sm_row *row = sm_pick(&uplink_machine, life->uplink, event, uplink_holds, life);
    if (!row)
        return;
    life->uplink = sm_target(row, life->uplink);
    uplink_do(step, row->then);
}

/* ---- the duty ----------------------------------------------------------------------------------
 */

static void fail_with(struct life *life, const struct look_note *note)
{
    life->failure_size = note->size;
    memcpy(life->failure, note->bytes, note->size);
}

static void take_look_note(struct life_look *look, enum instance_state status,
                           const struct look_note *note)
{
    look->status = (uint8_t)status;
    look->note_size = note->size;
    memcpy(look->note, note->bytes, note->size);
}

/* A version once read stands when it cannot be read for a moment, or a hiccup would start an
 * update; after an update it does not. */
static void note_version(struct life *life, const struct command_result *result)
{
    struct look_note why;
    struct life_look next = { .status = INSTANCE_HEALTHY };
    next.is_read = look_version(result, &next.version, &why);
    if (!next.is_read) {
        take_look_note(&next, INSTANCE_DEGRADED, &why);
        if (!life->is_proving && life->has_looked && life->look.is_read) {
            next.is_read = true;
            next.version = life->look.version;
        }
    }
    life->next = next;
}

static void note_health(struct life *life, const struct command_result *result)
{
    struct look_note why;
    enum instance_state status = look_health(result, &why);
    /* The states are in the order of their gravity. */
    if (status > (enum instance_state)life->next.status)
        take_look_note(&life->next, status, &why);
}

static void note_update(struct life *life, const struct command_result *result)
{
    struct look_note note;
    life->is_updating = false;
    life->is_proving = true;
    life->ended_well = result->end == COMMAND_EXITED && result->number == 0;
    look_end("update_command", result, &note);
    if (!life->ended_well)
        fail_with(life, &note);
}

/* What the attempt that has just been made brought. Success is what version_command prints. */
static void prove(struct step *step)
{
    struct life *life = step->life;
    struct look_note note;
    bool is_there = runs(&life->look, &life->tried_wish);
    life->is_proving = false;
    life->has_paused = false;
    life->attempt_failed = !life->ended_well || !is_there;
    life->must_tell = true;
    if (!life->attempt_failed)
        step->effects |= LIFE_FULFILLED;
    if (!life->ended_well || is_there)
        return;
    if (life->look.is_read) {
        look_difference(&life->look.version, &life->tried_wish, &note);
        fail_with(life, &note);
    } else {
        life->failure_size = life->look.note_size;
        memcpy(life->failure, life->look.note, life->look.note_size);
    }
}

static void begin_command(struct step *step, enum life_effect effect)
{
    step->life->duty_due = LIFE_NEVER;
    step->effects |= effect;
}

static void begin_update(struct step *step)
{
    struct life *life = step->life;
    if (!is_tried(life))
        life->record.attempts = 0;
    life->record.tried = life->order.id;
    life->record.attempts++;
    life->tried_wish = life->order.wish;
    life->previous = life->look.is_read ? life->look.version : life->order.known;
    life->target = life->previous;
    if (life->order.wish.code.size > 0)
        life->target.code = life->order.wish.code;
    if (life->order.wish.config.size > 0)
        life->target.config = life->order.wish.config;
    life->is_updating = true;
    life->is_at_work = true;
    life->attempt_failed = false;
    life->has_given_up = false;
    life->failure_is_told = false;
    life->failure_size = 0;
    begin_command(step, LIFE_UPDATE);
}

static void settle(struct life *life)
{
    life->is_at_work = false;
    life->attempt_failed = false;
    life->has_given_up = false;
    life->failure_is_told = false;
    if (life->has_order)
        life->record.attempts = 0;
}

static void give_up(struct step *step)
{
    struct life *life = step->life;
    struct look_note note = { .size = 0 };
    life->is_at_work = false;
    life->attempt_failed = true;
    if (life->has_given_up)
        return;
    if (life->failure_size == 0) {
        note.size = (uint16_t)snprintf(note.bytes, sizeof note.bytes,
                                       "gave up: %u attempts did not bring the agent to its end",
                                       life->record.attempts);
        fail_with(life, &note);
    }
    life->has_given_up = true;
    life->must_tell = true;
    step->effects |= LIFE_GAVE_UP;
}

static void uncount(struct life *life)
{
    if (life->is_updating && life->record.attempts > 0)
        life->record.attempts--;
    life->is_updating = false;
}

static void look_again_later(struct step *step)
{
    struct life *life = step->life;
    if (life->duty_due == LIFE_NEVER)
        life->duty_due = step->now + life->options.check_interval_ms;
}

static void duty_do(struct step *step, uint32_t effects)
{
    struct life *life = step->life;
    int64_t pause = LIFE_PAUSE_MAX_MS - LIFE_PAUSE_MIN_MS;
    if (effects & SM_DO(duty, DUTY_READ))
        begin_command(step, LIFE_READ);
    if (effects & SM_DO(duty, DUTY_PROBE))
        begin_command(step, LIFE_PROBE);
    if (effects & SM_DO(duty, DUTY_UPDATE))
        begin_update(step);
    if (effects & SM_DO(duty, DUTY_SETTLE))
        settle(life);
    if (effects & SM_DO(duty, DUTY_GIVE_UP))
        give_up(step);
    if (effects & SM_DO(duty, DUTY_LATER))
        look_again_later(step);
    if (effects & SM_DO(duty, DUTY_PAUSE))
        life->duty_due =
            step->now + LIFE_PAUSE_MIN_MS + (int64_t)(step->random % (uint64_t)(pause + 1));
    if (effects & SM_DO(duty, DUTY_GRACE))
        life->duty_due = step->now + life->options.stop_grace_ms;
    if (effects & SM_DO(duty, DUTY_KILL)) {
        life->duty_due = LIFE_NEVER;
        step->effects |= LIFE_KILL;
    }
    if (effects & SM_DO(duty, DUTY_UNCOUNT))
        uncount(life);
    if (effects & SM_DO(duty, DUTY_EXIT))
        begin_command(step, LIFE_EXIT);
}

/* Before the rows are asked: what the command said. */
static void note_end(struct step *step)
{
    struct life *life = step->life;
    switch ((enum duty_state)life->duty) {
    case DUTY_READING: note_version(life, step->result); break;
    case DUTY_PROBING: note_health(life, step->result); break;
    case DUTY_UPDATING: note_update(life, step->result); break;
    default: break;
    }
}

/* Without an order, what was ignored is what there is to tell. */
static void note_observed(struct life *life)
{
    if (!life->has_order)
        return;
    life->has_observed = true;
    life->observed_term = life->order.id.term;
    life->observed = life->order.id.generation;
}

static void judge(struct step *step, enum duty_event event)
{
    struct life *life = step->life;
    struct life_report report;
    if (event == DUTY_ENDED) {
        life->unread_looks = life->next.is_read ? 0 : life->unread_looks + 1;
        life->look = life->next;
        life->has_looked = true;
        if (life->is_proving)
            prove(step);
    } else if (life->duty_due != LIFE_NEVER && life->is_at_work) {
        life->duty_due = LIFE_NEVER; /* of a pause, which the other order has ended */
    }
    note_observed(life);
    duty_step(step, DUTY_JUDGE);
    life_report(life, &report);
    /* Who is at work has nothing to say before it is done. */
    life->must_tell =
        !life->is_at_work && (life->must_tell || !says_the_same(&report, &life->told));
    if (life->must_tell)
        uplink_step(step, UPLINK_TELL);
}

static void duty_step(struct step *step, enum duty_event event)
{
    struct life *life = step->life;
    if (event == DUTY_ENDED)
        note_end(step);
    if (event == DUTY_TIMER && life->duty == DUTY_PAUSING)
        life->has_paused = true;
    const struct sm_row *row = sm_pick(&duty_machine, life->duty, event, duty_holds, life);
    if (!row)
        return;
    life->duty = sm_target(row, life->duty);
    duty_do(step, row->then);
    if (life->duty == DUTY_JUDGING)
        judge(step, event);
}

/* What went out while there was no session was not heard; now it can be said. */
static void take_session(struct life *life, const struct life_answer *answer)
{
    struct life_report report;
    if (answer->is_registration || !life->told.asks)
        return;
    life->is_plain = answer->session.size == 0;
    life->session.size = (uint32_t)answer->session.size;
    if (!life->is_plain)
        memcpy(life->session.id, answer->session.data, answer->session.size);
    life_report(life, &report);
    life->must_tell = !life->is_at_work && report.has_status;
}

/* ---- from outside ------------------------------------------------------------------------------
 */

static void hear(struct step *step)
{
    struct life *life = step->life;
    const struct life_answer *answer = step->answer;
    bool is_late = answer->call != life->call || life->uplink == UPLINK_CLOSED;
    if (is_late) {
        /* Of a long poll that news overtook. Only a newer order in it still counts. */
        bool is_newer =
            answer->order && life->has_order && compare_to_seen(life, &answer->order->id) > 0;
        if (is_newer && !answer->is_registration && life->uplink != UPLINK_CLOSED)
            heed(step);
        return;
    }
    life->wait_is_refused =
        answer->outcome == LIFE_NO_WAIT || (answer->outcome == LIFE_TAKEN && life->wait_is_refused);
    if (answer->outcome == LIFE_UNKNOWN)
        life->was_unknown = true;
    if (answer->outcome == LIFE_OVER || answer->is_registration)
        life->session = (struct life_session){ .size = 0 };
    if (answer->is_registration)
        life->is_plain = false;
    if (answer->outcome == LIFE_TAKEN) {
        life->misses = 0;
        take_session(life, answer);
    }
    static const enum uplink_event events[] = {
        [LIFE_TAKEN] = UPLINK_TAKEN,   [LIFE_UNKNOWN] = UPLINK_UNKNOWN,
        [LIFE_DENIED] = UPLINK_DENIED, [LIFE_NO_WAIT] = UPLINK_NO_WAIT,
        [LIFE_OVER] = UPLINK_OVER,     [LIFE_MISSED] = UPLINK_MISSED,
    };
    uplink_step(step, events[answer->outcome]);
}

void life_init(struct life *life, const struct life_options *options)
{
    assert(options->attempts_max >= 1 && options->check_interval_ms > 0);
    *life = (struct life){
        .options = *options,
        .uplink = uplink_machine.initial,
        .duty = duty_machine.initial,
        .has_credential = options->has_credential,
        .uplink_due = LIFE_NEVER,
        .duty_due = LIFE_NEVER,
        .record = options->record,
        .saved = options->record,
    };
}

static void fire(struct step *step)
{
    struct life *life = step->life;
    if (life->duty_due <= step->now) {
        life->duty_due = LIFE_NEVER;
        duty_step(step, DUTY_TIMER);
    }
    if (life->uplink_due <= step->now) {
        life->uplink_due = LIFE_NEVER;
        uplink_step(step, UPLINK_TIMER);
    }
}

uint32_t life_step(struct life *life, const struct life_event *event)
{
    struct step step = { .life = life, .now = event->now, .random = event->random };
    switch (event->kind) {
    case LIFE_START:
        uplink_step(&step, UPLINK_START);
        duty_step(&step, DUTY_START);
        break;
    case LIFE_ANSWERED:
        step.answer = event->answer;
        hear(&step);
        break;
    case LIFE_ENDED:
        step.result = event->result;
        duty_step(&step, DUTY_ENDED);
        break;
    case LIFE_TIMER: fire(&step); break;
    case LIFE_STOP:
        uplink_step(&step, UPLINK_STOP);
        duty_step(&step, DUTY_STOP);
        break;
    }
    if (!record_equal(&life->record, &life->saved)) {
        life->saved = life->record;
        step.effects |= LIFE_SAVE;
    }
    const char *broken = life_invariant(life);
    assert(!broken);
    (void)broken;
    return step.effects;
}

int64_t life_due(const struct life *life)
{
    return life->uplink_due < life->duty_due ? life->uplink_due : life->duty_due;
}

const char *life_invariant(const struct life *life)
{
    bool waits = life->uplink == UPLINK_RESTING || life->uplink == UPLINK_CUT_OFF ||
                 life->uplink == UPLINK_STRANGER;
    bool must_wake = life->duty == DUTY_IDLE || life->duty == DUTY_PAUSING;
    if (life->duty == DUTY_JUDGING)
        return "judging is left in the step that enters it";
    if (waits != (life->uplink_due != LIFE_NEVER))
        return "an uplink that waits has a timer, and nothing else has";
    if (must_wake != (life->duty_due != LIFE_NEVER) && life->duty != DUTY_ENDING)
        return "a duty that waits has a timer, and nothing else has";
    if (life->is_updating && life->duty != DUTY_UPDATING && life->duty != DUTY_ENDING)
        return "an update runs in updating and in ending";
    if (life->is_at_work && life->has_given_up)
        return "who has given up is not at work";
    if (life->has_given_up && life->failure_size == 0)
        return "who has given up says why";
    if (life->record.attempts > life->options.attempts_max &&
        life->record.attempts != life->options.record.attempts)
        return "no order is tried more often than allowed";
    if (life->has_order && compare_to_seen(life, &life->order.id) != 0)
        return "the order in force is the newest one seen";
    return NULL;
}
