#include "cli/commands/bench_note.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace bridgehead::cli {
namespace {

std::filesystem::path notes_directory() {
  const auto from_environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  const auto xdg = from_environment("XDG_STATE_HOME");
  return (xdg.empty() ? from_environment("HOME") / ".local/state" : xdg) / "bridgehead/bench";
}

// Null: somebody else holds it.
UniqueFd lock_file(const std::filesystem::path& path, int flags) {
  auto file = open_file(path, flags);
  if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) return {};
  return std::move(*file);
}

}  // namespace

Result<BenchNote> BenchNote::make(const std::string& name, const BenchRest& rest) {
  const auto path = notes_directory() / (name + ".json");
  if (auto made = make_directories(path.parent_path(), 0700); !made) return forward(made);
  auto lock = lock_file(path, O_RDWR | O_CREAT);
  if (!lock) return fail(ErrorCode::io_error, "{} can't be locked", path.native());
  auto directories = nlohmann::json::array();
  for (const auto& directory : rest.directories) directories.push_back(directory.native());
  const nlohmann::json json = {{"hosts", rest.hosts},        {"via", rest.via},       {"program", rest.program},
                               {"directories", directories}, {"server", rest.server}, {"guests", rest.guests},
                               {"nodes", rest.nodes}};
  if (auto written = write_all(lock.get(), json.dump() + "\n", path.native()); !written) return forward(written);
  return BenchNote(path, std::move(lock), rest);
}

std::vector<BenchNote> BenchNote::forsaken() {
  std::vector<BenchNote> notes;
  const auto there = list_directory(notes_directory());
  if (!there) return notes;  // no run was ever here
  for (const auto& path : *there) {
    auto lock = lock_file(path, O_RDWR);
    const auto text = lock ? read_file(path) : Result<std::string>(std::string());
    const auto json = nlohmann::json::parse(text ? *text : "", nullptr, false);
    if (!lock || !json.is_object()) continue;
    BenchRest rest;
    try {
      rest.hosts = json.at("hosts").get<std::vector<std::string>>();
      rest.via = json.at("via").get<std::string>();
      rest.program = json.at("program").get<std::string>();
      for (const auto& directory : json.at("directories")) rest.directories.emplace_back(directory.get<std::string>());
      rest.server = json.value("server", std::string());
      rest.guests = json.value("guests", std::string());
      rest.nodes = json.value("nodes", std::vector<std::string>());
    } catch (const nlohmann::json::exception&) {
      continue;  // not ours, or cut off before anything was made
    }
    notes.push_back(BenchNote(path, std::move(lock), std::move(rest)));
  }
  return notes;
}

Status BenchNote::forget() { return remove_file(path_); }

}  // namespace bridgehead::cli
