/* SPDX-License-Identifier: Apache-2.0
 * look.c - see look.h. */
#include "agent/look.h"

/* ---- sentences ---------------------------------------------------------------------------------
 */

static void add(struct look_note *note, struct text t)
{
    size_t room = sizeof note->bytes - note->size;
    size_t size = t.size < room ? t.size : room;
    if (size == 0)
        return;
    memcpy(note->bytes + note->size, t.data, size);
    note->size = (uint16_t)(note->size + size);
}

/* One character, whole or not at all; false: no room. What could steer a terminal or break a line
 * becomes \xNN. */
static bool add_character(struct look_note *note, struct text t, size_t *ret_size)
{
    char escaped[8];
    size_t size = text_utf8_size(t);
    struct text shown = { t.data, size };
    unsigned char first = (unsigned char)t.data[0];
    bool is_c1 = size == 2 && first == 0xc2 && (unsigned char)t.data[1] < 0xa0;
    if (size == 0 || first < 0x20 || first == 0x7f || is_c1) {
        size = 1;
        snprintf(escaped, sizeof escaped, "\\x%02x", first);
        shown = text_from(escaped);
    }
    if (shown.size > sizeof note->bytes - note->size)
        return false;
    add(note, shown);
    *ret_size = size;
    return true;
}

static void add_escaped(struct look_note *note, struct text t)
{
    size_t size;
    while (t.size > 0 && add_character(note, t, &size))
        t = text_skip(t, size);
}

/* The last line that is not blank. */
static struct text last_line(struct text output)
{
    struct text line, last = TEXT_NONE;
    while (text_cut(&output, '\n', &line))
        if (text_trim(line).size > 0)
            last = text_trim(line);
    return last;
}

static void add_end(struct look_note *note, const struct command_result *result)
{
    char words[64] = "";
    switch (result->end) {
    case COMMAND_EXITED: snprintf(words, sizeof words, "exit code %d", result->number); break;
    case COMMAND_KILLED: snprintf(words, sizeof words, "signal %d", result->number); break;
    case COMMAND_TIMED_OUT: snprintf(words, sizeof words, "its timeout"); break;
    case COMMAND_STOPPED: snprintf(words, sizeof words, "the stop of the agent"); break;
    case COMMAND_NOT_RUN: break;
    }
    if (result->end == COMMAND_NOT_RUN) {
        add(note, TEXT(" could not be started: "));
        add(note, text_from(strerror(result->number)));
        return;
    }
    add(note, TEXT(" ended with "));
    add(note, text_from(words));
}

void look_end(const char *command, const struct command_result *result, struct look_note *ret)
{
    struct text line = last_line(result->output);
    *ret = (struct look_note){ .size = 0 };
    add(ret, text_from(command));
    add_end(ret, result);
    if (line.size == 0)
        return;
    add(ret, TEXT(": "));
    add_escaped(ret, line);
}

static void add_version(struct look_note *note, const struct life_version *version)
{
    struct text code = life_part_text(&version->code), config = life_part_text(&version->config);
    add_escaped(note, code.size > 0 ? code : TEXT("(nothing)"));
    if (config.size == 0)
        return;
    add(note, TEXT(" "));
    add_escaped(note, config);
}

void look_difference(const struct life_version *printed, const struct life_version *wished,
                     struct look_note *ret)
{
    *ret = (struct look_note){ .size = 0 };
    add(ret, TEXT("version_command prints "));
    add_version(ret, printed);
    add(ret, TEXT(" after the update, not "));
    if (wished->code.size == 0)
        add(ret, TEXT("configuration "));
    if (wished->code.size == 0)
        add_escaped(ret, life_part_text(&wished->config));
    else
        add_version(ret, wished);
}

/* ---- versions ----------------------------------------------------------------------------------
 */

static bool is_version_part(struct text t)
{
    return t.size <= LIMIT_VERSION && text_is_utf8(t) && text_is_printable(t);
}

static void say(struct look_note *note, const char *sentence)
{
    *note = (struct look_note){ .size = 0 };
    add(note, text_from(sentence));
}

bool look_version(const struct command_result *result, struct life_version *ret,
                  struct look_note *ret_why)
{
    struct text rest = result->head, code = TEXT_NONE, config = TEXT_NONE;
    if (result->end != COMMAND_EXITED || result->number != 0) {
        look_end("version_command", result, ret_why);
        return false;
    }
    text_cut(&rest, '\n', &code);
    text_cut(&rest, '\n', &config);
    code = text_trim(code);
    config = text_trim(config);
    if (!is_version_part(code) || !is_version_part(config)) {
        say(ret_why,
            "version_command printed a version that is too long or has control characters");
        return false;
    }
    if (code.size == 0) {
        say(ret_why, "version_command printed no version");
        return false;
    }
    life_part_set(&ret->code, code);
    life_part_set(&ret->config, config);
    return true;
}

enum instance_state look_health(const struct command_result *result, struct look_note *ret_note)
{
    if (result->end == COMMAND_EXITED && result->number == 0) {
        *ret_note = (struct look_note){ .size = 0 };
        return INSTANCE_HEALTHY;
    }
    look_end("health_command", result, ret_note);
    bool is_degraded =
        result->end == COMMAND_TIMED_OUT || (result->end == COMMAND_EXITED && result->number == 1);
    return is_degraded ? INSTANCE_DEGRADED : INSTANCE_FAILED;
}
