/* SPDX-License-Identifier: Apache-2.0
 * yaml_read.h - YAML documents become JSON text, so that files go through the same field tables as
 * requests. The readable part of YAML 1.2 only, core schema: plain `on`, `yes` and `no` are texts.
 */
#ifndef DIDES_WIRE_YAML_READ_H
#define DIDES_WIRE_YAML_READ_H

#include "base/buffer.h"
#include "base/err.h"

#define YAML_SIZE_MAX (1024 * 1024) /* bytes of a document */

/* Appends the document as JSON to `out`. Plain scalars that are null, true, false, integers (0x and
 * 0o too) or floats become such, written as JSON writes them; all else is text. A file without a
 * document appends nothing. Refused, because a reader would be misled: anchors, aliases, tags,
 * merge keys, several documents, duplicate keys, keys that are no scalars, .inf and .nan, NUL,
 * nesting deeper than LIMIT_JSON_DEPTH, more than YAML_SIZE_MAX bytes. Fails with ERR_INVALID, the
 * sentence starting "line 3, column 5: " (or "byte 7: " for bytes that no text has), or ERR_MEMORY;
 * what was appended then is of no use. libyaml takes its memory from the heap of the C library. */
bool yaml_to_json(struct text yaml, struct buffer *out, struct err *err);

#endif
