/* SPDX-License-Identifier: Apache-2.0
 * event_view.h - an event as one sentence for people: "web-1 HEALTHY -> DEGRADED: disk is full".
 * Every member may be missing: an older or newer server is no reason to show nothing. */
#ifndef DIDES_CMD_EVENT_VIEW_H
#define DIDES_CMD_EVENT_VIEW_H

#include "base/buffer.h"
#include "wire/json_pull.h"

/* Appends what `event` (wire/event.h) of that type says, and at its end by whom and why, where it
 * is something that people do. A type that is not known: whom it is about, then old and new as
 * JSON. Texts are as the server gave them: terminal_add() comes after. */
void event_view_add(struct buffer *out, struct text type, const struct json_node *event);

#endif
