/* SPDX-License-Identifier: Apache-2.0
 * plan_parts.h - what the files of the plan share; nobody else includes it. */
#ifndef DIDES_SIM_PLAN_PARTS_H
#define DIDES_SIM_PLAN_PARTS_H

#include "sim/plan.h"
#include "sim/plan_document.h"

/* Fails with "place: sentence". */
bool plan_fail(const char *place, enum err_code code, struct err *err, const char *sentence);

/* No name given: the first behaviour, "normal". */
bool plan_find_behaviour(const struct plan *plan, struct text name, const char *place,
                         const struct behaviour **ret, struct err *err);

/* plan->faults. */
bool plan_read_faults(struct plan *plan, const struct faults_document *document, struct err *err);

/* plan->instances from `instances` and `generate`, in the order of the file. */
bool plan_make_fleet(struct plan *plan, const struct plan_document *document, struct err *err);

#endif
