/* SPDX-License-Identifier: Apache-2.0
 * err.h - errors as values: a stable code and a sentence. One list gives the word clients match on,
 * the HTTP status and the title of the problem document; src/grpc adds its own column.
 * Source of codes and statuses: spec of the HTTP API, "Status codes". */
#ifndef DIDES_BASE_ERR_H
#define DIDES_BASE_ERR_H

#include "base/text.h"

#include <stdarg.h>

/* clang-format off */
/*    id                      word                      HTTP  again  title                                */
#define ERR_CODES(X)                                                                                          \
    X(ERR_NONE,               "none",                   200,  false, "no error")                              \
    X(ERR_INVALID,            "invalid",                400,  false, "the request is wrong in itself")        \
    X(ERR_BAD_JSON,           "bad_json",               400,  false, "the body is not valid JSON")            \
    X(ERR_UNKNOWN_KEY,        "unknown_key",            400,  false, "the body has a key that is not known")  \
    X(ERR_NOT_SUPPORTED,      "not_supported",          400,  false, "this is reserved and not available yet") \
    X(ERR_UNAUTHENTICATED,    "unauthenticated",        401,  false, "token or credential missing or wrong")  \
    X(ERR_FORBIDDEN,          "forbidden",              403,  false, "known, but not allowed")                \
    X(ERR_NOT_FOUND,          "not_found",              404,  false, "there is no such thing")                \
    X(ERR_NO_ROLLBACK_TARGET, "no_rollback_target",     404,  false, "there is nothing to roll back to")      \
    X(ERR_METHOD,             "method_not_allowed",     405,  false, "the route knows other methods")         \
    X(ERR_REFUSED,            "refused",                409,  false, "the present state does not allow it")   \
    X(ERR_IN_PROGRESS,        "rollout_in_progress",    409,  false, "another rollout is live")               \
    X(ERR_OVERLAPPING,        "overlapping_selector",   409,  false, "a live rollout may select the same instances") \
    X(ERR_NOTHING_TO_PROMOTE, "nothing_to_promote",     409,  false, "no soak, gate or hold is waiting")      \
    X(ERR_NOTHING_TO_RETRY,   "nothing_to_retry",       409,  false, "no member needs another attempt")       \
    X(ERR_SESSION,            "session_ended",          409,  false, "the report belongs to a session that has ended") \
    X(ERR_GONE,               "gone",                   410,  false, "this index is no longer kept")          \
    X(ERR_PRECONDITION,       "precondition_failed",    412,  false, "the object has changed meanwhile")      \
    X(ERR_TOO_LARGE,          "body_too_large",         413,  false, "the body is larger than its limit")     \
    X(ERR_URI_TOO_LONG,       "uri_too_long",           414,  false, "the request line is too long")          \
    X(ERR_NO_MATCH,           "no_match",               422,  false, "the selector matches no instance")      \
    X(ERR_INFEASIBLE,         "infeasible",             422,  false, "right in form, impossible here")        \
    X(ERR_KEY_REUSED,         "idempotency_key_reused", 422,  false, "the key was used with another body")    \
    X(ERR_RATE,               "rate_limited",           429,  true,  "too many requests from this client")    \
    X(ERR_HEADERS_TOO_LARGE,  "headers_too_large",      431,  false, "the request head is too large")         \
    X(ERR_CODING,             "unknown_coding",         501,  false, "the body has a transfer coding that is not known") \
    X(ERR_INTERNAL,           "internal",               500,  false, "a promise inside dides was broken")     \
    X(ERR_UNAVAILABLE,        "unavailable",            503,  true,  "not ready, stopping, or overloaded")    \
    X(ERR_FULL,               "limit_reached",          503,  true,  "a configured maximum is reached")       \
    X(ERR_STORE,              "store_unavailable",      503,  true,  "the store does not accept writes now")  \
    X(ERR_MEMORY,             "out_of_memory",          503,  true,  "there is no memory for this")           \
    X(ERR_IO,                 "io",                     500,  false, "reading or writing failed")             \
    X(ERR_CORRUPT,            "corrupt",                500,  false, "stored data is damaged")                \
    X(ERR_USAGE,              "usage",                  400,  false, "wrong usage of the command line")
/* clang-format on */

enum err_code {
#define ERR_ITEM(id, word, http, again, title) id,
    ERR_CODES(ERR_ITEM)
#undef ERR_ITEM
        ERR_CODE_COUNT
};

/* Longest sentence and pointer, NUL included; longer ones are cut, never overflow. */
#define ERR_TEXT_SIZE    320
#define ERR_POINTER_SIZE 128

/* Zero-initialised means "no error yet". The sentence says what was wrong and what is allowed. It
 * holds no secret; excerpts of input are escaped and bounded by err_excerpt(). */
struct err {
    enum err_code code;
    char text[ERR_TEXT_SIZE];
    char pointer[ERR_POINTER_SIZE]; /* JSON pointer (RFC 6901) to the faulty value, or "" */
};

/* Sets *err (NULL is allowed: the error is dropped) and returns false, so that callers can write
 * `return err_set(err, ERR_INVALID, "...")`. A text set before is replaced. */
__attribute__((format(printf, 3, 4))) bool err_set(struct err *err, enum err_code code,
                                                   const char *format, ...);
/* The same with the place of the fault in the document. */
__attribute__((format(printf, 4, 5))) bool err_set_at(struct err *err, enum err_code code,
                                                      const char *pointer, const char *format, ...);
/* Puts "prefix: " before the sentence, for callers who know more about the place. */
__attribute__((format(printf, 2, 3))) void err_prefix(struct err *err, const char *format, ...);

const char *err_word(enum err_code code);
const char *err_title(enum err_code code);
int err_http_status(enum err_code code);
bool err_is_retryable(enum err_code code);

/* Writes at most 48 bytes of `t`, control characters and non-UTF-8 as \xNN, "..." when cut, into
 * `space` (ERR_EXCERPT_SIZE bytes) and returns it. */
#define ERR_EXCERPT_SIZE 200
const char *err_excerpt(struct text t, char space[static ERR_EXCERPT_SIZE]);

#endif
