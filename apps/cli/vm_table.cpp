#include "cli/vm_table.h"

#include <simdjson.h>

#include "base/units.h"

namespace bridgehead::cli {
namespace {

// Fields are looked up wherever they stand; missing ones are empty.
std::string text_of(simdjson::dom::object guest, std::string_view field) {
  std::string_view value;
  return guest[field].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}
std::uint64_t number_of(simdjson::dom::object guest, std::string_view field) {
  std::uint64_t value = 0;
  return guest[field].get(value) == simdjson::SUCCESS ? value : 0;
}

// Of its virtual CPUs, how much is busy.
std::string cpu_use(simdjson::dom::object guest) {
  double used = 0;
  const auto cpus = number_of(guest, "cpus");
  if (cpus == 0 || guest["cpu_use"].get(used) != simdjson::SUCCESS) return "-";
  return fmt::format("{:.0f} %", 100 * used / static_cast<double>(cpus));
}

}  // namespace

Result<Table> vm_table(std::string answer) {
  simdjson::dom::parser parser;
  simdjson::dom::array guests;
  answer.reserve(answer.size() + simdjson::SIMDJSON_PADDING);  // so that the parser needs no copy
  if (const auto error = parser.parse(answer)["items"].get(guests); error != simdjson::SUCCESS) {
    return fail(ErrorCode::internal, "the manager's answer is not a list of guests: {}",
                simdjson::error_message(error));
  }
  Table table({"NAME", "PHASE", "NODE", "CPUS", "BUSY", "MEMORY", "ADDRESS", "AGE", "MESSAGE"});
  for (const auto element : guests) {
    simdjson::dom::object guest;
    if (element.get(guest) != simdjson::SUCCESS) return fail(ErrorCode::internal, "the list holds what is no guest");
    const auto memory = number_of(guest, "memory");
    table.add({text_of(guest, "name"), text_of(guest, "phase"), text_of(guest, "node"),
               std::to_string(number_of(guest, "cpus")), cpu_use(guest), memory == 0 ? "-" : Bytes(memory).human(),
               text_of(guest, "ip"), age(text_of(guest, "created")), text_of(guest, "message")});
  }
  return table;
}

}  // namespace bridgehead::cli
