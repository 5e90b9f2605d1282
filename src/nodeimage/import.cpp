#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "nodeimage/builder.h"
#include "nodeimage/builder_parts.h"
#include "nodeimage/debian_tree.h"
#include "nodeimage/digest.h"
#include "nodeimage/oci.h"
#include "nodeimage/pack_parts.h"
#include "nodeimage/tar_import.h"
#include "nodeimage/work_directory.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPhaseUnpack = "extract";

struct Importing {
  CommandRunner& runner;
  const ImportOptions& options;
  const ProgressSink& progress;
  std::stop_token stop;

  void report(std::uint64_t done, std::uint64_t total) const {
    if (progress)
      progress({std::string(kPhaseUnpack), total == 0 ? 0 : std::min<std::uint64_t>(99, done * 100 / total), 100});
  }
};

Status from_layout(const Importing& import, const Tree& layout, const Tree& into) {
  return unpack_oci(layout, into,
                    {.reference = import.options.oci_reference,
                     .limit = import.options.tree_limit,
                     .progress = [&](std::uint64_t done, std::uint64_t total) { import.report(done, total); }},
                    import.stop);
}

bool has_name(const std::vector<std::string>& names, std::string_view wanted) {
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

Status from_tar(const Importing& import, const fs::path& source, const fs::path& work, const Tree& into) {
  const auto fd = open_file(source, O_RDONLY);
  if (!fd) return forward(fd);
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, source.native());
  const auto rewind = [&]() -> Status {
    if (::lseek(fd->get(), 0, SEEK_SET) != 0) return fail_errno(errno, source.native());
    return {};
  };
  if (!import.options.expected_sha256.empty()) {
    const auto hashed = hash_open_file(fd->get(), source.native(), import.stop);
    if (!hashed) return forward(hashed);
    if (hashed->sha256 != import.options.expected_sha256) {
      return fail(ErrorCode::data_corrupt, "{} has the SHA-256 {}, not {}", source.native(), hashed->sha256,
                  import.options.expected_sha256);
    }
    if (auto done = rewind(); !done) return done;
  }
  // Layouts have few files besides blobs, but their order is free.
  const auto names = first_names(fd->get(), source.native(), 2000);
  if (!names) return forward(names);
  if (auto done = rewind(); !done) return done;
  const bool layout = has_name(*names, "oci-layout") && has_name(*names, "index.json");
  if (!layout && has_name(*names, "manifest.json") && !has_name(*names, "usr") && !has_name(*names, "etc")) {
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("{} is in Docker's own archive format, which has no checksums", source.native()),
                          "Make an OCI archive: skopeo copy docker-archive:FILE oci-archive:FILE2.");
  }
  TarOptions options{.limit = import.options.tree_limit};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  options.read_so_far = [&](std::uint64_t done) { import.report(layout ? done / 2 : done, size); };
  if (!layout) {
    const auto done = unpack_tar(fd->get(), source.native(), into, options, import.stop);
    return done ? Status{} : forward(done);
  }
  const fs::path directory = work / "layout";
  if (auto made = make_directories(directory, 0700); !made) return made;
  const auto tree = Tree::open(directory);
  if (!tree) return forward(tree);
  if (const auto done = unpack_tar(fd->get(), source.native(), *tree, options, import.stop); !done)
    return forward(done);
  return from_layout(import, *tree, into);
}

// What a root tree must have to be one, and what people should know of it.
Status check_tree(const Tree& tree, const std::string& role, std::vector<std::string>& notes) {
  const bool has_init =
      tree.exists("/sbin/init") || tree.exists("/usr/lib/systemd/systemd") || tree.exists("/lib/systemd/systemd");
  if (!has_init) {
    return fail_with_hint(ErrorCode::failed_precondition, "the tree has no init (/sbin/init, /usr/lib/systemd/systemd)",
                          "Images of containers mostly have none: add systemd and a kernel in a Dockerfile.");
  }
  if (!tree.exists("/usr/bin/bridgehead-agent")) {
    notes.push_back("There is no /usr/bin/bridgehead-agent in it: nodes boot but don't join.");
  }
  if (role == "compute" && !tree.exists("/usr/sbin/libvirtd") && !tree.exists("/usr/sbin/virtqemud")) {
    notes.push_back("There is no libvirt in it: nodes can't run guests.");
  }
  const auto selinux = tree.read("/etc/selinux/config", 1_MiB);
  if (selinux && selinux->find("\nSELINUX=enforcing") != std::string::npos) {
    notes.push_back(
        "SELinux is enforcing in it, and files without labels get in its way; boot with selinux=0 or label it.");
  }
  return {};
}

}  // namespace

Result<StagedImage> ImageBuilder::import(const fs::path& source, const ImportOptions& options,
                                         const ProgressSink& progress, std::stop_token stop) {
  if (::geteuid() != 0) {
    return fail_with_hint(ErrorCode::failed_precondition, "node images are made by root (their files belong to root)",
                          "Run it as root.");
  }
  std::error_code failed;
  if (!fs::exists(source, failed)) return fail(ErrorCode::not_found, "there is no {}", source.native());
  auto staged = WorkDirectory::create(paths_.work, "image");
  if (!staged) return forward(staged);
  auto work = WorkDirectory::create(paths_.work, "build");
  if (!work) return forward(work);
  const fs::path directory = work->path() / "tree";
  const Importing importing{*runner_, options, progress, stop};
  importing.report(0, 1);

  const bool is_directory = fs::is_directory(source, failed);
  std::optional<Tree> given;
  if (is_directory) {
    auto opened = Tree::open(source);
    if (!opened) return forward(opened);
    given.emplace(std::move(*opened));
  }
  if (given && !is_oci_layout(*given)) {
    if (auto copied = copy_tree(*runner_, source, directory, stop); !copied) return forward(copied);
  } else {
    if (auto made = make_directories(directory); !made) return forward(made);
    const auto tree = Tree::open(directory);
    if (!tree) return forward(tree);
    auto done = given ? from_layout(importing, *given, *tree) : from_tar(importing, source, work->path(), *tree);
    if (!done) return forward(done);
  }
  importing.report(100, 100);

  const auto tree = Tree::open(directory);
  if (!tree) return forward(tree);
  std::vector<std::string> notes;
  if (auto done = check_tree(*tree, options.role, notes); !done) return forward(done);
  if (auto done = make_anonymous(*tree, notes); !done) return forward(done);
  if (auto done = add_join_unit(*tree); !done) return forward(done);
  auto manifest = pack(*runner_, directory, staged->path(),
                       {.root_limit = options.root_limit,
                        .keep_tree = options.keep_tree,
                        .role = options.role,
                        .source = source.filename().empty() ? source.native() : source.filename().native()},
                       options.initramfs, progress, stop);
  if (!manifest) return forward(manifest);
  manifest->notes.insert(manifest->notes.begin(), notes.begin(), notes.end());
  if (auto written = write_manifest(*manifest, staged->path()); !written) return forward(written);
  return staged->release(std::move(*manifest));
}

}  // namespace bridgehead::nodeimage
