/* SPDX-License-Identifier: Apache-2.0
 * json_value.h - one scalar of JSON against one field: bounds checked, then stored. */
#ifndef DIDES_WIRE_JSON_VALUE_H
#define DIDES_WIRE_JSON_VALUE_H

#include "base/err.h"
#include "wire/json_table.h"

enum json_token_kind { JSON_TOKEN_NULL, JSON_TOKEN_BOOL, JSON_TOKEN_NUMBER, JSON_TOKEN_TEXT };

struct json_token {
    enum json_token_kind kind;
    bool truth;
    struct text text; /* of a number as written, of a text unescaped; kept by who has the result */
};

/* Stores `token` in the member `at`. False: *ret_hint may say why in a clause, or is untouched.
 * Never for null, nor for kinds that are not scalars. */
bool json_value_store(const struct json_field *field, const struct json_token *token, void *at,
                      const char **ret_hint);

/* Whether a text (an item of a list, a key or value of a map) keeps to the limits. */
bool json_text_fits(const struct json_field *field, struct text t, size_t min, size_t max,
                    const char **ret_hint);

/* Unsigned or signed integers of 1, 2, 4 or 8 bytes. */
int64_t json_integer_load(const void *at, size_t size, bool is_signed);
void json_integer_store(void *at, size_t size, int64_t value);

#endif
