/* SPDX-License-Identifier: Apache-2.0
 * format.h - the small texts that clients and files see: times, durations, amounts, addresses.
 * Pure arithmetic: no time zone, no locale, no C library calendar. */
#ifndef DIDES_BASE_FORMAT_H
#define DIDES_BASE_FORMAT_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/text.h"

/* RFC 3339 UTC with milliseconds, "2031-01-01T10:00:00.000Z". `ms` since the epoch, from 0 to the
 * end of the year 9999. */
void format_time(struct buffer *out, int64_t ms);
/* The inverse; also takes other fractions (1 to 9 digits, cut to ms) and offsets like +02:00. */
bool parse_time(struct text t, int64_t *ret_ms, struct err *err);

/* Durations "500ms", "90s", "1h30m", "2d": numbers with units d h m s ms, each unit at most once
 * and falling, no blanks, "0s" for none. 0 to 30 days. The inverse prints the shortest such text:
 * 90000 is "90s", 5400000 is "90m", 86400000 is "1d". */
#define DURATION_MAX_MS (30ll * 24 * 3600 * 1000)
bool parse_duration(struct text t, int64_t *ret_ms, struct err *err);
void format_duration(struct buffer *out, int64_t ms);

/* A count (1 to 1000000, or from 0 where `zero_allowed`) or a percentage "1%" to "100%". */
struct amount {
    uint32_t value;
    bool is_percent;
};
bool parse_percent(struct text t, uint32_t *ret, struct err *err); /* "25%" -> 25 */
/* Of `total`: a count is itself; a percentage is rounded down or up. */
uint32_t amount_down(struct amount amount, uint32_t total); /* a percentage is at least 1 */
uint32_t amount_up(struct amount amount, uint32_t total);
void format_amount(struct buffer *out, struct amount amount); /* 10 or 25% */

/* Whether `t` is an IPv4 or IPv6 address in text form (RFC 4291 forms, no zone, no port). */
bool is_ip_address(struct text t);

/* Percent-decoding, once (RFC 3986). False: a bad escape, or a NUL byte. `space` has t.size bytes,
 * and *ret lies in it. */
bool percent_decode(struct text t, char *space, struct text *ret);
/* Percent-encoding of everything but A-Z a-z 0-9 - . _ ~ */
void percent_encode(struct buffer *out, struct text t);

#endif
