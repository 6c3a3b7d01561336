/* SPDX-License-Identifier: Apache-2.0
 * test_credentials.c - whose credential is it, through replacement, loss of answers, and rounds
 * that are dropped; against a plain model. */
#include "base/dice.h"
#include "base/faulty_memory.h"
#include "base/suite.h"
#include "http/credentials.h"

/* ---- kit ------------------------------------------------------------------------------------ */

/* A hash that is easy to name. */
struct hash {
    unsigned char bytes[SECRET_HASH_SIZE];
};

static struct hash hash_of(unsigned number)
{
    struct hash hash;
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    secret_hash(text_from(text), hash.bytes);
    return hash;
}

static enum credential_kind kind_of(const struct credentials *c, uint32_t slot, unsigned number)
{
    enum credential_kind kind = CREDENTIAL_NONE;
    struct hash hash = hash_of(number);
    return credentials_find(c, hash.bytes, &kind) == slot ? kind : CREDENTIAL_NONE;
}

static void replace(struct credentials *c, uint32_t slot, unsigned number,
                    enum credential_kind shown, struct credential_change *log)
{
    struct hash hash = hash_of(number);
    assert_true(credentials_reserve(c, slot + 1));
    credentials_replace(c, slot, hash.bytes, shown, log);
}

static struct credentials fresh(void)
{
    struct credentials c;
    credentials_init(&c, &memory_heap);
    return c;
}

/* ---- one instance --------------------------------------------------------------------------- */

static void test_an_unknown_credential_is_nobodys(void **state)
{
    (void)state;
    struct credentials c = fresh();
    enum credential_kind kind;

    assert_int_equal(credentials_find(&c, hash_of(1).bytes, &kind), CREDENTIAL_NOBODY);

    assert_false(credentials_has(&c, 0));
    assert_false(credentials_has(&c, 123456));
    credentials_release(&c);
}

static void test_the_one_before_stays_good_until_the_new_one_is_used(void **state)
{
    (void)state;
    struct credentials c = fresh();
    struct credential_change a, b;
    replace(&c, 5, 1, CREDENTIAL_NONE, &a);
    credentials_settle(&c, &a);

    replace(&c, 5, 2, CREDENTIAL_PRESENT, &b);
    credentials_settle(&c, &b);

    assert_int_equal(kind_of(&c, 5, 2), CREDENTIAL_PRESENT);
    assert_int_equal(kind_of(&c, 5, 1), CREDENTIAL_PREVIOUS);
    credentials_retire(&c, 5);
    assert_int_equal(kind_of(&c, 5, 2), CREDENTIAL_PRESENT);
    assert_int_equal(kind_of(&c, 5, 1), CREDENTIAL_NONE);
    credentials_release(&c);
}

/* The answers with 2 and 3 were lost: who has 1 goes on asking with it. */
static void test_lost_answers_in_a_row_leave_the_one_that_is_held(void **state)
{
    (void)state;
    struct credentials c = fresh();
    struct credential_change logs[3];
    replace(&c, 0, 1, CREDENTIAL_NONE, &logs[0]);

    replace(&c, 0, 2, CREDENTIAL_PRESENT, &logs[1]);
    replace(&c, 0, 3, CREDENTIAL_PREVIOUS, &logs[2]);

    assert_int_equal(kind_of(&c, 0, 1), CREDENTIAL_PREVIOUS);
    assert_int_equal(kind_of(&c, 0, 2), CREDENTIAL_NONE);
    assert_int_equal(kind_of(&c, 0, 3), CREDENTIAL_PRESENT);
    credentials_release(&c);
}

/* Who registers an offline instance with the token alone may be its agent with a lost file, or
 * somebody else: until the new one is used, the one that was in use stays good. */
static void test_registering_by_token_alone_keeps_the_one_in_use(void **state)
{
    (void)state;
    struct credentials c = fresh();
    struct credential_change logs[3];
    replace(&c, 0, 1, CREDENTIAL_NONE, &logs[0]);

    replace(&c, 0, 2, CREDENTIAL_NONE, &logs[1]);
    replace(&c, 0, 3, CREDENTIAL_NONE, &logs[2]);

    assert_int_equal(kind_of(&c, 0, 1), CREDENTIAL_PREVIOUS);
    assert_int_equal(kind_of(&c, 0, 2), CREDENTIAL_NONE);
    assert_int_equal(kind_of(&c, 0, 3), CREDENTIAL_PRESENT);
    credentials_release(&c);
}

