#include "load/client.h"

#include <sys/statvfs.h>

#include <condition_variable>
#include <mutex>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "bench/fio.h"
#include "load/node_watch.h"

namespace bridgehead::load {
namespace {

using nlohmann::json;

constexpr std::array kActions{std::pair{ClientOrder::Action::facts, "facts"},
                              std::pair{ClientOrder::Action::run, "run"},
                              std::pair{ClientOrder::Action::clean, "clean"}};

double unix_seconds(Timestamp time) { return static_cast<double>(time.time_since_epoch().count()) / 1000; }

bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name.front() != '.' && name.find('/') == std::string::npos;
}

Status check(const ClientOrder& order) {
  const auto name = order.directory.filename().native();
  if (!order.directory.is_absolute() || !name.starts_with(kDirectoryPrefix) ||
      order.directory.lexically_normal() != order.directory) {
    return fail(ErrorCode::invalid_argument, "'{}' isn't the folder of a benchmark", order.directory.native());
  }
  if (order.action == ClientOrder::Action::run && (!is_plain(order.node) || !is_plain(order.other))) {
    return fail(ErrorCode::invalid_argument, "'{}' and '{}' can't be names of nodes", order.node, order.other);
  }
  return {};
}

Status check_space(const std::filesystem::path& directory, Bytes needed) {
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0) return fail_errno(errno, "look at " + directory.native());
  const Bytes free(static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize);
  if (free < needed) {
    return fail_with_hint(
        ErrorCode::resource_exhausted,
        fmt::format("{} has {} left, and the benchmark takes {}", directory.native(), free.human(), needed.human()),
        "Take smaller files, or fewer nodes.");
  }
  return {};
}

Status wait_until(Timestamp at, const Clock& clock, const std::stop_token& stop) {
  const auto left = at - clock.now();
  if (left.count() < 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the start was {} ms ago when the order came", -left.count()),
                          "Are the nodes' clocks in step?");
  }
  std::mutex mutex;
  std::condition_variable_any moved;
  std::unique_lock lock(mutex);
  moved.wait_for(lock, stop, left, [] { return false; });
  if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the benchmark was cancelled");
  return {};
}

Result<ClientAnswer> run(const ClientOrder& order, CommandRunner& runner, const Clock& clock,
                         const std::stop_token& stop) {
  const auto workload = workload_of(order.workload, order.size);
  if (!workload) return forward(workload);
  if (std::error_code error; !std::filesystem::is_directory(order.directory.parent_path(), error)) {
    return fail(ErrorCode::failed_precondition, "{} isn't there", order.directory.parent_path().native());
  }
  if (order.space > Bytes()) {
    if (auto enough = check_space(order.directory.parent_path(), order.space); !enough) return forward(enough);
  }
  if (auto made = make_directories(order.directory, 0700); !made) return forward(made);
  if (auto waited = wait_until(order.at, clock, stop); !waited) return forward(waited);
  const NodeWatch watch;
  const auto output = runner.run(fio_command(*workload, {order.directory, order.node, order.other}), stop);
  const double gone = unix_seconds(clock.now()) - unix_seconds(order.at);
  if (!output) return forward(output);
  const auto figures = bench::read_fio(output->out);
  if (!figures) return forward(figures);
  const auto busy = watch.since(gone);
  ClientAnswer answer;
  answer.fio = figures->version;
  answer.part = {.node = order.node,
                 .bytes = figures->bytes,
                 .operations = figures->operations,
                 // By fio's own clock where it says: its start takes a while.
                 .began = std::max(0.0, (figures->ended > 0 ? figures->ended : unix_seconds(clock.now())) -
                                            figures->seconds - unix_seconds(order.at)),
                 .seconds = figures->seconds,
                 .p50_ms = figures->p50_ms,
                 .p99_ms = figures->p99_ms,
                 .cpu_busy = busy.cpu,
                 .link_busy = busy.link,
                 .error = {}};
  return answer;
}

Status clean(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  // Several nodes may remove a shared one at the same time.
  if (error && std::filesystem::exists(directory)) {
    return fail(ErrorCode::io_error, "remove {}: {}", directory.native(), error.message());
  }
  return {};
}

}  // namespace

