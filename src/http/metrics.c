/* SPDX-License-Identifier: Apache-2.0
 * metrics.c - numbers in the text format of Prometheus. Never a label per instance: the output is
 * as long for a million instances as for one. What each is called and means stands in metrics.h. */
#include "http/metrics.h"

#include "http/api_parts.h"

/* ---- parts of the format -------------------------------------------------------------------- */

/* The lines before the samples of a metric. */
static void head(struct buffer *out, enum metric_id id)
{
    const struct metric *m = &metrics[id];
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

/* One sample of a metric with one label, whose name is that of the row. */
static void sample(struct buffer *out, enum metric_id id, const char *value, uint64_t number)
{
    buffer_printf(out, "%s{%s=\"%s\"} %llu\n", metrics[id].name, metrics[id].labels, value,
                  (unsigned long long)number);
}

/* A metric without labels. */
static void number(struct buffer *out, enum metric_id id, uint64_t value)
{
    head(out, id);
    buffer_printf(out, "%s %llu\n", metrics[id].name, (unsigned long long)value);
}

/* Times as seconds, exactly; other numbers as they are. */
static void quantity(struct buffer *out, enum metric_unit unit, uint64_t value)
{
    static const unsigned per_second[] = { [UNIT_ONE] = 1, [UNIT_MS] = 1000, [UNIT_US] = 1000000 };
    static const unsigned digits[] = { [UNIT_ONE] = 0, [UNIT_MS] = 3, [UNIT_US] = 6 };
    buffer_add_u64(out, value / per_second[unit]);
    if (digits[unit] == 0)
        return;
    buffer_add_byte(out, '.');
    buffer_add_padded(out, value % per_second[unit], digits[unit]);
}

/* The name of a sample of a histogram and its labels but `le`, left open. */
static void begin_sample(struct buffer *out, const struct metric *m, const char *part,
                         const char *value)
{
    buffer_add(out, text_from(m->name));
    buffer_add(out, text_from(part));
    if (!value)
        return;
    buffer_add_byte(out, '{');
    buffer_add(out, text_from(m->labels));
    buffer_add(out, TEXT("=\""));
    buffer_add(out, text_from(value));
    buffer_add_byte(out, '"');
}

/* `exponent` of its upper bound; OCTAVES: there is none. */
static void bucket(struct buffer *out, const struct metric *m, const char *value, unsigned exponent,
                   uint64_t count)
{
    begin_sample(out, m, "_bucket", value);
    buffer_add(out, value ? TEXT(",le=\"") : TEXT("{le=\""));
    if (exponent < OCTAVES)
        quantity(out, m->unit, (uint64_t)1 << exponent);
    else
        buffer_add(out, TEXT("+Inf"));
    buffer_add(out, TEXT("\"} "));
    buffer_add_u64(out, count);
    buffer_add_byte(out, '\n');
}

/* The samples of a histogram without labels, or for one value of its label. */
static void spread(struct buffer *out, enum metric_id id, const char *value,
                   const struct octaves *octaves)
{
    const struct metric *m = &metrics[id];
    for (unsigned exponent = m->first; exponent <= m->last; exponent += m->step)
        bucket(out, m, value, exponent, octaves_up_to(octaves, exponent));
    bucket(out, m, value, OCTAVES, octaves_count(octaves));
    begin_sample(out, m, "_sum", value);
    buffer_add(out, value ? TEXT("} ") : TEXT(" "));
    quantity(out, m->unit, octaves->sum);
    buffer_add_byte(out, '\n');
    begin_sample(out, m, "_count", value);
    buffer_add(out, value ? TEXT("} ") : TEXT(" "));
    buffer_add_u64(out, octaves_count(octaves));
    buffer_add_byte(out, '\n');
}

static void histogram(struct buffer *out, enum metric_id id, const struct octaves *octaves)
{
    head(out, id);
    spread(out, id, NULL, octaves);
}

/* ---- the fleet ------------------------------------------------------------------------------ */

static void write_rollouts(struct buffer *out, const struct fleet *fleet)
{
    uint32_t by_state[rollout_state_count] = { 0 };
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        by_state[fleet->rollouts[i]->state]++;
    head(out, METRIC_ROLLOUTS);
    for (size_t i = 0; i < rollout_state_count; i++)
        sample(out, METRIC_ROLLOUTS, rollout_machine.states.list[i].word, by_state[i]);
}

static void write_fleet(struct buffer *out, const struct fleet *fleet)
{
    head(out, METRIC_INSTANCES);
    for (size_t i = 0; i < instance_state_count; i++)
        sample(out, METRIC_INSTANCES, instance_machine.states.list[i].word,
               fleet->tally.by_status[i]);
    number(out, METRIC_INSTANCES_ONLINE, fleet->tally.online);
    number(out, METRIC_INSTANCES_IN_PROGRESS, fleet->tally.in_progress);
    number(out, METRIC_FLEET_SILENT, silence_is_frozen(fleet) ? 1 : 0);
    write_rollouts(out, fleet);
}

/* ---- how things went ------------------------------------------------------------------------ */

#define WORD_ITEM(id, word) word,

static void write_ends(struct buffer *out, const struct engine_stats *stats)
{
    static const char *const rollout_words[] = { ROLLOUT_RESULTS(WORD_ITEM) };
    static const char *const update_words[] = { UPDATE_RESULTS(WORD_ITEM) };
    const struct outcomes *o = &stats->outcomes;
    head(out, METRIC_ROLLOUT_SECONDS);
    for (unsigned i = 0; i < ROLLOUT_RESULT_COUNT; i++)
        spread(out, METRIC_ROLLOUT_SECONDS, rollout_words[i], &o->rollout_ms[i]);
    head(out, METRIC_ROLLOUT_WAIT_SECONDS);
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
        buffer_printf(out, "%s{%s=\"%s\"} ", metrics[METRIC_ROLLOUT_WAIT_SECONDS].name,
                      metrics[METRIC_ROLLOUT_WAIT_SECONDS].labels, waiting_word(reason));
        quantity(out, UNIT_MS, stats->waited_ms[reason]);
        buffer_add_byte(out, '\n');
    }
    head(out, METRIC_INSTANCE_UPDATE_SECONDS);
    for (unsigned i = 0; i < UPDATE_RESULT_COUNT; i++)
        spread(out, METRIC_INSTANCE_UPDATE_SECONDS, update_words[i], &o->update_ms[i]);
}

