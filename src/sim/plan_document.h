/* SPDX-License-Identifier: Apache-2.0
 * plan_document.h - the file as its field tables decode it, before names are looked up. For the
 * other files of the plan only. */
#ifndef DIDES_SIM_PLAN_DOCUMENT_H
#define DIDES_SIM_PLAN_DOCUMENT_H

#include "wire/json_table.h"

struct start_document {
    struct text code, config;
};

struct instance_document {
    struct text name, ip, behaviour;
    struct json_pair *labels;
    uint32_t label_count;
    struct start_document start;
};

struct generate_document {
    uint32_t count;
    struct text prefix, base_ip, behaviour;
    struct json_pair *labels;
    uint32_t label_count;
    struct text choose; /* JSON: {key: {value: weight}} */
    struct start_document start;
};

struct slow_document {
    struct text share;
    uint32_t factor;
};

struct behaviour_document {
    struct text latency, failure_rate, crash, lie, code_version;
    int64_t flap_ms;
    struct slow_document slow;
};

struct behave_document {
    struct text selector, behaviour;
};

struct verb_document {
    struct text verb, id, reason;
    bool is_full; /* of promote */
};

struct step_document {
    int64_t at_ms;
    struct text deploy, rollback; /* JSON */
    struct behave_document behave;
    struct verb_document verb;
    struct json_given given;
};

enum step_row { STEP_AT, STEP_DEPLOY, STEP_ROLLBACK, STEP_BEHAVE, STEP_VERB, STEP_ROWS };

struct every_document {
    int64_t every_ms;
    struct text down;
};

struct commit_document {
    struct text takes, fail;
};

struct silence_document {
    struct text share;
    int64_t from_ms, until_ms;
};

struct faults_document {
    struct text loss, duplicate, delay;
    struct every_document crash, silent, restart;
    struct commit_document commit;
    struct silence_document *silence;
    uint32_t silence_count;
    int64_t until_ms;
};

struct plan_document {
    uint8_t mode;
    struct text server, token;
    uint64_t seed;
    uint32_t speed, max_concurrent;
    int64_t wait_ms;
    struct instance_document *instances;
    struct generate_document *generate;
    uint32_t instance_count, generate_count;
    struct text behaviours; /* JSON: {name: behaviour} */
    struct step_document *script;
    uint32_t step_count;
    struct faults_document faults;
    struct json_given given;
};

enum plan_row {
    PLAN_MODE,
    PLAN_SERVER,
    PLAN_TOKEN,
    PLAN_SEED,
    PLAN_SPEED,
    PLAN_MAX_CONCURRENT,
    PLAN_WAIT,
    PLAN_INSTANCES,
    PLAN_GENERATE,
    PLAN_BEHAVIOURS,
    PLAN_SCRIPT,
    PLAN_FAULTS,
    PLAN_ROWS
};

extern const struct json_table plan_table;
extern const struct json_table behaviour_table;
extern const struct json_table faults_table;

#endif
