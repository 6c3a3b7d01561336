/* SPDX-License-Identifier: Apache-2.0
 * selector_kit.c - see selector_kit.h. */
#include "core/selector_kit.h"

#include "base/suite.h"

#include <assert.h>
#include <string.h>

void begin(struct fixture *f)
{
    faulty_memory_init(&f->memory);
    arena_init(&f->arena, &f->memory.memory, (size_t)1 << 20);
    buffer_init(&f->out, &f->memory.memory, 64 * 1024);
}

void end(struct fixture *f)
{
    buffer_release(&f->out);
    arena_release(&f->arena);
    assert_int_equal(f->memory.blocks, 0);
}

struct selector parse(struct fixture *f, struct text text)
{
    struct selector selector;
    struct err err = { 0 };
    if (!selector_parse(text, NULL, 0, &f->arena, &selector, &err))
        fail_msg("\"%.*s\": %s", TEXT_ARG(text), err.text);
    return selector;
}

struct text print(struct fixture *f, const struct selector *selector)
{
    buffer_clear(&f->out);
    selector_print(selector, &f->out);
    assert_false(f->out.failed);
    return buffer_text(&f->out);
}

const struct text world_keys[WORLD_KEYS] = {
    { "in", 2 }, { "a b", 3 }, { "notin", 5 }, { "k", 1 }
};
/* The last one is never named by a wish: it stands for all the other values there could be. */
const struct text world_values[WORLD_VALUES] = {
    { "", 0 }, { "in", 2 }, { "x,\"\\", 4 }, { "\xc3\xbc", 2 }, { "other", 5 }
};

static size_t roll_wishes(struct dice *dice, struct wish *ret)
{
    size_t count = dice_roll(dice, WISHES + 1);
    for (size_t i = 0; i < count; i++) {
        ret[i].key = dice_roll(dice, WORLD_KEYS);
        ret[i].op = (enum selector_op)dice_roll(dice, SELECTOR_HAS_NOT + 1);
        ret[i].values = 0;
        if (ret[i].op == SELECTOR_IN || ret[i].op == SELECTOR_NOT_IN)
            ret[i].values = 1 + dice_roll(dice, (1u << (WORLD_VALUES - 1)) - 1);
    }
    return count;
}

static bool wish_holds(const struct wish *wish, const struct world *world)
{
    int value = world->values[wish->key];
    bool named = value >= 0 && (wish->values >> value & 1);
    switch (wish->op) {
    case SELECTOR_IN: return named;
    case SELECTOR_NOT_IN: return !named;
    case SELECTOR_HAS: return value >= 0;
    case SELECTOR_HAS_NOT: return value < 0;
    }
    return false;
}

bool wishes_hold(const struct wish *wishes, size_t count, const struct world *world)
{
    for (size_t i = 0; i < count; i++)
        if (!wish_holds(&wishes[i], world))
            return false;
    return true;
}

struct world world_at(uint32_t number)
{
    static_assert(WORLD_VALUES + 1 == 6 && WORLD_KEYS == 4, "WORLDS is their power");
    struct world world;
    for (size_t key = 0; key < WORLD_KEYS; key++, number /= 6)
        world.values[key] = (int)(number % 6) - 1;
    return world;
}

static void write_blanks(struct dice *dice, struct buffer *out)
{
    static const char bytes[] = " \t\n\r";
    while (dice_roll(dice, 3) == 0)
        buffer_add_byte(out, bytes[dice_roll(dice, 4)]);
}

static void write_word(struct dice *dice, struct buffer *out, struct text word)
{
    bool needs_quotes = word.size == 0;
    for (size_t i = 0; i < word.size; i++)
        needs_quotes |= strchr(" ,\"", word.data[i]) != NULL;
    bool quotes = needs_quotes || dice_roll(dice, 3) == 0;
    if (quotes)
        buffer_add_byte(out, '"');
    for (size_t i = 0; i < word.size; i++) {
        if (quotes && (word.data[i] == '"' || word.data[i] == '\\'))
            buffer_add_byte(out, '\\');
        buffer_add_byte(out, word.data[i]);
    }
    if (quotes)
        buffer_add_byte(out, '"');
}

/* In brackets, in any order and with repetitions. */
static void write_list(struct dice *dice, struct buffer *out, uint32_t values)
{
    const char *separator = "(";
    uint32_t missing = values;
    while (missing || dice_roll(dice, 3) == 0) {
        uint32_t value = dice_roll(dice, WORLD_VALUES);
        if (!(values >> value & 1))
            continue;
        missing &= ~(1u << value);
        buffer_add(out, text_from(separator));
        separator = ",";
        write_blanks(dice, out);
        write_word(dice, out, world_values[value]);
        write_blanks(dice, out);
    }
    buffer_add_byte(out, ')');
}

static void write_values(struct dice *dice, struct buffer *out, const struct wish *wish)
{
    bool is_in = wish->op == SELECTOR_IN;
    if ((wish->values & (wish->values - 1)) != 0 || dice_roll(dice, 2) == 0) {
        buffer_add(out, is_in ? TEXT(" in") : TEXT(" notin"));
        write_blanks(dice, out);
        write_list(dice, out, wish->values);
        return;
    }
    buffer_add(out, !is_in ? TEXT("!=") : dice_roll(dice, 2) ? TEXT("=") : TEXT("=="));
    write_blanks(dice, out);
    for (uint32_t value = 0; value < WORLD_VALUES; value++)
        if (wish->values >> value & 1)
            write_word(dice, out, world_values[value]);
}

struct text write_wishes(struct fixture *f, struct dice *dice, const struct wish *wishes,
                         size_t count)
{
    struct buffer *out = &f->out;
    buffer_clear(out);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_add_byte(out, ',');
        write_blanks(dice, out);
        if (wishes[i].op == SELECTOR_HAS_NOT)
            buffer_add_byte(out, '!');
        write_blanks(dice, out);
        write_word(dice, out, world_keys[wishes[i].key]);
        write_blanks(dice, out);
        if (wishes[i].values)
            write_values(dice, out, &wishes[i]);
        write_blanks(dice, out);
    }
    assert_false(out->failed);
    return buffer_text(out);
}

struct selector roll_selector(struct fixture *f, struct dice *dice, struct wish *ret_wishes,
                              size_t *ret_count)
{
    *ret_count = roll_wishes(dice, ret_wishes);
    return parse(f, write_wishes(f, dice, ret_wishes, *ret_count));
}
