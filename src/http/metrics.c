/* SPDX-License-Identifier: Apache-2.0
 * metrics.c - numbers in the text format of Prometheus. Never a label per instance: the output is
 * as long for a million instances as for one. Source: spec of rollouts, section 12. */
#include "http/api_parts.h"

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct buffer *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(out, name, type, help);
    buffer_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

/* Microseconds as seconds, exactly. */
static void seconds(struct buffer *out, uint64_t us)
{
    buffer_printf(out, "%llu.%06llu", (unsigned long long)(us / 1000000),
                  (unsigned long long)(us % 1000000));
}

/* `labels` is "" or `name="value",`; bounds[i] in us is the upper bound of buckets[i]; the last
 * bucket has none. */
static void histogram(struct buffer *out, const char *name, const char *labels,
                      const uint64_t *buckets, size_t count, unsigned shift, uint64_t us_total)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += buckets[i];
        buffer_printf(out, "%s_bucket{%sle=\"", name, labels);
        if (i + 1 < count)
            seconds(out, (uint64_t)64 << shift * i);
        else
            buffer_add(out, TEXT("+Inf"));
        buffer_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    struct text inner = text_from(labels);
    bool has_labels = inner.size > 0;
    if (has_labels)
        inner.size--; /* its comma */
    buffer_printf(out, has_labels ? "%s_sum{%.*s} " : "%s_sum%.*s ", name, TEXT_ARG(inner));
    seconds(out, us_total);
    buffer_printf(out, has_labels ? "\n%s_count{%.*s} %llu\n" : "\n%s_count%.*s %llu\n", name,
                  TEXT_ARG(inner), (unsigned long long)sum);
}

static void write_fleet(struct buffer *out, const struct fleet *fleet)
{
    head(out, "dides_instances", "gauge", "Instances by the status they report.");
    for (size_t i = 0; i < instance_state_count; i++)
        buffer_printf(out, "dides_instances{status=\"%s\"} %u\n",
                      instance_machine.states.list[i].word, fleet->tally.by_status[i]);
    number(out, "dides_instances_online", "gauge", "Instances heard within their timeout.",
           fleet->tally.online);
    number(out, "dides_instances_in_progress", "gauge", "Instances told to run another version.",
           fleet->tally.in_progress);
    uint32_t by_state[rollout_state_count] = { 0 };
    for (uint32_t i = 0; i < fleet->rollout_count; i++)
        by_state[fleet->rollouts[i]->state]++;
    head(out, "dides_rollouts", "gauge", "Rollouts kept, by state.");
    for (size_t i = 0; i < rollout_state_count; i++)
        buffer_printf(out, "dides_rollouts{state=\"%s\"} %u\n", rollout_machine.states.list[i].word,
                      by_state[i]);
}

static void write_waiting(struct buffer *out, const struct fleet *fleet,
                          const struct engine_stats *stats)
{
    head(out, "dides_rollout_wait_seconds_total", "counter",
         "Time in which live rollouts picked nobody, by the reason.");
    for (unsigned reason = 0; reason < WAITING_REASON_COUNT; reason++) {
        buffer_printf(out, "dides_rollout_wait_seconds_total{reason=\"%s\"} ",
                      waiting_word(reason));
        seconds(out, stats->waited_ms[reason] * 1000);
        buffer_add_byte(out, '\n');
    }
    head(out, "dides_gate_evaluations_total", "counter", "Results of gates by type.");
    buffer_printf(out, "dides_gate_evaluations_total{type=\"manual\",result=\"passed\"} %llu\n",
                  (unsigned long long)stats->gates_passed);
    buffer_printf(out,
                  "dides_gate_evaluations_total{type=\"manual\",result=\"inconclusive\"} %llu\n",
                  (unsigned long long)stats->gates_inconclusive);
    number(out, "dides_fleet_silent", "gauge",
           "1 while most of the fleet is silent at once and rollouts stand still.",
           silence_is_frozen(fleet) ? 1 : 0);
}

