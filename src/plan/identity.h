/* SPDX-License-Identifier: Apache-2.0
 * identity.h - what a plan rests on, as bytes to be hashed: the request, the members (key, labels,
 * version, status, online), the settings, and the version of the core. As long as they are the
 * same, so is the plan. Source: spec of rollouts, section 8. */
#ifndef DIDES_PLAN_IDENTITY_H
#define DIDES_PLAN_IDENTITY_H

#include "core/fleet.h"

struct identity_sink {
    void (*add)(void *ctx, struct text bytes);
    void *ctx;
};

/* Gives the sink the bytes, in many pieces. `request` is its canonical text, without what is said
 * for people. Labels and versions are said once and then told by numbers in the order in which they
 * come: the bytes do not depend on how the fleet is kept. O(fleet). ERR_MEMORY. */
bool identity_feed(const struct fleet *fleet, const struct selector *selector, struct text request,
                   const struct identity_sink *sink, struct err *err);

#endif
