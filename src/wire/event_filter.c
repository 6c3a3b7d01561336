/* SPDX-License-Identifier: Apache-2.0
 * event_filter.c - see event_filter.h. Entries are our own JSON, without blanks, so that the label
 * set can be found and read in place. A quote inside a text is always escaped: the bytes of LABELS
 * cannot stand in one. */
#include "wire/event_filter.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "wire/json_write.h"

#define LABELS   "\"labels\":{"
#define SELECTOR "\"selector\":"
#define ROLLOUT  "\"deployment_id\":"

bool wire_read_event_filter(struct text selector, struct arena *arena,
                            struct wire_event_filter *ret, struct err *err)
{
    struct wire_event_filter filter;
    struct buffer canonical, quoted;
    if (!selector_parse(selector, NULL, 0, arena, &filter.selector, err))
        return false;
    buffer_init(&canonical, &memory_heap, LIMIT_SELECTOR);
    buffer_init(&quoted, &memory_heap, 8 * LIMIT_SELECTOR);
    selector_print(&filter.selector, &canonical);
    json_quote(&quoted, buffer_text(&canonical));
    bool is_kept = !canonical.failed && !quoted.failed &&
                   arena_copy(arena, buffer_text(&quoted), &filter.quoted);
    buffer_release(&canonical);
    buffer_release(&quoted);
    if (!is_kept)
        return err_set(err, ERR_MEMORY, "no memory for a filter");
    *ret = filter;
    return true;
}

/* ---- one label ------------------------------------------------------------------------------ */

#define TEXT_MAX LIMIT_LABEL_VALUE /* the longest key or value */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

/* The character that an escape of json_quote() stands for; moves *rest behind it. */
static char unescape(struct text *rest)
{
    static const char shorts[256] = {
        ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'
    };
    char c = rest->size > 1 ? rest->data[1] : '\0';
    if (c == 'u' && rest->size >= 6) {
        c = (char)(hex_value(rest->data[4]) << 4 | hex_value(rest->data[5]));
        *rest = text_skip(*rest, 6);
        return c;
    }
    *rest = text_skip(*rest, 2);
    return shorts[(unsigned char)c] ? shorts[(unsigned char)c] : c;
}

/* Takes a quoted text off the front of *rest: a view, or with escapes a copy in `space`. Longer
 * ones than a label may be are cut, and equal nothing. */
static struct text take_text(struct text *rest, char space[static TEXT_MAX + 1])
{
    struct text bytes = text_skip(*rest, 1);
    size_t size = 0;
    while (size < bytes.size && bytes.data[size] != '"' && bytes.data[size] != '\\')
        size++;
    *rest = text_skip(bytes, size);
    if (rest->size == 0 || rest->data[0] == '"') {
        *rest = text_skip(*rest, 1);
        return (struct text){ bytes.data, size };
    }
    struct text copy = { space, 0 };
    *rest = bytes;
    while (rest->size > 0 && rest->data[0] != '"') {
        bool is_escape = rest->data[0] == '\\';
        char c = is_escape ? unescape(rest) : rest->data[0];
        if (!is_escape)
            *rest = text_skip(*rest, 1);
        if (copy.size <= TEXT_MAX)
            space[copy.size++] = c;
    }
    *rest = text_skip(*rest, 1);
    return copy;
}

/* ---- label sets ----------------------------------------------------------------------------- */

static bool has_value(const struct requirement *requirement, struct text value)
{
    for (size_t i = 0; i < requirement->value_count; i++)
        if (text_equal(requirement->values[i], value))
            return true;
    return false;
}

/* `labels` begins after the brace. */
static bool holds(const struct requirement *requirement, struct text labels)
{
    char key_space[TEXT_MAX + 1], value_space[TEXT_MAX + 1];
    while (labels.size > 0 && labels.data[0] == '"') {
        struct text key = take_text(&labels, key_space);
        labels = text_skip(labels, 1); /* the colon */
        struct text value = take_text(&labels, value_space);
        if (labels.size > 0 && labels.data[0] == ',')
            labels = text_skip(labels, 1);
        if (!text_equal(key, requirement->key))
            continue;
        switch (requirement->op) {
        case SELECTOR_IN: return has_value(requirement, value);
        case SELECTOR_NOT_IN: return !has_value(requirement, value);
        case SELECTOR_HAS: return true;
        case SELECTOR_HAS_NOT: return false;
        }
    }
    return requirement->op == SELECTOR_NOT_IN || requirement->op == SELECTOR_HAS_NOT;
}

static bool all_hold(const struct selector *selector, struct text labels)
{
    for (size_t i = 0; i < selector->count; i++)
        if (!holds(&selector->list[i], labels))
            return false;
    return true;
}

/* What stands behind the next `key`; size 0 when there is none. */
static struct text behind(struct text json, const char *key)
{
    const char *found = memmem(json.data, json.size, key, strlen(key));
    if (!found)
        return TEXT_NONE;
    return text_skip(json, (size_t)(found - json.data) + strlen(key));
}

bool wire_event_passes(const struct wire_event_filter *filter, struct text json)
{
    struct text labels = behind(json, LABELS);
    if (labels.size == 0) {
        struct text selector = behind(json, SELECTOR);
        bool is_about_all = text_starts_with(selector, TEXT("null")) &&
                            text_starts_with(behind(json, ROLLOUT), TEXT("null"));
        return is_about_all || text_starts_with(selector, filter->quoted);
    }
    /* The first set is that after the change. When labels changed, both follow once more, the old
     * one first. */
    for (int set = 0; set < 2 && labels.size > 0; set++, labels = behind(labels, LABELS))
        if (all_hold(&filter->selector, labels))
            return true;
    return false;
}
