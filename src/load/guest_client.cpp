#include "load/guest_client.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "bench/fio.h"
#include "load/node_watch.h"
#include "load/thread_watch.h"

namespace bridgehead::load {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestAnswer = 4 << 20;   // fio says some 8 KiB of each of its users
constexpr std::chrono::seconds kAnswers{20};      // what an agent in a busy, emulated guest may take for a word
constexpr std::chrono::milliseconds kLook{1000};  // each takes the guest some of its CPU
constexpr std::chrono::seconds kAfterwards{30};   // from the end of fio's time until it must have been told
constexpr int kClockLooks = 3;

// Both are words of ours; what belongs to a run is passed beside them, never in them. fio's jobs are held by their
// standard input, which ends when a byte comes through the gate: also for a job that gets there late. All of it stays
// in one group of processes (timeout makes its own unless told otherwise), so that it can be ended. A run before that
// nobody has ended, because its client was killed, is ended first.
constexpr const char* kEnd =
    "d=/run/bridgehead-bench; [ ! -e $d/group ] || kill -s KILL -- \"-$(cat $d/group)\" 2>/dev/null; rm -rf $d";
constexpr const char* kRun =
    "; mkdir -m 700 $d && cd $d && echo $$ >group && mkfifo \"$3\" || exit 1; patience=$1 begun=$2 gate=$3; shift 3; "
    "head -c 1 \"$gate\" | timeout --foreground -s KILL \"$patience\" fio \"$@\"; result=$?; stat -c %.9Y \"$begun\" "
    ">&2; "
    "exit $result";
constexpr const char* kFolder = "/run/bridgehead-bench/";
constexpr const char* kHint =
    "The image needs fio and qemu-guest-agent, which may run programs: docs/bench.md, \"Through guests\".";

// Of a guest's words a person sees one line without what a terminal would obey.
std::string shown(std::string_view text) {
  text = trimmed(text);
  std::string line(text.substr(0, 200));
  for (char& c : line) c = c >= ' ' && c < 127 ? c : ' ';
  return line;
}

class Talk {
 public:
  explicit Talk(const Guest& guest) : guest_(guest) {}

  Result<json> call(const char* word, json arguments = json::object()) const {
    json command = {{"execute", word}};
    if (!arguments.empty()) command["arguments"] = std::move(arguments);
    auto text = guest_.ask(command.dump(), kAnswers);
    if (!text) {
      auto error = text.error();
      error.message = shown(error.message);  // its agent's words are in it
      return fail(std::move(error));
    }
    if (text->size() > kLongestAnswer) return fail(ErrorCode::data_corrupt, "the guest's agent says too much");
    const auto answer = json::parse(*text, nullptr, false);
    const auto result = answer.is_object() ? answer.find("return") : answer.end();
    if (answer.is_discarded() || result == answer.end()) {
      return fail(ErrorCode::data_corrupt, "the guest's agent says what can't be read: {}", shown(*text));
    }
    return *result;
  }

  // Its id in the guest.
  Result<std::int64_t> start(const std::string& program, const std::vector<std::string>& arguments) const {
    const auto begun = call("guest-exec", {{"path", program}, {"arg", arguments}, {"capture-output", true}});
    if (!begun) return forward(begun);
    const auto id = begun->is_object() ? begun->find("pid") : begun->end();
    if (id == begun->end() || !id->is_number_integer()) {
      return fail(ErrorCode::data_corrupt, "the guest's agent gives a program no number");
    }
    return id->get<std::int64_t>();
  }

  struct Ended {
    std::int64_t status = 0;
    std::string out;
    std::string error;
  };
  // Nothing: it runs.
  Result<std::optional<Ended>> look(std::int64_t id) const {
    const auto told = call("guest-exec-status", {{"pid", id}});
    if (!told) return forward(told);
    const auto wrong = [](const char* what) {
      return fail(ErrorCode::data_corrupt, "the guest's agent tells a program's end so that it can't be read: {}",
                  what);
    };
    if (!told->is_object() || !told->contains("exited") || !told->at("exited").is_boolean()) return wrong("exited");
    if (!told->at("exited").get<bool>()) return std::optional<Ended>();
    Ended ended;
    const auto status = told->find("exitcode");
    ended.status = status != told->end() && status->is_number_integer() ? status->get<std::int64_t>() : -1;
    for (const auto& [key, text] : {std::pair("out-data", &ended.out), std::pair("err-data", &ended.error)}) {
      const auto found = told->find(key);
      if (found == told->end()) continue;
      auto bytes = found->is_string() ? from_base64(found->get_ref<const std::string&>()) : std::nullopt;
      if (!bytes) return wrong(key);
      *text = std::move(*bytes);
    }
    const auto cut = told->find("out-truncated");
    if (cut != told->end() && *cut == true) return wrong("it is cut off");
    return std::optional(std::move(ended));
  }

