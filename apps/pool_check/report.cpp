#include "report.h"

#include "model/enum_names.h"
#include "model/json.h"

namespace bridgehead::pool_check {
namespace {

std::string_view told(storage::TargetState state) {
  switch (state) {
    case storage::TargetState::up: return "up";
    case storage::TargetState::down: return "down";
    case storage::TargetState::inactive: return "takes no new files";
  }
  return "";
}

struct Ability {
  const char* name;
  bool there;
  const char* without;  // what its absence means
};

std::vector<Ability> abilities_of(const model::PoolAbilities& found) {
  return {{"direct I/O", found.direct_io, "guests' writes go through this host's page cache"},
          {"locks", found.locks, "nothing keeps two programs from opening one disk"},
          {"reflink", found.reflink, "clones share blocks in another way, see below"},
          {"holes are told", found.seek_holes, "exports and copies read the empty parts, too"},
          {"punch", found.punch_hole, "what guests discard isn't given back"},
          {"preallocate", found.preallocate, "space can't be reserved"},
          {"attributes", found.attributes, "digests of images aren't kept"},
          {"layouts", found.layouts, "the file system alone decides where files lie"}};
}

}  // namespace

std::string as_text(const Options& options, const Findings& findings) {
  std::string text = fmt::format("{}\n  mounted      {}\n", options.directory.native(), findings.mounted);
  if (!findings.state.ready) return text + fmt::format("\nNOT FIT: {}\n", findings.state.message);
  const auto& abilities = findings.state.abilities;
  text += fmt::format("  file system  {}\n  space        {} of {} free\n\nAbilities\n", abilities.file_system,
                      findings.state.available.human(), findings.state.total.human());
  for (const auto& ability : abilities_of(abilities)) {
    text += fmt::format("  {:14} {}\n", ability.name, ability.there ? "yes" : fmt::format("no: {}", ability.without));
  }
  if (abilities.direct_io) text += fmt::format("  {:14} {} bytes\n", "I/O block", abilities.direct_io_alignment);
  text += fmt::format("  {:14} {}\n", "clones by", model::to_string(abilities.clone));
  for (const auto& [role, layout] : findings.layouts) text += fmt::format("  {:14} {}\n", role, layout);
  if (!findings.targets.empty()) text += "\nTargets\n";
  for (const auto& target : findings.targets) {
    text += fmt::format("  {:20} {:20} {} of {} free\n", target.name, told(target.state), target.available.human(),
                        target.total.human());
  }
  text += "\nChecks\n";
  for (const auto& check : findings.checks) {
    text += fmt::format("  {:6} {:20} {:>6} ms\n", check.result ? "ok" : "FAILED", check.name, check.took.count());
    if (!check.result)
      text += fmt::format("         {}\n         {}\n", check.result.error().describe(), check.meaning);
  }
  if (findings.locks_seen == 0 && options.driver != model::PoolDriver::local) {
    text +=
        "\nLocks across hosts were not tried: run `bridgehead-pool-check --hold DIRECTORY` on another host "
        "meanwhile.\n";
  }
  return text + (findings.fit() ? "\nFIT for a pool.\n" : "\nNOT FIT for a pool.\n");
}

std::string as_json(const Options& options, const Findings& findings) {
  nlohmann::json json{{"directory", options.directory.native()},
                      {"driver", model::to_string(options.driver)},
                      {"fit", findings.fit()},
                      {"message", findings.state.message},
                      {"mounted", findings.mounted},
                      {"file_system", findings.state.abilities.file_system},
                      {"total", findings.state.total},
                      {"available", findings.state.available},
                      {"abilities", findings.state.abilities},
                      {"layouts", findings.layouts},
                      {"locks_of_other_hosts_seen", findings.locks_seen},
                      {"targets", nlohmann::json::array()},
                      {"checks", nlohmann::json::array()}};
  for (const auto& target : findings.targets) {
    json["targets"].push_back({{"index", target.index},
                               {"name", target.name},
                               {"state", told(target.state)},
                               {"total", target.total},
                               {"available", target.available}});
  }
  for (const auto& check : findings.checks) {
    json["checks"].push_back({{"name", check.name},
                              {"ok", check.result.has_value()},
                              {"message", check.result ? "" : check.result.error().describe()},
                              {"meaning", check.meaning},
                              {"milliseconds", check.took.count()}});
  }
  return json.dump(2) + "\n";
}

}  // namespace bridgehead::pool_check