static void write_outcomes(struct buffer *out, const struct outcomes *o)
{
    static const char *const kinds[] = { ROLLBACK_KINDS(WORD_ITEM) };
    head(out, METRIC_INSTANCE_FAILURES);
    for (unsigned cause = CAUSE_NONE + 1; cause < MEMBER_CAUSE_COUNT; cause++)
        sample(out, METRIC_INSTANCE_FAILURES, member_cause_word(cause), o->failures[cause]);
    head(out, METRIC_ROLLBACKS);
    for (unsigned kind = 0; kind < ROLLBACK_KIND_COUNT; kind++)
        sample(out, METRIC_ROLLBACKS, kinds[kind], o->rollbacks[kind]);
    head(out, METRIC_GATE_EVALUATIONS);
    const char *name = metrics[METRIC_GATE_EVALUATIONS].name;
    buffer_printf(out, "%s{type=\"manual\",result=\"passed\"} %llu\n", name,
                  (unsigned long long)o->gates_passed);
    buffer_printf(out, "%s{type=\"manual\",result=\"inconclusive\"} %llu\n", name,
                  (unsigned long long)o->gates_inconclusive);
}

/* ---- heartbeats, time, the store ------------------------------------------------------------ */

static void write_work(struct buffer *out, const struct api *api, const struct engine_stats *stats)
{
    head(out, METRIC_HEARTBEATS);
    sample(out, METRIC_HEARTBEATS, "unchanged", stats->heartbeats_unchanged);
    sample(out, METRIC_HEARTBEATS, "changed", stats->heartbeats_changed);
    histogram(out, METRIC_HEARTBEAT_SECONDS, &api->heartbeat_us);
    histogram(out, METRIC_CLOCK_SKEW_SECONDS, &stats->clock_skew_ms);
    number(out, METRIC_LONG_POLLS, api->polls.count);
    histogram(out, METRIC_RECONCILE_SECONDS, &stats->reconcile_us);
    head(out, METRIC_TIMER_OVERDUE_SECONDS);
    buffer_printf(out, "%s ", metrics[METRIC_TIMER_OVERDUE_SECONDS].name);
    quantity(out, UNIT_MS, (uint64_t)stats->overdue_ms);
    buffer_add_byte(out, '\n');
    number(out, METRIC_QUEUE_LENGTH, stats->waiter_count);
}

