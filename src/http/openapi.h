/* SPDX-License-Identifier: Apache-2.0
 * openapi.h - the description of the API that machines read. */
#ifndef DIDES_HTTP_OPENAPI_H
#define DIDES_HTTP_OPENAPI_H

#include "base/buffer.h"

#define OPENAPI_SIZE_MAX ((size_t)4 << 20)

/* The document in OpenAPI 3.1, in one line, printed from the table of routes: the same bytes each
 * time. `out` has been initialised, and fails when there is no memory. */
void openapi_write(struct buffer *out);

#endif
