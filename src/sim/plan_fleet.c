/* SPDX-License-Identifier: Apache-2.0
 * plan_fleet.c - the instances of a plan: those listed, and those made by number, with labels by
 * chance. A name decides its labels together with the seed, whatever else is in the file. */
#include "base/limits.h"
#include "sim/plan_parts.h"
#include "wire/json_pull.h"

/* ---- labels by chance ----------------------------------------------------------------------- */

struct choice_value {
    struct text value;
    uint32_t weight;
};

struct choice {
    struct text key;
    struct choice_value *values;
    uint32_t value_count;
    uint32_t weight; /* of all; at least 1 */
};

struct choices {
    struct choice list[LIMIT_LABELS];
    uint32_t count;
};

#define WEIGHT_MAX 1000000

static bool read_choice(struct plan *plan, const struct json_node *node, struct choice *ret,
                        struct err *err)
{
    struct choice choice = { .key = node->key };
    if (!labels_check_key(node->key, err))
        return false;
    if (node->kind != JSON_NODE_OBJECT || node->count == 0 || node->count > 1000)
        return err_set(err, ERR_INVALID, "1 to 1000 values with their weights, {a: 1, b: 2}");
    choice.values = arena_take_array(&plan->arena, node->count, sizeof *choice.values);
    if (!choice.values)
        return err_set(err, ERR_MEMORY, "no memory for the labels");
    for (const struct json_node *entry = json_first(node); entry; entry = entry->next) {
        int64_t weight = json_get_i64(entry, "", -1);
        if (weight < 0 || weight > WEIGHT_MAX)
            return err_set(err, ERR_INVALID, "a weight is an integer from 0 to %d", WEIGHT_MAX);
        if (!labels_check_value(entry->key, err))
            return false;
        choice.values[choice.value_count++] = (struct choice_value){ entry->key, (uint32_t)weight };
        choice.weight += (uint32_t)weight;
    }
    if (choice.weight == 0)
        return err_set(err, ERR_INVALID, "some weight must be more than 0");
    *ret = choice;
    return true;
}

static bool read_choices(struct plan *plan, struct text json, const char *place,
                         struct choices *ret, struct err *err)
{
    const struct json_node *tree = NULL;
    char space[ERR_EXCERPT_SIZE];
    ret->count = 0;
    if (!json.data)
        return true;
    if (json.data[0] != '{')
        return err_set(err, ERR_INVALID, "%s/choose: must be {key: {value: weight}}", place);
    if (!json_tree_parse(json, &plan->arena, &tree, err))
        return false;
    if (tree->count > LIMIT_LABELS)
        return err_set(err, ERR_INVALID, "%s/choose: at most %d labels", place, LIMIT_LABELS);
    for (const struct json_node *node = json_first(tree); node; node = node->next) {
        if (!read_choice(plan, node, &ret->list[ret->count++], err)) {
            err_prefix(err, "%s/choose/%s", place, err_excerpt(node->key, space));
            return false;
        }
    }
    return true;
}

static struct text choose(const struct choice *choice, uint64_t seed, struct text name)
{
    struct sim_dice dice = sim_dice_of(seed, name, choice->key);
    uint32_t roll = sim_dice_roll(&dice, choice->weight);
    uint32_t i = 0;
    for (; roll >= choice->values[i].weight; i++)
        roll -= choice->values[i].weight;
    return choice->values[i].value;
}

/* ---- addresses ------------------------------------------------------------------------------ */

static bool read_ipv4(struct text t, uint32_t *ret)
{
    uint32_t address = 0;
    struct text rest = t, part;
    for (int i = 0; i < 4; i++) {
        uint64_t byte = 0;
        if (!text_cut(&rest, '.', &part) || !text_to_u64(part, 255, &byte))
            return false;
        address = address << 8 | (uint32_t)byte;
    }
    if (rest.data)
        return false;
    *ret = address;
    return true;
}

bool plan_count_ip(struct text base, uint32_t add, struct arena *arena, struct text *ret)
{
    uint32_t first = 0;
    char space[16];
    if (!read_ipv4(base, &first) || UINT32_MAX - first < add)
        return false;
    uint32_t ip = first + add;
    int size = snprintf(space, sizeof space, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
                        ip & 255);
    return arena_copy(arena, (struct text){ space, (size_t)size }, ret);
}

/* ---- instances ------------------------------------------------------------------------------ */

struct maker {
    struct plan *plan;
    struct map names; /* of plan->instances */
    char place[48];
    struct err *err;
};

static bool name_is(const void *ctx, uint32_t item, const void *key)
{
    const struct plan *plan = ctx;
    return text_equal(plan->instances[item].name, *(const struct text *)key);
}

static bool fail_memory(struct maker *m)
{
    return err_set(m->err, ERR_MEMORY, "%s: no memory for the fleet", m->place);
}

/* Room was made before. */
static bool add(struct maker *m, const struct plan_instance *instance)
{
    struct plan *plan = m->plan;
    uint64_t hash = text_hash(instance->name, 0);
    char space[ERR_EXCERPT_SIZE];
    if (map_find(&m->names, hash, name_is, plan, &instance->name) != MAP_NONE)
        return err_set(m->err, ERR_INVALID, "%s: there are two instances \"%s\"", m->place,
                       err_excerpt(instance->name, space));
    plan->instances[plan->instance_count] = *instance;
    if (!map_insert(&m->names, hash, plan->instance_count))
        return fail_memory(m);
    plan->instance_count++;
    return true;
}