static void write_store(struct buffer *out, struct engine *engine, const struct engine_stats *stats)
{
    histogram(out, METRIC_STORE_COMMIT_SECONDS, &stats->commit_us);
    histogram(out, METRIC_STORE_BATCH_SIZE, &stats->batch_ops);
    number(out, METRIC_STORE_OPS, stats->batch_ops.sum);
    number(out, METRIC_STORE_COMMIT_FAILURES, stats->commit_failures);
    number(out, METRIC_STORE_PENDING_BATCHES, stats->store.pending_batches);
    number(out, METRIC_STORE_FILE_BYTES, stats->store.file_bytes);
    number(out, METRIC_STORE_WRITABLE, engine_is_writable(engine) ? 1 : 0);
    number(out, METRIC_TERM, engine_term(engine));
    number(out, METRIC_HELD, engine_is_held(engine) ? 1 : 0);
    number(out, METRIC_EVENTS_INDEX, engine_journal(engine)->durable);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void write_auth(struct buffer *out, const struct auth *auth)
{
    static const char *const words[AUTH_REFUSAL_COUNT] = { AUTH_REFUSALS(WORD_ITEM) };
    number(out, METRIC_CREDENTIALS, auth->credentials.count);
    head(out, METRIC_AUTH_REFUSALS);
    for (size_t i = 0; i < AUTH_REFUSAL_COUNT; i++)
        sample(out, METRIC_AUTH_REFUSALS, words[i], auth->refusals[i]);
}
#undef WORD_ITEM

static void write_requests(struct buffer *out, const struct api *api)
{
#define CODE_ITEM(code) code,
    static const int codes[API_CODE_COUNT] = { API_CODES(CODE_ITEM) };
#undef CODE_ITEM
    head(out, METRIC_HTTP_REQUESTS);
    for (size_t i = 0; i <= route_count; i++) {
        for (size_t code = 0; code <= API_CODE_COUNT; code++) {
            if (api->stats[i].by_code[code] == 0)
                continue;
            buffer_printf(
                out, "%s{route=\"%s %s\",code=\"%d\"} %llu\n", metrics[METRIC_HTTP_REQUESTS].name,
                i < route_count ? routes[i].method : "-", i < route_count ? routes[i].path : "none",
                code < API_CODE_COUNT ? codes[code] : 0,
                (unsigned long long)api->stats[i].by_code[code]);
        }
    }
    head(out, METRIC_HTTP_REQUEST_SECONDS);
    for (size_t i = 0; i < route_count; i++) {
        char route[128];
        if (octaves_count(&api->stats[i].us) == 0)
            continue;
        snprintf(route, sizeof route, "%s %s", routes[i].method, routes[i].path);
        spread(out, METRIC_HTTP_REQUEST_SECONDS, route, &api->stats[i].us);
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

void metrics_write(struct api *api, struct buffer *out)
{
    struct engine_stats stats = engine_stats(api->engine);
    head(out, METRIC_BUILD_INFO);
    buffer_printf(out, "%s{version=\"%s\"} 1\n", metrics[METRIC_BUILD_INFO].name, DIDES_VERSION);
    number(out, METRIC_LEADER, 1);
    write_fleet(out, engine_fleet(api->engine));
    write_ends(out, &stats);
    write_outcomes(out, &stats.outcomes);
    write_work(out, api, &stats);
    write_store(out, api->engine, &stats);
    number(out, METRIC_EVENT_CLIENTS, api->stream_count);
    number(out, METRIC_INVARIANT_CHECKS, stats.checks);
    number(out, METRIC_INVARIANT_VIOLATIONS, stats.violations);
    write_auth(out, &api->auth);
    number(out, METRIC_HTTP_CONNECTIONS,
           api->server ? http_server_stats(api->server).connections_open : 0);
    write_requests(out, api);
}
