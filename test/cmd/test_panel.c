/* SPDX-License-Identifier: Apache-2.0
 * test_panel.c - the demo's panel on a real pseudo terminal and elsewhere, and the table of its
 * story.
 */
#include "base/suite.h"
#include "cmd/demo_story.h"
#include "cmd/panel.h"

#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#define SCREEN_SIZE (64 * 1024)

struct screen {
    int master;
    FILE *stream;
    struct panel panel;
    char seen[SCREEN_SIZE]; /* everything that was written */
    size_t size;
};

static void open_screen(struct screen *s, unsigned short rows, unsigned short columns)
{
    const struct winsize size = { .ws_row = rows, .ws_col = columns };
    int slave;
    assert_int_equal(openpty(&s->master, &slave, NULL, NULL, &size), 0);
    assert_int_equal(fcntl(s->master, F_SETFL, O_NONBLOCK), 0);
    s->stream = fdopen(slave, "w");
    assert_non_null(s->stream);
    panel_init(&s->panel, s->stream);
}

static int setup(void **state)
{
    static struct screen screen;
    screen = (struct screen){ .size = 0 };
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C", 1);
    unsetenv("NO_COLOR");
    open_screen(&screen, 10, 40);
    *state = &screen;
    return 0;
}

static int teardown(void **state)
{
    struct screen *s = *state;
    panel_release(&s->panel);
    fclose(s->stream);
    close(s->master);
    return 0;
}

/* What came since the last time. */
static const char *look(struct screen *s)
{
    size_t start = s->size;
    ssize_t size;
    while ((size = read(s->master, s->seen + s->size, SCREEN_SIZE - 1 - s->size)) > 0)
        s->size += (size_t)size;
    s->seen[s->size] = '\0';
    return s->seen + start;
}

static void draw(struct panel *panel, const char *text)
{
    panel_begin(panel);
    panel_add(panel, PANEL_GOOD, "%s", text);
    panel_show(panel);
}

static void assert_has(const char *screen, const char *part)
{
    if (!strstr(screen, part))
        fail_msg("no \"%s\" in \"%s\"", part, screen);
}

static void assert_has_not(const char *screen, const char *part)
{
    if (strstr(screen, part))
        fail_msg("\"%s\" in \"%s\"", part, screen);
}

static void test_a_second_frame_goes_back_over_the_first(void **state)
{
    struct screen *s = *state;
    draw(&s->panel, "one");
    const char *first = look(s);
    assert_has(first, "\x1b[?25l"); /* the cursor is hidden once */
    assert_has(first, "\x1b[32mone\x1b[0m");

    draw(&s->panel, "two");

    const char *second = look(s);
    assert_has(second, "\x1b[1A");
    assert_has(second, "two");
    assert_has_not(second, "\x1b[?25l");
}

static void test_closing_takes_the_panel_off_and_shows_the_cursor(void **state)
{
    struct screen *s = *state;
    draw(&s->panel, "one");
    look(s);

    panel_close(&s->panel);
    assert_has(look(s), "\x1b[1A\r\x1b[J\x1b[?25h");
    panel_close(&s->panel);

    assert_string_equal(look(s), "");
}

static void test_a_line_that_stays_is_put_above_the_panel(void **state)
{
    struct screen *s = *state;
    draw(&s->panel, "panel");
    look(s);

    panel_say(&s->panel, 1000, PANEL_PLAIN, "news");

    const char *seen = look(s);
    assert_has(seen, "\x1b[1A\r\x1b[Jnews\r\n\x1b[32mpanel");
    assert_has_not(seen, "1970"); /* on a terminal no time stands in front */
}

static void test_a_line_is_cut_before_it_could_wrap(void **state)
{
    struct screen *s = *state;
    const char *digits = "0123456789012345678901234567890123456789";

    draw(&s->panel, digits);

    const char *seen = look(s);
    assert_has(seen, "012345678901234567890123456789012345678\x1b[0m"); /* 39 of 40 columns */
    assert_has_not(seen, digits);
}

static void test_no_more_lines_are_drawn_than_there_are(void **state)
{
    struct screen *s = *state;

    panel_begin(&s->panel);
    for (int i = 0; i < 30; i++) {
        panel_add(&s->panel, PANEL_PLAIN, "line %d", i);
        panel_end_line(&s->panel);
    }
    panel_show(&s->panel);

    const char *seen = look(s);
    assert_has(seen, "line 8");
    assert_has_not(seen, "line 9");
}

static void test_texts_cannot_steer_the_terminal(void **state)
{
    struct screen *s = *state;

    draw(&s->panel, "a\x1b[2Jb\n");
    panel_say(&s->panel, 0, PANEL_PLAIN, "c\x07");

    const char *seen = look(s);
    assert_has(seen, "a\\x1B[2Jb\\x0A");
    assert_has(seen, "c\\x07");
    assert_has_not(seen, "\x1b[2J");
}

