/* SPDX-License-Identifier: Apache-2.0
 * banned.h - calls that do not compile in dides: unbounded, locale-bound, or with hidden state.
 * Force-included into every file by the build. Use text.h, buffer.h and format.h. */
#ifndef DIDES_BASE_BANNED_H
#define DIDES_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* With _FORTIFY_SOURCE and clang these are macros, which cannot be poisoned. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol atoll gets
#pragma GCC poison gmtime localtime asctime ctime mktemp tmpnam system popen rand srand

#endif