  // How far the guest's clock is before this node's, in seconds, by the quickest of a few answers.
  Result<double> clock_ahead(const Clock& clock) const {
    double ahead = 0;
    auto quickest = Monotonic::duration::max();
    for (int i = 0; i < kClockLooks; ++i) {
      const auto before = clock.monotonic();
      const double asked = unix_seconds(clock.now());
      const auto told = call("guest-get-time");
      if (!told) return forward(told);
      if (!told->is_number_integer()) return fail(ErrorCode::data_corrupt, "the guest's agent tells no time");
      const auto took = clock.monotonic() - before;
      if (took >= quickest) continue;
      quickest = took;
      ahead = static_cast<double>(told->get<std::int64_t>()) / 1e9 -
              (asked + std::chrono::duration<double>(took).count() / 2);
    }
    return ahead;
  }

 private:
  const Guest& guest_;
};

class Wait {
 public:
  explicit Wait(std::stop_token stop) : stop_(std::move(stop)) {}
  // False: the order was ended.
  bool rest(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    if (time.count() > 0) never_.wait_for(lock, stop_, time, [] { return false; });
    return !stop_.stop_requested();
  }

 private:
  const std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable_any never_;
};

Error cancelled() { return {ErrorCode::cancelled, "the client was ended", {}}; }

// The byte that lets fio go, on its way but held back in the agent. The script may not have made the gate yet.
Result<std::int64_t> hold_gate(const Talk& talk, const std::string& gate, std::int64_t script, Timestamp at,
                               const Clock& clock, Wait& wait) {
  for (;;) {
    const auto opened = talk.call("guest-file-open", {{"path", kFolder + gate}, {"mode", "r+"}});
    if (opened) {
      if (!opened->is_number_integer()) return fail(ErrorCode::data_corrupt, "the guest's agent opens no file");
      const auto handle = opened->get<std::int64_t>();
      const auto held = talk.call("guest-file-write", {{"handle", handle}, {"buf-b64", to_base64("\n")}});
      if (!held) return forward(held);
      return handle;
    }
    const auto ended = talk.look(script);
    if (!ended) return forward(ended);
    if (*ended) return fail(ErrorCode::io_error, "fio can't be started in the guest: {}", shown((*ended)->error));
    if (clock.now() >= at) return forward(opened);
    if (!wait.rest(std::chrono::milliseconds(300))) return fail(cancelled());
  }
}

std::string device_of(const ClientOrder& order) { return "/dev/disk/by-id/virtio-" + order.disk; }

Result<Talk::Ended> wait_for_end(const Talk& talk, std::int64_t script, Timestamp last, const Clock& clock,
                                 Wait& wait) {
  for (;;) {
    auto ended = talk.look(script);
    if (!ended) return forward(ended);
    if (*ended) return std::move(**ended);
    if (clock.now() > last) return fail(ErrorCode::timeout, "fio in the guest came to no end in its time");
    if (!wait.rest(kLook)) return fail(cancelled());
  }
}

Result<ClientAnswer> figures_of(const ClientOrder& order, const bench::Workload& workload, const Talk::Ended& ended,
                                double ahead) {
  if (ended.status != 0) {
    const auto said = shown(ended.error.empty() ? ended.out : ended.error);
    return fail(ErrorCode::io_error, "fio in the guest ended with {}: {}", ended.status,
                said.empty() ? "it said nothing" : said);
  }
  const auto figures = bench::read_fio(ended.out);
  if (!figures) return forward(figures);
  const auto lines = trimmed(ended.error);
  const auto last = lines.substr(lines.find_last_of('\n') == std::string_view::npos ? 0 : lines.find_last_of('\n') + 1);
  char* rest = nullptr;
  const std::string number(last);
  const double let_through = std::strtod(number.c_str(), &rest);
  if (rest == number.c_str()) {
    return fail(ErrorCode::data_corrupt, "the guest doesn't tell when fio began: {}", shown(last));
  }
  ClientAnswer answer;
  answer.fio = shown(figures->version);
  answer.part = {.node = order.node,
                 .bytes = workload.block_bytes > 0 ? figures->bytes : 0,
                 .operations = figures->operations,
                 .began = std::max(0.0, let_through - ahead - unix_seconds(order.at)),
                 .seconds = figures->seconds,
                 .p50_ms = figures->p50_ms,
                 .p99_ms = figures->p99_ms,
                 .cpu_busy = {},
                 .link_busy = {},
                 .error = {}};
  return answer;
}

Result<ClientAnswer> run(const ClientOrder& order, const Guest& guest, const Clock& clock, const std::stop_token& stop,
                         const std::filesystem::path& root) {
  const auto workload = workload_of(order.workload, order.size);
  if (!workload) return forward(workload);
  if (auto fits = check_in_guest(order.workload); !fits) return forward(fits);
  if (auto early = check_start(order.at, clock); !early) return forward(early);
  const auto until_start = std::chrono::ceil<std::chrono::seconds>(order.at - clock.now());
  const Talk talk(guest);
  Wait wait(stop);
  // Of this run alone: the one of the run before may still be there.
  const auto gate_name = fmt::format("gate-{}", order.at.time_since_epoch().count());
  std::vector<std::string> arguments{"-w",
                                     "sh",
                                     "-c",
                                     std::string(kEnd) + kRun,
                                     "sh",
                                     std::to_string((longest(*workload) + until_start).count()),
                                     gate_file(*workload, {}).native(),
                                     gate_name};
  for (auto& argument : fio_arguments_in_guest(*workload, order.size, device_of(order))) {
    arguments.push_back(std::move(argument));
  }
  // In a session of its own, so that all of it can be ended.
  const auto script = talk.start("setsid", arguments);
  if (!script) return forward(script);
  const auto measured = [&]() -> Result<ClientAnswer> {
    const auto gate = hold_gate(talk, gate_name, *script, order.at, clock, wait);
    if (!gate) return forward(gate);
    if (!wait.rest(order.at - clock.now())) return fail(cancelled());
    const auto go = talk.call("guest-file-flush", {{"handle", *gate}});
    if (!go) return forward(go);
    const NodeWatch node(root);
    const ThreadWatch threads(guest.process, root);
    const auto from = clock.monotonic();
    const auto ended = wait_for_end(talk, *script, order.at + longest(*workload) + kAfterwards, clock, wait);
    if (!ended) return forward(ended);
    const double seconds = std::chrono::duration<double>(clock.monotonic() - from).count();
    (void)talk.call("guest-file-close", {{"handle", *gate}});
    const auto ahead = talk.clock_ahead(clock);  // now that the guest has time to answer
    if (!ahead) return forward(ahead);
    auto answer = figures_of(order, *workload, *ended, *ahead);
    if (!answer) return answer;
    const auto busy = node.since(seconds);
    answer->part.link_busy = busy.link;
    answer->part.cpu_busy = busy.cpu;
    // fio is done before it is looked for again: what a thread did, it did while fio ran.
    if (const auto thread = threads.busiest(std::min(seconds, answer->part.began + answer->part.seconds))) {
      answer->part.cpu_busy = std::max(busy.cpu.value_or(0), *thread);
    }
    return answer;
  }();
  if (!measured) (void)talk.start("sh", {"-c", kEnd});
  return measured;
}

Result<ClientAnswer> facts(const ClientOrder& order, const Guest& guest, const Clock& clock,
                           const std::stop_token& stop, const std::filesystem::path& root) {
  const Talk talk(guest);
  Wait wait(stop);
  if (const auto there = talk.call("guest-ping"); !there) return forward(there);
  const auto lacks = [](const std::string& what) {
    return fail_with_hint(ErrorCode::unsupported, "the guest can't measure: " + what, kHint);
  };
  const auto asked = talk.start("fio", {"--version"});
  if (!asked) return lacks(asked.error().message);
  const auto ended = wait_for_end(talk, *asked, clock.now() + kAfterwards, clock, wait);
  if (!ended) return forward(ended);
  if (ended->status != 0) return lacks("fio --version ended with " + shown(ended->error));
  ClientAnswer answer{.facts = facts_of_this_node(order.node, root), .fio = shown(ended->out)};
  answer.facts.guest = guest.emulated ? "emulated" : "kvm";
  return answer;
}

}  // namespace

Result<ClientAnswer> carry_out_in_guest(const ClientOrder& order, const Guest& guest, const Clock& clock,
                                        std::stop_token stop, const std::filesystem::path& root) {
  const bool is_word =
      !order.disk.empty() && order.disk.size() <= 20 &&
      std::all_of(order.disk.begin(), order.disk.end(), [](unsigned char c) { return std::isalnum(c); });
  if (!is_word) return fail(ErrorCode::invalid_argument, "'{}' isn't a disk's serial number", order.disk);
  switch (order.action) {
    case ClientOrder::Action::facts: return facts(order, guest, clock, stop, root);
    case ClientOrder::Action::run: return run(order, guest, clock, stop, root);
    case ClientOrder::Action::clean: return ClientAnswer{};  // all of it goes with the guest
  }
  return fail(ErrorCode::invalid_argument, "there is no such action");
}

}  // namespace bridgehead::load
