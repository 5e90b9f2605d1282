#include "storage/export.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "model/enum_names.h"
#include "storage/convert.h"
#include "storage/disk_files.h"
#include "storage/file_space.h"
#include "storage/readable_image.h"

namespace bridgehead::storage {
namespace {

constexpr std::size_t kExportPiece = 1 << 20;

Status send_extent(int fd, const Extent& extent, const std::function<bool(std::string_view)>& sink, std::string& buffer,
                   const std::function<Status(std::uint64_t)>& sent) {
  for (std::uint64_t done = 0; done < extent.length;) {
    const std::size_t part = std::min<std::uint64_t>(kExportPiece, extent.length - done);
    std::size_t got = part;
    if (extent.kind == ExtentKind::zero) {
      buffer.assign(part, '\0');
    } else {
      buffer.resize(part);
      const ssize_t read = ::pread(fd, buffer.data(), part, static_cast<off_t>(extent.file_offset + done));
      if (read < 0 && errno == EINTR) continue;
      if (read < 0) return fail_errno(errno, "read the image");
      if (read == 0) return fail(ErrorCode::data_corrupt, "the image became shorter while it was being read");
      got = static_cast<std::size_t>(read);
    }
    if (!sink(std::string_view(buffer).substr(0, got))) return fail(ErrorCode::cancelled, "the receiver is gone");
    done += got;
    if (auto more = sent(extent.offset + done); !more) return more;
  }
  return {};
}

Status send_file(const std::filesystem::path& path, const std::function<bool(std::string_view)>& sink,
                 const ProgressSink& progress, const std::stop_token& stop) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return forward(file);
  if (auto offline = check_offline(file->get()); !offline) return offline;
  auto image = open_raw_image(std::move(*file));
  if (!image) return forward(image);
  const std::uint64_t size = image->virtual_size.count();
  std::string buffer;
  const auto sent = [&](std::uint64_t position) -> Status {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the export was cancelled");
    if (progress) progress({.phase = "send", .done = position, .total = size});
    return {};
  };
  for (std::uint64_t offset = 0; offset < size;) {
    auto extent = image->map(offset);
    if (!extent) return forward(extent);
    if (auto done = send_extent(image->file.get(), *extent, sink, buffer, sent); !done) return done;
    offset += extent->length;
  }
  return {};
}

}  // namespace

Status export_stored_image(CommandRunner& runner, const StoredImage& image, model::ImageFormat format,
                           const std::filesystem::path& staging, const std::function<bool(std::string_view)>& sink,
                           const ProgressSink& progress, std::stop_token stop) {
  if (format != model::ImageFormat::raw && format != model::ImageFormat::qcow2) {
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("exports as {} are not supported", model::to_string(format)),
                          "Use raw or qcow2.");
  }
  // A raw file is sent as it is. (A qcow2 disk isn't: it needs its golden image.)
  if (format == model::ImageFormat::raw && image.format == model::ImageFormat::raw) {
    return send_file(image.path, sink, progress, stop);
  }
  auto space = space_of(staging.parent_path());
  if (!space) return forward(space);
  auto done = convert_image(runner, export_command(image.path, image.format, staging, format, image.virtual_size),
                            staging, space->usable(), progress, stop);
  if (done) done = send_file(staging, sink, progress, stop);
  ::unlink(staging.c_str());
  return done;
}

}  // namespace bridgehead::storage
