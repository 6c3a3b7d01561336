/* SPDX-License-Identifier: Apache-2.0
 * story_config.c - the waves and failure domains of a story, read from a few words. */
#include "core/story.h"

#include "base/suite.h"

/* ---- words ---------------------------------------------------------------------------------- */

/* The next word of a part, or an empty one. What stands in brackets is one word. */
static struct text next_word(struct text *rest)
{
    struct text word = TEXT_NONE;
    *rest = text_trim(*rest);
    if (rest->size == 0)
        return word;
    size_t end = rest->data[0] == '[' ? text_find(*rest, ']') + 1 : text_find(*rest, ' ');
    assert_true(end <= rest->size);
    word = (struct text){ rest->data, end };
    *rest = text_skip(*rest, end);
    return word;
}

static uint32_t read_number(struct text word)
{
    uint64_t number = 0;
    if (!text_to_u64(word, UINT32_MAX, &number))
        fail_msg("\"%.*s\" is no number", TEXT_ARG(word));
    return (uint32_t)number;
}

static struct amount read_amount(struct text word)
{
    bool is_percent = text_ends_with(word, TEXT("%"));
    word.size -= is_percent ? 1 : 0;
    return (struct amount){ .value = read_number(word), .is_percent = is_percent };
}

/* How many parts there are between separators. */
static uint32_t count_parts(const char *words)
{
    uint32_t count = 1;
    for (const char *at = words; *at; at++)
        count += *at == ';' ? 1 : 0;
    return count;
}

static void *take_array(struct story *s, size_t count, size_t size)
{
    void *items = arena_take_array(&s->arena, count, size);
    assert_non_null(items);
    return items;
}

/* ---- waves ---------------------------------------------------------------------------------- */

static struct gate_config *add_gate(struct story *s, struct wave_config *wave, struct text name)
{
    if (wave->gate_count == 0)
        wave->gates = take_array(s, LIMIT_GATES, sizeof wave->gates[0]);
    assert_true(wave->gate_count < LIMIT_GATES);
    struct gate_config *gate = (struct gate_config *)&wave->gates[wave->gate_count++];
    *gate = (struct gate_config){ .name = name, .type = GATE_MANUAL };
    return gate;
}

/* What is said of the newest gate. False: the word is no such thing. */
static bool read_gate(struct gate_config *gate, struct text word, struct text *rest)
{
    if (text_equal(word, TEXT("timeout")))
        gate->timeout_ms = read_number(next_word(rest)) * SECOND;
    else if (text_equal(word, TEXT("passes")))
        gate->undecided = UNDECIDED_PASSES;
    else if (text_equal(word, TEXT("fails")))
        gate->undecided = UNDECIDED_FAILS;
    else if (text_equal(word, TEXT("dry")))
        gate->is_dry_run = true;
    else
        return false;
    return true;
}

static void read_members(struct story *s, struct wave_config *wave, struct text word)
{
    wave->has_selector = word.data[0] == '[';
    wave->has_size = !wave->has_selector;
    if (wave->has_size) {
        wave->size = read_amount(word);
        return;
    }
    wave->selector_text = (struct text){ word.data + 1, word.size - 2 };
    if (!selector_parse(wave->selector_text, NULL, 0, &s->arena, &wave->selector, &s->err))
        fail_msg("%s", s->err.text);
}

static void read_wave(struct story *s, struct text part, struct wave_config *ret)
{
    struct wave_config wave = { .name = next_word(&part) };
    struct gate_config *gate = NULL;
    for (struct text word = next_word(&part); word.size > 0; word = next_word(&part)) {
        if (gate && read_gate(gate, word, &part))
            continue;
        if (text_equal(word, TEXT("batch"))) {
            wave.has_batch_size = true;
            wave.batch_size = read_amount(next_word(&part));
        } else if (text_equal(word, TEXT("limit"))) {
            wave.has_failure_threshold = true;
            wave.failure_threshold = read_amount(next_word(&part));
        } else if (text_equal(word, TEXT("barrier")) || text_equal(word, TEXT("window"))) {
            wave.has_mode = true;
            wave.mode = word.data[0] == 'b' ? MODE_BARRIER : MODE_WINDOW;
        } else if (text_equal(word, TEXT("soak"))) {
            wave.soak_ms = read_number(next_word(&part)) * SECOND;
        } else if (text_equal(word, TEXT("gate"))) {
            gate = add_gate(s, &wave, next_word(&part));
        } else {
            read_members(s, &wave, word);
        }
    }
    *ret = wave;
}

void story_waves(struct story *s, struct rollout_config *config, const char *words)
{
    uint32_t count = count_parts(words);
    struct wave_config *waves = take_array(s, count, sizeof waves[0]);
    struct text rest = text_from(words);
    struct text part;
    for (uint32_t i = 0; i < count && text_cut(&rest, ';', &part); i++)
        read_wave(s, part, &waves[i]);
    config->strategy = STRATEGY_WAVES;
    config->waves = waves;
    config->wave_count = count;
}

/* ---- domains -------------------------------------------------------------------------------- */

static void read_domain(struct text part, struct domain_config *ret)
{
    struct domain_config domain = { .label = next_word(&part) };
    for (struct text word = next_word(&part); word.size > 0; word = next_word(&part)) {
        struct amount amount = read_amount(next_word(&part));
        bool is_failed = text_equal(word, TEXT("fail"));
        assert_true(is_failed || text_equal(word, TEXT("max")));
        domain.has_max_failed |= is_failed;
        domain.has_max_in_progress |= !is_failed;
        *(is_failed ? &domain.max_failed : &domain.max_in_progress) = amount;
    }
    *ret = domain;
}

void story_domains(struct story *s, struct rollout_config *config, const char *words)
{
    uint32_t count = count_parts(words);
    assert_true(count <= LIMIT_DOMAINS);
    struct domain_config *domains = take_array(s, count, sizeof domains[0]);
    struct text rest = text_from(words);
    struct text part;
    for (uint32_t i = 0; i < count && text_cut(&rest, ';', &part); i++)
        read_domain(part, &domains[i]);
    config->domains = domains;
    config->domain_count = count;
}
