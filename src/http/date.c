#include "http/date.h"

#include <string.h>

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
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
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
