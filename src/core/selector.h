/* SPDX-License-Identifier: Apache-2.0
 * selector.h - label conditions that choose instances.
 *     req *("," req)     req = key ("=" | "==" | "!=") value | key ("in" | "notin") "(" values ")"
 *                              | key | "!" key
 * Keys and values are bare texts, without , = ! ( ) " blanks and control characters, or "quoted"
 * ones, where \" and \\ stand for a quote and a backslash. Blanks, tabs and line ends may stand
 * between them. Requirements are joined by "and". The canonical text decides whether two selectors
 * are the same. Source: spec of rollouts, 9.4. */
#ifndef DIDES_CORE_SELECTOR_H
#define DIDES_CORE_SELECTOR_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "core/labels.h"

enum selector_op {
    SELECTOR_IN,     /* has the key, with one of the values ("=" is "in" with one) */
    SELECTOR_NOT_IN, /* has not the key, or another value */
    SELECTOR_HAS,
    SELECTOR_HAS_NOT,
};

struct requirement {
    struct text key;
    enum selector_op op;
    struct text *values; /* sorted, no duplicates */
    size_t value_count;  /* 0 for HAS and HAS_NOT, else at least 1 */
};

/* Sorted and without duplicates: the canonical form. No requirement selects everything. */
struct selector {
    struct requirement *list;
    size_t count;
};

/* Both forms of a request at once: `text` and `labels` (each an "=" requirement) are joined by
 * "and". Everything is copied into `arena`. Fails with ERR_INVALID (the sentence names the byte,
 * what was found there and what is allowed), or ERR_MEMORY; then *ret is untouched. Nothing but
 * blanks, and no labels, is the selector that selects everything. A removal among `labels` is
 * ERR_INVALID. */
bool selector_parse(struct text text, const struct label_change *labels, size_t label_count,
                    struct arena *arena, struct selector *ret, struct err *err);
/* Sorts the requirements and their values and drops what is there twice. selector_parse has done
 * it; this is for selectors that are made by hand, whose arrays it changes. */
void selector_canonicalise(struct selector *selector);
/* The canonical text, at most LIMIT_SELECTOR bytes for what selector_parse accepted; "" selects
 * everything. Parsing it again gives the same selector. */
void selector_print(const struct selector *selector, struct buffer *out);

bool selector_matches(const struct selector *selector, const struct label_sets *sets,
                      uint32_t labels);
bool selector_equal(const struct selector *a, const struct selector *b);
/* Whether no label set can match both: some key whose allowed value sets do not intersect. False
 * means "not provable", not "overlapping". */
bool selector_disjoint(const struct selector *a, const struct selector *b);

#endif
