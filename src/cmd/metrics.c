/* SPDX-License-Identifier: Apache-2.0
 * metrics.c - `dides metrics`: what the numbers of GET /metrics mean. */
#include "http/metrics.h"
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/terminal.h"

#define REFERENCE_MAX ((size_t)1 << 20)

static int run(const struct command *command, int argc, char **argv)
{
    struct operands operands;
    int code;
    char nothing;
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, REFERENCE_MAX);
    if (!options_parse_few(command, argc, argv, 0, &nothing, &operands, &code))
        return code;
    metrics_markdown(&out);
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

static const char *const synopsis[] = { "", NULL };
static const char *const details[] = { "Prints the name, type, labels and meaning of every metric "
                                       "that a server of this binary answers "
                                       "to GET /metrics, as a table in Markdown. No server is "
                                       "asked: their present values are got with "
                                       "curl, or by Prometheus.",
                                       NULL };
static const struct command_example examples[] = {
    { "dides metrics | grep wait", "What tells for how long rollouts waited" },
    { NULL, NULL },
};

const struct command metrics_command = {
    .name = "metrics",
    .summary = "print the reference of the metrics",
    .synopsis = synopsis,
    .details = details,
    .examples = examples,
    .see_also = "server openapi",
    .run = run,
};
