/* SPDX-License-Identifier: Apache-2.0
 * exit_code.h - how commands end. One list gives the numbers and what the man pages say of them.
 * Source: spec of rollouts, section 11. */
#ifndef DIDES_CMD_EXIT_CODE_H
#define DIDES_CMD_EXIT_CODE_H

#include "base/err.h"

/* clang-format off */
#define EXIT_CODES(X)                                                                           \
    X(EXIT_DONE,         0,  "Done; when waiting: the rollout completed")                       \
    X(EXIT_OTHER,        1,  "Any other error")                                                 \
    X(EXIT_CHANGES,      2,  "Of plan: there are changes to make")                              \
    X(EXIT_NOT_UNDONE,   3,  "The rollout failed, and no rollback of it completed")             \
    X(EXIT_UNDONE,       4,  "The rollout failed, and its rollback completed")                  \
    X(EXIT_TIMEOUT,      5,  "Timeout while waiting")                                           \
    X(EXIT_STOPPED,      6,  "The rollout is paused, or stands at a gate for a person")         \
    X(EXIT_CONFLICT,     7,  "Conflict with the present state")                                 \
    X(EXIT_NOT_FOUND,    8,  "Not found, or no match")                                          \
    X(EXIT_NOT_ALLOWED,  9,  "Not authorised")                                                  \
    X(EXIT_USAGE,        64, "Wrong usage, or a request that is wrong in itself")               \
    X(EXIT_UNAVAILABLE,  75, "Server unavailable; try again")
/* clang-format on */

enum exit_code {
#define EXIT_ITEM(id, number, meaning) id = number,
    EXIT_CODES(EXIT_ITEM)
#undef EXIT_ITEM
};

struct exit_row {
    enum exit_code code;
    const char *meaning;
};
extern const struct exit_row exit_rows[];
extern const size_t exit_row_count;

/* For an answer that is no success: by its HTTP status and, where that leaves it open, the word of
 * its problem document (may be empty). */
enum exit_code exit_of_status(int status, struct text word);
/* For a request that got no answer, or an error found on this side. */
enum exit_code exit_of_err(const struct err *err);

#endif
