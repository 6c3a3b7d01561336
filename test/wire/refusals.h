/* SPDX-License-Identifier: Apache-2.0
 * refusals.h - lists of bodies that must be refused, with how that must be said. */
#ifndef DIDES_TEST_WIRE_REFUSALS_H
#define DIDES_TEST_WIRE_REFUSALS_H

#include "base/err.h"
#include "base/suite.h"
#include "wire/fleet_kit.h"

struct refusal {
    const char *body; /* ' for " */
    enum err_code code;
    const char *pointer, *phrase; /* the phrase is a part of the sentence */
};

/* `read` decodes a body into some result and returns whether it was taken. */
typedef bool refusal_read_fn(struct text body, struct arena *arena, struct err *err);

static inline void refuse(struct kit *kit, refusal_read_fn *read, const struct refusal *list,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = { 0 };
        if (read(kit_quote(kit, list[i].body), &kit->arena, &err))
            fail_msg("taken: %s", list[i].body);
        if (err.code != list[i].code || strcmp(err.pointer, list[i].pointer) != 0 ||
            strstr(err.text, list[i].phrase) == NULL)
            fail_msg("%s: \"%s\" at \"%s\" (%s)", list[i].body, err.text, err.pointer,
                     err_word(err.code));
    }
}

#define REFUSE(kit, read, list) refuse(kit, read, list, sizeof(list) / sizeof((list)[0]))

#endif
