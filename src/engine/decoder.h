/* SPDX-License-Identifier: Apache-2.0
 * decoder.h - stored instances on their way into the fleet. Reading their JSON is most of what a
 * start costs, so a second thread helps with it. They are added by the caller's thread in the order
 * in which they came: nothing depends on which thread decoded what. */
#ifndef DIDES_ENGINE_DECODER_H
#define DIDES_ENGINE_DECODER_H

#include "core/fleet.h"

struct decoder;

/* Without `has_thread` the caller's does all. NULL: no memory. */
struct decoder *decoder_new(struct fleet *fleet, bool has_thread);
/* Copies the pair; it or others before it may be added now. ERR_CORRUPT, ERR_MEMORY: of any of
 * them; then only decoder_free() may follow. */
bool decoder_take(struct decoder *decoder, struct text key, struct text value, struct err *err);
/* Until all that were taken are in the fleet. Fails likewise. */
bool decoder_drain(struct decoder *decoder, struct err *err);
void decoder_free(struct decoder *decoder); /* NULL is allowed */

#endif
