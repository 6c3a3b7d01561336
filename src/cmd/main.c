/* SPDX-License-Identifier: Apache-2.0
 * main.c - the one program. What it can do is in command_table.c. */
#include "cmd/commands.h"

int main(int argc, char **argv)
{
    return commands_run(argc, argv);
}
