#include "control_api/json/writer.h"

#include <nlohmann/json.hpp>

namespace bridgehead::control_api {

void append_json_string(std::string& out, std::string_view text) {
  bool plain = true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    plain &= byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
  }
  if (plain) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  out += nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_json_number(std::string& out, std::uint64_t number) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

void append_json_time(std::string& out, Timestamp time) {
  if (time == Timestamp{}) {
    out += "\"\"";
    return;
  }
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  // By hand: a list of 20,000 has as many times, and formatting them was most of its cost.
  char text[] = "\"0000-00-00T00:00:00.000Z\"";
  const auto put = [&](std::size_t at, std::size_t digits, auto number) {
    auto rest = static_cast<std::uint64_t>(number);
    for (std::size_t i = digits; i-- > 0; rest /= 10) text[at + i] = static_cast<char>('0' + rest % 10);
  };
  put(1, 4, static_cast<int>(date.year()));
  put(6, 2, static_cast<unsigned>(date.month()));
  put(9, 2, static_cast<unsigned>(date.day()));
  put(12, 2, clock.hours().count());
  put(15, 2, clock.minutes().count());
  put(18, 2, clock.seconds().count());
  put(21, 3, clock.subseconds().count());
  out.append(text, sizeof text - 1);
}

}  // namespace bridgehead::control_api
