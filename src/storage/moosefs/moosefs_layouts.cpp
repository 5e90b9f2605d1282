#include "storage/moosefs/moosefs_layouts.h"

#include <fcntl.h>

#include <algorithm>

#include "base/file.h"
#include "storage/moosefs/moosefs_tools.h"

namespace bridgehead::storage::moosefs {

// Each chunk of 64 MiB is on other servers: written one after the other only one's link would be used. New chunks go to
// the servers in turn and lanes keep step, so what isn't a multiple of the servers leaves some of them idle: eight
// lanes on five servers reach four fifths of their links.
CopyOrder MooseFsLayouts::copy_order() const {
  constexpr unsigned kLanes = 8;
  constexpr unsigned kMostLanes = 32;
  unsigned lanes = kLanes;
  if (master_) {
    const auto told = runner_->run(servers_command(*master_));
    const unsigned servers = told ? count_servers(told->out) : 0;
    if (servers != 0) lanes = std::min(servers * ((kLanes + servers - 1) / servers), kMostLanes);
  }
  return {.stretch = 64_MiB, .lanes = lanes};
}

Result<UniqueFd> MooseFsLayouts::create(const std::filesystem::path& file, const FileLayout& layout) const {
  auto fd = open_file(file, O_RDWR | O_CREAT | O_EXCL);
  if (!fd || layout.plain()) return fd;
  Status made;
  if (!layout.parts.empty()) {
    made = fail(ErrorCode::invalid_argument, "MooseFS has storage classes, no stripes");
  } else if (auto set = runner_->run(set_class_command(layout.group, file)); !set) {
    // The tool says why on its standard output only, among other things.
    made = fail_with_hint(set.error().code,
                          fmt::format("MooseFS doesn't give a new file the storage class '{}'", layout.group),
                          "Make that class on the master: mfsscadmin create. " + set.error().message);
  } else if (auto got = read(file); !got) {
    made = forward(got);
  } else if (got->group != layout.group) {
    made = fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("MooseFS gave a new file the storage class '{}' instead of '{}'", got->group, layout.group),
        "Make that class on the master: mfsscadmin create.");
  }
  if (made) return fd;
  ::unlink(file.c_str());
  return forward(made);
}

Result<FileLayout> MooseFsLayouts::read(const std::filesystem::path& file) const {
  auto told = runner_->run(get_class_command(file));
  if (!told) return forward(told);
  auto name = parse_class(told->out);
  if (name.empty()) return fail(ErrorCode::data_corrupt, "mfsgetsclass says '{}'", told->out.substr(0, 200));
  return FileLayout{.group = std::move(name)};
}

}  // namespace bridgehead::storage::moosefs
