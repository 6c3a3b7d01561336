/* SPDX-License-Identifier: Apache-2.0
 * silence_kit.h - a rollout among bystanders, most of whom fall silent and come back: for stories
 * of a frozen fleet. */
#ifndef DIDES_TEST_SILENCE_KIT_H
#define DIDES_TEST_SILENCE_KIT_H

#include "core/story.h"

#define TIMEOUT (90 * SECOND) /* of heartbeats */

/* n-1 to n-<count>, which no rollout of these stories selects. */
void bystanders(struct story *s, unsigned count);
/* Bystanders `from` to `to` say nothing from now on, and say something again. */
void fall_silent(struct story *s, unsigned from, unsigned to);
void come_back(struct story *s, unsigned from, unsigned to);

/* A rollout from 1/a to 2/b of web-01 to web-03, web-01 of them in flight, and six bystanders: 8
 * that are not in flight. */
struct rollout *one_in_flight(struct story *s, struct rollout_config config);
/* Five of the eight fall silent, and are missed. */
struct rollout *frozen_with(struct story *s, struct rollout_config config);

#endif
