/* SPDX-License-Identifier: Apache-2.0
 * openapi.c - `dides openapi`: the reference of the API, as a server of this binary serves it. */
#include "http/openapi.h"
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"
#include "cmd/terminal.h"

static int run(const struct command *command, int argc, char **argv)
{
    struct operands operands;
    int code;
    char nothing;
    cleanup(buffer_release) struct buffer out = { 0 };
    buffer_init(&out, &memory_heap, OPENAPI_SIZE_MAX);
    if (!options_parse_few(command, argc, argv, 0, &nothing, &operands, &code))
        return code;
    openapi_write(&out);
    buffer_add_byte(&out, '\n');
    return terminal_write(stdout, &out) ? EXIT_DONE : EXIT_OTHER;
}

static const char *const synopsis[] = { "", NULL };
static const char *const details[] = {
    "Prints what a server of this binary answers to GET /openapi.json: every route with its "
    "parameters, bodies, answers and errors, as one OpenAPI 3.1 document. No server is asked.",
    NULL
};
static const struct command_example examples[] = {
    { "dides openapi >openapi.json", "The document, for generators of clients and for viewers" },
    { NULL, NULL },
};

const struct command openapi_command = {
    .name = "openapi",
    .summary = "print the reference of the HTTP API",
    .synopsis = synopsis,
    .details = details,
    .examples = examples,
    .see_also = "server metrics",
    .run = run,
};
