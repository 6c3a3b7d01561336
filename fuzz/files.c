/* SPDX-License-Identifier: Apache-2.0
 * files.c - what people and agents keep in files: settings of the server, configuration and
 * identity of an agent, simulations. What is printed reads back as the same. */
#include "agent/config.h"
#include "agent/identity.h"
#include "cmd/settings.h"
#include "fuzz.h"
#include "sim/plan.h"

#include <string.h>

static bool is_json(struct text input)
{
    return text_starts_with(text_trim(input), TEXT("{"));
}

void fuzz_settings(struct text input)
{
    struct settings first, second;
    struct fuzz f;
    fuzz_begin(&f);
    CLAIM(settings_init(&first, NULL) && settings_init(&second, NULL));
    const char *path = fuzz_file(is_json(input) ? "settings.json" : "settings.yaml", input);
    if (settings_read_file(&first, path, &f.err)) {
        (void)settings_check(&first, NULL);
        settings_print(&first, &f.out);
        CLAIM(!f.out.failed);
        path = fuzz_file("printed.yaml", buffer_text(&f.out));
        if (!settings_read_file(&second, path, &f.err))
            fprintf(stderr, "%s\n%s", f.err.text, buffer_c_string(&f.out));
        CLAIM(f.err.code == ERR_NONE);
        CLAIM(settings_check(&first, NULL) == settings_check(&second, NULL));
    } else {
        CLAIM_ERROR(&f.err, ERR_USAGE, ERR_MEMORY);
    }
    settings_release(&first);
    settings_release(&second);
    fuzz_end(&f);
}

/* Each line is one --set. */
void fuzz_setting_pairs(struct text input)
{
    struct settings settings;
    struct fuzz f;
    struct text line;
    fuzz_begin(&f);
    CLAIM(settings_init(&settings, NULL));
    while (input.size > 0 && text_cut(&input, '\n', &line)) {
        char pair[512];
        if (line.size >= sizeof pair)
            continue;
        memcpy(pair, line.data, line.size);
        pair[line.size] = '\0';
        f.err = (struct err){ .code = ERR_NONE };
        if (!settings_read_pair(&settings, pair, &f.err))
            CLAIM_ERROR(&f.err, ERR_USAGE, ERR_MEMORY);
    }
    settings_print(&settings, &f.out);
    CLAIM(!f.out.failed);
    settings_release(&settings);
    fuzz_end(&f);
}

void fuzz_agent_config(struct text input)
{
    struct config first, second;
    struct fuzz f;
    fuzz_begin(&f);
    CLAIM(config_init(&first, NULL) && config_init(&second, NULL));
    const char *path = fuzz_file(is_json(input) ? "agent.json" : "agent.yaml", input);
    if (config_read_file(&first, path, &f.err)) {
        (void)config_check(&first, NULL);
        config_print(&first, &f.out);
        CLAIM(!f.out.failed);
        path = fuzz_file("printed.yaml", buffer_text(&f.out));
        if (!config_read_file(&second, path, &f.err))
            fprintf(stderr, "%s\n%s", f.err.text, buffer_c_string(&f.out));
        CLAIM(f.err.code == ERR_NONE);
        config_print(&second, &f.again); /* without the token, which was not printed either */
        config_release(&first);
        CLAIM(config_init(&first, NULL));
        CLAIM(config_read_file(&first, fuzz_file("again.yaml", buffer_text(&f.again)), &f.err));
        config_print(&first, &f.third);
        fuzz_claim_equal(buffer_text(&f.again), buffer_text(&f.third));
    } else {
        CLAIM_ERROR(&f.err, ERR_USAGE, ERR_MEMORY);
    }
    config_release(&first);
    config_release(&second);
    fuzz_end(&f);
}

void fuzz_identity(struct text input)
{
    struct identity *first = calloc(1, sizeof *first), *second = calloc(1, sizeof *second);
    struct err err = { .code = ERR_NONE };
    bool found = false, found_again = false;
    CLAIM(first && second);
    const char *path = fuzz_file("identity", input);
    if (identity_load(path, first, &found, &err)) {
        CLAIM(found);
        CLAIM(identity_save(path, first, &err));
        CLAIM(identity_load(path, second, &found_again, &err) && found_again);
        CLAIM(strcmp(first->server, second->server) == 0 && strcmp(first->name, second->name) == 0);
        CLAIM(strcmp(first->credential, second->credential) == 0);
        CLAIM(memcmp(&first->record, &second->record, sizeof first->record) == 0);
    } else {
        CLAIM_ERROR(&err, ERR_CORRUPT, ERR_MEMORY);
    }
    free(first);
    free(second);
}

/* Whether it asks for more instances than a fuzzer has time for. */
static bool is_large(struct text input)
{
    size_t digits = 0;
    for (size_t i = 0; i < input.size; i++) {
        char c = input.data[i];
        digits = (c >= '0' && c <= '9') || c == '_' ? digits + 1 : 0;
        if (digits > 4 || c == 'x' || c == 'e')
            return digits > 4;
    }
    return false;
}

void fuzz_simulation(struct text input)
{
    struct plan plan;
    struct err err = { .code = ERR_NONE };
    if (is_large(input))
        return;
    if (!plan_read(&plan, input, &err)) {
        CLAIM_ERROR(&err, ERR_INVALID, ERR_UNKNOWN_KEY, ERR_NOT_SUPPORTED, ERR_MEMORY);
        return;
    }
    CLAIM(plan.instance_count <= PLAN_INSTANCES_MAX && plan.step_count <= PLAN_STEPS_MAX);
    CLAIM(plan_behaviour(&plan, TEXT("normal")) != NULL);
    for (uint32_t i = 0; i < plan.instance_count; i++)
        CLAIM(plan.instances[i].behaviour && text_is_utf8(plan.instances[i].name));
    for (uint32_t i = 1; i < plan.step_count; i++)
        CLAIM(plan.steps[i - 1].at_ms <= plan.steps[i].at_ms);
    plan_release(&plan);
}
