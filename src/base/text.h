/* SPDX-License-Identifier: Apache-2.0
 * text.h - views of bytes with a length, the string type of dides.
 * A view owns nothing and need not end in NUL. Texts are UTF-8 unless a contract says bytes. */
#ifndef DIDES_BASE_TEXT_H
#define DIDES_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *data; /* may be NULL when size is 0 */
    size_t size;
};

#define TEXT(literal) ((struct text){ (literal), sizeof(literal) - 1 })
#define TEXT_NONE     ((struct text){ NULL, 0 })
/* For printf: printf("%.*s", TEXT_ARG(t)). */
#define TEXT_ARG(t) (int)(t).size, (t).data

/* NULL gives TEXT_NONE. */
static inline struct text text_from(const char *c_string)
{
    return c_string ? (struct text){ c_string, strlen(c_string) } : TEXT_NONE;
}

static inline bool text_equal(struct text a, struct text b)
{
    /* The standard leaves memcmp() with NULL undefined, even for no bytes. */
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool text_equal_nocase(struct text a, struct text b); /* ASCII letters only */
int text_compare(struct text a, struct text b);       /* bytewise; a prefix sorts first */
bool text_starts_with(struct text t, struct text prefix);
bool text_ends_with(struct text t, struct text suffix);
struct text text_trim(struct text t); /* without blanks, tabs and line ends on both sides */

/* Without the first `count` bytes, at most all. */
static inline struct text text_skip(struct text t, size_t count)
{
    if (count > t.size)
        count = t.size;
    if (count == 0) /* NULL + 0 is undefined in C */
        return t;
    return (struct text){ t.data + count, t.size - count };
}

/* Index of the first `byte`, or t.size. */
static inline size_t text_find(struct text t, char byte)
{
    const void *found = t.size ? memchr(t.data, byte, t.size) : NULL;
    return found ? (size_t)((const char *)found - t.data) : t.size;
}

/* Cuts the part of *rest before the first `separator` off and returns it; *rest becomes what
 * follows the separator. Returns false, and *ret untouched, once *rest.data is NULL: a text "a,"
 * has two parts, "a" and "". */
bool text_cut(struct text *rest, char separator, struct text *ret);

/* 64-bit hash, the same on every machine and in every run. Against crafted keys the seed must be
 * unknown to who writes them; it is no cryptographic hash. */
uint64_t text_hash(struct text t, uint64_t seed);

/* Whether `t` is well-formed UTF-8 (no overlong forms, surrogates or code points over U+10FFFF). */
bool text_is_utf8(struct text t);
/* Bytes of the one well-formed UTF-8 character that `t` begins with, 1 to 4; 0: there is none. */
size_t text_utf8_size(struct text t);
/* Whether `t` has no byte below 0x20 and no 0x7f. */
bool text_is_printable(struct text t);

/* Decimal without sign, blanks or leading zeros (except "0"). False: it is not that, or > max. */
bool text_to_u64(struct text t, uint64_t max, uint64_t *ret);

#endif
