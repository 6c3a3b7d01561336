/* SPDX-License-Identifier: Apache-2.0
 * format.c - amounts, percentages, addresses and percent-encoding. See format.h; times and
 * durations are in format_time.c. */
#include "base/format.h"

bool parse_percent(struct text t, uint32_t *ret, struct err *err)
{
    uint64_t value = 0;
    char space[ERR_EXCERPT_SIZE];
    struct text digits = { t.data, t.size ? t.size - 1 : 0 };
    if (!text_ends_with(t, TEXT("%")) || !text_to_u64(digits, 100, &value) || value == 0)
        return err_set(err, ERR_INVALID, "\"%s\" is not a percentage: use \"1%%\" to \"100%%\"",
                       err_excerpt(t, space));
    *ret = (uint32_t)value;
    return true;
}

uint32_t amount_down(struct amount amount, uint32_t total)
{
    if (!amount.is_percent)
        return amount.value;
    uint32_t part = (uint32_t)((uint64_t)total * amount.value / 100);
    return part ? part : 1;
}

uint32_t amount_up(struct amount amount, uint32_t total)
{
    if (!amount.is_percent)
        return amount.value;
    return (uint32_t)(((uint64_t)total * amount.value + 99) / 100);
}

void format_amount(struct buffer *out, struct amount amount)
{
    buffer_add_u64(out, amount.value);
    if (amount.is_percent)
        buffer_add_byte(out, '%');
}

/* 0 to 15, or -1. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte of the escape that `t` begins with, or -1. */
static int escaped_byte(struct text t)
{
    int high = t.size >= 3 ? hex_digit(t.data[1]) : -1;
    int low = t.size >= 3 ? hex_digit(t.data[2]) : -1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool percent_decode(struct text t, char *space, struct text *ret)
{
    size_t size = 0;
    while (t.size) {
        bool is_escape = t.data[0] == '%';
        int byte = is_escape ? escaped_byte(t) : (unsigned char)t.data[0];
        if (byte <= 0)
            return false;
        space[size++] = (char)byte;
        t = text_skip(t, is_escape ? 3 : 1);
    }
    *ret = (struct text){ space, size };
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void percent_encode(struct buffer *out, struct text t)
{
    static const char hex[] = "0123456789ABCDEF"; /* upper case: RFC 3986, section 2.1 */
    for (size_t i = 0; i < t.size; i++) {
        unsigned char byte = (unsigned char)t.data[i];
        if (is_unreserved(t.data[i])) {
            buffer_add_byte(out, t.data[i]);
            continue;
        }
        buffer_add(out, (struct text){ (char[]){ '%', hex[byte >> 4], hex[byte & 15] }, 3 });
    }
}
