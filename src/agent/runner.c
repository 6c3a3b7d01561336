/* SPDX-License-Identifier: Apache-2.0
 * runner.c - see runner.h. */
#include "agent/runner.h"

#include "agent/talk.h"
#include "base/buffer.h"

#include <assert.h>
#include <errno.h>

#define CALL_MS     (20 * 1000)
#define BODY_MAX    LIMIT_BODY_AGENT
#define ANSWERS_MAX (256 * 1024) /* one answer taken apart */
#define WORDS_MAX   (CONFIG_WORDS_MAX + 1)
#define VARIABLES   16

/* One wait on the timer port, which cannot be taken back; kept for reuse. */
struct wait {
    struct runner *runner;
    struct wait *next;
    int64_t due;
    bool is_pending;
};

struct runner {
    struct runner_options options;
    struct wait *waits;
    struct life life;
    struct identity identity;
    struct arena arena;          /* of one answer, or of one command */
    struct buffer path, body;    /* of one request */
    struct text credential;      /* given by the answer at hand */
    int64_t armed_at;            /* when the earliest wake is due; LIFE_NEVER: none */
    bool tells_labels;           /* no registration told them */
    char trouble[ERR_TEXT_SIZE]; /* said last */
    bool is_undone, is_unsent;   /* to be fed back when the effects are done */
};

/* One request under way. */
struct request {
    struct runner *runner;
    uint64_t call;
    bool is_registration, is_held, has_session, tells_labels;
};

static void feed(struct runner *runner, struct life_event event);

/* ---- the log -----------------------------------------------------------------------------------
 */

static void say(const struct runner *r, enum log_level level, const char *message,
                const struct log_field *fields)
{
    r->options.log.write(r->options.log.self, level, message, fields);
}

static void say_about(const struct runner *r, enum log_level level, const char *message,
                      const char *name, struct text value)
{
    const struct log_field log_fields[] = { { name, value }, { NULL, TEXT_NONE } };
    say(r, level, message, log_fields);
}

/* What is wrong with the server is said when it changes, not at every try. */
static void say_trouble(struct runner *r, const char *trouble)
{
    if (strcmp(trouble, r->trouble) == 0)
        return;
    snprintf(r->trouble, sizeof r->trouble, "%s", trouble);
    if (trouble[0])
        say_about(r, LOG_WARNING_, "no answer that helps", "detail", text_from(trouble));
    else
        say(r, LOG_INFO_, "the server answers again", NULL);
}

/* ---- answers -----------------------------------------------------------------------------------
 */

static void say_refusal(struct runner *r, const struct request *request,
                        const struct call_result *result)
{
    char excerpt[ERR_EXCERPT_SIZE], sentence[ERR_TEXT_SIZE];
    const char *what = request->is_registration ? "the registration" : "a heartbeat";
    struct text detail;
    if (!talk_read_problem(result->body, &r->arena, &detail))
        detail = text_from(err_excerpt(result->body, excerpt)); /* of a proxy, say */
    snprintf(sentence, sizeof sentence, "%s was answered %d: %.*s", what, result->status,
             TEXT_ARG(detail));
    say_trouble(r, sentence);
}

static enum life_outcome outcome_of_refusal(const struct request *request, int status)
{
    switch (status) {
    case 404: return LIFE_UNKNOWN;
    case 401: return LIFE_DENIED;
    case 400: return request->is_held ? LIFE_NO_WAIT : LIFE_MISSED;
    case 409: return request->has_session ? LIFE_OVER : LIFE_MISSED;
    default: return LIFE_MISSED;
    }
}

/* True: *order, or the credential, is what the answer says. */
static bool read_answer(struct runner *r, const struct request *request, struct text body,
                        struct life_answer *answer, struct life_order *order)
{
    struct err err = { 0 };
    bool done;
    if (request->is_registration) {
        done = talk_read_registration(body, &r->arena, &r->credential, &err);
        answer->gave_credential = r->credential.size > 0;
    } else {
        done =
            talk_read_heartbeat(body, &r->arena, order, &answer->next_ms, &answer->session, &err);
        answer->order = order;
    }
    if (done)
        return true;
    answer->order = NULL;
    err_prefix(&err, "the answer cannot be read");
    say_trouble(r, err.text);
    return false;
}

