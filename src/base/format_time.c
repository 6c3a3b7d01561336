/* SPDX-License-Identifier: Apache-2.0
 * format_time.c - times and durations as texts. See format.h.
 * Days are counted in years that begin in March, so that the leap day is the last of its year and
 * every month has the same place in all years. */
#include "base/format.h"

#include <assert.h>
#include <string.h>

#define SECOND_MS 1000ll
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define DAYS_PER_400_YEARS 146097
#define EPOCH_DAY          719468            /* 1970-01-01, counted from 0000-03-01 */
#define TIME_END_MS        253402300800000ll /* 10000-01-01 */

struct date {
    unsigned year, month, day; /* month and day from 1 */
};

/* Days from 0000-03-01 to the first day of the `year` that begins in March. */
static int64_t days_before_year(int64_t year)
{
    return year * 365 + year / 4 - year / 100 + year / 400;
}

/* Days from the first of March to the first of a month, March being 0: 31, 30, 31, 30, 31 twice,
 * then 31 and the rest. A straight line of slope 30.6 hits every one when rounded. */
static unsigned days_before_month(unsigned month)
{
    return (month * 153 + 2) / 5;
}

static int64_t day_of(struct date date)
{
    unsigned month = (date.month + 9) % 12;
    int64_t year = (int64_t)date.year - (month >= 10 ? 1 : 0);
    return days_before_year(year) + days_before_month(month) + date.day - 1 - EPOCH_DAY;
}

/* `day` from the epoch, not negative. */
static struct date date_of(int64_t day)
{
    int64_t days = day + EPOCH_DAY;
    int64_t year = days * 400 / DAYS_PER_400_YEARS; /* right, or one too high or low */
    while (days_before_year(year) > days)
        year--;
    while (days_before_year(year + 1) <= days)
        year++;
    unsigned rest = (unsigned)(days - days_before_year(year));
    unsigned month = (rest * 5 + 2) / 153;
    return (struct date){ .year = (unsigned)year + (month >= 10 ? 1 : 0),
                          .month = (month + 2) % 12 + 1,
                          .day = rest - days_before_month(month) + 1 };
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2)
        return is_leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Two digits at once. */
static void put_two(char *at, unsigned value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    memcpy(at, pairs + (size_t)2 * value, 2);
}

