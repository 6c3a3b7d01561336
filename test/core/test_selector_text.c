/* SPDX-License-Identifier: Apache-2.0
 * test_selector_text.c - reading and printing selectors: the canonical form, what is refused and
 * with which sentence, limits, memory that fails, and texts of chance. */
#include "core/selector_kit.h"

#include "base/limits.h"
#include "base/suite.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* clang-format off */
static const struct {
    const char *given, *canonical;
} forms[] = {
    /* what selects everything */
    { "",                               "" },
    { " \t\r\n ",                       "" },
    /* one requirement each */
    { "env",                            "env" },
    { "!env",                           "!env" },
    { "! env",                          "!env" },
    { "env=prod",                       "env=prod" },
    { "env==prod",                      "env=prod" },
    { " env\t= prod\n",                 "env=prod" },
    { "env != prod",                    "env!=prod" },
    { "env in (prod)",                  "env=prod" },
    { "env notin (prod)",               "env!=prod" },
    { "env in (prod,dev)",              "env in (dev,prod)" },
    { "env in(prod,dev)",               "env in (dev,prod)" },
    { "env  notin  ( prod , dev )",     "env notin (dev,prod)" },
    { "env in (b,a,b,a,b)",             "env in (a,b)" },
    { "env in (a,a)",                   "env=a" },
    /* several */
    { "b=2,a=1",                        "a=1,b=2" },
    { "a=1,a=1",                        "a=1" },
    { "a in (1),a=1,a==1",              "a=1" },
    { "!a,a,a!=1,a=2,a=1",              "a=1,a=2,a!=1,a,!a" },
    { "a in (b,c),a in (b),a in (b,c,d)", "a=b,a in (b,c),a in (b,c,d)" },
    { "env,environment,en",             "en,env,environment" },
    /* quoted texts, with quotes only where they are needed */
    { "\"env\"=\"prod\"",               "env=prod" },
    { "\"env\"in(\"prod\")",            "env=prod" },
    { "env=\"\"",                       "env=\"\"" },
    { "env in (a,\"\")",                "env in (\"\",a)" },
    { "env=\"a b\"",                    "env=\"a b\"" },
    { "!\"a key\"",                     "!\"a key\"" },
    { "\"a=b\"=\"c,d\"",                "\"a=b\"=\"c,d\"" },
    { "k=\"(\",k=\")\",k=\"!\"",        "k=\"!\",k=\"(\",k=\")\"" },
    { "k=\"\\\"\\\\\"",                 "k=\"\\\"\\\\\"" },
    { "k=\"a\\\\b\"",                   "k=a\\b" }, /* a backslash is a bare byte */
    { "k=a\\b",                         "k=a\\b" },
    { "k=\"\xc3\xbc\"",                 "k=\xc3\xbc" },
    { "k=a/b:c.d-e_f@g'h",              "k=a/b:c.d-e_f@g'h" },
    /* words of the grammar as keys and values */
    { "in",                             "in" },
    { "!in",                            "!in" },
    { "in in (in)",                     "in=in" },
    { "in in (in,notin)",               "in in (in,notin)" },
    { "notin notin (notin,in)",         "notin notin (in,notin)" },
    { "in=notin",                       "in=notin" },
    { "\"notin\"!=\"in\"",              "notin!=in" },
};