static void on_answer(void *ctx, const struct call_result *result)
{
    struct request request = *(struct request *)ctx;
    struct runner *r = request.runner;
    struct life_order order;
    struct life_answer answer = { .call = request.call,
                                  .retry_after_ms = result->retry_after_ms,
                                  .is_registration = request.is_registration,
                                  .is_new = result->status == 201 };
    free(ctx);
    arena_clear(&r->arena);
    r->credential = TEXT_NONE;
    if (result->status == 0) {
        answer.outcome = LIFE_MISSED;
        if (r->life.uplink != UPLINK_CLOSED)
            say_trouble(r, result->err.text);
    } else if (result->status != 200 && result->status != 201) {
        answer.outcome = outcome_of_refusal(&request, result->status);
        if (answer.outcome != LIFE_NO_WAIT && answer.outcome != LIFE_OVER)
            say_refusal(r, &request, result);
    } else {
        bool is_read = read_answer(r, &request, result->body, &answer, &order);
        answer.outcome = is_read ? LIFE_TAKEN : LIFE_MISSED;
        if (is_read)
            say_trouble(r, "");
        if (is_read && request.tells_labels)
            r->tells_labels = false;
    }
    feed(r, (struct life_event){ .kind = LIFE_ANSWERED, .answer = &answer });
}

/* ---- requests ----------------------------------------------------------------------------------
 */

static struct talk_host host_of(const struct runner *r)
{
    const struct config_values *v = r->options.config;
    return (struct talk_host){ v->name, v->ip, v->token, v->labels, v->label_count };
}

static bool start_request(struct runner *r, const char *method, struct request kind)
{
    const struct call call = {
        .method = method,
        .path = buffer_text(&r->path),
        .body = buffer_text(&r->body),
        .bearer = text_from(r->identity.credential),
        .timeout_ms = CALL_MS + (kind.is_held ? LIFE_WAIT_MS : 0),
    };
    struct request *request = malloc(sizeof *request);
    if (!request || r->path.failed || r->body.failed) {
        free(request);
        return false;
    }
    *request = kind;
    request->runner = r;
    request->call = r->life.call;
    if (r->options.caller.start(r->options.caller.self, &call, on_answer, request))
        return true;
    free(request);
    return false;
}

static bool send_registration(struct runner *r)
{
    const struct talk_host host = host_of(r);
    buffer_clear(&r->path);
    buffer_clear(&r->body);
    buffer_add(&r->path, TEXT(TALK_REGISTER));
    talk_registration(&r->body, &host);
    r->tells_labels = false;
    return start_request(r, "POST", (struct request){ .is_registration = true });
}

static bool send_report(struct runner *r)
{
    const struct talk_host host = host_of(r);
    struct life_report report;
    life_report(&r->life, &report);
    bool tells_labels = r->tells_labels && !report.asks;
    buffer_clear(&r->path);
    buffer_clear(&r->body);
    talk_path(&r->path, host.name, r->life.call_is_held);
    talk_heartbeat(&r->body, &report, tells_labels ? &host : NULL,
                   r->options.timer.now_ms(r->options.timer.self));
    return start_request(r, "PATCH",
                         (struct request){ .is_held = r->life.call_is_held,
                                           .has_session = report.session.size > 0,
                                           .tells_labels = tells_labels });
}

/* ---- commands ----------------------------------------------------------------------------------
 */

static void on_ended(void *ctx, const struct command_result *result)
{
    feed(ctx, (struct life_event){ .kind = LIFE_ENDED, .result = result });
}

struct variables {
    struct runner *runner;
    const char *list[VARIABLES + 1];
    size_t count;
    bool failed;
};

static void set_variable(struct variables *v, const char *name, struct text value)
{
    struct buffer pair;
    struct text kept;
    buffer_init(&pair, &memory_heap, 64 * 1024);
    buffer_printf(&pair, "%s=", name);
    buffer_add(&pair, value);
    if (v->count == VARIABLES || pair.failed ||
        !arena_copy(&v->runner->arena, buffer_text(&pair), &kept))
        v->failed = true;
    else
        v->list[v->count++] = kept.data;
    buffer_release(&pair);
}

static void set_number(struct variables *v, const char *name, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    set_variable(v, name, text_from(digits));
}

static void set_order(struct variables *v)
{
    const struct life *life = &v->runner->life;
    const struct life_record *record = &life->record;
    const struct life_order_id *id = &record->tried;
    set_variable(v, "DIDES_CODE_VERSION", life_part_text(&life->target.code));
    set_variable(v, "DIDES_CONFIGURATION_VERSION", life_part_text(&life->target.config));
    set_variable(v, "DIDES_PREVIOUS_CODE_VERSION", life_part_text(&life->previous.code));
    set_variable(v, "DIDES_PREVIOUS_CONFIGURATION_VERSION", life_part_text(&life->previous.config));
    set_number(v, "DIDES_ATTEMPT", record->attempts);
    set_number(v, "DIDES_GENERATION", id->generation);
    set_variable(v, "DIDES_DEPLOYMENT_ID", (struct text){ id->rollout, id->rollout_size });
}