Result<ClientAnswer> carry_out(const ClientOrder& order, CommandRunner& runner, const Clock& clock,
                               std::stop_token stop) {
  if (auto sound = check(order); !sound) return forward(sound);
  switch (order.action) {
    case ClientOrder::Action::facts: return ClientAnswer{.facts = facts_of_this_node(order.node)};
    case ClientOrder::Action::run: return run(order, runner, clock, stop);
    case ClientOrder::Action::clean: break;
  }
  const auto cleaned = clean(order.directory);
  if (!cleaned) return forward(cleaned);
  return ClientAnswer{};
}

std::string write_order(const ClientOrder& order) {
  json object = {{"node", order.node},
                 {"directory", order.directory.native()},
                 {"workload", order.workload},
                 {"node_bytes", order.size.node_bytes.count()},
                 {"seconds", order.size.seconds.count()},
                 {"other", order.other},
                 {"at", order.at.time_since_epoch().count()},
                 {"space", order.space.count()}};
  for (const auto& [action, word] : kActions) {
    if (action == order.action) object["action"] = word;
  }
  return object.dump() + "\n";
}

Result<ClientOrder> read_order(std::string_view text) {
  try {
    const auto object = json::parse(text);
    ClientOrder order;
    const auto word = object.at("action").get<std::string>();
    const auto* known =
        std::find_if(kActions.begin(), kActions.end(), [&](const auto& action) { return action.second == word; });
    if (known == kActions.end()) return fail(ErrorCode::invalid_argument, "there is no action '{}'", word);
    order.action = known->first;
    order.node = object.at("node").get<std::string>();
    order.directory = object.at("directory").get<std::string>();
    order.workload = object.at("workload").get<std::string>();
    order.size = {Bytes(object.at("node_bytes").get<std::uint64_t>()),
                  std::chrono::seconds(object.at("seconds").get<std::int64_t>())};
    order.other = object.at("other").get<std::string>();
    order.at = Timestamp(std::chrono::milliseconds(object.at("at").get<std::int64_t>()));
    order.space = Bytes(object.at("space").get<std::uint64_t>());
    return order;
  } catch (const json::exception& error) {
    return fail(ErrorCode::invalid_argument, "this isn't an order for a client: {}", error.what());
  }
}

std::string write_answer(const Result<ClientAnswer>& answer) {
  if (!answer) {
    return json{{"error",
                 {{"code", to_string(answer.error().code)},
                  {"message", answer.error().message},
                  {"hint", answer.error().hint}}}}
               .dump(-1, ' ', false, json::error_handler_t::replace) +
           "\n";
  }
  // A record of one run has all that an answer has, and is read with all checks.
  bench::Record record;
  record.fio = answer->fio;
  record.nodes.push_back(answer->facts);
  if (!answer->part.node.empty()) {
    record.workloads.push_back({.name = "w"});
    record.pools.push_back({.name = "p"});
    record.runs.push_back({"p", "w", 1, 1, "", {answer->part}});
  }
  return bench::write_record(record);
}

Result<ClientAnswer> read_answer(std::string_view text) {
  const auto object = json::parse(text, nullptr, false);
  if (object.is_object() && object.contains("error")) {
    const auto& error = object["error"];
    if (!error.is_object()) return fail(ErrorCode::data_corrupt, "a client's answer can't be read");
    const auto word = [&](const char* name) {
      const auto found = error.find(name);
      return found != error.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    return fail({error_code_from_string(word("code")), word("message"), word("hint")});
  }
  const auto record = bench::read_record(text);
  if (!record || record->nodes.size() != 1) {
    const auto said = text.substr(0, std::min<std::size_t>(text.find('\n'), 200));
    return fail(ErrorCode::data_corrupt, "a client's answer can't be read: {}",
                said.empty() ? "it said nothing" : said);
  }
  ClientAnswer answer{.facts = record->nodes.front(), .fio = record->fio};
  if (!record->runs.empty() && !record->runs.front().parts.empty()) answer.part = record->runs.front().parts.front();
  return answer;
}

}  // namespace bridgehead::load
