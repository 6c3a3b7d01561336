/* SPDX-License-Identifier: Apache-2.0
 * session.h - how the number of a session (R16 of doc/reliability.md) looks on the wire: with a
 * mark of the process that gave it, because numbers begin anew in each. */
#ifndef DIDES_WIRE_SESSION_H
#define DIDES_WIRE_SESSION_H

#include "base/text.h"

#define WIRE_SESSION_MAX  64 /* accepted from agents, who take it for opaque */
#define WIRE_SESSION_SIZE 32 /* as printed, with its NUL, at most */

/* "1f6ac2d0935be788-2a" in `space`: `process` is random, `number` that of the core. */
struct text wire_session_text(uint64_t process, uint32_t number,
                              char space[static WIRE_SESSION_SIZE]);
/* The number, or 0: it is none of this process. */
uint32_t wire_session_number(struct text session, uint64_t process);

#endif
