/* SPDX-License-Identifier: Apache-2.0
 * yaml_scalar.c - the core schema of YAML 1.2, without any of YAML 1.1's further words. */
#include "wire/yaml_scalar.h"

static const struct {
    const char *yaml, *json;
} words[] = {
    { "", "null" },       { "~", "null" },      { "null", "null" },   { "Null", "null" },
    { "NULL", "null" },   { "true", "true" },   { "True", "true" },   { "TRUE", "true" },
    { "false", "false" }, { "False", "false" }, { "FALSE", "false" },
};

static bool is_not_finite(struct text t)
{
    static const char *const names[] = { ".inf", ".Inf", ".INF" };
    struct text magnitude =
        t.size > 0 && (t.data[0] == '-' || t.data[0] == '+') ? text_skip(t, 1) : t;
    for (size_t i = 0; i < 3; i++)
        if (text_equal(magnitude, text_from(names[i])))
            return true;
    return text_equal(t, TEXT(".nan")) || text_equal(t, TEXT(".NaN")) ||
           text_equal(t, TEXT(".NAN"));
}

/* Cuts the digits at the start of *t off. */
static struct text cut_digits(struct text *t)
{
    size_t size = 0;
    while (size < t->size && t->data[size] >= '0' && t->data[size] <= '9')
        size++;
    struct text digits = { t->data, size };
    *t = text_skip(*t, size);
    return digits;
}

static bool cut_byte(struct text *t, char one, char other)
{
    if (t->size == 0 || (t->data[0] != one && t->data[0] != other))
        return false;
    *t = text_skip(*t, 1);
    return true;
}

static struct text without_leading_zeros(struct text digits)
{
    while (digits.size > 1 && digits.data[0] == '0')
        digits = text_skip(digits, 1);
    return digits.size > 0 ? digits : TEXT("0");
}

/* The parts of [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
struct decimal {
    bool is_negative, has_exponent, exponent_is_negative;
    struct text whole, fraction, exponent;
};

static bool parse_decimal(struct text t, struct decimal *ret)
{
    struct decimal d = { 0 };
    d.is_negative = t.size > 0 && t.data[0] == '-';
    cut_byte(&t, '-', '+');
    d.whole = cut_digits(&t);
    if (cut_byte(&t, '.', '.'))
        d.fraction = cut_digits(&t);
    if (d.whole.size == 0 && d.fraction.size == 0)
        return false;
    d.has_exponent = cut_byte(&t, 'e', 'E');
    if (d.has_exponent) {
        d.exponent_is_negative = t.size > 0 && t.data[0] == '-';
        cut_byte(&t, '-', '+');
        d.exponent = cut_digits(&t);
        if (d.exponent.size == 0)
            return false;
    }
    *ret = d;
    return t.size == 0;
}

static void add_decimal(const struct decimal *d, struct buffer *out)
{
    buffer_add(out, d->is_negative ? TEXT("-") : TEXT(""));
    buffer_add(out, without_leading_zeros(d->whole));
    if (d->fraction.size > 0) {
        buffer_add_byte(out, '.');
        buffer_add(out, d->fraction);
    }
    if (d->has_exponent) {
        buffer_add(out, d->exponent_is_negative ? TEXT("e-") : TEXT("e"));
        buffer_add(out, without_leading_zeros(d->exponent));
    }
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 99;
}

/* 0x and 0o; the core schema has no sign there. */
static enum yaml_scalar resolve_based(struct text digits, unsigned base, struct buffer *out)
{
    uint64_t value = 0;
    bool fits = true;
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = digit_value(digits.data[i]);
        if (digit >= base)
            return YAML_SCALAR_TEXT;
        fits = fits && value <= (UINT64_MAX - digit) / base;
        value = value * base + digit;
    }
    if (digits.size == 0)
        return YAML_SCALAR_TEXT;
    if (!fits)
        return YAML_SCALAR_TOO_LARGE;
    buffer_add_u64(out, value);
    return YAML_SCALAR_JSON;
}

enum yaml_scalar yaml_scalar_resolve(struct text plain, struct buffer *out)
{
    struct decimal decimal;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!text_equal(plain, text_from(words[i].yaml)))
            continue;
        buffer_add(out, text_from(words[i].json));
        return YAML_SCALAR_JSON;
    }
    if (is_not_finite(plain))
        return YAML_SCALAR_NOT_FINITE;
    if (text_starts_with(plain, TEXT("0x")))
        return resolve_based(text_skip(plain, 2), 16, out);
    if (text_starts_with(plain, TEXT("0o")))
        return resolve_based(text_skip(plain, 2), 8, out);
    if (!parse_decimal(plain, &decimal))
        return YAML_SCALAR_TEXT;
    add_decimal(&decimal, out);
    return YAML_SCALAR_JSON;
}
