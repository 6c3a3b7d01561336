/* SPDX-License-Identifier: Apache-2.0
 * sim_report.h - a simulation in words: how a rollout goes, and what a whole run came to. */
#ifndef DIDES_CMD_SIM_REPORT_H
#define DIDES_CMD_SIM_REPORT_H

#include "sim/http_fleet.h"
#include "sim/model.h"
#include "sim/watcher.h"

#define SIM_REPORT_MAX (1024 * 1024)

/* Of the monotonic clock, for latencies. */
uint64_t sim_ticks_us(void);

/* Appends "r-3 to 2.0.0 RUNNING 40/100, ..." */
void sim_report_rollout(struct buffer *out, const struct sighting *s);
/* Totals, rollouts and their outcomes, latencies of heartbeats, violations. Safe to print. */
void sim_report(struct buffer *out, const struct http_fleet *fleet, const struct watcher *watcher,
                int64_t took_ms);

/* The same of a model, with its hash. */
void sim_report_model(struct buffer *out, const struct model *model);
/* What many seeds came to. */
void sim_report_swarm(struct buffer *out, uint64_t seeds, const struct model_counts *sum,
                      uint64_t hash, bool holds);

#endif
