/* SPDX-License-Identifier: Apache-2.0
 * view_shapes.h - the shapes of what view.h and the routes write, and of journal entries. */
#ifndef DIDES_WIRE_VIEW_SHAPES_H
#define DIDES_WIRE_VIEW_SHAPES_H

#include "wire/shape.h"

extern const struct shape wire_version_shape, wire_instance_shape, wire_rollout_shape,
    wire_problem_shape, wire_heartbeat_reply_shape, wire_event_shape;

/* Of whole answers. */
extern const struct shape wire_registered_shape, wire_instances_shape, wire_rollouts_shape,
    wire_live_rollouts_shape, wire_created_shape, wire_rolled_back_shape, wire_progressed_shape,
    wire_alive_shape, wire_confirmed_shape;

#endif
