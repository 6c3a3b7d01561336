/* SPDX-License-Identifier: Apache-2.0
 * event_filter.h - which journal entries (event.h) a selector chooses: those about an instance
 * whose labels match, before the change or after it, those about a rollout with the same selector,
 * and those about neither, which concern all. Labels and selector stand in the entry as they were
 * then, so that history is judged as live entries are. Source: spec of rollouts, 9.5. */
#ifndef DIDES_WIRE_EVENT_FILTER_H
#define DIDES_WIRE_EVENT_FILTER_H

#include "core/selector.h"

struct wire_event_filter {
    struct selector selector;
    struct text quoted; /* its canonical text as JSON */
};

/* Parses a selector; everything is copied into `arena`. ERR_INVALID or ERR_MEMORY, then *ret is
 * untouched. */
bool wire_read_event_filter(struct text selector, struct arena *arena,
                            struct wire_event_filter *ret, struct err *err);

/* `json` is a whole entry. One without the members labels and selector does not pass: older
 * versions wrote such. Takes no memory and does not parse: this is done for each entry of a
 * history. */
bool wire_event_passes(const struct wire_event_filter *filter, struct text json);

#endif
