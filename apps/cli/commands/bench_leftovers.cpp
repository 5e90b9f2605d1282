#include "cli/commands/bench_leftovers.h"

#include "cli/commands/bench_keep.h"
#include "cli/commands/bench_peers.h"

namespace bridgehead::cli {

Status remove_guests(ApiClient& api, const std::string& label) {
  const auto guests =
      api.get(fmt::format("/vms?summary=false&label={}", path_segment(fmt::format("{}={}", kBenchLabel, label))));
  if (!guests) return forward(guests);
  std::vector<std::string> operations;
  for (const auto& guest : guests->at("items")) {
    const auto answer = api.remove("/vms/" + path_segment(text(guest, "/id")));
    if (!answer) return forward(answer);
    operations.push_back(text(*answer, "/operation/id"));
  }
  for (const auto& id : operations) {
    const auto operation = wait_ended(api, id, {});
    if (!operation) return forward(operation);
    if (text(*operation, "/state") != "succeeded") {
      return fail(ErrorCode::failed_precondition, "a guest of the benchmark wasn't removed: {}",
                  text(*operation, "/error/message"));
    }
  }
  return {};
}

Status remove_peers(const BenchRest& rest) {
  for (const auto& host : rest.hosts) {
    for (const auto& folder : rest.directories) {
      PeerOrder order{.action = PeerOrder::Action::end, .name = rest.guests, .pool = folder.parent_path()};
      if (const auto ended = ask_peer({rest.via, rest.program}, host, order); !ended) {
        auto error = ended.error();
        error.message = fmt::format("{}: what a peer made wasn't removed: {}", host, error.message);
        return fail(std::move(error));
      }
    }
  }
  return {};
}

void remove_forsaken_guests(const Context& context, ApiClient& api) {
  for (auto& note : BenchNote::forsaken()) {
    const auto& rest = note.rest();
    if (rest.guests.empty() || rest.server != api.connection().server) continue;
    auto removed = remove_guests(api, rest.guests);
    if (removed) removed = remove_peers(rest);
    if (removed) removed = note.forget();
    if (!removed && !context.quiet)
      fmt::print(stderr, "guests of a killed benchmark may be left: {}\n", removed.error().message);
  }
}

}  // namespace bridgehead::cli
