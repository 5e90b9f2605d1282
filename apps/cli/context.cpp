#include "cli/context.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "base/units.h"
#include "cli/progress.h"

namespace bridgehead::cli {
namespace {

// Longer than any answer takes, shorter than what proxies between allow.
constexpr int kPollSeconds = 20;

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

Result<std::reference_wrapper<ApiClient>> Context::client() {
  if (!client_) {
    auto connection = Connection::load(config_file);
    if (!connection) return forward(connection);
    if (!server.empty()) connection->server = server;
    while (connection->server.ends_with('/')) connection->server.pop_back();
    client_ = std::make_unique<ApiClient>(*connection);
  }
  return std::ref(*client_);
}

OutputFormat Context::format() const {
  if (format_name == "json") return OutputFormat::json;
  if (format_name == "yaml") return OutputFormat::yaml;
  if (format_name == "csv") return OutputFormat::csv;
  if (format_name == "name") return OutputFormat::name;
  return format_name == "table" ? OutputFormat::table : OutputFormat::field;
}

void Context::print_list(const nlohmann::json& answer, const std::vector<Column>& columns) const {
  const auto& items = answer.contains("items") ? answer.at("items") : answer;
  switch (format()) {
    case OutputFormat::json: print(items.dump(2) + "\n"); return;
    case OutputFormat::yaml: print(to_yaml(items)); return;
    case OutputFormat::name:
      for (const auto& item : items) print(printable(text(item, item.contains("name") ? "/name" : "/id")) + "\n");
      return;
    case OutputFormat::csv:
    case OutputFormat::field:
    case OutputFormat::table: break;
  }
  std::vector<std::string> headers;
  for (const auto& one : columns) headers.push_back(one.header);
  if (format() == OutputFormat::csv) {
    print(csv_line(headers));
    for (const auto& item : items) {
      std::vector<std::string> cells;
      for (const auto& one : columns) cells.push_back(printable(one.cell(item)));
      print(csv_line(cells));
    }
    return;
  }
  Table table(headers);
  for (const auto& item : items) {
    std::vector<std::string> row;
    for (const auto& one : columns) row.push_back(one.cell(item));
    table.add(std::move(row));
  }
  print(table.render(terminal_width()));
}

Status Context::print_object(const nlohmann::json& object, const std::vector<Column>& fields) const {
  switch (format()) {
    case OutputFormat::json: print(object.dump(2) + "\n"); return {};
    case OutputFormat::yaml: print(to_yaml(object)); return {};
    case OutputFormat::name:
      print(printable(text(object, object.contains("name") ? "/name" : "/id")) + "\n");
      return {};
    case OutputFormat::csv:
      if (fields.empty()) return fail(ErrorCode::invalid_argument, "this isn't to be had as CSV; use -o json");
      print_list(nlohmann::json::array({object}), fields);
      return {};
    case OutputFormat::field: return print_field(object, fields);
    case OutputFormat::table: break;
  }
  std::size_t widest = 0;
  for (const auto& field : fields) widest = std::max(widest, display_width(field.header));
  for (const auto& field : fields) {
    const auto value = printable(field.cell(object));
    if (!value.empty()) print(fmt::format("{:<{}}  {}\n", field.header, widest, value));
  }
  return {};
}

Status Context::print_field(const nlohmann::json& object, const std::vector<Column>& fields) const {
  std::string known;
  for (const auto& field : fields) {
    const auto name = lower_case(field.header);
    if (name == format_name) {
      print(printable(field.cell(object)) + "\n");
      return {};
    }
    known += (known.empty() ? "" : ", ") + name;
  }
  return fail_with_hint(ErrorCode::invalid_argument, fmt::format("there is no output '{}'", format_name),
                        fmt::format("Use table, json, yaml, csv, name, or one of the fields: {}.", known));
}

void Context::say(const std::string& line) const {
  if (format() == OutputFormat::table) print(printable(line) + "\n");
}

Status Context::follow(const nlohmann::json& answer, bool wait) {
  if (answer.value("dry_run", false)) {
    if (format() == OutputFormat::json) {
      print(answer.dump(2) + "\n");
    } else {
      print("Nothing was changed. This would be done:\n" + to_yaml(answer));
    }
    return {};
  }
  std::vector<nlohmann::json> operations;
  if (answer.contains("operations")) operations = answer.at("operations").get<std::vector<nlohmann::json>>();
  if (answer.contains("operation")) operations.push_back(answer.at("operation"));
  if (!wait) {
    for (const auto& operation : operations) {
      say(fmt::format("{} {}: operation {}", text(operation, "/kind"), text(operation, "/target_name"),
                      text(operation, "/id")));
    }
    if (format() == OutputFormat::json) print(answer.dump(2) + "\n");
    if (format() == OutputFormat::yaml) print(to_yaml(answer));
    if (format() == OutputFormat::name) {
      for (const auto& operation : operations) print(text(operation, "/id") + "\n");
    }
    return {};
  }
  Status outcome;
  for (const auto& operation : operations) {
    auto followed = follow_operation(text(operation, "/id"),
                                     fmt::format("{} {}", text(operation, "/kind"), text(operation, "/target_name")));
    if (!followed && outcome) outcome = followed;
  }
  return outcome;
}

Status Context::follow_operation(const std::string& id, const std::string& title) {
  auto api = client();
  if (!api) return forward(api);
  ProgressLine line(title, quiet || format() == OutputFormat::name);
  int missed = 0;
  for (;;) {
    auto operation = api->get().get(fmt::format("/operations/{}?wait_seconds={}", path_segment(id), kPollSeconds));
    if (!operation && operation.error().code == ErrorCode::unavailable && ++missed <= 30) {
      // The manager may just be restarting; the operation goes on without it.
      line.update("waiting for the manager to come back", 0, 0);
      ::sleep(1);
      continue;
    }
    if (!operation) return forward(operation);
    missed = 0;
    const auto state = text(*operation, "/state");
    if (state == "succeeded") {
      line.finish("done");
      return {};
    }
    if (state == "failed" || state == "cancelled") {
      line.finish(state);
      const auto code =
          state == "cancelled" ? ErrorCode::cancelled : error_code_from_string(text(*operation, "/error/code"));
      const auto message = text(*operation, "/error/message");
      return fail_with_hint(code, message.empty() ? fmt::format("{} was {}", title, state) : message,
                            text(*operation, "/error/hint"));
    }
    const auto phase = text(*operation, "/progress/phase");
    line.update(phase.empty() ? state : phase, number(*operation, "/progress/done"),
                number(*operation, "/progress/total"));
  }
}

Status Context::confirm(const std::string& what, bool yes) const {
  if (yes) return {};
  if (::isatty(STDIN_FILENO) == 0) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("not asked: {}", what),
                          "Add --yes to do it without a question.");
  }
  fmt::print(stderr, "{} [y/N] ", what);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "yes") return {};
  return fail(ErrorCode::cancelled, "nothing was changed");
}