static const struct {
    const char *given, *sentence;
} refused[] = {
    { ",",              "selector, byte 0: found \",\"; allowed here: a key, or ! and a key" },
    { "a,",             "selector, byte 2: found the end; allowed here: a key, or ! and a key" },
    { "a,,b",           "selector, byte 2: found \",\"; allowed here: a key, or ! and a key" },
    { "=a",             "selector, byte 0: found \"=\"; allowed here: a key, or ! and a key" },
    { "(a)",            "selector, byte 0: found \"(\"; allowed here: a key, or ! and a key" },
    { "a b",            "selector, byte 2: found \"b\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "a (b)",          "selector, byte 2: found \"(\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "a IN (b)",       "selector, byte 2: found \"IN\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "a \"in\" (b)",   "selector, byte 2: found \"in\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "a!b",            "selector, byte 1: found \"!\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "a! =b",          "selector, byte 1: found \"!\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "a\"b\"",         "selector, byte 1: found \"b\"; allowed here: =, ==, !=, in, notin, \",\" or the end" },
    { "!",              "selector, byte 1: found the end; allowed here: a key" },
    { "!!a",            "selector, byte 1: found \"!\"; allowed here: a key" },
    { "!=a",            "selector, byte 0: found \"!=\"; allowed here: a key, or ! and a key" },
    { "!a=b",           "selector, byte 2: found \"=\"; allowed here: \",\" or the end" },
    { "a=b c",          "selector, byte 4: found \"c\"; allowed here: \",\" or the end" },
    { "a=b\"c\"",       "selector, byte 3: found \"c\"; allowed here: \",\" or the end" },
    { "a=",             "selector, byte 2: found the end; allowed here: a value (\"\" is the empty one)" },
    { "a=,b=c",         "selector, byte 2: found \",\"; allowed here: a value (\"\" is the empty one)" },
    { "a= =b",          "selector, byte 3: found \"=\"; allowed here: a value (\"\" is the empty one)" },
    { "a===b",          "selector, byte 3: found \"=\"; allowed here: a value (\"\" is the empty one)" },
    { "a in",           "selector, byte 4: found the end; allowed here: \"(\"" },
    { "a in b",         "selector, byte 5: found \"b\"; allowed here: \"(\"" },
    { "a in ()",        "selector, byte 6: found \")\"; allowed here: a value (\"\" is the empty one)" },
    { "a in (b,)",      "selector, byte 8: found \")\"; allowed here: a value (\"\" is the empty one)" },
    { "a notin (b",     "selector, byte 10: found the end; allowed here: \",\" or \")\"" },
    { "a in (b c)",     "selector, byte 8: found \"c\"; allowed here: \",\" or \")\"" },
    { "a in ((b))",     "selector, byte 6: found \"(\"; allowed here: a value (\"\" is the empty one)" },
    { "a in (b))",      "selector, byte 8: found \")\"; allowed here: \",\" or the end" },
    { "a=\"b",          "selector, byte 4: found the end; allowed here: the closing \"" },
    { "a=\"b\\",        "selector, byte 5: found the end; allowed here: the closing \"" },
    { "a=\"b\\\"",      "selector, byte 6: found the end; allowed here: the closing \"" },
    { "a=\"\\n\"",      "selector, byte 3: found \"\\n\"; allowed here: \\\" and \\\\" },
    { "a=\"b\n\"",      "selector, byte 4: found \"\\x0a\"; allowed here: text without control characters" },
    { "a=b\x01",        "selector, byte 3: found \"\\x01\"; allowed here: text without control characters" },
    { "\x7f",           "selector, byte 0: found \"\\x7f\"; allowed here: text without control characters" },
    { "a=b\xff",        "selector, byte 3: found \"\\xff\"; allowed here: text in UTF-8" },
    { "a=\"\xc3\"",     "selector, byte 3: found \"\\xc3\"; allowed here: text in UTF-8" },
    { "\"\"=a",         "selector, byte 0: the label key \"\" has 0 bytes; 1 to 128 are allowed" },
};
/* clang-format on */

static void test_every_text_has_one_canonical_form(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    for (size_t i = 0; i < COUNT(forms); i++) {
        struct selector selector = parse(&f, text_from(forms[i].given));
        assert_text(print(&f, &selector), forms[i].canonical);
        struct selector again = parse(&f, text_from(forms[i].canonical));
        assert_text(print(&f, &again), forms[i].canonical);
        assert_true(selector_equal(&selector, &again));
    }

    end(&f);
}

static void test_what_is_wrong_is_said_with_its_place(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    for (size_t i = 0; i < COUNT(refused); i++) {
        struct selector selector = { NULL, 77 };
        struct err err = { 0 };
        assert_false(
            selector_parse(text_from(refused[i].given), NULL, 0, &f.arena, &selector, &err));
        assert_text(text_from(err.text), refused[i].sentence);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(selector.count, 77);
        assert_false(
            selector_parse(text_from(refused[i].given), NULL, 0, &f.arena, &selector, NULL));
    }

    end(&f);
}

