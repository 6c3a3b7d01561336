/* SPDX-License-Identifier: Apache-2.0
 * records.c - stored rows, each by itself: what is taken is stored as it was, and again the same;
 * anything else is a damage that names the record. The first line of an input is the key. */
#include "wire/record.h"

#include "core/selector.h"
#include "fuzz.h"
#include "wire/event_filter.h"
#include "wire/json_pull.h"
#include "wire/json_write.h"

#define NOW 1924941600000ll

static void begin_fleet(struct fleet *fleet)
{
    CLAIM(fleet_init(fleet, &memory_heap, &fleet_settings_default, 7, NULL));
    fleet_begin(fleet, NOW, TEXT("server"));
}

static void claim_damage(const struct err *err)
{
    CLAIM(err->code == ERR_CORRUPT || err->code == ERR_MEMORY);
    CLAIM(err->text[0] != '\0' && text_is_utf8(text_from(err->text)));
}

typedef bool load_fn(struct fleet *fleet, struct text key, struct text json, struct arena *scratch,
                     struct err *err);

static void store_one(struct buffer *out, const struct fleet *fleet)
{
    uint32_t slot = fleet_next(fleet, TEXT_NONE, true);
    if (slot != FLEET_NONE)
        wire_store_instance(out, fleet, slot);
    else
        wire_store_rollout(out, fleet, fleet->rollouts[0]);
    CLAIM(!out->failed);
}

/* Loads, stores, loads that, stores again. */
static void load_and_store(load_fn *load, struct text key, struct text json)
{
    struct fuzz f;
    struct fleet first, second;
    fuzz_begin(&f);
    begin_fleet(&first);
    begin_fleet(&second);
    if (load(&first, key, json, &f.arena, &f.err)) {
        store_one(&f.out, &first);
        if (!load(&second, key, buffer_text(&f.out), &f.arena, &f.err))
            fprintf(stderr, "%s: %.*s\n", f.err.text, TEXT_ARG(buffer_text(&f.out)));
        CLAIM(f.err.code == ERR_NONE);
        store_one(&f.again, &second);
        fuzz_claim_equal(buffer_text(&f.out), buffer_text(&f.again));
        /* What is live goes on, or is found out. */
        struct err err = { .code = ERR_NONE };
        fleet_settle(&first, fleet_end_round(&first));
        if (!fleet_finish_loading(&first, NOW, 1000, &err))
            claim_damage(&err);
    } else {
        claim_damage(&f.err);
    }
    fleet_release(&first);
    fleet_release(&second);
    fuzz_end(&f);
}

void fuzz_instance(struct text input)
{
    struct text key = fuzz_part(&input, '\n');
    load_and_store(wire_load_instance, key, input);
}

void fuzz_rollout(struct text input)
{
    struct text key = fuzz_part(&input, '\n');
    load_and_store(wire_load_rollout, key, input);
}

void fuzz_event_head(struct text input)
{
    struct fuzz f;
    uint64_t index = 0;
    struct wire_event_head head;
    struct text key = fuzz_part(&input, '\n');
    fuzz_begin(&f);
    if (wire_read_event_head(key, input, &f.arena, &index, &head, &f.err)) {
        CLAIM(head.type < CHANGE_TYPE_COUNT);
        wire_event_key(&f.out, index);
        fuzz_claim_equal(buffer_text(&f.out), key);
    } else {
        claim_damage(&f.err);
    }
    fuzz_end(&f);
}

/* ---- filters --------------------------------------------------------------------------------- */

/* The labels of the entry as a set; false: they are no such thing. */
static bool take_labels(const struct json_node *labels, struct label_sets *sets, uint32_t *ret)
{
    struct label_change changes[64];
    size_t count = 0;
    for (const struct json_node *entry = json_first(labels); entry; entry = entry->next) {
        if (count == 64 || entry->kind != JSON_NODE_TEXT)
            return false;
        changes[count++] = (struct label_change){ .key = entry->key, .value = entry->text };
    }
    return labels_merge(sets, 0, changes, count, ret, NULL);
}

/* The entry as this version writes one about an instance, so that the filter may say how it is. */
static void compare(struct fuzz *f, const struct wire_event_filter *filter, struct text labels)
{
    const struct json_node *root = NULL;
    struct intern texts;
    struct label_sets sets;
    uint32_t id = 0;
    intern_init(&texts, &memory_heap, 7);
    labels_init(&sets, &memory_heap, &texts);
    struct err err = { .code = ERR_NONE };
    if (json_tree_parse(labels, &f->arena, &root, &err) && root->kind == JSON_NODE_OBJECT &&
        take_labels(root, &sets, &id)) {
        struct json_writer w;
        json_writer_init(&w, &f->out);
        json_begin_object(&w);
        json_put_text(&w, "type", TEXT("instance.online"));
        json_put_null(&w, "deployment_id");
        json_key(&w, "labels");
        json_begin_object(&w);
        for (size_t i = 0; i < labels_count(&sets, id); i++) {
            struct text key, value;
            labels_at(&sets, id, i, &key, &value);
            json_key_text(&w, key);
            json_write_text(&w, value);
        }
        json_end_object(&w);
        json_put_null(&w, "selector");
        json_put_text(&w, "instance", TEXT("web-1"));
        json_key(&w, "old");
        json_write_raw(&w, TEXT("{}"));
        json_key(&w, "new");
        json_write_raw(&w, TEXT("{}"));
        json_end_object(&w);
        bool passes = wire_event_passes(filter, buffer_text(&f->out));
        bool expected = selector_matches(&filter->selector, &sets, id);
        if (passes != expected)
            fprintf(stderr, "%d for %.*s\n", passes, TEXT_ARG(buffer_text(&f->out)));
        CLAIM(passes == expected);
    }
    labels_release(&sets);
    intern_release(&texts);
}

/* The first line is a selector, the rest an entry or a set of labels. */
void fuzz_event_filter(struct text input)
{
    struct fuzz f;
    struct wire_event_filter filter;
    struct text selector = fuzz_part(&input, '\n');
    fuzz_begin(&f);
    if (wire_read_event_filter(selector, &f.arena, &filter, &f.err)) {
        (void)wire_event_passes(&filter, input);
        compare(&f, &filter, input);
    } else {
        CLAIM_ERROR(&f.err, ERR_INVALID, ERR_MEMORY);
    }
    fuzz_end(&f);
}
