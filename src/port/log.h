/* SPDX-License-Identifier: Apache-2.0
 * log.h - one record of the log: a level, a fixed message and named values. The sink decides on the
 * format; it escapes everything and shows `***` for secrets. */
#ifndef DIDES_PORT_LOG_H
#define DIDES_PORT_LOG_H

#include "base/text.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARNING_, LOG_ERROR_ };

struct log_field {
    const char *name;
    struct text value;
};

struct log_port {
    /* `fields` ends with a NULL name; NULL means none. */
    void (*write)(void *self, enum log_level level, const char *message,
                  const struct log_field *fields);
    void *self;
};

#endif
