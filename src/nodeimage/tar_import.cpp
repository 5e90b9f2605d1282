#include "nodeimage/tar_import.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/file.h"
#include "nodeimage/tree_entry_writer.h"

namespace bridgehead::nodeimage {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

struct FreeArchive {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
using Reader = std::unique_ptr<archive, FreeArchive>;

Result<Reader> open_reader(int fd, const std::string& what) {
  Reader reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  if (archive_read_open_fd(reader.get(), fd, 1 << 20) != ARCHIVE_OK) {
    return fail(ErrorCode::data_corrupt, "{} is not a tar archive: {}", what, archive_error_string(reader.get()));
  }
  return reader;
}

// The next entry; nullptr at the end.
Result<archive_entry*> next_entry(archive* reader, const std::string& what) {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(reader, &entry);
  if (code == ARCHIVE_EOF) return nullptr;
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
    return fail(ErrorCode::data_corrupt, "{}: {}", what, archive_error_string(reader));
  }
  if (archive_entry_pathname(entry) == nullptr)
    return fail(ErrorCode::data_corrupt, "{}: an entry without a name", what);
  return entry;
}

// Splits ".../.wh.name" into the directory and what follows; nothing where it isn't a whiteout.
struct Whiteout {
  std::string directory;
  std::string name;  // empty = all of the directory
};
Result<std::optional<Whiteout>> whiteout_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (!name.starts_with(kWhiteout)) return std::optional<Whiteout>();
  Whiteout found{slash == std::string::npos ? std::string() : path.substr(0, slash), {}};
  if (name == kOpaque) return std::optional(found);
  found.name = name.substr(kWhiteout.size());
  if (found.name.empty() || found.name == "." || found.name == ".." || found.name.starts_with(kWhiteout)) {
    return fail(ErrorCode::data_corrupt, "'{}' is no name that a layer can remove", path);
  }
  return std::optional(found);
}

Status apply(const Whiteout& whiteout, const Tree& tree) {
  if (!whiteout.name.empty()) return tree.remove(whiteout.directory + "/" + whiteout.name);
  const auto fd = tree.open_directory(whiteout.directory);
  if (!fd) return fd.error().code == ErrorCode::not_found ? Status{} : forward(fd);
  const auto entries = list_directory(fmt::format("/proc/self/fd/{}", fd->get()));
  if (!entries) return forward(entries);
  for (const auto& entry : *entries) {
    if (auto removed = remove_entry(fd->get(), entry.filename()); !removed) return removed;
  }
  return {};
}

// A layer's removals concern what lies below it, wherever they stand in it: so they come first.
Status apply_whiteouts(int fd, const std::string& what, const Tree& tree, const std::stop_token& stop) {
  auto reader = open_reader(fd, what);
  if (!reader) return forward(reader);
  for (;;) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    const auto entry = next_entry(reader->get(), what);
    if (!entry) return forward(entry);
    if (*entry == nullptr) return {};
    const auto path = normal_path(archive_entry_pathname(*entry));
    if (!path) return forward(path);
    const auto whiteout = whiteout_of(*path);
    if (!whiteout) return forward(whiteout);
    if (!*whiteout) continue;
    if (auto done = apply(**whiteout, tree); !done) return done;
  }
}

}  // namespace

Result<TarResult> unpack_tar(int fd, const std::string& what, const Tree& tree, const TarOptions& options,
                             std::stop_token stop) {
  if (options.whiteouts) {
    if (auto done = apply_whiteouts(fd, what, tree, stop); !done) return forward(done);
    if (::lseek(fd, 0, SEEK_SET) != 0) return fail_errno(errno, what);
  }
  auto reader = open_reader(fd, what);
  if (!reader) return forward(reader);
  TarResult result;
  TreeEntryWriter writer(tree, options.limit);
  for (;;) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the import was cancelled");
    const auto entry = next_entry(reader->get(), what);
    if (!entry) return forward(entry);
    if (*entry == nullptr) break;
    if (++result.entries > options.entry_limit) {
      return fail(ErrorCode::resource_exhausted, "{} has more than {} entries", what, options.entry_limit);
    }
    const auto path = normal_path(archive_entry_pathname(*entry));
    if (!path) return fail(path.error().code, "{}: {}", what, path.error().message);
    if (options.whiteouts) {
      const auto whiteout = whiteout_of(*path);
      if (!whiteout) return forward(whiteout);
      if (*whiteout) continue;
    }
    if (auto written = writer.write(reader->get(), *entry, *path); !written) {
      return fail({written.error().code, fmt::format("{}: {}", what, written.error().message), written.error().hint});
    }
    if (options.read_so_far) options.read_so_far(static_cast<std::uint64_t>(archive_filter_bytes(reader->get(), -1)));
  }
  result.unpacked = writer.written();
  return result;
}

Result<std::vector<std::string>> first_names(int fd, const std::string& what, std::size_t count) {
  auto reader = open_reader(fd, what);
  if (!reader) return forward(reader);
  std::vector<std::string> names;
  while (names.size() < count) {
    const auto entry = next_entry(reader->get(), what);
    if (!entry) return forward(entry);
    if (*entry == nullptr) break;
    if (auto path = normal_path(archive_entry_pathname(*entry))) names.push_back(std::move(*path));
  }
  return names;
}

}  // namespace bridgehead::nodeimage
