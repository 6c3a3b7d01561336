/* SPDX-License-Identifier: Apache-2.0
 * deploy_body.c - see deploy_body.h. */
#include "cmd/deploy_body.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "cmd/document.h"
#include "wire/json_write.h"
#include "wire/yaml_read.h"

#include <errno.h>

#define TREE_MAX (16 * (size_t)YAML_SIZE_MAX)

/* ---- the file ------------------------------------------------------------------------------- */

static bool read_all(FILE *file, const char *path, struct buffer *out, struct err *err)
{
    char piece[16 * 1024];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        buffer_add(out, (struct text){ piece, size });
    if (ferror(file))
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (out->failed)
        return err_set(err, ERR_TOO_LARGE, "%s is larger than %d bytes", path, YAML_SIZE_MAX);
    return true;
}

static bool read_path(const char *path, struct buffer *out, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_all(stdin, "standard input", out, err);
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    bool good = read_all(file, path, out, err);
    fclose(file);
    return good;
}

/* Texts of the tree live in `json` and `arena`. */
static bool read_tree(const char *path, struct buffer *json, struct arena *arena,
                      const struct json_node **ret, struct err *err)
{
    cleanup(buffer_release) struct buffer raw = { 0 };
    buffer_init(&raw, &memory_heap, YAML_SIZE_MAX);
    if (!read_path(path, &raw, err))
        return false;
    struct text t = text_trim(buffer_text(&raw));
    /* JSON may be indented by tabs, which YAML refuses. */
    bool is_json = text_starts_with(t, TEXT("{"));
    bool good = true;
    if (is_json)
        buffer_add(json, t);
    else
        good = yaml_to_json(t, json, err);
    if (good && json->failed)
        good = err_set(err, ERR_TOO_LARGE, "it is too large");
    const struct json_node *tree = NULL;
    good = good && json_tree_parse(buffer_text(json), arena, &tree, err);
    if (good && tree->kind != JSON_NODE_OBJECT)
        good = err_set(err, ERR_INVALID, "it must be a mapping of keys to values");
    if (good)
        *ret = tree;
    else
        err_prefix(err, "%s", path);
    return good;
}

/* ---- the configuration ---------------------------------------------------------------------- */

struct flag {
    const char *key;
    const char *value; /* NULL: not given */
};

static bool is_given(const struct flag *flags, size_t count, struct text key)
{
    for (size_t i = 0; i < count; i++)
        if (flags[i].value && text_equal(key, text_from(flags[i].key)))
            return true;
    return false;
}

/* Members of the file that no flag replaces. */
static void copy_rest(struct json_writer *w, const struct json_node *object,
                      const struct flag *flags, size_t count)
{
    for (const struct json_node *entry = json_first(object); entry; entry = entry->next) {
        cleanup(buffer_release) struct buffer value = { 0 };
        if (is_given(flags, count, entry->key))
            continue;
        buffer_init(&value, &memory_heap, YAML_SIZE_MAX);
        document_add_json(&value, entry, false);
        w->out->failed = w->out->failed || value.failed;
        json_key_text(w, entry->key);
        json_write_raw(w, buffer_text(&value));
    }
}

/* Counts are numbers, percentages texts; what is neither the server refuses in its own words. */
static void put_amount(struct json_writer *w, const char *key, struct text amount)
{
    uint64_t number;
    if (text_to_u64(amount, INT64_MAX, &number))
        json_put_u64(w, key, number);
    else
        json_put_text(w, key, amount);
}

static void put_amounts(struct json_writer *w, const struct flag *flags, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (flags[i].value)
            put_amount(w, flags[i].key, text_from(flags[i].value));
}

static void put_texts(struct json_writer *w, const struct flag *flags, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (flags[i].value)
            json_put_text(w, flags[i].key, text_from(flags[i].value));
}

static const char *first_of(const struct option_list *list)
{
    return list->count > 0 ? list->items[0] : NULL;
}

static bool has_canary_flag(const struct deploy_request *request)
{
    return request->canary_size || request->soak || request->gates.count > 0;
}