static void test_showing_the_new_one_makes_the_one_before_worthless(void **state)
{
    (void)state;
    struct credentials c = fresh();
    struct credential_change logs[3];
    replace(&c, 0, 1, CREDENTIAL_NONE, &logs[0]);
    replace(&c, 0, 2, CREDENTIAL_PRESENT, &logs[1]);

    replace(&c, 0, 3, CREDENTIAL_PRESENT, &logs[2]);

    assert_int_equal(kind_of(&c, 0, 1), CREDENTIAL_NONE);
    assert_int_equal(kind_of(&c, 0, 2), CREDENTIAL_PREVIOUS);
    assert_int_equal(kind_of(&c, 0, 3), CREDENTIAL_PRESENT);
    credentials_release(&c);
}

static void test_a_removed_one_is_nobodys_until_that_is_taken_back(void **state)
{
    (void)state;
    struct credentials c = fresh();
    struct credential_change logs[3];
    replace(&c, 7, 1, CREDENTIAL_NONE, &logs[0]);
    replace(&c, 7, 2, CREDENTIAL_PRESENT, &logs[1]);
    credentials_settle(&c, &logs[0]);
    credentials_settle(&c, &logs[1]);
    assert_true(credentials_reserve(&c, 8));

    credentials_remove(&c, 7, &logs[2]);
    bool had = credentials_has(&c, 7);
    enum credential_kind kind = kind_of(&c, 7, 1);
    credentials_take_back(&c);

    assert_false(had);
    assert_int_equal(kind, CREDENTIAL_NONE);
    assert_int_equal(kind_of(&c, 7, 2), CREDENTIAL_PRESENT);
    assert_int_equal(kind_of(&c, 7, 1), CREDENTIAL_PREVIOUS);
    credentials_release(&c);
}

static void test_rounds_are_taken_back_as_a_whole_newest_first(void **state)
{
    (void)state;
    struct credentials c = fresh();
    struct credential_change logs[4];
    replace(&c, 1, 1, CREDENTIAL_NONE, &logs[0]);
    credentials_settle(&c, &logs[0]);
    replace(&c, 1, 2, CREDENTIAL_PRESENT, &logs[1]);
    replace(&c, 2, 9, CREDENTIAL_NONE, &logs[2]);
    replace(&c, 1, 3, CREDENTIAL_PREVIOUS, &logs[3]);

    credentials_take_back(&c);
    credentials_settle(&c, &logs[1]); /* they are closed: nothing happens */

    assert_int_equal(kind_of(&c, 1, 1), CREDENTIAL_PRESENT);
    assert_null(credentials_previous(&c, 1));
    assert_int_equal(kind_of(&c, 1, 2), CREDENTIAL_NONE);
    assert_int_equal(kind_of(&c, 1, 3), CREDENTIAL_NONE);
    assert_false(credentials_has(&c, 2));
    assert_int_equal(c.count, 1);
    credentials_release(&c);
}

static void test_what_was_stored_is_loaded(void **state)
{
    (void)state;
    struct credentials c = fresh();

    assert_true(credentials_reserve(&c, 2000));
    credentials_load(&c, 0, hash_of(1).bytes, NULL);
    credentials_load(&c, 1999, hash_of(2).bytes, hash_of(3).bytes);

    assert_int_equal(kind_of(&c, 0, 1), CREDENTIAL_PRESENT);
    assert_int_equal(kind_of(&c, 1999, 2), CREDENTIAL_PRESENT);
    assert_int_equal(kind_of(&c, 1999, 3), CREDENTIAL_PREVIOUS);
    credentials_release(&c);
}

/* ---- many of them --------------------------------------------------------------------------- */

#define SLOTS   40u
#define OPEN    30u
#define NUMBERS 4000u

struct model {
    unsigned present[SLOTS], previous[SLOTS]; /* numbers; 0: none */
};

struct world {
    struct credentials c;
    struct model now, durable;
    struct credential_change logs[OPEN];
    unsigned open, number;
};

