/* SPDX-License-Identifier: Apache-2.0
 * complete.c - `dides complete -- WORD...`: what the last of the words after "dides" could become,
 * found in the commands' rows and, for what is live, at the server. The scripts of `dides
 * completion` ask it; a person never does. It must not disturb who is typing: it says nothing on
 * stderr, gives up soon, and offers no word that a shell would read as anything but itself. */
#include "base/cleanup.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/options.h"

#define DEADLINE_MS 1000 /* for all requests together */
#define OFFERS_MAX  1000 /* more than that nobody reads */
#define OFFERS_SIZE ((size_t)4 << 20)
#define WORD_SIZE   512
#define ROWS_MAX    64

struct completion {
    const struct command *command;
    const struct option_row *row; /* whose argument is being typed; NULL: none */
    const char *operand;          /* the last one before the word, or NULL */
    bool has_only_operands;       /* "--" was typed */
    const char *given[ROWS_MAX];  /* by option: its argument, "" for a flag; NULL: not given */
    struct text word, partial;    /* what is being typed; its end, which is to grow */
    struct text label;            /* whose value is being typed; empty: none */
    struct buffer out;
    struct arena arena; /* of `offers` */
    struct text offers[OFFERS_MAX];
    size_t offer_count;
};

static void completion_free(struct completion **c)
{
    if (*c && (*c)->out.memory) {
        arena_release(&(*c)->arena);
        buffer_release(&(*c)->out);
    }
    free(*c);
}

/* ---- offers --------------------------------------------------------------------------------- */

/* Names and labels were written by others: one that needs quotes is left out, not quoted, because
 * each shell quotes in its own way. A colon in front marks what is no word, see offer_files(). */
static bool is_plain(struct text word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._/=:@%+,-";
    for (size_t i = 0; i < word.size; i++)
        if (word.data[i] == '\0' || !strchr(plain, word.data[i]))
            return false;
    return word.size > 0 && word.data[0] != ':';
}

/* Offers `word`, and `end` after it, as what the partial word could become; only once. */
static void offer(struct completion *c, struct text word, struct text end, struct text meaning)
{
    if (c->offer_count == OFFERS_MAX || !is_plain(word) || !text_starts_with(word, c->partial))
        return;
    for (size_t i = 0; i < c->offer_count; i++)
        if (text_equal(c->offers[i], word))
            return;
    if (!arena_copy(&c->arena, word, &c->offers[c->offer_count]))
        return;
    c->offer_count++;
    buffer_add(&c->out, (struct text){ c->word.data, c->word.size - c->partial.size });
    buffer_add(&c->out, word);
    buffer_add(&c->out, end);
    if (meaning.size > 0)
        buffer_add_byte(&c->out, '\t');
    terminal_add(&c->out, meaning);
    buffer_add_byte(&c->out, '\n');
}

static void offer_word(struct completion *c, const char *word, const char *meaning)
{
    offer(c, text_from(word), TEXT_NONE, text_from(meaning));
}

/* Only what follows the last `separator` is to grow. */
static void settle_through(struct completion *c, char separator)
{
    size_t at = c->partial.size;
    while (at > 0 && c->partial.data[at - 1] != separator)
        at--;
    c->partial = text_skip(c->partial, at);
}

/* ---- what the server knows ------------------------------------------------------------------ */

/* The argument of an option: as typed, or from the environment, or the fallback. */
static const char *value_of(const struct completion *c, const char *name)
{
    for (size_t i = 0; i < c->command->option_count; i++) {
        const struct option_row *row = &c->command->options[i];
        const char *set = row->environment ? getenv(row->environment) : NULL;
        if (strcmp(row->name, name) != 0)
            continue;
        if (c->given[i])
            return c->given[i];
        return set && set[0] ? set : row->fallback;
    }
    return NULL;
}

typedef void offer_item(struct completion *c, const struct json_node *item);

/* Offers the items of the list `key`, page by page until the deadline. */
static void offer_pages(struct completion *c, const char *start, const char *key, offer_item *item)
{
    int64_t end_ms = steady_now_ms() + DEADLINE_MS;
    cleanup(client_release) struct client client = { .status = 0 };
    struct client_options options = { .server = value_of(c, "server"),
                                      .token = value_of(c, "token"),
                                      .token_file = value_of(c, "token-file"),
                                      .output = "name" };
    char cursor[WORD_SIZE] = "";
    int code;
    if (!options.server || !client_open(&client, c->command, &options, DEADLINE_MS, &code))
        return;
    do {
        cleanup(path_release) struct path path = { 0 };
        path_init(&path, start);
        path_add_parameter(&path, "cursor", text_from(cursor));
        struct request request = { .method = "GET", .path = buffer_c_string(&path.text) };
        if (client_try(&client, &request) != EXIT_DONE)
            return;
        const struct json_node *node = json_first(json_member(client.root, key));
        for (; node; node = node->next)
            item(c, node);
        struct text next = json_get_text(client.root, "next_cursor", TEXT_NONE);
        if (next.size >= sizeof cursor || text_equal(next, text_from(cursor)))
            return;
        snprintf(cursor, sizeof cursor, "%.*s", TEXT_ARG(next));
        client.timeout_ms = end_ms - steady_now_ms();
    } while (cursor[0] && client.timeout_ms > 0 && c->offer_count < OFFERS_MAX);
}

