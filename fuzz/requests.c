/* SPDX-License-Identifier: Apache-2.0
 * requests.c - the bodies of requests: limits are kept, refusals say where, and what a table reads
 * it writes without loss. */
#include "wire/request.h"

#include "base/limits.h"
#include "fuzz.h"
#include "wire/request_parts.h"
#include "wire/view_plan.h"

#define CLAIM_REFUSED(err)                                                                         \
    CLAIM_ERROR(err, ERR_BAD_JSON, ERR_UNKNOWN_KEY, ERR_INVALID, ERR_NOT_SUPPORTED, ERR_MEMORY)

static void claim_labels(const struct label_change *labels, size_t count)
{
    CLAIM(count <= LIMIT_LABELS);
    for (size_t i = 0; i < count; i++) {
        CLAIM(labels[i].key.size > 0 && labels[i].key.size <= LIMIT_LABEL_KEY);
        CLAIM(labels[i].value.size <= LIMIT_LABEL_VALUE);
        CLAIM(text_is_utf8(labels[i].key) && text_is_utf8(labels[i].value));
    }
}

void fuzz_register(struct text input)
{
    struct fuzz f;
    struct text token;
    struct wire_register body = { .has_token = false };
    struct json_warnings warnings = { .count = 0 };
    fuzz_begin(&f);
    bool has_token = wire_read_token(input, &f.arena, &token, &f.err);
    if (!has_token)
        CLAIM_REFUSED(&f.err);
    if (wire_read_register(input, &f.arena, &body, &warnings, &f.err)) {
        const struct register_command *command = &body.command;
        CLAIM(has_token); /* what is taken whole is taken in part */
        fuzz_claim_equal(token, body.token);
        CLAIM(command->name.size + command->ip.size > 0);
        CLAIM(command->name.size <= LIMIT_NAME && body.token.size <= LIMIT_TOKEN);
        fuzz_claim_safe(command->name);
        fuzz_claim_safe(command->ip);
        claim_labels(command->labels, command->label_count);
    } else {
        CLAIM_REFUSED(&f.err);
    }
    fuzz_end(&f);
    fuzz_table(&wire_register_table, input);
}

void fuzz_heartbeat(struct text input)
{
    struct fuzz f;
    struct wire_heartbeat body = { .observed_generation = 0 };
    struct json_warnings warnings = { .count = 0 };
    fuzz_begin(&f);
    if (wire_read_heartbeat(input, &f.arena, &body, &warnings, &f.err)) {
        const struct heartbeat_command *command = &body.command;
        CLAIM(!command->has_status || command->status < instance_state_count);
        CLAIM(!command->has_code ||
              (command->code.size > 0 && command->code.size <= LIMIT_VERSION));
        CLAIM(!command->has_config ||
              (command->config.size > 0 && command->config.size <= LIMIT_VERSION));
        CLAIM(command->message.size <= LIMIT_MESSAGE);
        CLAIM(body.observed_term <= (uint64_t)WIRE_TERM_MAX);
        CLAIM(text_is_utf8(command->message));
        claim_labels(command->labels, command->label_count);
    } else {
        CLAIM_REFUSED(&f.err);
    }
    fuzz_end(&f);
    fuzz_table(&wire_heartbeat_table, input);
}

static void claim_amount(struct amount a, uint32_t least)
{
    CLAIM(a.value >= least && a.value <= (a.is_percent ? 100 : LIMIT_AMOUNT));
}

static void claim_config(const struct rollout_config *config)
{
    claim_amount(config->batch_size, 1);
    claim_amount(config->failure_threshold, 1);
    CLAIM(config->wave_count <= LIMIT_WAVES && config->domain_count <= LIMIT_DOMAINS);
    CLAIM(config->min_healthy_ms >= 0 && config->min_healthy_ms <= DURATION_MAX_MS);
    CLAIM(config->instance_deadline_ms >= 0 && config->health_deadline_ms >= 0);
    CLAIM(config->progress_deadline_ms >= 0 && config->leftover_timeout_ms >= 0);
    for (uint32_t i = 0; i < config->wave_count; i++)
        CLAIM(config->waves[i].name.size > 0 && config->waves[i].name.size <= LIMIT_WAVE_NAME);
}

/* What a plan rests on is the command but for its reason and hash: a body that says the same. */
static void claim_same(struct fuzz *f, const struct deploy_command *command)
{
    struct json_writer w;
    struct deploy_command second;
    json_writer_init(&w, &f->out);
    wire_write_plan_request(&w, command);
    if (!wire_read_deploy(buffer_text(&f->out), &f->arena, &second, &f->err))
        fprintf(stderr, "%s: %.*s\n", f->err.text, TEXT_ARG(buffer_text(&f->out)));
    CLAIM(f->err.code == ERR_NONE);
    json_writer_init(&w, &f->again);
    wire_write_plan_request(&w, &second);
    fuzz_claim_equal(buffer_text(&f->out), buffer_text(&f->again));
}

static void claim_deploy(struct fuzz *f, const struct deploy_command *command)
{
    CLAIM(command->code.size + command->config.size > 0);
    CLAIM(command->code.size <= LIMIT_VERSION && command->config.size <= LIMIT_VERSION);
    CLAIM(command->reason.size <= LIMIT_REASON && command->plan_hash.size <= LIMIT_PLAN_HASH);
    claim_config(&command->rollout);
    claim_same(f, command);
}

void fuzz_deploy(struct text input)
{
    struct fuzz f;
    struct deploy_command command;
    fuzz_begin(&f);
    if (wire_read_deploy(input, &f.arena, &command, &f.err))
        claim_deploy(&f, &command);
    else
        CLAIM_REFUSED(&f.err);
    fuzz_end(&f);
    fuzz_table(&wire_deploy_table, input);
}

void fuzz_plan(struct text input)
{
    struct fuzz f;
    struct wire_plan plan;
    fuzz_begin(&f);
    if (wire_read_plan(input, &f.arena, &plan, &f.err)) {
        claim_deploy(&f, &plan.command);
        CLAIM(plan.horizon_ms >= 0 && plan.horizon_ms <= DURATION_MAX_MS);
    } else {
        CLAIM_REFUSED(&f.err);
    }
    fuzz_end(&f);
    fuzz_table(&wire_plan_table, input);
}

void fuzz_rollback(struct text input)
{
    struct fuzz f;
    struct rollback_command command;
    fuzz_begin(&f);
    if (wire_read_rollback(input, &f.arena, &command, &f.err)) {
        CLAIM(command.reason.size <= LIMIT_REASON);
        CLAIM(!command.has_selector || command.selector.count > 0);
        if (command.config)
            claim_config(command.config);
    } else {
        CLAIM_REFUSED(&f.err);
    }
    fuzz_end(&f);
    fuzz_table(&wire_rollback_table, input);
}

void fuzz_verb(struct text input)
{
    for (unsigned verb = 0; verb < VERB_COUNT; verb++) {
        struct fuzz f;
        struct verb_command command;
        fuzz_begin(&f);
        if (verb == VERB_ROLLBACK)
            ;
        else if (wire_read_verb(input, &f.arena, (enum verb)verb, &command, &f.err))
            CLAIM(command.verb == (enum verb)verb && command.reason.size <= LIMIT_REASON);
        else
            CLAIM_REFUSED(&f.err);
        fuzz_end(&f);
    }
    fuzz_table(&wire_verb_table, input);
    fuzz_table(&wire_abort_table, input);
    fuzz_table(&wire_promote_table, input);
}
