#include "base/clock.h"

#include <algorithm>
#include <charconv>

namespace bridgehead {

Timestamp SystemClock::now() const {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

Monotonic SystemClock::monotonic() const { return std::chrono::steady_clock::now(); }

std::string to_rfc3339(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

namespace {

// The number whose decimal digits are all of `text`, or -1.
int digits(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool all = error == std::errc() && end == text.data() + text.size() && text.front() != '-';
  return all ? value : -1;
}

}  // namespace

Result<Timestamp> parse_rfc3339(std::string_view text) {
  // 2026-01-31T12:00:00Z, and a fraction of milliseconds before the Z.
  const bool framed = (text.size() == 20 || text.size() == 24) && text[4] == '-' && text[7] == '-' && text[10] == 'T' &&
                      text[13] == ':' && text[16] == ':' && text.back() == 'Z' &&
                      (text.size() == 20 || text[19] == '.');
  if (!framed) return fail(ErrorCode::invalid_argument, "'{}' is not a time like 2026-01-31T12:00:00Z", text);
  const int year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)), day = digits(text.substr(8, 2));
  const int hour = digits(text.substr(11, 2)), minute = digits(text.substr(14, 2)), second = digits(text.substr(17, 2));
  const int millisecond = text.size() == 24 ? digits(text.substr(20, 3)) : 0;
  if (std::min({year, month, day, hour, minute, second, millisecond}) < 0) {
    return fail(ErrorCode::invalid_argument, "'{}' is not a time like 2026-01-31T12:00:00Z", text);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) {
    return fail(ErrorCode::invalid_argument, "'{}' is not a time that exists", text);
  }
  return Timestamp(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(millisecond);
}

}  // namespace bridgehead
