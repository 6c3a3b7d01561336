/* SPDX-License-Identifier: Apache-2.0
 * metrics_table.c - the rows of metrics.h, and the reference that is printed from them. */
#include "http/metrics.h"

const struct metric metrics[METRIC_COUNT] = {
#define METRIC_ROW(id, type, name, labels, help, unit, first, last, step)                          \
    [id] = { type, name, labels, help, unit, first, last, step },
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

static void write_labels(const struct metric *metric, struct buffer *out)
{
    struct text rest = text_from(metric->labels);
    struct text label;
    bool is_first = true;
    while (rest.size > 0 && text_cut(&rest, ',', &label)) {
        buffer_printf(out, "%s`%.*s`", is_first ? "" : ", ", TEXT_ARG(label));
        is_first = false;
    }
}

void metrics_markdown(struct buffer *out)
{
    buffer_add(out,
               TEXT("# Metrics of dides\n"
                    "\n"
                    "Printed by `dides metrics`; do not edit. `GET /metrics` of a server gives "
                    "them in the text format of\n"
                    "Prometheus, which `packaging/examples/prometheus.yaml` scrapes and "
                    "`packaging/examples/alerts.yaml`\n"
                    "watches. Counters and histograms begin at 0 with the process; those of "
                    "updates, rollouts and gates count\n"
                    "what is durable. No metric has a label for an instance: the answer is as "
                    "long for a million of them.\n"
                    "\n"
                    "| Metric | Type | Labels | Meaning |\n"
                    "|---|---|---|---|\n"));
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        buffer_printf(out, "| `%s` | %s | ", metrics[i].name, metrics[i].type);
        write_labels(&metrics[i], out);
        buffer_printf(out, " | %s |\n", metrics[i].help);
    }
    buffer_add(out,
               TEXT("\nHooks are not there yet, so `dides_hook_calls_total` is not either.\n"));
}