static void test_a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct selector selector;
    struct err err = { 0 };

    assert_false(selector_parse(TEXT("a\0,b"), NULL, 0, &f.arena, &selector, &err));

    assert_string_equal(
        err.text,
        "selector, byte 1: found \"\\x00\"; allowed here: text without control characters");
    end(&f);
}

static void test_equal_means_the_same_canonical_text(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    for (size_t i = 0; i < COUNT(forms); i++) {
        for (size_t j = 0; j < COUNT(forms); j++) {
            struct selector a = parse(&f, text_from(forms[i].given));
            struct selector b = parse(&f, text_from(forms[j].given));
            assert_int_equal(selector_equal(&a, &b), text_equal(text_from(forms[i].canonical),
                                                                text_from(forms[j].canonical)));
        }
    }

    end(&f);
}

/* The limits. */

/* `count` times `item`, with commas between, in brackets of `before` and `after`. */
static struct text repeated(struct fixture *f, const char *before, const char *item, size_t count,
                            const char *after)
{
    buffer_clear(&f->out);
    buffer_add(&f->out, text_from(before));
    for (size_t i = 0; i < count; i++)
        buffer_printf(&f->out, "%s%s", i ? "," : "", item);
    buffer_add(&f->out, text_from(after));
    return buffer_text(&f->out);
}

static void assert_refused(struct fixture *f, struct text text, const char *sentence)
{
    struct selector selector;
    struct err err = { 0 };
    assert_false(selector_parse(text, NULL, 0, &f->arena, &selector, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_text(text_from(err.text), sentence);
}

static void test_there_are_limits_to_what_is_listed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    assert_int_equal(parse(&f, repeated(&f, "", "a=b", 64, "")).count, 1);
    assert_refused(&f, repeated(&f, "", "a=b", 65, ""),
                   "the selector has more than 64 requirements, the most allowed");
    assert_refused(&f, repeated(&f, "", "!a", 65, ""),
                   "the selector has more than 64 requirements, the most allowed");
    assert_int_equal(parse(&f, repeated(&f, "a in (", "b", 256, ")")).list[0].value_count, 1);
    assert_refused(&f, repeated(&f, "a in (", "b", 257, ")"),
                   "the selector has more than 256 values, the most allowed");
    assert_refused(&f, repeated(&f, "x=y,a in (", "b", 256, ")"),
                   "the selector has more than 256 values, the most allowed");
    end(&f);
}

static struct text letters(struct fixture *f, const char *before, size_t count, const char *after)
{
    buffer_clear(&f->out);
    buffer_add(&f->out, text_from(before));
    for (size_t i = 0; i < count; i++)
        buffer_add_byte(&f->out, 'x');
    buffer_add(&f->out, text_from(after));
    return buffer_text(&f->out);
}

static void test_there_are_limits_to_texts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct selector selector;
    struct err err = { 0 };

    assert_int_equal(parse(&f, letters(&f, "", 128, "=1")).list[0].key.size, 128);
    assert_int_equal(parse(&f, letters(&f, "\"", 128, "\"=1")).list[0].key.size, 128);
    assert_int_equal(parse(&f, letters(&f, "a=", 256, "")).list[0].values[0].size, 256);
    assert_false(selector_parse(letters(&f, "a,!", 129, ""), NULL, 0, &f.arena, &selector, &err));
    assert_string_equal(err.text, "selector, byte 3: the label key "
                                  "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" has 129 "
                                  "bytes; 1 to 128 are allowed");
    assert_false(
        selector_parse(letters(&f, "a=\"", 257, "\""), NULL, 0, &f.arena, &selector, &err));
    assert_string_equal(err.text, "selector, byte 2: the label value "
                                  "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" has 257 "
                                  "bytes; at most 256 are allowed");
    end(&f);
}