static bool take_start(struct maker *m, const struct start_document *start, struct version *ret)
{
    return (intern_take(&m->plan->texts, start->code, &ret->code) &&
            intern_take(&m->plan->texts, start->config, &ret->config)) ||
           fail_memory(m);
}

static size_t list_labels(const struct json_pair *pairs, uint32_t count, struct label_change *ret)
{
    for (uint32_t i = 0; i < count; i++)
        ret[i] = (struct label_change){ .key = pairs[i].key, .value = pairs[i].value };
    return count;
}

static bool add_listed(struct maker *m, const struct instance_document *document)
{
    struct plan_instance instance = { .name = document->name.data ? document->name : document->ip,
                                      .ip = document->ip };
    struct label_change changes[LIMIT_LABELS];
    char space[ERR_EXCERPT_SIZE];
    if (!instance.name.data)
        return plan_fail(m->place, ERR_INVALID, m->err, "an instance needs a name or an ip");
    if (instance.ip.data && !is_ip_address(instance.ip))
        return err_set(m->err, ERR_INVALID, "%s/ip: \"%s\" is no IPv4 or IPv6 address", m->place,
                       err_excerpt(instance.ip, space));
    size_t count = list_labels(document->labels, document->label_count, changes);
    if (!labels_merge(&m->plan->labels, 0, changes, count, &instance.labels, m->err)) {
        err_prefix(m->err, "%s/labels", m->place);
        return false;
    }
    return take_start(m, &document->start, &instance.start) &&
           plan_find_behaviour(m->plan, document->behaviour, m->place, &instance.behaviour,
                               m->err) &&
           add(m, &instance);
}

/* What all instances of one `generate` entry have in common. */
struct series {
    const struct generate_document *document;
    struct choices choices;
    struct plan_instance common;
};

static bool add_numbered(struct maker *m, const struct series *series, uint32_t number)
{
    struct plan *plan = m->plan;
    const struct generate_document *document = series->document;
    struct plan_instance instance = series->common;
    struct label_change changes[LIMIT_LABELS];
    char name[LIMIT_NAME + 1];
    int size = snprintf(name, sizeof name, "%.*s%u", TEXT_ARG(document->prefix), (unsigned)number);
    if (!arena_copy(&plan->arena, (struct text){ name, (size_t)size }, &instance.name))
        return fail_memory(m);
    if (document->base_ip.data &&
        !plan_count_ip(document->base_ip, number, &plan->arena, &instance.ip))
        return err_set(m->err, ERR_INVALID,
                       "%s/base_ip: must be an IPv4 address with room for %u more", m->place,
                       (unsigned)document->count);
    for (uint32_t i = 0; i < series->choices.count; i++) {
        const struct choice *choice = &series->choices.list[i];
        changes[i] = (struct label_change){ .key = choice->key,
                                            .value = choose(choice, plan->seed, instance.name) };
    }
    if (!labels_merge(&plan->labels, series->common.labels, changes, series->choices.count,
                      &instance.labels, m->err)) {
        err_prefix(m->err, "%s/choose", m->place);
        return false;
    }
    return add(m, &instance);
}

static bool add_series(struct maker *m, const struct generate_document *document)
{
    struct series series = { .document = document };
    struct label_change changes[LIMIT_LABELS];
    struct plan *plan = m->plan;
    size_t count = list_labels(document->labels, document->label_count, changes);
    if (!labels_merge(&plan->labels, 0, changes, count, &series.common.labels, m->err)) {
        err_prefix(m->err, "%s/labels", m->place);
        return false;
    }
    if (!read_choices(plan, document->choose, m->place, &series.choices, m->err) ||
        !take_start(m, &document->start, &series.common.start) ||
        !plan_find_behaviour(plan, document->behaviour, m->place, &series.common.behaviour, m->err))
        return false;
    for (uint32_t number = 1; number <= document->count; number++)
        if (!add_numbered(m, &series, number))
            return false;
    return true;
}

static uint64_t count_all(const struct plan_document *document)
{
    uint64_t count = document->instance_count;
    for (uint32_t i = 0; i < document->generate_count; i++)
        count += document->generate[i].count;
    return count;
}

static bool add_all(struct maker *m, const struct plan_document *document)
{
    for (uint32_t i = 0; i < document->instance_count; i++) {
        snprintf(m->place, sizeof m->place, "/instances/%u", (unsigned)i);
        if (!add_listed(m, &document->instances[i]))
            return false;
    }
    for (uint32_t i = 0; i < document->generate_count; i++) {
        snprintf(m->place, sizeof m->place, "/generate/%u", (unsigned)i);
        if (!add_series(m, &document->generate[i]))
            return false;
    }
    return true;
}

bool plan_make_fleet(struct plan *plan, const struct plan_document *document, struct err *err)
{
    struct maker m = { .plan = plan, .err = err, .place = "/instances" };
    uint64_t count = count_all(document);
    if (count == 0)
        return err_set(err, ERR_INVALID, "the file has no instances: give instances or generate");
    if (count > PLAN_INSTANCES_MAX)
        return err_set(err, ERR_INVALID, "more than %d instances in all", PLAN_INSTANCES_MAX);
    plan->instances = arena_take_array(&plan->arena, (size_t)count, sizeof *plan->instances);
    if (!plan->instances)
        return fail_memory(&m);
    map_init(&m.names, &memory_heap);
    bool ok = map_reserve(&m.names, (size_t)count) ? add_all(&m, document) : fail_memory(&m);
    map_release(&m.names);
    return ok;
}
