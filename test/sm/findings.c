/* SPDX-License-Identifier: Apache-2.0
 * findings.c - see findings.h. */
#include "findings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void keep(void *ctx, const struct sm_finding *finding)
{
    struct findings *findings = ctx;
    assert_true(findings->count < sizeof findings->list / sizeof findings->list[0]);
    struct found *found = &findings->list[findings->count++];
    snprintf(found->code, sizeof found->code, "%s", finding->code);
    snprintf(found->text, sizeof found->text, "%s", finding->text);
    snprintf(found->witness, sizeof found->witness, "%s", finding->witness);
    found->severity = finding->severity;
    found->is_proven = finding->is_proven;
}

const struct findings *findings_of(const struct sm_machine *machine)
{
    static struct findings findings;
    findings.count = 0;
    size_t returned = sm_check(machine, keep, &findings), faults = 0;
    for (size_t i = 0; i < findings.count; i++)
        faults += findings.list[i].severity != SM_NOTE_;
    assert_int_equal(returned, faults);
    assert_int_equal(sm_check(machine, NULL, NULL), faults);
    return &findings;
}
