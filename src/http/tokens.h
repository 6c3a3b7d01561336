/* SPDX-License-Identifier: Apache-2.0
 * tokens.h - the registration tokens of the settings: which token may register which instances, and
 * until when (spec of rollouts, G3). Pure: only hashes of tokens are known here. */
#ifndef DIDES_HTTP_TOKENS_H
#define DIDES_HTTP_TOKENS_H

#include "http/secret.h"

#define TOKEN_RULES_MAX   256
#define TOKEN_SIZE_MIN    16 /* bytes of a token that somebody thought of */
#define TOKEN_NAME_MAX    64
#define TOKEN_PATTERN_MAX 253

struct token_rule {
    struct text name;    /* shown in log and journal: no secret */
    struct text pattern; /* over the key of the instance; empty: any */
    int64_t expires_at;  /* ms since the epoch; 0: never */
    unsigned char hash[SECRET_HASH_SIZE];
};

/* The rule of that token, expired or not; NULL: there is none. Takes as long for a right token as
 * for a wrong one. */
const struct token_rule *token_find(const struct token_rule *rules, size_t count,
                                    struct text token);
bool token_is_expired(const struct token_rule *rule, int64_t now);

/* Names are 1 to TOKEN_NAME_MAX of A-Z a-z 0-9 - . _ */
bool token_name_is_sound(struct text name);

/* Patterns: `*` stands for any number of bytes, `?` for one character, everything else for itself.
 * What other languages use for more ([]{}\) is refused lest it be taken for itself. ERR_INVALID. */
bool pattern_check(struct text pattern, struct err *err);
bool pattern_matches(struct text pattern, struct text key);

#endif
