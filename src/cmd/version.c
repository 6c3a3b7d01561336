/* SPDX-License-Identifier: Apache-2.0
 * version.c - `dides version`. */
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"

#include <stdio.h>

static int run(const struct command *command, int argc, char **argv)
{
    struct operands operands;
    int code;
    char nothing;
    if (!options_parse_few(command, argc, argv, 0, &nothing, &operands, &code))
        return code;
    printf("dides %s\n", DIDES_VERSION);
    return EXIT_DONE;
}

static const char *const synopsis[] = { "", NULL };

const struct command version_command = {
    .name = "version",
    .summary = "print the version of this binary",
    .synopsis = synopsis,
    .run = run,
};
