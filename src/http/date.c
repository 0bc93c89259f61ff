#include "http/date.h"

#include <string.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static void two_digits(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

/* Days since 1970 to a date of the Gregorian calendar, counted in eras of 400 years that begin in March. */
static void civil(int64_t days, unsigned *out_year, unsigned *out_month, unsigned *out_day)
{
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    unsigned day_of_era = (unsigned)(z - era * 146097);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *out_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *out_month = shifted < 10 ? shifted + 3 : shifted - 9;
    *out_year = (unsigned)(year_of_era + era * 400) + (*out_month <= 2);
}

void http_date_write(int64_t seconds, char out[HTTP_DATE_BYTES + 1])
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    int64_t day_number = seconds / 86400;
    unsigned rest = (unsigned)(seconds % 86400), year, month, day;
    civil(day_number, &year, &month, &day);
    memcpy(out, "Day, 00 Mon 0000 00:00:00 GMT", HTTP_DATE_BYTES + 1);
    memcpy(out, days + 3 * (day_number % 7), 3);
    two_digits(out + 5, day);
    memcpy(out + 8, months + 3 * ((size_t)month - 1), 3);
    two_digits(out + 12, year / 100 % 100);
    two_digits(out + 14, year % 100);
    two_digits(out + 17, rest / 3600);
    two_digits(out + 20, rest / 60 % 60);
    two_digits(out + 23, rest % 60);
}

/* --- reading --- */

/* The inverse of civil(). */
static int64_t day_number_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era =
        year / 400; /* years are not negative here but for January of year 0, which is not accepted */
    int64_t year_of_era = year - era * 400;
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

struct moment {
    unsigned year, month, day, hour, minute, second;
};

/* Takes exactly this text off *rest. */
static bool take_text(slice *rest, slice text)
{
    if (!slice_starts(*rest, text)) return false;
    *rest = slice_sub(*rest, text.len, rest->len);
    return true;
}

/* Takes exactly so many digits off *rest. */
static bool take_number(slice *rest, size_t digits, unsigned *out)
{
    uint64_t value;
    slice number = slice_sub(*rest, 0, digits);
    if (number.len != digits || !slice_to_u64(number, 9999, &value)) return false;
    *out = (unsigned)value;
    *rest = slice_sub(*rest, digits, rest->len);
    return true;
}

/* "Sunday" or, when short, "Sun". */
static bool take_weekday(slice *rest, bool whole)
{
    static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        slice name = slice_text(names[i]);
        if (take_text(rest, whole ? name : slice_sub(name, 0, 3))) return true;
    }
    return false;
}

static bool take_month(slice *rest, unsigned *out)
{
    for (unsigned i = 0; i < 12; i++) {
        if (!take_text(rest, slice_of(months + 3 * i, 3))) continue;
        *out = i + 1;
        return true;
    }
    return false;
}

static bool take_time(slice *rest, struct moment *m)
{
    return take_number(rest, 2, &m->hour) && take_text(rest, SLICE(":")) &&
           take_number(rest, 2, &m->minute) && take_text(rest, SLICE(":")) &&
           take_number(rest, 2, &m->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_fixdate(slice s, struct moment *m)
{
    return take_weekday(&s, false) && take_text(&s, SLICE(", ")) && take_number(&s, 2, &m->day) &&
           take_text(&s, SLICE(" ")) && take_month(&s, &m->month) && take_text(&s, SLICE(" ")) &&
           take_number(&s, 4, &m->year) && take_text(&s, SLICE(" ")) && take_time(&s, m) &&
           slice_equal(s, SLICE(" GMT"));
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": the latest such year that is not more than 50 years ahead. */
static bool read_rfc850(slice s, int64_t now_s, struct moment *m)
{
    unsigned latest, month, day;
    bool ok = take_weekday(&s, true) && take_text(&s, SLICE(", ")) && take_number(&s, 2, &m->day) &&
              take_text(&s, SLICE("-")) && take_month(&s, &m->month) && take_text(&s, SLICE("-")) &&
              take_number(&s, 2, &m->year) && take_text(&s, SLICE(" ")) && take_time(&s, m) &&
              slice_equal(s, SLICE(" GMT"));
    if (!ok) return false;
    civil(now_s / 86400, &latest, &month, &day);
    latest += 50;
    m->year = latest - (latest - m->year) % 100;
    return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(slice s, struct moment *m)
{
    if (!take_weekday(&s, false) || !take_text(&s, SLICE(" ")) || !take_month(&s, &m->month)) return false;
    size_t digits = take_text(&s, SLICE("  ")) ? 1 : 2;
    if (digits == 2 && !take_text(&s, SLICE(" "))) return false;
    return take_number(&s, digits, &m->day) && take_text(&s, SLICE(" ")) && take_time(&s, m) &&
           take_text(&s, SLICE(" ")) && take_number(&s, 4, &m->year) && s.len == 0;
}

int http_date_parse(slice text, int64_t now_s, int64_t *out_seconds)
{
    struct moment m = {0};
    if (!read_fixdate(text, &m) && !read_rfc850(text, now_s, &m) && !read_asctime(text, &m))
        return ERR_MALFORMED;
    if (m.year == 0 || m.day == 0 || m.day > days_in_month(m.year, m.month)) return ERR_MALFORMED;
    if (m.hour > 23 || m.minute > 59 || m.second > 60) return ERR_MALFORMED; /* 60: a leap second */
    *out_seconds = day_number_of(m.year, m.month, m.day) * 86400 + m.hour * 3600 + m.minute * 60 + m.second;
    return OK;
}
