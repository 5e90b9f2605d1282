#include "load/client.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "bench/fio.h"
#include "load/guest_pressure.h"
#include "load/node_watch.h"

namespace bridgehead::load {
namespace {

using nlohmann::json;

constexpr std::array kActions{std::pair{ClientOrder::Action::facts, "facts"},
                              std::pair{ClientOrder::Action::run, "run"},
                              std::pair{ClientOrder::Action::clean, "clean"}};

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

Result<std::string> fio_version(CommandRunner& runner, const std::stop_token& stop) {
  auto output = runner.run({.program = "fio", .arguments = {"--version"}}, stop);
  if (!output && output.error().code == ErrorCode::not_found) {
    return fail_with_hint(ErrorCode::unsupported, "fio isn't installed", "Install it on each node: apt install fio");
  }
  if (!output) return forward(output);
  std::erase(output->out, '\n');
  return output->out;
}

// What happens beside fio: the node is looked at from the common start on, and its guests are.
class Companion {
 public:
  Companion(const ClientOrder& order, const Clock& clock, std::filesystem::path root, std::stop_token stop)
      : order_(order),
        clock_(clock),
        root_(std::move(root)),
        on_stop_(std::move(stop), [this] { end_.request_stop(); }) {
    thread_ = std::jthread([this](const std::stop_token& over) { look(over); });
  }

  // Of fio: the order's own end, or that guests suffer.
  std::stop_token end() const { return end_.get_token(); }
  // Once fio has ended.
  NodeWatch::Busy busy(double seconds) {
    thread_ = {};
    return watch_ ? watch_->since(seconds) : NodeWatch::Busy{};
  }
  std::optional<GuestPressure> suffering() const { return suffering_; }

 private:
  void look(const std::stop_token& over) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, over, order_.at - clock_.now(), [] { return false; });
    if (!over.stop_requested()) watch_.emplace(root_);
    while (!over.stop_requested() && order_.pressure > 0) {
      const auto now = guest_pressure(root_);
      if (now && now->percent > order_.pressure) {
        suffering_ = now;
        end_.request_stop();
        return;
      }
      never.wait_for(lock, over, std::chrono::seconds(1), [] { return false; });
    }
  }

  const ClientOrder& order_;
  const Clock& clock_;
  const std::filesystem::path root_;
  std::stop_source end_;
  std::stop_callback<std::function<void()>> on_stop_;
  std::optional<NodeWatch> watch_;
  std::optional<GuestPressure> suffering_;
  std::jthread thread_;
};

Status make_ready(const ClientOrder& order, const std::filesystem::path& own) {
  if (std::error_code error; !std::filesystem::is_directory(order.directory.parent_path(), error)) {
    return fail(ErrorCode::failed_precondition, "{} isn't there", order.directory.parent_path().native());
  }
  if (order.space > Bytes()) {
    if (auto enough = check_space(order.directory.parent_path(), order.space); !enough) return enough;
  }
  if (auto made = make_directories(own, 0700); !made) return made;
  if (order.workload != "file-create") return {};
  // Of a run that was cut off before its files were deleted: to create means to make new ones.
  const auto there = list_directory(own);
  if (!there) return forward(there);
  for (const auto& path : *there) {
    if (!path.filename().native().starts_with("file.")) continue;
    if (auto removed = remove_file(path); !removed) return removed;
  }
  return {};
}

// The least of all users: file-create may have been cut off by its time.
Result<unsigned> small_files_of_each(const std::filesystem::path& own, unsigned users) {
  const auto there = list_directory(own);
  if (!there) return forward(there);
  unsigned least = std::numeric_limits<unsigned>::max();
  for (unsigned user = 0; user < users; ++user) {
    const auto is_his = [prefix = fmt::format("file.{}.", user)](const auto& path) {
      return path.filename().native().starts_with(prefix);
    };
    least = std::min(least, static_cast<unsigned>(std::count_if(there->begin(), there->end(), is_his)));
  }
  if (least > 0) return least;
  return fail(ErrorCode::failed_precondition, "not every user has created a file");
}

// Unix time. Where fio's end is all that is known it may be too late: fio looks for ended jobs now and then, and takes
// a while to say what came of them.
double let_through(const std::filesystem::path& gate, const bench::FioFigures& figures, const Clock& clock) {
  struct stat written {};
  if (::stat(gate.c_str(), &written) == 0) {
    return static_cast<double>(written.st_mtim.tv_sec) + static_cast<double>(written.st_mtim.tv_nsec) / 1e9;
  }
  return (figures.ended > 0 ? figures.ended : unix_seconds(clock.now())) - figures.seconds;
}

