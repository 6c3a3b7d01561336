/* SPDX-License-Identifier: Apache-2.0
 * yaml_scalar.h - what a plain scalar means in the core schema of YAML 1.2 (section 10.3.2). */
#ifndef DIDES_WIRE_YAML_SCALAR_H
#define DIDES_WIRE_YAML_SCALAR_H

#include "base/buffer.h"

enum yaml_scalar {
    YAML_SCALAR_TEXT,
    YAML_SCALAR_JSON,       /* was appended */
    YAML_SCALAR_NOT_FINITE, /* .inf or .nan: JSON has no such number */
    YAML_SCALAR_TOO_LARGE,  /* hexadecimal or octal beyond 64 bits */
};

/* Appends the JSON of null, bools and numbers to `out`; a text is left to the caller. */
enum yaml_scalar yaml_scalar_resolve(struct text plain, struct buffer *out);

#endif