void format_time(struct buffer *out, int64_t ms)
{
    assert(ms >= 0 && ms < TIME_END_MS);
    struct date date = date_of(ms / DAY_MS);
    unsigned rest = (unsigned)(ms % DAY_MS);
    char *at = buffer_reserve(out, sizeof "2031-01-01T10:00:00.000Z" - 1);
    if (!at)
        return;
    memcpy(at, "0000-00-00T00:00:00.000Z", sizeof "0000-00-00T00:00:00.000Z" - 1);
    put_two(at, date.year / 100);
    put_two(at + 2, date.year % 100);
    put_two(at + 5, date.month);
    put_two(at + 8, date.day);
    put_two(at + 11, rest / (unsigned)HOUR_MS);
    put_two(at + 14, rest / (unsigned)MINUTE_MS % 60);
    put_two(at + 17, rest / (unsigned)SECOND_MS % 60);
    put_two(at + 20, rest % (unsigned)SECOND_MS / 10);
    at[22] = (char)('0' + rest % 10);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes exactly `width` digits off *rest; the value must be in range. */
static bool take_digits(struct text *rest, unsigned width, unsigned min, unsigned max,
                        unsigned *ret)
{
    unsigned value = 0;
    if (rest->size < width)
        return false;
    for (unsigned i = 0; i < width; i++) {
        if (!is_digit(rest->data[i]))
            return false;
        value = value * 10 + (unsigned)(rest->data[i] - '0');
    }
    if (value < min || value > max)
        return false;
    *rest = text_skip(*rest, width);
    *ret = value;
    return true;
}

static bool take_byte(struct text *rest, char byte)
{
    if (rest->size == 0 || rest->data[0] != byte)
        return false;
    *rest = text_skip(*rest, 1);
    return true;
}

static bool take_date(struct text *rest, int64_t *ret_day)
{
    struct date date = { 0 };
    if (!take_digits(rest, 4, 0, 9999, &date.year) || !take_byte(rest, '-') ||
        !take_digits(rest, 2, 1, 12, &date.month) || !take_byte(rest, '-') ||
        !take_digits(rest, 2, 1, days_in_month(date.year, date.month), &date.day))
        return false;
    *ret_day = day_of(date);
    return true;
}

/* ".5": 500. Nothing is 0; digits after the third are dropped. */
static bool take_fraction(struct text *rest, unsigned *ret_ms)
{
    unsigned ms = 0, digits = 0;
    *ret_ms = 0;
    if (!take_byte(rest, '.'))
        return true;
    for (unsigned scale = 100; rest->size && is_digit(rest->data[0]); digits++, scale /= 10) {
        ms += (unsigned)(rest->data[0] - '0') * scale;
        *rest = text_skip(*rest, 1);
    }
    *ret_ms = ms;
    return digits >= 1 && digits <= 9;
}

static bool take_clock(struct text *rest, int64_t *ret_ms)
{
    unsigned hour, minute, second, ms;
    if (!take_digits(rest, 2, 0, 23, &hour) || !take_byte(rest, ':') ||
        !take_digits(rest, 2, 0, 59, &minute) || !take_byte(rest, ':') ||
        !take_digits(rest, 2, 0, 59, &second) || !take_fraction(rest, &ms))
        return false;
    *ret_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + ms;
    return true;
}

/* "Z", "+02:00", "-00:00". */
static bool take_offset(struct text *rest, int64_t *ret_ms)
{
    unsigned hour, minute;
    if (take_byte(rest, 'Z') || take_byte(rest, 'z')) {
        *ret_ms = 0;
        return true;
    }
    int64_t sign = take_byte(rest, '+') ? 1 : -1;
    if (sign < 0 && !take_byte(rest, '-'))
        return false;
    if (!take_digits(rest, 2, 0, 23, &hour) || !take_byte(rest, ':') ||
        !take_digits(rest, 2, 0, 59, &minute))
        return false;
    *ret_ms = sign * (hour * HOUR_MS + minute * MINUTE_MS);
    return true;
}

bool parse_time(struct text t, int64_t *ret_ms, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    struct text rest = t;
    int64_t day = 0, clock_ms = 0, offset_ms = 0;
    if (!take_date(&rest, &day) || !(take_byte(&rest, 'T') || take_byte(&rest, 't')) ||
        !take_clock(&rest, &clock_ms) || !take_offset(&rest, &offset_ms) || rest.size)
        return err_set(err, ERR_INVALID,
                       "\"%s\" is not a time: use RFC 3339, like 2031-01-01T10:00:00Z",
                       err_excerpt(t, space));
    int64_t ms = day * DAY_MS + clock_ms - offset_ms;
    if (ms < 0 || ms >= TIME_END_MS)
        return err_set(err, ERR_INVALID, "the time \"%s\" is not within the years 1970 to 9999",
                       err_excerpt(t, space));
    *ret_ms = ms;
    return true;
}

static const struct duration_unit {
    struct text name;
    int64_t ms;
} duration_units[] = {
    { { "d", 1 }, DAY_MS },    { { "h", 1 }, HOUR_MS }, { { "m", 1 }, MINUTE_MS },
    { { "s", 1 }, SECOND_MS }, { { "ms", 2 }, 1 },
};

#define UNIT_COUNT    (sizeof duration_units / sizeof duration_units[0])
#define DURATION_SIZE 32 /* the longest text has 17 bytes */

static size_t count_digits(struct text t)
{
    size_t count = 0;
    while (count < t.size && is_digit(t.data[count]))
        count++;
    return count;
}

/* Takes a number and its unit, one that comes after the unit *last, off *rest. A number over the
 * maximum is taken as just over it, so that the caller can tell it from a wrong form. */
static bool take_duration_part(struct text *rest, size_t *next_unit, int64_t *ret_ms)
{
    size_t digits = count_digits(*rest), letters = 0;
    struct text number = { rest->data, digits }, word = text_skip(*rest, digits);
    while (letters < word.size && !is_digit(word.data[letters]))
        letters++;
    word.size = letters;
    uint64_t value = 0;
    if (digits == 0 || (digits > 1 && number.data[0] == '0'))
        return false;
    for (size_t i = *next_unit; i < UNIT_COUNT; i++) {
        if (!text_equal(word, duration_units[i].name))
            continue;
        uint64_t most = (uint64_t)(DURATION_MAX_MS / duration_units[i].ms);
        bool fits = text_to_u64(number, most, &value);
        *ret_ms = fits ? (int64_t)value * duration_units[i].ms : DURATION_MAX_MS + 1;
        *rest = text_skip(*rest, digits + letters);
        *next_unit = i + 1;
        return true;
    }
    return false;
}

bool parse_duration(struct text t, int64_t *ret_ms, struct err *err)
{
    char space[ERR_EXCERPT_SIZE];
    struct text rest = t;
    size_t next_unit = 0;
    int64_t total_ms = 0, part_ms = 0;
    do {
        if (!take_duration_part(&rest, &next_unit, &part_ms))
            return err_set(err, ERR_INVALID,
                           "\"%s\" is not a duration: use numbers with the units d h m s ms in "
                           "this order, like 90s or 1h30m",
                           err_excerpt(t, space));
        total_ms += part_ms; /* at most five parts of a month each */
    } while (rest.size);
    if (total_ms > DURATION_MAX_MS)
        return err_set(err, ERR_INVALID, "the duration \"%s\" is longer than 30 days",
                       err_excerpt(t, space));
    *ret_ms = total_ms;
    return true;
}

/* Writes `ms` with the units of the set `units`, without parts that are 0; returns false when they
 * cannot say it. */
static bool write_duration(struct buffer *out, int64_t ms, unsigned units)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        const struct duration_unit *unit = &duration_units[i];
        if (!(units >> i & 1) || ms < unit->ms)
            continue;
        buffer_add_u64(out, (uint64_t)(ms / unit->ms));
        buffer_add(out, unit->name);
        ms %= unit->ms;
    }
    return ms == 0;
}

/* 90s is shorter than 1m30s, and 2d than 48h: only trying finds out, and there are 31 sets of
 * units. Of equally short texts the first is taken, which has few and large units. */
void format_duration(struct buffer *out, int64_t ms)
{
    assert(ms >= 0 && ms <= DURATION_MAX_MS);
    char best[DURATION_SIZE] = "0s", space[DURATION_SIZE];
    size_t best_size = ms ? sizeof best : 2;
    for (unsigned units = 1; units < 1u << UNIT_COUNT; units++) {
        /* Never grows: it is full before. */
        struct buffer text = { .data = space, .capacity = sizeof space, .max = sizeof space - 1 };
        if (ms == 0 || !write_duration(&text, ms, units) || text.size >= best_size)
            continue;
        memcpy(best, space, text.size);
        best_size = text.size;
    }
    buffer_add(out, (struct text){ best, best_size });
}