Result<ClientAnswer> run(const ClientOrder& order, CommandRunner& runner, const Clock& clock,
                         const std::filesystem::path& root, const std::stop_token& stop) {
  const auto workload = workload_of(order.workload, order.size);
  if (!workload) return forward(workload);
  const auto gate = TemporaryDirectory::create("bridgehead-bench");
  if (!gate) return forward(gate);
  Files files{order.directory / order.node, order.directory / order.other, gate->path()};
  if (auto ready = make_ready(order, files.own); !ready) return forward(ready);
  if (needs_small_files(order.workload)) {
    const auto each = small_files_of_each(files.own, order.size.users);
    if (!each) return forward(each);
    files.each = *each;
  }
  if (auto early = check_start(order.at, clock); !early) return forward(early);
  Companion companion(order, clock, root, stop);
  const auto output = runner.run(fio_command(*workload, order.size, files, order.at), companion.end());
  const double gone = unix_seconds(clock.now()) - unix_seconds(order.at);
  const auto busy = companion.busy(gone);
  if (const auto suffering = companion.suffering()) {
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("guests of this node wait for {} in {:.0f} % of the time, more than {:.0f} %",
                                      suffering->of, suffering->percent, order.pressure),
                          "Choose a quiet hour, or a limited rate; or allow more.");
  }
  if (!output) return forward(output);
  const auto figures = bench::read_fio(output->out);
  if (!figures) return forward(figures);
  ClientAnswer answer;
  answer.fio = figures->version;
  answer.part = {
      .node = order.node,
      .bytes = workload->block_bytes > 0 ? figures->bytes : 0,
      .operations = figures->operations,
      .began = std::max(0.0, let_through(gate_file(*workload, files), *figures, clock) - unix_seconds(order.at)),
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

double unix_seconds(Timestamp time) { return static_cast<double>(time.time_since_epoch().count()) / 1000; }

Status check_start(Timestamp at, const Clock& clock) {
  const auto left = at - clock.now();
  if (left.count() >= 0) return {};
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("the start was {} ms ago when the order came", -left.count()),
                        "Are the nodes' clocks in step?");
}

Result<ClientAnswer> carry_out(const ClientOrder& order, CommandRunner& runner, const Clock& clock,
                               std::stop_token stop, const std::filesystem::path& root) {
  if (auto sound = check(order); !sound) return forward(sound);
  if (order.action == ClientOrder::Action::run) return run(order, runner, clock, root, stop);
  if (order.action == ClientOrder::Action::facts) {
    auto version = fio_version(runner, stop);
    if (!version) return forward(version);
    return ClientAnswer{.facts = facts_of_this_node(order.node, root), .fio = std::move(*version)};
  }
  const auto cleaned = clean(order.directory);
  if (!cleaned) return forward(cleaned);
  return ClientAnswer{};
}

std::string write_order(const ClientOrder& order) {
  json object = {{"node", order.node},
                 {"pool", order.pool},
                 {"directory", order.directory.native()},
                 {"workload", order.workload},
                 {"node_bytes", order.size.node_bytes.count()},
                 {"seconds", order.size.seconds.count()},
                 {"users", order.size.users},
                 {"rate", order.size.rate.count()},
                 {"pressure", order.pressure},
                 {"other", order.other},
                 {"at", order.at.time_since_epoch().count()},
                 {"space", order.space.count()},
                 {"guest", order.guest},
                 {"disk", order.disk}};
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
    order.pool = object.at("pool").get<std::string>();
    order.directory = object.at("directory").get<std::string>();
    order.workload = object.at("workload").get<std::string>();
    order.size = {Bytes(object.at("node_bytes").get<std::uint64_t>()),
                  std::chrono::seconds(object.at("seconds").get<std::int64_t>()), object.at("users").get<unsigned>(),
                  Bytes(object.at("rate").get<std::uint64_t>())};
    order.pressure = object.at("pressure").get<double>();
    order.other = object.at("other").get<std::string>();
    order.at = Timestamp(std::chrono::milliseconds(object.at("at").get<std::int64_t>()));
    order.space = Bytes(object.at("space").get<std::uint64_t>());
    order.guest = object.value("guest", std::string());
    order.disk = object.value("disk", std::string());
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
