/* SPDX-License-Identifier: Apache-2.0
 * change.c - the words of journal entries. */
#include "core/change.h"

const char *change_word(enum change_type type)
{
    static const char *const words[] = {
#define CHANGE_WORD(id, word, meaning) [id] = word,
        CHANGES(CHANGE_WORD)
#undef CHANGE_WORD
    };
    return type < CHANGE_TYPE_COUNT ? words[type] : "?";
}
