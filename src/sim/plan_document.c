/* SPDX-License-Identifier: Apache-2.0
 * plan_document.c - the keys of a simulation file, their bounds and what they mean. */
#include "sim/plan_document.h"

#include "base/limits.h"
#include "sim/plan.h"

static const struct sm_word modes[] = {
    [PLAN_HTTP] = { "http", "the agents' protocol against a server, in real time" },
    [PLAN_VIRTUAL] = { "virtual", "the core in this process, under a virtual clock" },
};
static const struct sm_words mode_words = { modes, 2 };

#define ROWS(list)    (uint8_t)(sizeof(list) / sizeof((list)[0]))
#define AT(member)    JSON_AT(struct DOCUMENT, member)
#define COUNT(member) JSON_COUNT(struct DOCUMENT, member)
#define LABELS                                                                                     \
    {                                                                                              \
        .name = "labels", .kind = JSON_MAP, .flags = JSON_PRINTABLE, AT(labels),                   \
        COUNT(label_count), .max = LIMIT_LABELS, .key_max = LIMIT_LABEL_KEY,                       \
        .item_max = LIMIT_LABEL_VALUE, .meaning = "labels of the instance"                         \
    }
#define START                                                                                      \
    {                                                                                              \
        .name = "start", .kind = JSON_OBJECT, AT(start), .sub = &start_table,                      \
        .meaning = "the version that runs at first"                                                \
    }
#define BEHAVIOUR                                                                                  \
    {                                                                                              \
        .name = "behaviour", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(behaviour), .min = 1,  \
        .max = LIMIT_NAME, .meaning = "one of the behaviours; default normal"                      \
    }

