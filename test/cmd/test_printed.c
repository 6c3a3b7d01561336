/* SPDX-License-Identifier: Apache-2.0
 * test_printed.c - what is printed from tables: help, manual pages, machines. */
#include "kit.h"

#include "cmd/commands.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_every_command_explains_itself(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count; i++) {
        struct said said = dides(commands[i]->name, "--help", NULL);

        assert_int_equal(said.code, 0);
        assert_is(&said.err, "");
        assert_has(&said.out, commands[i]->summary);
        for (size_t o = 0; o < commands[i]->option_count; o++)
            assert_has(&said.out, commands[i]->options[o].name);
        said_release(&said);
    }
}

static void test_rows_are_whole_and_names_differ(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = commands[i];
        assert_ptr_equal(command_find(command->name), command);
        assert_non_null(command->synopsis[0]);
        assert_true(command->summary[strlen(command->summary) - 1] != '.');
        for (size_t a = 0; a < command->option_count; a++) {
            const struct option_row *row = &command->options[a];
            assert_true(row->meaning[strlen(row->meaning) - 1] != '.');
            assert_true((row->kind == OPTION_FLAG) == (row->argument == NULL));
            for (size_t b = 0; b < a; b++) {
                assert_string_not_equal(row->name, command->options[b].name);
                assert_true(row->letter == 0 || row->letter != command->options[b].letter);
            }
        }
    }
}

static void test_see_also_names_commands_that_exist(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count; i++) {
        struct text rest = text_from(commands[i]->see_also), word;
        char name[64];
        while (rest.size > 0 && text_cut(&rest, ' ', &word)) {
            snprintf(name, sizeof name, "%.*s", TEXT_ARG(word));
            assert_non_null(command_find(name));
        }
    }
}

static void test_help_lists_what_is_not_hidden(void **state)
{
    struct said said = dides("help", NULL);
    (void)state;

    assert_int_equal(said.code, 0);
    for (size_t i = 0; i < command_count; i++)
        if (!commands[i]->is_hidden)
            assert_has(&said.out, commands[i]->summary);
    assert_lacks(&said.out, "roff");
    said_release(&said);
}

static void test_help_of_a_mistyped_command_gives_a_hint(void **state)
{
    struct said said = dides("help", "dploy", NULL);
    (void)state;

    assert_int_equal(said.code, 64);
    assert_has(&said.err, "did you mean deploy?");
    said_release(&said);
}

static void test_the_version_has_two_spellings(void **state)
{
    struct said word = dides("version", NULL);
    struct said dashes = dides("--version", NULL);
    (void)state;

    assert_is(&word.out, "dides " DIDES_VERSION "\n");
    assert_is(&dashes.out, "dides " DIDES_VERSION "\n");
    assert_int_equal(word.code, 0);
    said_release(&word);
    said_release(&dashes);
}

/* ---- manual pages --------------------------------------------------------------------------- */

#define NOT_INSTALLED 127

/* mandoc's exit status for the page; what it says goes to stdout. */
static int lint(const struct buffer *page)
{
    int fd = memfd_create("page", MFD_CLOEXEC);
    int status = 0;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, page->data, page->size), page->size);
    lseek(fd, 0, SEEK_SET);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(fd, STDIN_FILENO);
        execlp("mandoc", "mandoc", "-T", "lint", "-W", "warning", (char *)NULL);
        _exit(NOT_INSTALLED);
    }
    close(fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void is_sound(struct buffer *page)
{
    int status = lint(page);
    if (status != 0 && status != NOT_INSTALLED)
        fail_msg("mandoc ends with %d for:\n%s", status, buffer_c_string(page));
}

static void test_every_command_has_a_sound_page(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count; i++) {
        char page[64];
        if (commands[i]->is_hidden)
            continue;
        snprintf(page, sizeof page, "dides-%s", commands[i]->name);
        struct said said = dides("man", page, NULL);

        assert_int_equal(said.code, 0);
        assert_has(&said.out, ".TH DIDES\\-");
        assert_has(&said.out, ".SH \"EXIT STATUS\"\n");
        assert_has(&said.out, "\n.B 75\n");
        assert_has(&said.out, ".SH \"SEE ALSO\"\n.BR dides (1)");
        is_sound(&said.out);
        said_release(&said);
    }
}

