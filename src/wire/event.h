/* SPDX-License-Identifier: Apache-2.0
 * event.h - journal entries as JSON: what is stored, streamed and audited is the same text.
 *
 *   {"index","type","deployment_id","labels":{},"selector","instance","time","actor","reason",
 *    "old":{},"new":{}}
 *
 * deployment_id, instance, actor and reason are null where there are none; labels (of the instance,
 * after the change) in entries about a rollout; selector (of the rollout, canonical) in those about
 * an instance. The two are what event_filter.h judges. `old` and `new` hold what the type is about,
 * named as in the API:
 *
 *   instance.registered  new: ip, labels
 *   instance.updated     what changed of status, status_name, current_state, labels; new: message,
 *                        when there is one. When none of them changed: new: ip, message
 *   instance.online      online
 *   instance.offline     online
 *   instance.deleted     old: ip, labels, current_state
 *   member.picked        desired_state; new: attempt, deadline_at
 *   member.completed     new: update_state, current_state
 *   member.failed        new: update_state, cause, status, status_name, current_state, message
 *   member.joined        new: update_state
 *   member.left          (nothing)
 *   rollout.created      new: status, status_name, selector, code_version, configuration_version,
 *                        retry_of, rollback_of
 *   rollout.*            status, status_name; new: cause, outcome, progress
 *   rollback.started     new: rollback_of, restores, unresolved (how many)
 */
#ifndef DIDES_WIRE_EVENT_H
#define DIDES_WIRE_EVENT_H

#include "core/change.h"
#include "core/fleet.h"

/* Writes the entry; the change is of the present command (change.h). `now` is its time in ms. The
 * output begins as wire_read_event_head() expects it. */
void wire_write_event(struct buffer *out, const struct fleet *fleet, const struct change *change,
                      int64_t now);

#endif