/* clang-format off */
#define DOCUMENT start_document
static const struct json_field start_fields[] = {
    { .name = "code_version", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(code), .min = 1, .max = LIMIT_VERSION, .meaning = "of the code" },
    { .name = "configuration_version", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(config), .min = 1, .max = LIMIT_VERSION, .meaning = "of the configuration" },
};
static const struct json_table start_table = {
    .name = "sim_start", .fields = start_fields, .count = ROWS(start_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT instance_document
static const struct json_field instance_fields[] = {
    { .name = "name", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(name), .min = 1, .max = LIMIT_NAME, .meaning = "its name" },
    { .name = "ip", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(ip), .min = 1, .max = 45, .meaning = "its address" },
    LABELS, START, BEHAVIOUR,
};
static const struct json_table instance_table = {
    .name = "sim_instance", .fields = instance_fields, .count = ROWS(instance_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT generate_document
static const struct json_field generate_fields[] = {
    { .name = "count", .kind = JSON_INTEGER, .flags = JSON_REQUIRED, AT(count), .min = 1, .max = PLAN_INSTANCES_MAX, .meaning = "how many" },
    { .name = "prefix", .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, AT(prefix), .min = 1, .max = 200, .meaning = "names are the prefix and 1, 2, ..." },
    { .name = "base_ip", .kind = JSON_TEXT, AT(base_ip), .min = 7, .max = 15, .meaning = "addresses count up from the one after it" },
    LABELS,
    { .name = "choose", .kind = JSON_RAW, AT(choose), .max = LIMIT_BODY, .meaning = "labels by chance: {key: {value: weight}}" },
    START, BEHAVIOUR,
};
static const struct json_table generate_table = {
    .name = "sim_generate", .fields = generate_fields, .count = ROWS(generate_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT slow_document
static const struct json_field slow_fields[] = {
    { .name = "share", .kind = JSON_TEXT, .flags = JSON_REQUIRED, AT(share), .min = 2, .max = 8, .meaning = "share of the updates, such as 5%" },
    { .name = "factor", .kind = JSON_INTEGER, .flags = JSON_REQUIRED, AT(factor), .min = 1, .max = PLAN_FACTOR_MAX, .meaning = "how many times as long they take" },
};
static const struct json_table slow_table = {
    .name = "sim_slow", .fields = slow_fields, .count = ROWS(slow_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT behaviour_document
static const struct json_field behaviour_fields[] = {
    { .name = "latency", .kind = JSON_TEXT, AT(latency), .min = 2, .max = 64, .meaning = "time an update takes, 20s-90s or 30s" },
    { .name = "failure_rate", .kind = JSON_TEXT, AT(failure_rate), .min = 2, .max = 8, .meaning = "share of updates that end FAILED" },
    { .name = "crash", .kind = JSON_TEXT, AT(crash), .min = 2, .max = 8, .meaning = "share of updates in which it falls silent for ever" },
    { .name = "flap", .kind = JSON_DURATION, AT(flap_ms), .min = 1, .max = DURATION_MAX_MS, .meaning = "period of HEALTHY and DEGRADED after an update" },
    { .name = "slow", .kind = JSON_OBJECT, AT(slow), .sub = &slow_table, .meaning = "updates that take longer" },
    { .name = "lie", .kind = JSON_TEXT, AT(lie), .min = 2, .max = 8, .meaning = "share of updates that are claimed at once and taken back later" },
    { .name = "code_version", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(code_version), .min = 1, .max = LIMIT_VERSION, .meaning = "the shares are of updates to this code version only" },
};
const struct json_table behaviour_table = {
    .name = "sim_behaviour", .fields = behaviour_fields, .count = ROWS(behaviour_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT behave_document
static const struct json_field behave_fields[] = {
    { .name = "selector", .kind = JSON_TEXT, AT(selector), .max = LIMIT_SELECTOR, .meaning = "which instances; default all" },
    { .name = "behaviour", .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, AT(behaviour), .min = 1, .max = LIMIT_NAME, .meaning = "how they behave from then on" },
};
static const struct json_table behave_table = {
    .name = "sim_behave", .fields = behave_fields, .count = ROWS(behave_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT verb_document
static const struct json_field verb_fields[] = {
    { .name = "verb", .kind = JSON_TEXT, .flags = JSON_REQUIRED | JSON_PRINTABLE, AT(verb), .min = 1, .max = 16, .meaning = "pause, resume, promote, abort or retry" },
    { .name = "id", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(id), .min = 3, .max = 16, .meaning = "of the rollout; default the one that is live then" },
    { .name = "reason", .kind = JSON_TEXT, AT(reason), .min = 1, .max = LIMIT_REASON, .meaning = "for the journal" },
    { .name = "full", .kind = JSON_BOOL, AT(is_full), .meaning = "of promote: all later soaks and gates too" },
};
static const struct json_table verb_table = {
    .name = "sim_verb", .fields = verb_fields, .count = ROWS(verb_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT step_document
static const struct json_field step_fields[] = {
    [STEP_AT]       = { .name = "at", .kind = JSON_DURATION, .flags = JSON_REQUIRED, AT(at_ms), .max = DURATION_MAX_MS, .meaning = "time since the start" },
    [STEP_DEPLOY]   = { .name = "deploy", .kind = JSON_RAW, AT(deploy), .max = LIMIT_BODY, .meaning = "body of POST /deploy" },
    [STEP_ROLLBACK] = { .name = "rollback", .kind = JSON_RAW, AT(rollback), .max = LIMIT_BODY, .meaning = "body of POST /deploy/rollback" },
    [STEP_BEHAVE]   = { .name = "behave", .kind = JSON_OBJECT, AT(behave), .sub = &behave_table, .meaning = "instances behave otherwise from then on" },
    [STEP_VERB]     = { .name = "verb", .kind = JSON_OBJECT, AT(verb), .sub = &verb_table, .meaning = "POST /deploy/{id}/{verb}" },
};
static const struct json_table step_table = {
    .name = "sim_step", .fields = step_fields, .count = STEP_ROWS,
    .size = sizeof(struct DOCUMENT), .given_offset = offsetof(struct DOCUMENT, given) };
#undef DOCUMENT

#define DOCUMENT every_document
#define EVERY(what) { .name = "every", .kind = JSON_DURATION, .flags = JSON_REQUIRED, AT(every_ms), .min = 1, .max = DURATION_MAX_MS, .meaning = what }
#define DOWN(what)  { .name = "down", .kind = JSON_TEXT, AT(down), .min = 2, .max = 64, .meaning = what }
static const struct json_field crash_fields[] = { EVERY("how often, on average, in the whole fleet"), DOWN("for how long, 5s-60s or 10s; default 0s") };
static const struct json_table crash_table = {
    .name = "sim_crash", .fields = crash_fields, .count = ROWS(crash_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
static const struct json_field silent_fields[] = { EVERY("how often, on average, in the whole fleet") };
static const struct json_table silent_table = {
    .name = "sim_silent", .fields = silent_fields, .count = ROWS(silent_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
static const struct json_field restart_fields[] = { EVERY("how often, on average"), DOWN("for how long nobody answers, 0s-2m; default 0s") };
static const struct json_table restart_table = {
    .name = "sim_restart", .fields = restart_fields, .count = ROWS(restart_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT commit_document
static const struct json_field commit_fields[] = {
    { .name = "takes", .kind = JSON_TEXT, AT(takes), .min = 2, .max = 64, .meaning = "how long a commit takes, 0ms-20ms; answers wait for it" },
    { .name = "fail", .kind = JSON_TEXT, AT(fail), .min = 2, .max = 8, .meaning = "share of commits that the store refuses: the changes are taken back" },
};
static const struct json_table commit_table = {
    .name = "sim_commit", .fields = commit_fields, .count = ROWS(commit_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT silence_document
static const struct json_field silence_fields[] = {
    { .name = "share", .kind = JSON_TEXT, .flags = JSON_REQUIRED, AT(share), .min = 2, .max = 8, .meaning = "of the fleet, such as 60%" },
    { .name = "from", .kind = JSON_DURATION, .flags = JSON_REQUIRED, AT(from_ms), .max = DURATION_MAX_MS, .meaning = "time since the start" },
    { .name = "until", .kind = JSON_DURATION, .flags = JSON_REQUIRED, AT(until_ms), .min = 1, .max = DURATION_MAX_MS, .meaning = "time since the start" },
};
static const struct json_table silence_table = {
    .name = "sim_silence", .fields = silence_fields, .count = ROWS(silence_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT faults_document
static const struct json_field faults_fields[] = {
    { .name = "loss", .kind = JSON_TEXT, AT(loss), .min = 2, .max = 8, .meaning = "share of messages that get lost, each way" },
    { .name = "duplicate", .kind = JSON_TEXT, AT(duplicate), .min = 2, .max = 8, .meaning = "share of requests that arrive twice" },
    { .name = "delay", .kind = JSON_TEXT, AT(delay), .min = 2, .max = 64, .meaning = "how long a message takes, 0ms-500ms: they overtake each other" },
    { .name = "crash", .kind = JSON_OBJECT, AT(crash), .sub = &crash_table, .meaning = "the agent of some instance dies in the middle of what it does, and starts again" },
    { .name = "silent", .kind = JSON_OBJECT, AT(silent), .sub = &silent_table, .meaning = "some instance is cut off for ever" },
    { .name = "restart", .kind = JSON_OBJECT, AT(restart), .sub = &restart_table, .meaning = "the server dies, and a new one loads what was committed" },
    { .name = "commit", .kind = JSON_OBJECT, AT(commit), .sub = &commit_table, .meaning = "a store that is slow, or refuses" },
    { .name = "silence", .kind = JSON_OBJECTS, AT(silence), COUNT(silence_count), .max = FAULTS_SILENCES_MAX, .sub = &silence_table, .meaning = "times in which a share of the fleet is cut off" },
    { .name = "until", .kind = JSON_DURATION, AT(until_ms), .min = 1, .max = DURATION_MAX_MS, .meaning = "time since the start after which all of it stops; default never" },
};
const struct json_table faults_table = {
    .name = "sim_faults", .fields = faults_fields, .count = ROWS(faults_fields),
    .size = sizeof(struct DOCUMENT), .given_offset = JSON_NOT_KEPT };
#undef DOCUMENT

#define DOCUMENT plan_document
static const struct json_field plan_fields[] = {
    [PLAN_MODE]       = { .name = "mode", .kind = JSON_WORD, AT(mode), .words = &mode_words, .meaning = "how time passes" },
    [PLAN_SERVER]     = { .name = "server", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(server), .min = 8, .max = 500, .meaning = "URL of the server" },
    [PLAN_TOKEN]      = { .name = "token", .kind = JSON_TEXT, .flags = JSON_PRINTABLE, AT(token), .min = 1, .max = LIMIT_TOKEN, .meaning = "for registration, and for the script" },
    [PLAN_SEED]       = { .name = "seed", .kind = JSON_INTEGER, AT(seed), .min = 0, .max = INT64_MAX, .meaning = "source of every random choice" },
    [PLAN_SPEED]      = { .name = "speed", .kind = JSON_INTEGER, AT(speed), .min = 0, .max = PLAN_SPEED_MAX, .meaning = "http: times are divided by it; virtual: virtual seconds per second, 0 = as fast as possible" },
    [PLAN_MAX_CONCURRENT] = { .name = "max_concurrent", .kind = JSON_INTEGER, AT(max_concurrent), .min = 1, .max = LIMIT_LIVE_ROLLOUTS, .meaning = "rollouts that the server lets live at once" },
    [PLAN_WAIT]       = { .name = "wait", .kind = JSON_DURATION, AT(wait_ms), .max = LIMIT_WAIT_MS, .meaning = "virtual: heartbeats wait so long for news; default 0s, they come as often as the server says" },
    [PLAN_INSTANCES]  = { .name = "instances", .kind = JSON_OBJECTS, AT(instances), COUNT(instance_count), .max = PLAN_INSTANCES_MAX, .sub = &instance_table, .meaning = "instances one by one" },
    [PLAN_GENERATE]   = { .name = "generate", .kind = JSON_OBJECTS, AT(generate), COUNT(generate_count), .max = 100, .sub = &generate_table, .meaning = "instances by number" },
    [PLAN_BEHAVIOURS] = { .name = "behaviours", .kind = JSON_RAW, AT(behaviours), .max = LIMIT_BODY, .meaning = "how instances behave, by name" },
    [PLAN_SCRIPT]     = { .name = "script", .kind = JSON_OBJECTS, AT(script), COUNT(step_count), .max = PLAN_STEPS_MAX, .sub = &step_table, .meaning = "what happens when" },
    [PLAN_FAULTS]     = { .name = "faults", .kind = JSON_OBJECT, AT(faults), .sub = &faults_table, .meaning = "what goes wrong around the instances; virtual mode only" },
};
/* clang-format on */
const struct json_table plan_table = {
    .name = "simulation",
    .fields = plan_fields,
    .count = PLAN_ROWS,
    .size = sizeof(struct plan_document),
    .given_offset = offsetof(struct plan_document, given),
};