static bool run(struct runner *r, const struct config_command *command, int64_t timeout_ms,
                bool is_update)
{
    const char *words[WORDS_MAX];
    struct variables variables = { .runner = r };
    assert(command->count > 0 && command->count < WORDS_MAX);
    for (uint32_t i = 0; i < command->count; i++)
        words[i] = command->words[i].data;
    words[command->count] = NULL;
    arena_clear(&r->arena);
    set_variable(&variables, "PATH", r->options.path);
    set_variable(&variables, "LANG", r->options.lang);
    if (is_update)
        set_order(&variables);
    const struct command_order order = { words, variables.list, timeout_ms };
    return !variables.failed &&
           r->options.command.start(r->options.command.self, &order, on_ended, r);
}

static void say_update(const struct runner *r)
{
    const struct life *life = &r->life;
    char attempt[24];
    snprintf(attempt, sizeof attempt, "%u", life->record.attempts);
    const struct log_field log_fields[] = {
        { "code_version", life_part_text(&life->target.code) },
        { "configuration_version", life_part_text(&life->target.config) },
        { "deployment", { life->record.tried.rollout, life->record.tried.rollout_size } },
        { "attempt", text_from(attempt) },
        { NULL, TEXT_NONE },
    };
    say(r, LOG_INFO_, "updating", log_fields);
}

/* ---- effects -----------------------------------------------------------------------------------
 */

static void keep_credential(struct runner *r)
{
    assert(r->credential.size <= LIMIT_TOKEN);
    if (r->credential.size > 0)
        memcpy(r->identity.credential, r->credential.data, r->credential.size);
    r->identity.credential[r->credential.size] = '\0';
    say_about(r, LOG_INFO_, "registered", "name", r->options.config->name);
}

static void save(struct runner *r)
{
    struct err err = { 0 };
    r->identity.record = r->life.record;
    if (!r->options.save(r->options.ctx, &r->identity, &err))
        say_about(r, LOG_ERROR_, "cannot keep the credential", "detail", text_from(err.text));
}

static void start_commands(struct runner *r, uint32_t effects)
{
    const struct config_values *v = r->options.config;
    bool started = true;
    if (effects & LIFE_READ)
        started = run(r, &v->version, v->version_timeout_ms, false);
    if (effects & LIFE_PROBE)
        started = run(r, &v->health, v->health_timeout_ms, false);
    if (effects & LIFE_UPDATE) {
        say_update(r);
        started = run(r, &v->update, v->update_timeout_ms, true);
    }
    r->is_undone = !started;
}

static void say_news(const struct runner *r, uint32_t effects)
{
    const struct life *life = &r->life;
    if (effects & LIFE_IGNORED)
        say(r, LOG_WARNING_, "ignored an order older than one already seen", NULL);
    if (effects & LIFE_FULFILLED)
        say_about(r, LOG_INFO_, "updated", "code_version",
                  life_part_text(&life->look.version.code));
    if (effects & LIFE_GAVE_UP)
        say_about(r, LOG_ERROR_, "the update failed", "detail",
                  (struct text){ life->failure, life->failure_size });
}

static void carry_out(struct runner *r, uint32_t effects)
{
    if (effects & LIFE_KEEP)
        keep_credential(r);
    if (effects & LIFE_DROP)
        explicit_bzero(r->identity.credential, sizeof r->identity.credential);
    if (effects & (LIFE_KEEP | LIFE_DROP | LIFE_SAVE))
        save(r);
    say_news(r, effects);
    if (effects & LIFE_REGISTER)
        r->is_unsent = !send_registration(r);
    if (effects & LIFE_REPORT)
        r->is_unsent = !send_report(r);
    start_commands(r, effects);
    if (effects & LIFE_KILL)
        r->options.command.stop(r->options.command.self);
    if (effects & LIFE_EXIT)
        r->options.ended(r->options.ctx);
}

/* A timer may fire a moment too early by our clock: then nothing is due, and it is armed anew. */
static void on_wake(void *ctx)
{
    struct wait *wait = ctx;
    struct runner *r = wait->runner;
    wait->is_pending = false;
    if (wait->due == r->armed_at)
        r->armed_at = LIFE_NEVER;
    feed(r, (struct life_event){ .kind = LIFE_TIMER });
}

