/* SPDX-License-Identifier: Apache-2.0
 * exit_code.c - from HTTP statuses and errors to exit codes, by table. */
#include "cmd/exit_code.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

const struct exit_row exit_rows[] = {
#define EXIT_ITEM(id, number, meaning) { id, meaning },
    EXIT_CODES(EXIT_ITEM)
#undef EXIT_ITEM
};
const size_t exit_row_count = COUNT(exit_rows);

/* The first row that fits counts: a word narrows its status. */
static const struct {
    int status;
    const char *word; /* NULL: any */
    enum exit_code code;
} status_rows[] = {
    /* clang-format off */
    { 400, NULL,       EXIT_USAGE },
    { 401, NULL,       EXIT_NOT_ALLOWED },
    { 403, NULL,       EXIT_NOT_ALLOWED },
    { 404, NULL,       EXIT_NOT_FOUND },
    { 409, NULL,       EXIT_CONFLICT },
    { 412, NULL,       EXIT_CONFLICT },
    { 422, "no_match", EXIT_NOT_FOUND },
    { 429, NULL,       EXIT_UNAVAILABLE },
    { 502, NULL,       EXIT_UNAVAILABLE }, /* of a proxy in between, as is 504 */
    { 503, NULL,       EXIT_UNAVAILABLE },
    { 504, NULL,       EXIT_UNAVAILABLE },
    /* clang-format on */
};

enum exit_code exit_of_status(int status, struct text word)
{
    for (size_t i = 0; i < COUNT(status_rows); i++) {
        const char *wanted = status_rows[i].word;
        if (status_rows[i].status == status && (!wanted || text_equal(word, text_from(wanted))))
            return status_rows[i].code;
    }
    return EXIT_OTHER;
}

enum exit_code exit_of_err(const struct err *err)
{
    switch (err->code) {
    case ERR_UNAVAILABLE: return EXIT_UNAVAILABLE;
    case ERR_INVALID:
    case ERR_USAGE: return EXIT_USAGE;
    default: return EXIT_OTHER;
    }
}
