/* SPDX-License-Identifier: Apache-2.0
 * tokens.h - the setting registration_tokens: whether its entries make sense together, and the
 * rules that the API goes by. */
#ifndef DIDES_CMD_TOKENS_H
#define DIDES_CMD_TOKENS_H

#include "cmd/settings.h"

/* Names, patterns, one source for each token. Reads no file. ERR_USAGE, naming the entry and never
 * a token. */
bool tokens_check(const struct setting_token *list, uint32_t count, struct err *err);

/* `ret` has room for `count` rules, whose texts are borrowed from `list`; it was checked. Reads the
 * files of tokens. Two entries with one token are ERR_USAGE. */
bool tokens_load(const struct setting_token *list, uint32_t count, struct token_rule *ret,
                 struct err *err);

/* An entry as JSON, without what is secret: of a token that stands in the settings, its hash. */
void tokens_print(const struct setting_token *list, uint32_t count, struct buffer *out);

/* The first line of a file, which must be TOKEN_SIZE_MIN to LIMIT_TOKEN bytes. */
bool tokens_hash_file(struct text path, unsigned char ret[static SECRET_HASH_SIZE],
                      struct err *err);

#endif
