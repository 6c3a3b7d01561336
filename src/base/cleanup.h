/* SPDX-License-Identifier: Apache-2.0
 * cleanup.h - resources that go when their name leaves its scope. */
#ifndef DIDES_BASE_CLEANUP_H
#define DIDES_BASE_CLEANUP_H

#define cleanup(function) __attribute__((cleanup(function)))

/* For a type whose destructor takes a pointer to it and accepts a zeroed one:
 * `cleanup(buffer_release) struct buffer body = { 0 };` */

/* Hands a pointer on: the variable becomes NULL, so its cleanup does nothing. */
#define TAKE_PTR(pointer)                                                                          \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

#endif