static void test_the_page_of_the_program_names_all_commands(void **state)
{
    struct said said = dides("man", "dides", NULL);
    (void)state;

    assert_int_equal(said.code, 0);
    for (size_t i = 0; i < command_count; i++) {
        char reference[64];
        snprintf(reference, sizeof reference, ".BR dides\\-%s (1)", commands[i]->name);
        if (!commands[i]->is_hidden)
            assert_has(&said.out, reference);
    }
    is_sound(&said.out);
    said_release(&said);
}

/* What tool/generated relies on: the first word of each line is a page. */
static void test_the_list_of_pages_begins_each_line_with_a_page(void **state)
{
    struct said list = dides("man", "--list", NULL);
    struct text rest = buffer_text(&list.out), line, name;
    unsigned count = 0;
    (void)state;

    while (text_cut(&rest, '\n', &line) && line.size > 0) {
        char page[64];
        assert_true(text_cut(&line, ' ', &name));
        snprintf(page, sizeof page, "%.*s", TEXT_ARG(name));
        struct said said = dides("man", page, NULL);
        assert_int_equal(said.code, 0);
        said_release(&said);
        count++;
    }

    assert_true(count > 10);
    said_release(&list);
}

static void test_a_page_that_is_not_there_is_not_found(void **state)
{
    struct said unknown = dides("man", "dides-dploy", NULL);
    struct said hidden = dides("man", "dides-man", NULL);
    struct said none = dides("man", NULL);
    (void)state;

    assert_int_equal(unknown.code, 8);
    assert_int_equal(hidden.code, 8);
    assert_int_equal(none.code, 64);
    said_release(&unknown);
    said_release(&hidden);
    said_release(&none);
}

/* ---- machines ------------------------------------------------------------------------------- */

static void test_every_listed_machine_can_be_shown_in_every_form(void **state)
{
    static const char *const forms[][2] = { { "--mermaid", "stateDiagram-v2\n" },
                                            { "--dot", "digraph " },
                                            { "--json", "{\"" },
                                            { "--table", "\n" } };
    struct said list = dides("machine", "list", NULL);
    struct text rest = buffer_text(&list.out), line, name;
    unsigned count = 0;
    (void)state;

    while (text_cut(&rest, '\n', &line) && line.size > 0) {
        char machine[64];
        assert_true(text_cut(&line, ' ', &name));
        snprintf(machine, sizeof machine, "%.*s", TEXT_ARG(name));
        for (size_t i = 0; i < 4; i++) {
            struct said said = dides("machine", "show", machine, forms[i][0], NULL);
            assert_int_equal(said.code, 0);
            assert_has(&said.out, forms[i][1]);
            said_release(&said);
        }
        count++;
    }

    assert_int_equal(count, 12);
    said_release(&list);
}

static void test_the_machines_of_this_binary_have_no_faults(void **state)
{
    struct said said = dides("machine", "check", NULL);
    (void)state;

    assert_int_equal(said.code, 0);
    assert_has(&said.out, "rollout: ");
    assert_lacks(&said.out, "error");
    assert_lacks(&said.out, "warning");
    said_release(&said);
}

static void test_wrong_words_after_machine_are_told_apart(void **state)
{
    struct said unknown = dides("machine", "show", "toaster", NULL);
    struct said forms = dides("machine", "show", "rollout", "--dot", "--json", NULL);
    struct said verb = dides("machine", "paint", NULL);
    (void)state;

    assert_int_equal(unknown.code, 8);
    assert_int_equal(forms.code, 64);
    assert_int_equal(verb.code, 64);
    said_release(&unknown);
    said_release(&forms);
    said_release(&verb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_explains_itself),
        cmocka_unit_test(test_rows_are_whole_and_names_differ),
        cmocka_unit_test(test_see_also_names_commands_that_exist),
        cmocka_unit_test(test_help_lists_what_is_not_hidden),
        cmocka_unit_test(test_help_of_a_mistyped_command_gives_a_hint),
        cmocka_unit_test(test_the_version_has_two_spellings),
        cmocka_unit_test(test_every_command_has_a_sound_page),
        cmocka_unit_test(test_the_page_of_the_program_names_all_commands),
        cmocka_unit_test(test_the_list_of_pages_begins_each_line_with_a_page),
        cmocka_unit_test(test_a_page_that_is_not_there_is_not_found),
        cmocka_unit_test(test_every_listed_machine_can_be_shown_in_every_form),
        cmocka_unit_test(test_the_machines_of_this_binary_have_no_faults),
        cmocka_unit_test(test_wrong_words_after_machine_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