static void put_canary(struct json_writer *w, const struct deploy_request *request,
                       const struct json_node *file)
{
    const struct flag flags[] = { { "size", request->canary_size },
                                  { "soak", request->soak },
                                  { "gates", first_of(&request->gates) } };
    json_key(w, "canary");
    json_begin_object(w);
    copy_rest(w, json_member(file, "canary"), flags, 3);
    put_amounts(w, flags, 1);
    put_texts(w, flags + 1, 1);
    if (request->gates.count > 0) {
        json_key(w, "gates");
        json_begin_list(w);
    }
    for (unsigned i = 0; i < request->gates.count; i++) {
        json_begin_object(w);
        json_put_text(w, "name", text_from(request->gates.items[i]));
        json_put_text(w, "type", TEXT("manual"));
        json_end_object(w);
    }
    if (request->gates.count > 0)
        json_end_list(w);
    json_end_object(w);
}

/* "zone=20%": the label is everything before the last sign, for labels may have one. */
static void split_domain(const char *given, struct text *ret_label, struct text *ret_limit)
{
    const char *sign = strrchr(given, '=');
    *ret_label = sign ? (struct text){ given, (size_t)(sign - given) } : text_from(given);
    *ret_limit = sign ? text_from(sign + 1) : TEXT_NONE;
}

static void put_domains(struct json_writer *w, const struct option_list *domains)
{
    json_key(w, "domains");
    json_begin_list(w);
    for (unsigned i = 0; i < domains->count; i++) {
        struct text label, limit;
        split_domain(domains->items[i], &label, &limit);
        json_begin_object(w);
        json_put_text(w, "label", label);
        put_amount(w, "max_in_progress", limit);
        json_end_object(w);
    }
    json_end_list(w);
}

static const struct json_node *configuration_of(const struct json_node *file)
{
    const struct json_node *given = json_member(file, "configuration");
    return given ? given : json_member(file, "condiguration");
}

#define AMOUNT_FLAGS 3 /* they stand first */

static void add_configuration(struct json_writer *w, const struct deploy_request *request,
                              const struct json_node *file)
{
    const struct json_node *given = configuration_of(file);
    bool has_canary = has_canary_flag(request);
    bool is_implied = has_canary && !request->strategy && !json_member(given, "strategy");
    const struct flag flags[] = {
        { "batch_size", request->batch },
        { "failure_threshold", request->threshold },
        { "min_available", request->min_available },
        { "strategy", is_implied ? "canary" : request->strategy },
        { "mode", request->mode },
        { "on_failure", request->on_failure },
        { "min_healthy_time", request->min_healthy },
        { "domains", first_of(&request->domains) }, /* from here on: not as plain texts */
        { "canary", has_canary ? "" : NULL },
    };
    const size_t count = sizeof flags / sizeof flags[0];
    bool has_flag = false;
    for (size_t i = 0; i < count; i++)
        has_flag = has_flag || flags[i].value;
    if (!given && !has_flag)
        return;
    json_key(w, "configuration");
    json_begin_object(w);
    copy_rest(w, given, flags, count);
    put_amounts(w, flags, AMOUNT_FLAGS);
    put_texts(w, flags + AMOUNT_FLAGS, count - AMOUNT_FLAGS - 2);
    if (request->domains.count > 0)
        put_domains(w, &request->domains);
    if (has_canary)
        put_canary(w, request, given);
    json_end_object(w);
}

/* ---- what a plan assumes -------------------------------------------------------------------- */

/* "zone=a:30": the percentage is what follows the last colon, for selectors may have one. */
static void split_failure(const char *given, struct text *ret_selector, struct text *ret_percent)
{
    const char *colon = strrchr(given, ':');
    *ret_selector = colon ? (struct text){ given, (size_t)(colon - given) } : text_from(given);
    *ret_percent = colon ? text_from(colon + 1) : TEXT_NONE;
    if (text_ends_with(*ret_percent, TEXT("%")))
        ret_percent->size--;
}

static void put_failures(struct json_writer *w, const struct option_list *failures)
{
    json_key(w, "fail");
    json_begin_list(w);
    for (unsigned i = 0; i < failures->count; i++) {
        struct text selector, percent;
        split_failure(failures->items[i], &selector, &percent);
        json_begin_object(w);
        json_put_text(w, "selector", selector);
        put_amount(w, "percent", percent);
        json_end_object(w);
    }
    json_end_list(w);
}

static bool assumes(const struct deploy_request *request)
{
    return request->update || request->approve || request->seed || request->failures.count > 0;
}

