/* SPDX-License-Identifier: Apache-2.0
 * suite.h - cmocka with the headers it wants before it, and a few claims about dides' own types. */
#ifndef DIDES_TEST_SUITE_H
#define DIDES_TEST_SUITE_H

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_text(actual, expected)                                                              \
    do {                                                                                           \
        struct text actual_ = (actual), expected_ = text_from(expected);                           \
        if (!text_equal(actual_, expected_))                                                       \
            fail_msg("\"%.*s\" instead of \"%s\"", TEXT_ARG(actual_), (expected));                 \
    } while (0)

#endif