/* `count` bytes of blanks in front of "a". */
static struct text blanks(struct fixture *f, size_t count)
{
    buffer_clear(&f->out);
    for (size_t i = 0; i < count; i++)
        buffer_add_byte(&f->out, ' ');
    buffer_add_byte(&f->out, 'a');
    return buffer_text(&f->out);
}

static void test_a_selector_has_at_most_4096_bytes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    assert_int_equal(parse(&f, blanks(&f, 4095)).count, 1);
    assert_refused(&f, blanks(&f, 4096), "the selector has 4097 bytes; at most 4096 are allowed");
    end(&f);
}

/* "in(" becomes " in (" and so a text that fits may print as one that does not. */
static void test_a_canonical_form_has_at_most_4096_bytes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char value[LIMIT_LABEL_VALUE + 1] = { 0 };
    memset(value, 'v', LIMIT_LABEL_VALUE - 16);
    buffer_clear(&f.out);
    for (int i = 0; i < 16; i++)
        buffer_printf(&f.out, "%sk%02d in(a,%s)", i ? "," : "", i, value);
    size_t fits = f.out.size;
    buffer_printf(&f.out, ",%.*s", (int)(LIMIT_SELECTOR - fits - 1), value);

    assert_int_equal(f.out.size, LIMIT_SELECTOR);
    assert_refused(&f, buffer_text(&f.out),
                   "the selector in its canonical form has 4112 bytes; at most 4096 are allowed");
    end(&f);
}

/* Both forms of a request. */

static void test_labels_are_joined_to_the_text(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const struct label_change labels[] = { { TEXT("zone"), TEXT("a"), false },
                                           { TEXT("a key"), TEXT(""), false },
                                           { TEXT("env"), TEXT("say \"hi\""), false } };
    struct selector selector;

    assert_true(
        selector_parse(TEXT("role=web,zone=a"), labels, COUNT(labels), &f.arena, &selector, NULL));
    assert_text(print(&f, &selector), "\"a key\"=\"\",env=\"say \\\"hi\\\"\",role=web,zone=a");
    assert_true(selector_parse(TEXT(""), labels, 1, &f.arena, &selector, NULL));
    assert_text(print(&f, &selector), "zone=a");

    end(&f);
}

static void assert_label_refused(struct fixture *f, struct label_change label, const char *sentence)
{
    struct selector selector = { NULL, 77 };
    struct err err = { 0 };
    assert_false(selector_parse(TEXT("a"), &label, 1, &f->arena, &selector, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_text(text_from(err.text), sentence);
    assert_int_equal(selector.count, 77);
}

static void test_labels_that_cannot_be_a_selector_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);

    assert_label_refused(&f, (struct label_change){ TEXT(""), TEXT("v"), false },
                         "the label key \"\" has 0 bytes; 1 to 128 are allowed");
    assert_label_refused(&f, (struct label_change){ TEXT("k"), TEXT_NONE, true },
                         "the label \"k\" has no value to be selected by");
    assert_label_refused(&f, (struct label_change){ TEXT("k\n"), TEXT("v"), false },
                         "the label key \"k\\x0a\" is not UTF-8 without control characters");
    assert_label_refused(&f, (struct label_change){ TEXT("k"), TEXT("\xff"), false },
                         "the label value \"\\xff\" is not UTF-8 without control characters");
    end(&f);
}

static void test_labels_count_as_requirements(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct label_change labels[LIMIT_SELECTOR_REQUIREMENTS];
    for (size_t i = 0; i < COUNT(labels); i++)
        labels[i] = (struct label_change){ TEXT("k"), TEXT("v"), false };
    struct selector selector;
    struct err err = { 0 };

    assert_true(selector_parse(TEXT(""), labels, COUNT(labels), &f.arena, &selector, &err));
    assert_text(print(&f, &selector), "k=v");
    assert_false(selector_parse(TEXT("a"), labels, COUNT(labels), &f.arena, &selector, &err));
    assert_string_equal(err.text, "the selector has more than 64 requirements, the most allowed");

    end(&f);
}