static void offer_rollout(struct completion *c, const struct json_node *rollout)
{
    offer(c, json_get_text(rollout, "id", TEXT_NONE), TEXT_NONE,
          json_get_text(rollout, "status_name", TEXT_NONE));
}

static void offer_instance(struct completion *c, const struct json_node *instance)
{
    offer(c, json_get_text(instance, "name", TEXT_NONE), TEXT_NONE,
          json_get_text(instance, "status_name", TEXT_NONE));
}

static void offer_labels(struct completion *c, const struct json_node *instance)
{
    const struct json_node *label = json_first(json_member(instance, "labels"));
    for (; label; label = label->next) {
        if (c->label.size == 0)
            offer(c, label->key, TEXT("="), TEXT_NONE);
        else if (text_equal(label->key, c->label))
            offer(c, json_get_text(label, "", TEXT_NONE), TEXT_NONE, TEXT_NONE);
    }
}

/* ---- what words in capitals stand for ------------------------------------------------------- */

#define INSTANCES "/inventory/instances?limit=1000"

static void offer_files(struct completion *c)
{
    buffer_add(&c->out, TEXT(":files\n"));
}

static void offer_folders(struct completion *c)
{
    buffer_add(&c->out, TEXT(":folders\n"));
}

static void offer_live(struct completion *c)
{
    offer_pages(c, "/deploy/status", "deployments", offer_rollout);
}

static void offer_rollouts(struct completion *c)
{
    offer_pages(c, "/deploy?limit=1000", "deployments", offer_rollout);
}

static void offer_instances(struct completion *c)
{
    offer_pages(c, INSTANCES, "instances", offer_instance);
}

/* After "key=", "key==" and "key!=" values, else keys. */
static void offer_selector(struct completion *c)
{
    settle_through(c, ',');
    c->label = c->partial;
    settle_through(c, '=');
    c->label.size -= c->partial.size;
    while (c->label.size > 0 && strchr("!=", c->label.data[c->label.size - 1]))
        c->label.size--;
    offer_pages(c, INSTANCES, "instances", offer_labels);
}

static void offer_label_keys(struct completion *c)
{
    offer_pages(c, INSTANCES, "instances", offer_labels);
}

static void offer_commands(struct completion *c)
{
    for (size_t i = 0; i < command_count; i++)
        if (!commands[i]->is_hidden)
            offer_word(c, commands[i]->name, commands[i]->summary);
}

static void offer_machines(struct completion *c)
{
    for (size_t i = 0; machine_name(i); i++)
        offer_word(c, machine_name(i), NULL);
}

static const struct {
    const char *word;
    void (*offer)(struct completion *c);
} lookups[] = {
    { "FILE", offer_files },       { "PROGRAM", offer_files },    { "DIR", offer_folders },
    { "LIVE", offer_live },        { "ID", offer_rollouts },      { "INSTANCE", offer_instances },
    { "SEL", offer_selector },     { "COMMAND", offer_commands }, { "MACHINE", offer_machines },
    { "LABEL", offer_label_keys },
};

/* ---- what is being typed -------------------------------------------------------------------- */

/* Words like N or TEXT stand for nothing that is known. */
static void look_up(struct completion *c, struct text word)
{
    for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++)
        if (text_equal(word, text_from(lookups[i].word)))
            lookups[i].offer(c);
}

static void offer_choices(struct completion *c, const char *choices)
{
    struct text rest = text_from(choices), word;
    while (rest.data && text_cut(&rest, ' ', &word)) {
        bool is_capital = word.size > 0 && word.data[0] >= 'A' && word.data[0] <= 'Z';
        if (is_capital)
            look_up(c, word);
        else
            offer(c, word, TEXT_NONE, TEXT_NONE);
    }
}

static void offer_argument(struct completion *c)
{
    if (strcmp(c->row->argument, "LIST") == 0)
        settle_through(c, ',');
    offer_choices(c, c->row->choices ? c->row->choices : c->row->argument);
}

static void offer_options(struct completion *c)
{
    char name[WORD_SIZE];
    for (size_t i = 0; i < c->command->option_count; i++) {
        const struct option_row *row = &c->command->options[i];
        snprintf(name, sizeof name, "--%s", row->name);
        if (!c->given[i] || row->kind == OPTION_LIST)
            offer_word(c, name, row->meaning);
    }
    offer_word(c, "--help", "print this command's help");
}