static void add_assumptions(struct json_writer *w, const struct deploy_request *request,
                            const struct json_node *file)
{
    const struct flag flags[] = { { "update", request->update },
                                  { "approve", request->approve },
                                  { "seed", request->seed },
                                  { "fail", first_of(&request->failures) } };
    json_key(w, "assume");
    json_begin_object(w);
    copy_rest(w, json_member(file, "assume"), flags, 4);
    put_texts(w, flags, 2);
    put_amounts(w, flags + 2, 1);
    if (request->failures.count > 0)
        put_failures(w, &request->failures);
    json_end_object(w);
}

/* ---- the body ------------------------------------------------------------------------------- */

static void add_body(struct buffer *out, const struct deploy_request *request,
                     const struct json_node *file)
{
    const struct flag flags[] = {
        { "code_version", request->code }, { "configuration_version", request->config },
        { "selector", request->selector }, { "plan_hash", request->plan },
        { "reason", request->reason },     { "horizon", request->horizon },
        { "configuration", "" }, /* from here on: written below, whether it is given or not */
        { "condiguration", "" },           { "assume", assumes(request) ? "" : NULL },
    };
    const size_t count = sizeof flags / sizeof flags[0];
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    copy_rest(&w, file, flags, count);
    put_texts(&w, flags, count - 3);
    if (!request->code && !json_member(file, "code_version"))
        json_put_null(&w, "code_version"); /* configuration only, said explicitly */
    add_configuration(&w, request, file);
    if (assumes(request))
        add_assumptions(&w, request, file);
    json_end_object(&w);
}

/* Whether the file narrows the fleet down: an empty map or text does not. */
static bool selects(const struct json_node *file)
{
    static const char *const keys[] = { "labels", "lables", "selector" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct json_node *node = json_member(file, keys[i]);
        if (node && (node->count > 0 || node->text.size > 0))
            return true;
    }
    return false;
}

static bool check_configuration(const struct deploy_request *request, const struct json_node *file,
                                struct err *err)
{
    const struct json_node *given = configuration_of(file);
    for (unsigned i = 0; i < request->domains.count; i++) {
        struct text label, limit;
        split_domain(request->domains.items[i], &label, &limit);
        if (label.size == 0 || limit.size == 0)
            return err_set(err, ERR_USAGE,
                           "--domain %s: of which label, and how many at a time? As in zone=20%%",
                           request->domains.items[i]);
    }
    for (unsigned i = 0; i < request->failures.count; i++) {
        struct text selector, percent;
        split_failure(request->failures.items[i], &selector, &percent);
        if (percent.size == 0)
            return err_set(err, ERR_USAGE,
                           "--assume-fail %s: how many in a hundred? As in zone=a:30",
                           request->failures.items[i]);
    }
    if (has_canary_flag(request) && !request->canary_size && !json_at(given, "canary.size"))
        return err_set(err, ERR_USAGE, "how large is the canary? --canary-size says so");
    return true;
}

static bool check(const struct deploy_request *request, const struct json_node *file,
                  struct err *err)
{
    bool has_selector = (request->selector && request->selector[0]) || selects(file);
    bool has_version = request->code || request->config || json_member(file, "code_version") ||
                       json_member(file, "configuration_version");
    if (!has_version)
        return err_set(err, ERR_USAGE, "which version? --code says so");
    if (!has_selector && !request->is_all)
        return err_set(err, ERR_USAGE, "which instances? -l SEL says so, or --all for the fleet");
    if (has_selector && request->is_all)
        return err_set(err, ERR_USAGE, "--all and a selector contradict each other");
    return check_configuration(request, file, err);
}

bool deploy_body_make(const struct deploy_request *request, struct buffer *out, struct err *err)
{
    cleanup(buffer_release) struct buffer json = { 0 };
    cleanup(arena_release) struct arena arena = { 0 };
    const struct json_node *file = NULL;
    buffer_init(&json, &memory_heap, 2 * (size_t)YAML_SIZE_MAX);
    arena_init(&arena, &memory_heap, TREE_MAX);
    if (request->file && !read_tree(request->file, &json, &arena, &file, err))
        return false;
    if (!check(request, file, err))
        return false;
    add_body(out, request, file);
    if (out->failed)
        return err_set(err, ERR_TOO_LARGE, "the request is larger than %d bytes", LIMIT_BODY);
    return true;
}
