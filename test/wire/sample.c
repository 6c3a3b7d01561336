/* SPDX-License-Identifier: Apache-2.0
 * sample.c - the field table with every kind. */
#include "wire/sample.h"

static const struct sm_word colors[] = { { "red", "" }, { "green", "" }, { "Blue", "" } };
static const struct sm_words color_words = { colors, 3 };
static const struct sm_word statuses[] = { { "UNKNOWN", "" }, { "HEALTHY", "" }, { "FAILED", "" } };
static const struct sm_words status_words = { statuses, 3 };

static const struct json_field inner_fields[] = {
    { .name = "name",
      .kind = JSON_TEXT,
      .flags = JSON_REQUIRED,
      JSON_AT(struct sample_inner, name),
      .min = 1,
      .max = 16,
      .meaning = "what it is called" },
    { .name = "level",
      .kind = JSON_INTEGER,
      JSON_AT(struct sample_inner, level),
      .min = 1,
      .max = 9,
      .meaning = "how high it is" },
    { .name = "a/b~c",
      .kind = JSON_TEXT,
      .flags = JSON_NULLABLE,
      JSON_AT(struct sample_inner, note),
      .max = 16,
      .meaning = "a name that needs escapes in pointers" },
};

const struct json_table sample_inner_table = {
    .name = "inner",
    .fields = inner_fields,
    .count = 3,
    .size = sizeof(struct sample_inner),
    .given_offset = offsetof(struct sample_inner, given),
};

#define AT(member)    JSON_AT(struct sample, member)
#define COUNT(member) JSON_COUNT(struct sample, member)

/* clang-format off */
static const struct json_field fields[SAMPLE_ROWS] = {
    [SAMPLE_NAME]    = { .name = "name", .alias = "nmae", .kind = JSON_TEXT, AT(name), .flags = JSON_PRINTABLE | JSON_NULLABLE,
                         .min = 1, .max = 64, .meaning = "the name" },
    [SAMPLE_ENABLED] = { .name = "enabled", .kind = JSON_BOOL, AT(enabled), .meaning = "a switch" },
    [SAMPLE_BIG]     = { .name = "big", .kind = JSON_INTEGER, AT(big), .flags = JSON_NULLABLE, .meaning = "any integer" },
    [SAMPLE_TINY]    = { .name = "tiny", .kind = JSON_INTEGER, AT(tiny), .min = -128, .max = 127, .meaning = "a byte" },
    [SAMPLE_PORT]    = { .name = "port", .kind = JSON_INTEGER, AT(port), .min = 1, .max = 65535, .meaning = "a port" },
    [SAMPLE_COLOR]   = { .name = "color", .kind = JSON_WORD, AT(color), .words = &color_words, .meaning = "a color" },
    [SAMPLE_STATUS]  = { .name = "status", .kind = JSON_WORD_OR_NUMBER, AT(status), .words = &status_words, .meaning = "a status" },
    [SAMPLE_TIMEOUT] = { .name = "timeout", .kind = JSON_DURATION, AT(timeout_ms), .min = 1000, .max = 3600000, .meaning = "a time to wait" },
    [SAMPLE_BATCH]   = { .name = "batch_size", .kind = JSON_AMOUNT, AT(batch), .min = 1, .max = 1000000, .meaning = "an amount" },
    [SAMPLE_AT]      = { .name = "at", .kind = JSON_TIME, AT(at_ms), .flags = JSON_NULLABLE, .meaning = "an instant" },
    [SAMPLE_INNER]   = { .name = "inner", .kind = JSON_OBJECT, AT(inner), .sub = &sample_inner_table, .meaning = "one inside" },
    [SAMPLE_PARTS]   = { .name = "parts", .kind = JSON_OBJECTS, AT(parts), COUNT(part_count), .max = 10, .sub = &sample_inner_table, .meaning = "many inside" },
    [SAMPLE_TAGS]    = { .name = "tags", .kind = JSON_TEXTS, AT(tags), COUNT(tag_count), .min = 1, .max = 6, .item_min = 1, .item_max = 8, .meaning = "tags" },
    [SAMPLE_LABELS]  = { .name = "labels", .kind = JSON_MAP, AT(labels), COUNT(label_count), .flags = JSON_NULL_VALUES | JSON_PRINTABLE | JSON_NULLABLE,
                         .max = 64, .key_max = 8, .item_max = 10, .meaning = "labels" },
    [SAMPLE_RAW]     = { .name = "raw", .kind = JSON_RAW, AT(raw), .max = 60, .meaning = "anything" },
};
/* clang-format on */

const struct json_table sample_table = {
    .name = "sample",
    .fields = fields,
    .count = SAMPLE_ROWS,
    .size = sizeof(struct sample),
    .given_offset = offsetof(struct sample, given),
};

const struct json_table sample_loose_table = {
    .name = "loose_sample",
    .fields = fields,
    .count = SAMPLE_ROWS,
    .unknown = JSON_UNKNOWN_IS_WARNING,
    .empty_is_object = true,
    .size = sizeof(struct sample),
    .given_offset = offsetof(struct sample, given),
};
