/* SPDX-License-Identifier: Apache-2.0
 * session.c - see session.h. */
#include "wire/session.h"

#include <stdio.h>

#define MARK_SIZE 17 /* of the process, with the dash */

struct text wire_session_text(uint64_t process, uint32_t number,
                              char space[static WIRE_SESSION_SIZE])
{
    int size =
        snprintf(space, WIRE_SESSION_SIZE, "%016llx-%x", (unsigned long long)process, number);
    return (struct text){ space, (size_t)size };
}

/* Whatever stands there: what cannot have been printed is found out by printing it. */
static uint32_t read_hex(struct text digits)
{
    uint32_t number = 0;
    for (size_t i = 0; i < digits.size; i++) {
        uint32_t c = (unsigned char)digits.data[i];
        number = number << 4 | ((c >= 'a' ? c - 'a' + 10u : c - '0') & 15u);
    }
    return number;
}

uint32_t wire_session_number(struct text session, uint64_t process)
{
    char space[WIRE_SESSION_SIZE];
    uint32_t number = read_hex(text_skip(session, MARK_SIZE));
    return text_equal(session, wire_session_text(process, number, space)) ? number : 0;
}
