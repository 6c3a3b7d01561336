/* SPDX-License-Identifier: Apache-2.0
 * view_plan.h - a forecast as the answer to a plan request. Source: spec of rollouts, section 8. */
#ifndef DIDES_WIRE_VIEW_PLAN_H
#define DIDES_WIRE_VIEW_PLAN_H

#include "wire/request.h"
#include "wire/shape.h"
#include "wire/view.h"

/* Domains that one answer lists, the first ones by the key of their first member. */
#define WIRE_PLAN_DOMAINS_SHOWN 1000u

/* Which members are listed. A cursor says how many come before and who was the last of them: that
 * finds the place again when others have come or gone since. */
struct wire_plan_page {
    uint64_t limit;
    uint32_t position;
    struct text last; /* key; empty: the first page */
};
/* ERR_INVALID. `last` is borrowed from `cursor`. */
bool wire_read_plan_cursor(struct text cursor, struct wire_plan_page *ret, struct err *err);

/* What of a request a plan rests on: without its reason and its own hash. One JSON object. */
void wire_write_plan_request(struct json_writer *w, const struct deploy_command *command);

/* The whole answer. `request` is what `forecast` was made of. */
void wire_write_plan(struct json_writer *w, const struct forecast *forecast,
                     const struct wire_plan *request, struct text hash,
                     const struct wire_plan_page *page);

extern const struct shape wire_plan_shape;

#endif