static void write_engine(struct buffer *out, struct engine *engine)
{
    struct engine_stats stats = engine_stats(engine);
    write_waiting(out, engine_fleet(engine), &stats);
    head(out, "dides_heartbeats_total", "counter",
         "Heartbeats by whether they changed anything durable.");
    buffer_printf(out, "dides_heartbeats_total{result=\"unchanged\"} %llu\n",
                  (unsigned long long)stats.heartbeats_unchanged);
    buffer_printf(out, "dides_heartbeats_total{result=\"changed\"} %llu\n",
                  (unsigned long long)stats.heartbeats_changed);
    head(out, "dides_store_commit_seconds", "histogram", "Time to make one batch durable.");
    histogram(out, "dides_store_commit_seconds", "", stats.commit_us_buckets, 16, 1,
              stats.commit_us_total);
    number(out, "dides_store_ops_total", "counter", "Keys written or deleted.", stats.commit_ops);
    number(out, "dides_store_commit_failures_total", "counter",
           "Rounds of changes that were dropped.", stats.commit_failures);
    number(out, "dides_store_pending_batches", "gauge",
           "Durable batches not yet folded into the readable table.", stats.store.pending_batches);
    number(out, "dides_store_file_bytes", "gauge", "Size of the store's files.",
           stats.store.file_bytes);
    number(out, "dides_store_writable", "gauge", "1 when the store accepts writes.",
           engine_is_writable(engine) ? 1 : 0);
    number(out, "dides_term", "gauge",
           "Which life of the database this is; a restore begins a new one.", engine_term(engine));
    number(out, "dides_held", "gauge",
           "1 while nothing is picked because an agent knows newer orders than the database.",
           engine_is_held(engine) ? 1 : 0);
    number(out, "dides_events_index", "counter", "Newest durable journal entry.",
           engine_journal(engine)->durable);
    number(out, "dides_invariant_checks_total", "counter", "Background recounts.", stats.checks);
    number(out, "dides_invariant_violations_total", "counter",
           "Differences found by background recounts, each repaired.", stats.violations);
}

static void write_requests(struct buffer *out, const struct api *api)
{
#define CODE_ITEM(code) code,
    static const int codes[API_CODE_COUNT] = { API_CODES(CODE_ITEM) };
#undef CODE_ITEM
    head(out, "dides_http_requests_total", "counter", "Requests by route and status code.");
    for (size_t i = 0; i <= route_count; i++) {
        for (size_t code = 0; code <= API_CODE_COUNT; code++) {
            if (api->stats[i].by_code[code] == 0)
                continue;
            buffer_printf(out, "dides_http_requests_total{route=\"%s %s\",code=\"%d\"} %llu\n",
                          i < route_count ? routes[i].method : "-",
                          i < route_count ? routes[i].path : "none",
                          code < API_CODE_COUNT ? codes[code] : 0,
                          (unsigned long long)api->stats[i].by_code[code]);
        }
    }
    head(out, "dides_http_request_seconds", "histogram",
         "Time from the whole request to its answer, waiting for the disk included.");
    for (size_t i = 0; i < route_count; i++) {
        struct buffer labels;
        if (api->stats[i].us_total == 0)
            continue;
        buffer_init(&labels, &memory_heap, 256);
        buffer_printf(&labels, "route=\"%s %s\",", routes[i].method, routes[i].path);
        histogram(out, "dides_http_request_seconds", buffer_c_string(&labels),
                  api->stats[i].buckets, API_BUCKETS, 2, api->stats[i].us_total);
        buffer_release(&labels);
    }
}

static void write_auth(struct buffer *out, const struct auth *auth)
{
#define WORD_ITEM(id, word) word,
    static const char *const words[AUTH_REFUSAL_COUNT] = { AUTH_REFUSALS(WORD_ITEM) };
#undef WORD_ITEM
    number(out, "dides_credentials", "gauge", "Instances that have a credential of their own.",
           auth->credentials.count);
    head(out, "dides_auth_refusals_total", "counter",
         "Requests turned away by what was wrong: the token, the name it is for, an instance that "
         "is taken, the credential, one of another instance, or their rate.");
    for (size_t i = 0; i < AUTH_REFUSAL_COUNT; i++)
        buffer_printf(out, "dides_auth_refusals_total{reason=\"%s\"} %llu\n", words[i],
                      (unsigned long long)auth->refusals[i]);
}

void metrics_write(struct api *api, struct buffer *out)
{
    head(out, "dides_build_info", "gauge", "Always 1.");
    buffer_add(out, TEXT("dides_build_info{version=\"" DIDES_VERSION "\"} 1\n"));
    write_fleet(out, engine_fleet(api->engine));
    write_engine(out, api->engine);
    write_auth(out, &api->auth);
    number(out, "dides_event_clients", "gauge", "Open event streams.", api->stream_count);
    number(out, "dides_long_polls", "gauge", "Heartbeats whose reply is held.", api->polls.count);
    if (api->server)
        number(out, "dides_http_connections", "gauge", "Open connections.",
               http_server_stats(api->server).connections_open);
    write_requests(out, api);
}
