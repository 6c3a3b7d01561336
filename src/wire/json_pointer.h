/* SPDX-License-Identifier: Apache-2.0
 * json_pointer.h - JSON pointers (RFC 6901) in a fixed space, cut when they are too long. */
#ifndef DIDES_WIRE_JSON_POINTER_H
#define DIDES_WIRE_JSON_POINTER_H

#include "base/err.h"
#include "base/text.h"

struct json_pointer {
    char text[ERR_POINTER_SIZE]; /* ends in NUL */
    size_t size;
    bool is_cut;
};

/* Appends "/" and the key, with ~ and / escaped. Nothing is added once the pointer is cut. */
void json_pointer_key(struct json_pointer *p, struct text key);
void json_pointer_index(struct json_pointer *p, uint32_t index);

#endif