static void test_no_colour_leaves_all_colours_out(void **state)
{
    struct screen *s = *state;
    setenv("NO_COLOR", "1", 1);

    draw(&s->panel, "one");

    assert_has_not(look(s), "\x1b[32m");
}

static void test_elsewhere_lines_carry_their_time_and_nothing_is_drawn(void **state)
{
    struct panel panel;
    char said[256] = "";
    FILE *file = tmpfile();
    (void)state;
    assert_non_null(file);
    panel_init(&panel, file);

    draw(&panel, "panel");
    panel_say(&panel, 1000, PANEL_BAD, "news");
    panel_release(&panel);

    rewind(file);
    size_t size = fread(said, 1, sizeof said - 1, file);
    said[size] = '\0';
    assert_string_equal(said, "1970-01-01T00:00:01.000Z  news\n");
    fclose(file);
}

static void test_a_dumb_terminal_is_no_place_for_a_panel(void **state)
{
    struct screen *s = *state;
    struct panel panel;
    setenv("TERM", "dumb", 1);

    panel_init(&panel, s->stream);
    draw(&panel, "panel");

    assert_string_equal(look(s), "");
    panel_release(&panel);
}

static void test_a_bar_has_letters_where_there_is_no_utf8(void **state)
{
    struct screen *s = *state;
    const struct panel_part parts[] = { { 50, PANEL_PLAIN, PANEL_FULL },
                                        { 25, PANEL_PLAIN, PANEL_HALF },
                                        { 25, PANEL_PLAIN, PANEL_EMPTY } };

    panel_begin(&s->panel);
    panel_bar(&s->panel, 8, parts, 3);
    panel_show(&s->panel);

    assert_has(look(s), "####==..");
}

static void test_shares_of_a_bar_fill_it_and_forget_nobody(void **state)
{
    struct panel_part parts[4] = { { 1, 0, 0 }, { 998, 0, 0 }, { 1, 0, 0 }, { 0, 0, 0 } };
    unsigned shares[4];
    (void)state;

    panel_share(50, parts, 4, shares);
    assert_int_equal(shares[0], 1);
    assert_int_equal(shares[1], 48);
    assert_int_equal(shares[2], 1);
    assert_int_equal(shares[3], 0);

    parts[1].count = 1;
    panel_share(10, parts, 3, shares);
    assert_int_equal(shares[0] + shares[1] + shares[2], 10);
    panel_share(2, parts, 3, shares); /* narrower than it has parts */
    assert_int_equal(shares[0] + shares[1] + shares[2], 2);

    parts[0].count = parts[1].count = parts[2].count = 0;
    panel_share(10, parts, 3, shares);
    assert_int_equal(shares[0] + shares[1] + shares[2], 0);
}

static void complain(void *ctx, const struct sm_finding *finding)
{
    (void)ctx;
    print_error("%s: %s\n", finding->code, finding->text);
}

static void test_the_table_of_the_story_is_sound(void **state)
{
    (void)state;

    assert_int_equal(sm_check(&story_machine, complain, NULL), 0);
}

static void test_versions_go_on_from_their_leading_number(void **state)
{
    (void)state;

    assert_int_equal(story_major(TEXT("12.0.0")), 12);
    assert_int_equal(story_major(TEXT("7")), 7);
    assert_int_equal(story_major(TEXT("v7.1")), 0);
    assert_int_equal(story_major(TEXT("")), 0);
    assert_int_equal(story_major(TEXT("99999999999.0")), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_second_frame_goes_back_over_the_first),
        TEST(test_closing_takes_the_panel_off_and_shows_the_cursor),
        TEST(test_a_line_that_stays_is_put_above_the_panel),
        TEST(test_a_line_is_cut_before_it_could_wrap),
        TEST(test_no_more_lines_are_drawn_than_there_are),
        TEST(test_texts_cannot_steer_the_terminal),
        TEST(test_no_colour_leaves_all_colours_out),
        TEST(test_elsewhere_lines_carry_their_time_and_nothing_is_drawn),
        TEST(test_a_dumb_terminal_is_no_place_for_a_panel),
        TEST(test_a_bar_has_letters_where_there_is_no_utf8),
        cmocka_unit_test(test_shares_of_a_bar_fill_it_and_forget_nobody),
        cmocka_unit_test(test_the_table_of_the_story_is_sound),
        cmocka_unit_test(test_versions_go_on_from_their_leading_number),
    };
    return cmocka_run_group_tests_name("cmd/panel", tests, NULL, NULL);
}