static struct wait *take_wait(struct runner *r)
{
    struct wait *wait = r->waits;
    while (wait && wait->is_pending)
        wait = wait->next;
    if (wait)
        return wait;
    wait = calloc(1, sizeof *wait);
    if (!wait)
        return NULL;
    wait->runner = r;
    wait->next = r->waits;
    r->waits = wait;
    return wait;
}

/* Waits that were meant for later do nothing when they come. */
static void arm(struct runner *r)
{
    int64_t due = life_due(&r->life);
    int64_t now = r->options.timer.now_ms(r->options.timer.self);
    if (due >= r->armed_at)
        return;
    struct wait *wait = take_wait(r);
    int64_t delay = due > now ? due - now : 0;
    if (!wait || !r->options.timer.after(r->options.timer.self, delay, on_wake, wait)) {
        say(r, LOG_ERROR_, "no memory for a timer", NULL);
        return;
    }
    wait->due = r->armed_at = due;
    wait->is_pending = true;
}

static void step(struct runner *r, struct life_event event)
{
    event.now = r->options.timer.now_ms(r->options.timer.self);
    event.random = r->options.random(r->options.ctx);
    carry_out(r, life_step(&r->life, &event));
}

/* What could not be begun comes back as an event, but never from inside the step that asked. */
static void feed(struct runner *r, struct life_event event)
{
    step(r, event);
    while (r->is_undone || r->is_unsent) {
        const struct command_result undone = { .end = COMMAND_NOT_RUN, .number = ENOMEM };
        struct life_answer unsent = { .call = r->life.call, .outcome = LIFE_MISSED };
        if (r->is_undone) {
            r->is_undone = false;
            step(r, (struct life_event){ .kind = LIFE_ENDED, .result = &undone });
        } else {
            r->is_unsent = false;
            step(r, (struct life_event){ .kind = LIFE_ANSWERED, .answer = &unsent });
        }
    }
    arm(r);
}

/* ---- from outside ------------------------------------------------------------------------------
 */

static bool copy_text(char *to, size_t size, struct text t)
{
    if (t.size >= size)
        return false;
    memcpy(to, t.data, t.size);
    to[t.size] = '\0';
    return true;
}

static bool prepare(struct runner *r, struct err *err)
{
    const struct config_values *v = r->options.config;
    const struct identity *kept = r->options.identity;
    if (kept)
        r->identity = *kept;
    bool fits = copy_text(r->identity.server, sizeof r->identity.server, v->server) &&
                copy_text(r->identity.name, sizeof r->identity.name, v->name);
    if (!fits)
        return err_set(err, ERR_INVALID, "the URL of the server or the name is too long");
    const struct life_options life = {
        .has_credential = r->identity.credential[0] != '\0',
        .can_probe = v->health.count > 0,
        .attempts_max = v->update_retries + 1,
        .check_interval_ms = v->check_interval_ms,
        .stop_grace_ms = v->stop_grace_ms,
        .record = r->identity.record,
    };
    life_init(&r->life, &life);
    r->tells_labels = life.has_credential;
    return true;
}

bool runner_new(const struct runner_options *options, struct runner **ret, struct err *err)
{
    struct runner *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ERR_MEMORY, "no memory for the agent");
    r->options = *options;
    r->armed_at = LIFE_NEVER;
    arena_init(&r->arena, &memory_heap, ANSWERS_MAX);
    buffer_init(&r->path, &memory_heap, LIMIT_URL);
    buffer_init(&r->body, &memory_heap, BODY_MAX);
    if (!prepare(r, err)) {
        runner_free(r);
        return false;
    }
    *ret = r;
    return true;
}

void runner_start(struct runner *runner)
{
    feed(runner, (struct life_event){ .kind = LIFE_START });
}

void runner_stop(struct runner *runner)
{
    feed(runner, (struct life_event){ .kind = LIFE_STOP });
}

void runner_free(struct runner *runner)
{
    if (!runner)
        return;
    explicit_bzero(runner->identity.credential, sizeof runner->identity.credential);
    while (runner->waits) {
        struct wait *wait = runner->waits;
        runner->waits = wait->next;
        free(wait);
    }
    arena_release(&runner->arena);
    buffer_release(&runner->path);
    buffer_release(&runner->body);
    free(runner);
}

const struct life *runner_life(const struct runner *runner)
{
    return &runner->life;
}