static void test_a_selector_keeps_its_own_texts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    char text[] = "env in (prod,\"a b\"),!zone";
    struct selector selector = parse(&f, (struct text){ text, sizeof text - 1 });

    memset(text, '?', sizeof text);

    assert_text(print(&f, &selector), "env in (\"a b\",prod),!zone");
    end(&f);
}

/* Memory. */

#define RICH "b=\"x y\",a in (1,2,\"\"),!c"

static void test_a_heap_that_fails_is_an_error(void **state)
{
    (void)state;
    const struct label_change label = { TEXT("k"), TEXT("v"), false };
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        struct fixture f;
        begin(&f);
        struct selector selector = { NULL, 77 };
        struct err err = { 0 };
        faulty_memory_fail(&f.memory, n, true);
        bool done = selector_parse(TEXT(RICH), &label, 1, &f.arena, &selector, &err);
        faulty_memory_fail(&f.memory, 0, false);
        if (!done) {
            failures++;
            assert_int_equal(err.code, ERR_MEMORY);
            assert_string_equal(err.text, "no memory for the selector");
            assert_int_equal(selector.count, 77);
        }
        end(&f);
        if (done)
            break;
    }
    assert_true(failures > 0);
}

/* The arena takes few blocks, so its own limit reaches more places than the heap does. */
static void test_an_arena_that_is_full_is_an_error(void **state)
{
    (void)state;
    const struct label_change label = { TEXT("k"), TEXT("v"), false };
    size_t failures = 0;
    for (size_t max = 0;; max++) {
        struct fixture f;
        begin(&f);
        arena_init(&f.arena, &f.memory.memory, max);
        struct selector selector = { NULL, 77 };
        struct err err = { 0 };
        bool done = selector_parse(TEXT(RICH), &label, 1, &f.arena, &selector, &err);
        if (!done) {
            failures++;
            assert_int_equal(err.code, ERR_MEMORY);
            assert_int_equal(selector.count, 77);
        } else {
            assert_text(print(&f, &selector), "a in (\"\",1,2),b=\"x y\",!c,k=v");
        }
        end(&f);
        if (done)
            break;
    }
    assert_true(failures > 100);
}

static void test_a_printed_selector_reads_as_itself(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct dice dice = { 94 };
    struct wish wishes[WISHES];
    size_t count;

    for (int i = 0; i < 20000; i++) {
        struct selector selector = roll_selector(&f, &dice, wishes, &count);
        struct text text;
        assert_true(arena_copy(&f.arena, print(&f, &selector), &text));
        struct selector again = parse(&f, text);
        assert_true(selector_equal(&selector, &again));
        assert_true(text_equal(print(&f, &again), text));
        arena_clear(&f.arena);
    }

    end(&f);
}

static void test_the_canonical_form_does_not_depend_on_how_it_was_written(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct dice dice = { 95 };
    struct wish wishes[2 * WISHES];
    size_t count;

    for (int i = 0; i < 20000; i++) {
        struct selector selector = roll_selector(&f, &dice, wishes, &count);
        for (size_t k = 0; count > 0 && k < count; k++) {
            uint32_t at = dice_roll(&dice, (uint32_t)count);
            struct wish moved = wishes[at];
            wishes[at] = wishes[k];
            wishes[k] = moved;
        }
        if (count > 0)
            wishes[count] = wishes[dice_roll(&dice, (uint32_t)count)];
        struct selector other = parse(&f, write_wishes(&f, &dice, wishes, count + (count > 0)));
        assert_true(selector_equal(&selector, &other));
        arena_clear(&f.arena);
    }

    end(&f);
}

