/* SPDX-License-Identifier: Apache-2.0
 * format_address.c - telling IPv4 and IPv6 addresses from other texts. See format.h. The C
 * library's inet_pton() agrees with it, but is no part of plain C, which is all this floor may use.
 */
#include "base/format.h"

#define GROUPS 8 /* of an IPv6 address */

/* Four decimal numbers up to 255 without leading zeros. */
static bool is_ipv4(struct text t)
{
    unsigned count = 0;
    uint64_t value = 0;
    struct text part;
    while (text_cut(&t, '.', &part))
        if (!text_to_u64(part, 255, &value) || ++count > 4)
            return false;
    return count == 4;
}

static bool is_group(struct text t)
{
    if (t.size < 1 || t.size > 4)
        return false;
    for (size_t i = 0; i < t.size; i++) {
        char c = t.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

/* Adds the number of groups in `t`, which may be empty, to *count. The last part may be an IPv4
 * address, two groups long, where `ends_address`. */
static bool count_groups(struct text t, bool ends_address, unsigned *count)
{
    struct text part;
    if (t.size == 0)
        return true;
    while (text_cut(&t, ':', &part)) {
        bool is_last = !t.data;
        if (is_group(part))
            *count += 1;
        else if (is_last && ends_address && is_ipv4(part))
            *count += 2;
        else
            return false;
        if (*count > GROUPS)
            return false;
    }
    return true;
}

/* The size of what stands before the first "::", or t.size. */
static size_t find_gap(struct text t)
{
    for (size_t i = 0; i + 1 < t.size; i++)
        if (t.data[i] == ':' && t.data[i + 1] == ':')
            return i;
    return t.size;
}

/* Eight groups, or fewer around one "::" that stands for the missing ones, at least one. */
static bool is_ipv6(struct text t)
{
    unsigned count = 0;
    size_t gap = find_gap(t);
    if (gap == t.size)
        return count_groups(t, true, &count) && count == GROUPS;
    return count_groups((struct text){ t.data, gap }, false, &count) &&
           count_groups(text_skip(t, gap + 2), true, &count) && count < GROUPS;
}

bool is_ip_address(struct text t)
{
    return is_ipv4(t) || is_ipv6(t);
}
