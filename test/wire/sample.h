/* SPDX-License-Identifier: Apache-2.0
 * sample.h - a field table with every kind, for the tests of this folder. */
#ifndef DIDES_TEST_WIRE_SAMPLE_H
#define DIDES_TEST_WIRE_SAMPLE_H

#include "wire/json_table.h"

struct sample_inner {
    struct json_given given;
    struct text name;
    uint8_t level; /* 1 to 9 */
    struct text note;
};

struct sample {
    struct json_given given;
    struct text name;
    bool enabled;
    int64_t big;
    int8_t tiny;
    uint16_t port;
    uint8_t color;
    uint32_t status;
    int64_t timeout_ms;
    struct amount batch;
    int64_t at_ms;
    struct sample_inner inner;
    struct sample_inner *parts;
    uint32_t part_count;
    struct text *tags;
    uint32_t tag_count;
    struct json_pair *labels;
    uint32_t label_count;
    struct text raw;
};

enum sample_row {
    SAMPLE_NAME,
    SAMPLE_ENABLED,
    SAMPLE_BIG,
    SAMPLE_TINY,
    SAMPLE_PORT,
    SAMPLE_COLOR,
    SAMPLE_STATUS,
    SAMPLE_TIMEOUT,
    SAMPLE_BATCH,
    SAMPLE_AT,
    SAMPLE_INNER,
    SAMPLE_PARTS,
    SAMPLE_TAGS,
    SAMPLE_LABELS,
    SAMPLE_RAW,
    SAMPLE_ROWS
};

extern const struct json_table sample_table;       /* unknown keys are errors */
extern const struct json_table sample_loose_table; /* the same rows; they are warnings */
extern const struct json_table sample_inner_table; /* "name" is required */

#endif