void add_change_flags(CLI::App& command, ChangeFlags& flags) {
  command.add_flag("--wait,!--no-wait", flags.wait,
                   "Follow the operation to its end (default); --no-wait prints its id");
  command.add_flag("--dry-run", flags.dry_run, "Check everything and say what would be done; change nothing");
}

// Lists of 20,000 guests ask for hundreds of thousands of fields: nlohmann's own pointers, parsed for each, took longer
// than the manager's answer.
const nlohmann::json* find(const nlohmann::json& object, std::string_view pointer) {
  const auto* at = &object;
  while (!pointer.empty()) {
    const auto end = std::min(pointer.find('/', 1), pointer.size());
    if (!at->is_object()) return nullptr;
    const auto found = at->find(pointer.substr(1, end - 1));
    if (found == at->end()) return nullptr;
    at = &*found;
    pointer.remove_prefix(end);
  }
  return at;
}

std::string text(const nlohmann::json& object, std::string_view pointer) {
  const auto* found = find(object, pointer);
  if (found == nullptr) return "";
  const auto& value = *found;
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_array()) {
    std::string joined;
    for (const auto& item : value) {
      joined += (joined.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : item.dump());
    }
    return joined;
  }
  return value.dump();
}

std::uint64_t number(const nlohmann::json& object, std::string_view pointer) {
  const auto* found = find(object, pointer);
  return found == nullptr || !found->is_number() ? 0 : found->get<std::uint64_t>();
}

Column column(std::string header, std::string pointer) {
  return {std::move(header), [pointer](const nlohmann::json& object) { return text(object, pointer); }};
}

Column bytes_column(std::string header, std::string pointer) {
  return {std::move(header), [pointer](const nlohmann::json& object) {
            const auto count = number(object, pointer);
            return count == 0 ? std::string("-") : Bytes(count).human();
          }};
}

Column age_column(std::string header, std::string pointer) {
  return {std::move(header), [pointer](const nlohmann::json& object) { return age(text(object, pointer)); }};
}

}  // namespace bridgehead::cli