static void check(const struct world *w)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        unsigned present = w->now.present[slot], previous = w->now.previous[slot];
        assert_int_equal(credentials_has(&w->c, slot), present != 0);
        assert_int_equal(credentials_previous(&w->c, slot) != NULL, previous != 0);
        if (present)
            assert_int_equal(kind_of(&w->c, slot, present), CREDENTIAL_PRESENT);
        if (previous)
            assert_int_equal(kind_of(&w->c, slot, previous), CREDENTIAL_PREVIOUS);
    }
}

static void change_some(struct world *w, struct dice *dice)
{
    uint32_t slot = dice_roll(dice, SLOTS);
    unsigned *present = &w->now.present[slot], *previous = &w->now.previous[slot];
    enum credential_kind shown = CREDENTIAL_NONE;
    if (*previous && dice_roll(dice, 2))
        shown = CREDENTIAL_PREVIOUS;
    else if (*present && dice_roll(dice, 2))
        shown = CREDENTIAL_PRESENT;
    if (!credentials_reserve(&w->c, SLOTS))
        return;
    if (dice_roll(dice, 5) == 0) {
        credentials_remove(&w->c, slot, &w->logs[w->open++]);
        *present = *previous = 0;
        return;
    }
    credentials_replace(&w->c, slot, hash_of(++w->number).bytes, shown, &w->logs[w->open++]);
    *previous = *previous && shown != CREDENTIAL_PRESENT ? *previous : *present;
    *present = w->number;
}

static void end_round(struct world *w, bool is_dropped)
{
    if (is_dropped) {
        credentials_take_back(&w->c);
        w->now = w->durable;
    }
    for (unsigned i = 0; i < w->open; i++)
        credentials_settle(&w->c, &w->logs[i]);
    w->durable = w->now;
    w->open = 0;
}

/* Used only when nothing is open: an answer that is not durable was seen by nobody. */
static void use_some(struct world *w, struct dice *dice)
{
    uint32_t slot = dice_roll(dice, SLOTS);
    if (!w->now.previous[slot])
        return;
    credentials_retire(&w->c, slot);
    w->now.previous[slot] = w->durable.previous[slot] = 0;
}

static void test_whatever_happens_each_is_found_by_its_own_and_no_other(void **state)
{
    (void)state;
    struct faulty_memory faulty;
    struct world w = { .open = 0 };
    struct dice dice = { 42 };
    faulty_memory_init(&faulty);
    credentials_init(&w.c, &faulty.memory);

    while (w.number < NUMBERS) {
        bool is_poor = dice_roll(&dice, 4) == 0;
        unsigned count = 1 + dice_roll(&dice, OPEN);
        faulty_memory_fail(&faulty, is_poor ? 1 + dice_roll(&dice, 3) : 0, false);
        for (unsigned i = 0; i < count && w.open < OPEN; i++)
            change_some(&w, &dice);
        check(&w);
        end_round(&w, dice_roll(&dice, 3) == 0);
        check(&w);
        use_some(&w, &dice);
        check(&w);
    }

    for (unsigned number = 1; number <= w.number; number++) {
        enum credential_kind kind;
        uint32_t slot = credentials_find(&w.c, hash_of(number).bytes, &kind);
        bool is_known = slot != CREDENTIAL_NOBODY &&
                        (w.now.present[slot] == number || w.now.previous[slot] == number);
        assert_int_equal(is_known, slot != CREDENTIAL_NOBODY);
    }
    credentials_release(&w.c);
    assert_int_equal(faulty.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_unknown_credential_is_nobodys),
        cmocka_unit_test(test_the_one_before_stays_good_until_the_new_one_is_used),
        cmocka_unit_test(test_lost_answers_in_a_row_leave_the_one_that_is_held),
        cmocka_unit_test(test_registering_by_token_alone_keeps_the_one_in_use),
        cmocka_unit_test(test_showing_the_new_one_makes_the_one_before_worthless),
        cmocka_unit_test(test_a_removed_one_is_nobodys_until_that_is_taken_back),
        cmocka_unit_test(test_rounds_are_taken_back_as_a_whole_newest_first),
        cmocka_unit_test(test_what_was_stored_is_loaded),
        cmocka_unit_test(test_whatever_happens_each_is_found_by_its_own_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