static void offer_operands(struct completion *c)
{
    const struct operand_row *row = c->command->operands;
    for (; row && row->choices; row++)
        if (row->after ? c->operand && strcmp(c->operand, row->after) == 0 : !c->operand)
            offer_choices(c, row->choices);
}

static const struct option_row *long_row(const struct completion *c, struct text name)
{
    for (size_t i = 0; i < c->command->option_count; i++)
        if (text_equal(text_from(c->command->options[i].name), name))
            return &c->command->options[i];
    return NULL;
}

static const struct option_row *letter_row(const struct completion *c, char letter)
{
    for (size_t i = 0; i < c->command->option_count; i++)
        if (letter && c->command->options[i].letter == letter)
            return &c->command->options[i];
    return NULL;
}

/* Notes the option; its argument, when it wants one and `argument` is NULL, is the next word. */
static void note_option(struct completion *c, const struct option_row *row, const char *argument)
{
    c->given[row - c->command->options] = argument ? argument : "";
    c->row = row->argument && !argument ? row : NULL;
}

static void read_letters(struct completion *c, const char *letters)
{
    for (; *letters; letters++) {
        const struct option_row *row = letter_row(c, *letters);
        bool takes_rest = row && row->argument && letters[1];
        if (row)
            note_option(c, row, takes_rest ? letters + 1 : NULL);
        if (takes_rest)
            return;
    }
}

/* One of the words before the one that is being typed. */
static void read_word(struct completion *c, const char *word)
{
    struct text name = text_from(word);
    size_t sign = text_find(name, '=');
    if (c->row) {
        note_option(c, c->row, word);
    } else if (c->has_only_operands || word[0] != '-' || !word[1]) {
        c->operand = word;
    } else if (strcmp(word, "--") == 0) {
        c->has_only_operands = true;
    } else if (word[1] != '-') {
        read_letters(c, word + 1);
    } else {
        name.size = sign;
        const struct option_row *row = long_row(c, text_skip(name, 2));
        if (row)
            note_option(c, row, word[sign] == '=' ? word + sign + 1 : NULL);
    }
}

static void complete_word(struct completion *c)
{
    size_t sign = text_find(c->word, '=');
    bool is_option = !c->has_only_operands && text_starts_with(c->word, TEXT("-"));
    if (!c->row && is_option && sign < c->word.size) { /* --name=argument */
        c->row = long_row(c, text_skip((struct text){ c->word.data, sign }, 2));
        c->partial = text_skip(c->word, sign + 1);
        if (!c->row || !c->row->argument)
            return;
    }
    if (c->row) {
        offer_argument(c);
    } else if (is_option) {
        offer_options(c);
    } else {
        offer_operands(c);
        if (c->out.size == 0 && c->word.size == 0 && !c->has_only_operands)
            offer_options(c);
    }
}

static void complete(struct completion *c, char **words, int count)
{
    c->word = c->partial = text_from(words[count - 1]);
    if (count == 1) {
        offer_commands(c);
        if (c->word.size == 0)
            return;
        offer_word(c, "--help", "list the commands");
        offer_word(c, "--version", "print the version of this binary");
        return;
    }
    c->command = command_find(words[0]);
    if (!c->command || c->command->option_count > ROWS_MAX)
        return;
    for (int i = 1; i < count - 1; i++)
        read_word(c, words[i]);
    complete_word(c);
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run(const struct command *command, int argc, char **argv)
{
    struct operands operands;
    int code;
    char nothing;
    if (!options_parse(command, argc, argv, &nothing, &operands, &code))
        return code;
    if (operands.count == 0)
        return wrong_usage(command, "which words?");
    cleanup(completion_free) struct completion *c = calloc(1, sizeof *c);
    if (!c || !freopen("/dev/null", "we", stderr)) /* from here on nothing is worth a remark */
        return EXIT_OTHER;
    arena_init(&c->arena, &memory_heap, OFFERS_SIZE);
    buffer_init(&c->out, &memory_heap, OFFERS_SIZE);
    complete(c, operands.list, operands.count);
    return terminal_write(stdout, &c->out) ? EXIT_DONE : EXIT_OTHER;
}

static const char *const synopsis[] = { "-- [WORD]...", NULL };
static const char *const details[] = {
    "Prints what the last word could become, one a line, each with its meaning after a tab. The "
    "words are those after \"dides\" up to the cursor; the last may be empty. A line :files or "
    ":folders stands for names of files. The scripts that dides completion prints ask this.",
    NULL
};

const struct command complete_command = {
    .name = "complete",
    .summary = "tell what a word on the command line could become",
    .synopsis = synopsis,
    .details = details,
    .see_also = "completion",
    .is_hidden = true,
    .run = run,
};