/* Any text is either refused with a sentence or reads, prints and reads again as itself. */
static void test_texts_of_chance_are_refused_or_survive(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a",  "b",  "in", "notin", "=", "==",   "!=",   "!", "(",     ")", ",",   " ",
        "\"", "\\", "x",  "\t",    "=", "\xc3", "\x01", ",", " in (", ")", "a=b", "\"q\""
    };
    struct fixture f;
    begin(&f);
    struct dice dice = { 96 };
    size_t accepted = 0, failed = 0;

    for (int i = 0; i < 100000; i++) {
        buffer_clear(&f.out);
        for (uint32_t k = dice_roll(&dice, 9); k > 0; k--)
            buffer_add(&f.out, text_from(pieces[dice_roll(&dice, COUNT(pieces))]));
        struct selector selector;
        struct err err = { 0 };
        if (selector_parse(buffer_text(&f.out), NULL, 0, &f.arena, &selector, &err)) {
            struct text text;
            assert_true(arena_copy(&f.arena, print(&f, &selector), &text));
            struct selector again = parse(&f, text);
            assert_true(selector_equal(&selector, &again));
            accepted++;
        } else {
            assert_int_equal(err.code, ERR_INVALID);
            assert_true(text_starts_with(text_from(err.text), TEXT("selector, byte ")));
            failed++;
        }
        arena_clear(&f.arena);
    }

    assert_true(accepted > 10000 && failed > 10000);
    end(&f);
}

static void test_labels_that_could_not_be_anybodys_select_nothing(void **state)
{
    (void)state;
    static char long_value[LIMIT_LABEL_VALUE + 2];
    memset(long_value, 'v', sizeof long_value - 1);
    const struct label_change labels[] = {
        { TEXT_NONE, TEXT("value"), false },
        { TEXT("key"), text_from(long_value), false },
    };

    for (size_t i = 0; i < COUNT(labels); i++) {
        struct arena arena;
        struct selector selector = { .count = 77 };
        struct err err = { .code = ERR_NONE };
        arena_init(&arena, &memory_heap, 1 << 20);

        assert_false(selector_parse(TEXT("env"), &labels[i], 1, &arena, &selector, &err));

        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(selector.count, 77);
        arena_release(&arena);
    }
}

static void test_a_label_beyond_the_most_values_is_refused(void **state)
{
    (void)state;
    const struct label_change label = { TEXT("key"), TEXT("value"), false };
    struct arena arena;
    struct buffer text;
    struct selector selector;
    struct err err = { .code = ERR_NONE };
    arena_init(&arena, &memory_heap, 1 << 20);
    buffer_init(&text, &memory_heap, LIMIT_SELECTOR);
    for (unsigned i = 0; i < LIMIT_SELECTOR_VALUES; i++) {
        buffer_add(&text, i == 0 ? TEXT("env in (") : TEXT(","));
        buffer_add_u64(&text, i);
    }
    buffer_add(&text, TEXT(")"));
    assert_true(selector_parse(buffer_text(&text), NULL, 0, &arena, &selector, &err));

    bool parsed = selector_parse(buffer_text(&text), &label, 1, &arena, &selector, &err);

    assert_false(parsed);
    assert_int_equal(err.code, ERR_INVALID);
    buffer_release(&text);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_that_could_not_be_anybodys_select_nothing),
        cmocka_unit_test(test_a_label_beyond_the_most_values_is_refused),
        cmocka_unit_test(test_every_text_has_one_canonical_form),
        cmocka_unit_test(test_what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(test_a_nul_byte_is_refused),
        cmocka_unit_test(test_equal_means_the_same_canonical_text),
        cmocka_unit_test(test_there_are_limits_to_what_is_listed),
        cmocka_unit_test(test_there_are_limits_to_texts),
        cmocka_unit_test(test_a_selector_has_at_most_4096_bytes),
        cmocka_unit_test(test_a_canonical_form_has_at_most_4096_bytes),
        cmocka_unit_test(test_labels_are_joined_to_the_text),
        cmocka_unit_test(test_labels_that_cannot_be_a_selector_are_refused),
        cmocka_unit_test(test_labels_count_as_requirements),
        cmocka_unit_test(test_a_selector_keeps_its_own_texts),
        cmocka_unit_test(test_a_heap_that_fails_is_an_error),
        cmocka_unit_test(test_an_arena_that_is_full_is_an_error),
        cmocka_unit_test(test_a_printed_selector_reads_as_itself),
        cmocka_unit_test(test_the_canonical_form_does_not_depend_on_how_it_was_written),
        cmocka_unit_test(test_texts_of_chance_are_refused_or_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
