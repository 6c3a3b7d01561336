/* SPDX-License-Identifier: Apache-2.0
 * facts.h - what the commands about database files have in common: what they print, and how they
 * end. */
#ifndef DIDES_CMD_FACTS_H
#define DIDES_CMD_FACTS_H

#include "cmd/document.h"
#include "cmd/exit_code.h"
#include "store/sqlite/sqlite.h"

/* A row for a struct `type` with a member `output`. */
#define FACTS_OUTPUT_ROW(type)                                                                     \
    {                                                                                              \
        .name = "output", .letter = 'o', .kind = OPTION_TEXT, .offset = offsetof(type, output),    \
        .argument = "FORMAT", .meaning = "how to print: table, wide, json, jsonl, yaml or name",   \
        .fallback = "table", .choices = OUTPUT_FORMATS(OUTPUT_CHOICE)                              \
    }

/* Prints what a file holds, on stdout. */
enum exit_code facts_print(enum output_format format, const char *file,
                           const struct store_sqlite_facts *facts);

/* Remarks the error; of a file or a folder here, not of a server's answer. */
enum exit_code facts_complain(const char *doing, const struct err *err);

#endif
