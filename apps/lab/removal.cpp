#include "lab/removal.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/file.h"
#include "lab/network_namespace.h"

namespace bridgehead::lab {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kManagerPatience{15};
constexpr std::chrono::seconds kOthersPatience{3};
constexpr char kForwarding[] = "/proc/sys/net/ipv4/ip_forward";

class FirstError {
 public:
  void note(const Status& status) {
    if (!status && first_) first_ = status;
  }
  const Status& status() const { return first_; }

 private:
  Status first_;
};

// Not yet known by its number: it was free when `up` looked, so what is there now under its name was made by that `up`.
bool namespace_is_ours(const Places& places, const LabState& state) {
  const auto inode = namespace_inode(places.namespace_file());
  return !inode || state.network_namespace_inode == 0 || *inode == state.network_namespace_inode;
}

// By what was recorded; then whoever else lives in the namespace: what the manager had started, what `run` started.
void end_processes(const Places& places, const LabState& state, FirstError& errors) {
  for (const auto& machine : state.machines) errors.note(end_process(machine.process, 0, {}));
  // Guests first, then what they have their disks on.
  for (const auto* member : state.members()) errors.note(end_member(places, *member));
  errors.note(end_process(state.manager, SIGTERM, kManagerPatience));
  if (!namespace_is_ours(places, state)) return;
  // Several times: one of them may have started another meanwhile.
  for (int round = 0; round < 3; ++round) {
    const auto others = processes_in(places.namespace_file());
    errors.note(others ? Status() : forward(others));
    if (!others) return;
    for (const auto& process : *others) errors.note(end_process(process, round == 0 ? SIGTERM : 0, kOthersPatience));
  }
}

// A command that fails because there is nothing to remove has done its work.
bool exists(CommandRunner& runner, const Command& removal) {
  if (removal.program == "nft") {
    Command list = removal;
    list.arguments.front() = "list";
    return runner.run(list).has_value();
  }
  if (removal.arguments.front() == "link") {
    return runner.run({.program = "ip", .arguments = {"link", "show", "dev", removal.arguments.back()}}).has_value();
  }
  return fs::exists(fs::path("/run/netns") / removal.arguments.back());
}

void remove_if_there(CommandRunner& runner, const Command& command, FirstError& errors) {
  if (!exists(runner, command)) return;
  const auto removed = runner.run(command);
  if (!removed && exists(runner, command)) errors.note(forward(removed));
}

void remove_links(CommandRunner& runner, const Places& places, const LabState& state, FirstError& errors) {
  for (const auto* member : state.members()) {
    if (!namespace_is_its_own(places, *member)) continue;
    remove_if_there(runner, {.program = "ip", .arguments = {"netns", "delete", places.member_namespace(member->name)}},
                    errors);
  }
  for (const auto& command : remove_network(places, state.upstream)) {
    if (command.arguments.front() == "netns" && !namespace_is_ours(places, state)) continue;
    remove_if_there(runner, command, errors);
  }
  if (state.forwarding_was_off && !another_found_it_off(places)) errors.note(set_host_forwarding(false));
}

// Deepest first. Removing files through a mount would remove somebody else's.
Status unmount_below(const fs::path& directory) {
  const auto table = read_file("/proc/self/mountinfo");
  if (!table) return forward(table);
  std::vector<std::string> below;
  std::size_t at = 0;
  const auto prefix = directory.native() + "/";
  while (at < table->size()) {
    const auto end = std::min(table->find('\n', at), table->size());
    const auto line = std::string_view(*table).substr(at, end - at);
    at = end + 1;
    // Field 5 is the mount point.
    std::size_t field = 0;
    for (int i = 0; i < 4 && field != std::string_view::npos; ++i) field = line.find(' ', field) + 1;
    const auto point = line.substr(field, line.find(' ', field) - field);
    if (point.starts_with(prefix)) below.emplace_back(point);
  }
  for (auto point = below.rbegin(); point != below.rend(); ++point) {
    if (::umount2(point->c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
      return fail_errno(errno, fmt::format("unmount {}", *point));
    }
  }
  return {};
}

Status remove_files(const Places& places) {
  if (auto unmounted = unmount_below(places.directory()); !unmounted) return unmounted;
  const auto entries = list_directory(places.directory());
  if (!entries && entries.error().code != ErrorCode::not_found) return forward(entries);
  std::error_code error;
  for (const auto& entry : entries.value_or(std::vector<fs::path>())) {
    if (entry == places.state_file()) continue;
    fs::remove_all(entry, error);
    if (error) return fail(ErrorCode::io_error, "{} can't be removed: {}", entry.native(), error.message());
  }
  if (auto removed = remove_file(places.state_file()); !removed) return removed;
  fs::remove(places.directory(), error);
  if (error) return fail(ErrorCode::io_error, "{} can't be removed: {}", places.directory().native(), error.message());
  // Ours to remove as well, if it is the last lab.
  if (places.base() == kDefaultBase) fs::remove(places.base(), error);
  return {};
}

}  // namespace

Result<bool> host_forwards() {
  const auto text = read_file(kForwarding);
  if (!text) return forward(text);
  return text->starts_with('1');
}

Status set_host_forwarding(bool on) {
  const auto opened = open_file(kForwarding, O_WRONLY);
  if (!opened) return forward(opened);
  return write_all(opened->get(), on ? "1\n" : "0\n", kForwarding);
}

bool another_found_it_off(const Places& places) {
  for (const auto& name : list_labs(places.base())) {
    if (name == places.lab()) continue;
    const auto other = load_state(Places(places.base(), name));
    if (other && other->boot_id == boot_id() && other->forwarding_was_off) return true;
  }
  return false;
}

Status remove_lab(CommandRunner& runner, const Places& places, LabState& state) {
  FirstError errors;
  state.phase = Phase::removing;
  if (auto saved = save_state(places, state); !saved) return saved;
  // After the host's restart numbers and namespaces are somebody else's.
  if (state.boot_id == boot_id()) {
    end_processes(places, state, errors);
    if (errors.status()) remove_links(runner, places, state, errors);
  }
  if (errors.status()) errors.note(remove_files(places));
  return errors.status();
}

Status remove_unrecorded(const Places& places) {
  std::error_code error;
  // A record that was never finished is all that an `up` can have left here.
  fs::remove(places.state_file().native() + ".new", error);
  fs::remove(places.directory(), error);
  if (!error) return {};
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("{} holds files but no lab's record", places.directory().native()),
                        "Bridgehead removes only what it has made: look at them, then remove the directory.");
}

}  // namespace bridgehead::lab
