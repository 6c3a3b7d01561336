/* SPDX-License-Identifier: Apache-2.0
 * settings_print.c - the configuration and its reference as texts. See settings.h. */
#include "cmd/settings_parts.h"
#include "cmd/tokens.h"

#include <assert.h>

/* ---- values --------------------------------------------------------------------------------- */

/* Of one well-formed UTF-8 character. */
static uint32_t code_point(struct text character)
{
    static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = (unsigned char)character.data[0] & masks[character.size];
    for (size_t i = 1; i < character.size; i++)
        code = code << 6 | ((unsigned char)character.data[i] & 0x3f);
    return code;
}

/* Whether YAML takes it as it is: line ends and marks hide among what is not named here. */
static bool is_plain(uint32_t code)
{
    return (code >= 0x20 && code < 0x7f && code != '"' && code != '\\') ||
           (code >= 0xa1 && code < 0x2000) || (code >= 0x3001 && code < 0xd800);
}

/* A double-quoted scalar that reads back as exactly `t`, which is UTF-8. */
static void write_text(struct text t, struct buffer *out)
{
    buffer_add_byte(out, '"');
    while (t.size) {
        size_t size = text_utf8_size(t);
        assert(size > 0); /* the reader let it in */
        struct text character = { t.data, size };
        uint32_t code = code_point(character);
        if (is_plain(code))
            buffer_add(out, character);
        else
            buffer_printf(out, code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
        t = text_skip(t, size);
    }
    buffer_add_byte(out, '"');
}

void setting_write_value(const struct settings *s, enum setting row, struct buffer *out)
{
    const struct json_field *field = &settings_table.fields[row];
    const void *at = (const char *)&s->value + field->offset;
    switch ((enum json_kind)field->kind) {
    case JSON_TEXT: write_text(*(const struct text *)at, out); break;
    case JSON_WORD:
        buffer_add(out, text_from(field->words->list[*(const uint8_t *)at].word));
        break;
    case JSON_DURATION: format_duration(out, *(const int64_t *)at); break;
    case JSON_INTEGER: buffer_add_u64(out, *(const uint32_t *)at); break;
    case JSON_OBJECTS: tokens_print(s->value.tokens, s->value.token_count, out); break;
    case JSON_BOOL: buffer_add(out, *(const bool *)at ? TEXT("true") : TEXT("false")); break;
    default: assert(false); /* no setting is of another kind */
    }
}

void setting_write_source(const struct settings *s, enum setting row, struct buffer *out)
{
    char flag[SETTING_FLAG_SIZE];
    char space[ERR_EXCERPT_SIZE];
    switch ((enum setting_source)s->sources[row]) {
    case SETTING_FROM_DEFAULT: buffer_add(out, TEXT("default")); break;
    case SETTING_FROM_FILE: buffer_printf(out, "file %s", err_excerpt(s->file, space)); break;
    case SETTING_FROM_ENVIRONMENT:
        buffer_add(out, TEXT("environment "));
        setting_variable(row, out);
        break;
    case SETTING_FROM_SET: buffer_add(out, TEXT("--set")); break;
    case SETTING_FROM_FLAG:
        buffer_add(out, text_from(setting_flag(settings_table.fields[row].name, flag)));
        break;
    }
}

static void write_allowed(enum setting row, struct buffer *out)
{
    if (setting_is_address(row))
        buffer_add(out, TEXT("an address and port such as \"127.0.0.1:7420\" or \"[::1]:7420\""));
    else
        json_field_expect(&settings_table.fields[row], out);
}

/* ---- documents ------------------------------------------------------------------------------ */

void settings_print(const struct settings *s, struct buffer *out)
{
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        buffer_printf(out, "%s# %s: ", i ? "\n" : "", settings_table.fields[i].meaning);
        write_allowed((enum setting)i, out);
        buffer_add(out, TEXT(" [from: "));
        setting_write_source(s, (enum setting)i, out);
        buffer_printf(out, "]\n%s: ", settings_table.fields[i].name);
        setting_write_value(s, (enum setting)i, out);
        buffer_add_byte(out, '\n');
    }
}

static void markdown_row(enum setting row, struct buffer *out)
{
    const struct json_field *field = &settings_table.fields[row];
    buffer_printf(out, "| `%s` | `%s` | %s | ", field->name, setting_defaults[row], field->meaning);
    write_allowed(row, out);
    buffer_add(out, TEXT(" | `"));
    setting_variable(row, out);
    buffer_add(out, TEXT("` |\n"));
}

static void tokens_markdown(struct buffer *out)
{
    buffer_add(
        out,
        TEXT(
            "\n"
            "## Registration tokens\n"
            "\n"
            "`registration_tokens` is a list, in YAML\n"
            "\n"
            "```yaml\n"
            "registration_tokens:\n"
            "  - {name: web, token_file: /etc/dides/web.token, instances: \"web-*\"}\n"
            "  - {name: lab, sha256: \"<64 hexadecimal digits>\", expires: "
            "2031-01-01T00:00:00Z}\n"
            "```\n"
            "\n"
            "and the same as JSON in a variable or after `--set`. `dides token` makes a token and "
            "its entry. One\n"
            "of `token`, `token_file` and `sha256` says what the token is; a `token` is taken from "
            "a file that\n"
            "only its owner can read, and from the environment, but not from a command line. In "
            "patterns `*`\n"
            "stands for any text and `?` for one character. Nothing prints a token: of a `token` "
            "only the hash\n"
            "is shown.\n"
            "\n"
            "| Key | Meaning | Allowed |\n"
            "|---|---|---|\n"));
    for (unsigned i = 0; i < setting_token_table.count; i++) {
        const struct json_field *field = &setting_token_table.fields[i];
        buffer_printf(out, "| `%s` | %s | ", field->name, field->meaning);
        json_field_expect(field, out);
        buffer_add(out, TEXT(" |\n"));
    }
}

void settings_markdown(struct buffer *out)
{
    buffer_add(
        out,
        TEXT("# Settings of `dides server`\n"
             "\n"
             "Printed by `dides config --markdown`; do not edit.\n"
             "\n"
             "A setting may come from several places. Later ones win:\n"
             "\n"
             "1. its default\n"
             "2. the file of `--config FILE`, YAML or, with a name that ends in `.json`, JSON\n"
             "3. its environment variable\n"
             "4. `--set KEY=VALUE`, which may be given several times\n"
             "5. its own flag: `--listen`, `--data`, `--store`, `--io-threads`, `--insecure`\n"
             "\n"
             "A key that is not known and a value out of range end the server with exit code 64 "
             "and a\n"
             "sentence that says where it stood and what is allowed. `dides server --print-config` "
             "prints\n"
             "what is in force and where each value came from; its output can be given to "
             "`--config`.\n"
             "\n"
             "| Key | Default | Meaning | Allowed | Environment |\n"
             "|---|---|---|---|---|\n"));
    for (unsigned i = 0; i < SETTING_COUNT; i++)
        markdown_row((enum setting)i, out);
    tokens_markdown(out);
}
