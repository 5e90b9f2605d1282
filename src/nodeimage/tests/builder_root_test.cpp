// Real builds and imports: mmdebstrap, mksquashfs, packages from the machine's mirror. Needs root; builds share a
// cache, so only the first run on a machine takes a minute.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "archive_maker.h"
#include "base/file.h"
#include "base/random.h"
#include "nodeimage/builder.h"
#include "nodeimage/store.h"
#include "signed_repository.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::slurp;
using testing::write;

constexpr std::string_view kRecipe = R"TOML(
name = "tiny"
role = "compute"
variant = "essential"
packages = ["kmod", "passwd", "systemd", "vendor-client"]
exclude = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/lib/udev/hwdb.d/*"]
keep = ["/usr/share/doc/bash/copyright"]
enable = ["serial-getty@ttyS0.service"]
mask = ["fstrim.timer"]
root_password_hash = "$6$salt$hash"
ssh_keys = ["ssh-ed25519 AAAA me"]
[[file]]
path = "/boot/vmlinuz-6.1.0-test"
content = "the kernel"
[[file]]
path = "/usr/bin/bridgehead-agent"
mode = "0755"
content = "the agent"
[[file]]
path = "/usr/lib/modules/6.1.0-test/kernel/some.ko"
content = "a module"
[[hook]]
name = "look-around"
script = """#!/bin/sh
set -e
[ "$$" -lt 20 ]                      # a PID namespace of our own
[ -z "$BRIDGEHEAD_TEST_SECRET" ]     # nothing of the builder's environment
[ "$(ls /sys/class/net 2>/dev/null | wc -l)" -le 1 ]
echo done > /etc/hook
"""
)TOML";

Result<InitramfsSummary> make_initramfs(const fs::path& tree, const fs::path& output) {
  write(output, "initramfs for " + slurp(tree / "boot/vmlinuz-6.1.0-test"));
  return InitramfsSummary{"6.1.0-test", "boot/vmlinuz-6.1.0-test", {"a warning"}, {{"modules", 3}}};
}

class Builder : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    vendor_.emplace(runner_, directory_->path() / "vendor", "vendor-client");
  }
  fs::path work() const { return directory_->path() / "work"; }
  fs::path cache() const { return directory_->path() / "cache"; }
  Recipe recipe() const {
    auto parsed = parse_recipe(kRecipe, "tiny.toml", "/");
    EXPECT_TRUE(parsed) << parsed.error().describe();
    parsed->sources.push_back({vendor_->line(), vendor_->key()});
    return *parsed;
  }
  // No build or import leaves anything beside its result.
  void expect_only(std::size_t images) const {
    std::size_t found = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(work(), none)) {
      EXPECT_THAT(entry.path().filename().native(), ::testing::StartsWith("image."));
      ++found;
    }
    EXPECT_EQ(found, images);
    for (const auto& entry : fs::directory_iterator(cache(), none)) {
      EXPECT_FALSE(entry.path().filename().native().starts_with("build.")) << entry.path();
    }
  }

  Result<TemporaryDirectory> directory_ = TemporaryDirectory::create("bridgehead-node-image");
  SystemCommandRunner runner_;
  std::optional<testing::SignedRepository> vendor_;  // an apt source of the recipe
};

void expect_tree(const fs::path& root) {
  EXPECT_EQ(slurp(root / "etc/hook"), "done\n");
  EXPECT_TRUE(fs::is_empty(root / "etc/machine-id"));
  EXPECT_EQ(fs::read_symlink(root / "etc/systemd/system/fstrim.timer"), "/dev/null");
  EXPECT_TRUE(fs::is_symlink(root / "etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service"));
  EXPECT_TRUE(fs::is_symlink(root / "etc/systemd/system/multi-user.target.wants/bridgehead-netboot-join.service"));
  EXPECT_THAT(slurp(root / "etc/shadow"), ::testing::StartsWith("root:$6$salt$hash:"));
  EXPECT_EQ(slurp(root / "root/.ssh/authorized_keys"), "ssh-ed25519 AAAA me\n");
  EXPECT_TRUE(fs::exists(root / "usr/share/doc/bash/copyright"));
  EXPECT_FALSE(fs::exists(root / "usr/share/doc/sed/copyright"));
  EXPECT_EQ(slurp(root / "usr/share/vendor-client"), "vendor-client\n") << "from the recipe's own apt source";
  EXPECT_THAT(slurp(root / "etc/apt/sources.list.d/recipe.list"),
              ::testing::StartsWith("deb [signed-by=/etc/apt/keyrings/recipe-1.asc] copy:"));
  EXPECT_THAT(slurp(root / "etc/apt/keyrings/recipe-1.asc"), HasSubstr("BEGIN PGP PUBLIC KEY BLOCK"));
  EXPECT_FALSE(fs::exists(root / "etc/hostname"));
  EXPECT_FALSE(fs::exists(root / "root/.bridgehead-hook"));
  const auto module = root / "usr/lib/modules/6.1.0-test/kernel/some.ko";
  EXPECT_FALSE(fs::exists(module));
  EXPECT_THAT(slurp(module.native() + ".zst"), ::testing::StartsWith("\x28\xb5\x2f\xfd"));
  EXPECT_THAT(slurp(root / "usr/lib/modules/6.1.0-test/modules.dep"), HasSubstr("kernel/some.ko.zst:"));
}

TEST_F(Builder, BuildsPublishesAndBuildsAgainFromTheCache) {
  ::setenv("BRIDGEHEAD_TEST_SECRET", "secret", 1);
  auto store = ImageStore::open(directory_->path() / "store");
  ASSERT_TRUE(store);
  ImageBuilder builder(runner_, {store->temporary(), cache()});
  std::mutex mutex;
  std::vector<std::string> phases;
  const auto progress = [&](const Progress& now) {
    const std::lock_guard lock(mutex);
    if (phases.empty() || phases.back() != now.phase) phases.push_back(now.phase);
  };
  auto staged = builder.build(recipe(), {.keep_tree = true, .initramfs = make_initramfs}, progress);
  ASSERT_TRUE(staged) << staged.error().describe();
  for (const auto* phase : {"prepare", "configure", "customize", "list", "compress", "initramfs"}) {
    EXPECT_THAT(phases, Contains(phase));
  }
  expect_tree(staged->directory() / "root");
  const auto manifest = staged->manifest();
  EXPECT_EQ(manifest.kernel_version, "6.1.0-test");
  EXPECT_EQ(manifest.packages_from, "dpkg");
  EXPECT_THAT(manifest.os, HasSubstr("Debian"));
  EXPECT_THAT(manifest.notes, Contains("a warning"));
  EXPECT_GT(manifest.packages.size(), 30u);
  EXPECT_LT(manifest.files.at("root.squashfs").size, 120_MiB);
  SystemRandom random;
  const auto published = store->publish(std::move(*staged), make_id<model::NodeImageId>(random), "tiny");
  ASSERT_TRUE(published) << published.error().describe();
  EXPECT_TRUE(store->verify(published->id));

  phases.clear();
  int calls = 0;
  const InitramfsMaker counting = [&](const fs::path& tree, const fs::path& output) {
    ++calls;
    return make_initramfs(tree, output);
  };
  auto again = builder.build(recipe(), {.keep_tree = true, .initramfs = counting, .initramfs_key = "a"}, progress);
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_THAT(phases, ::testing::Not(Contains("configure")));
  EXPECT_EQ(again->manifest().files.at("root.squashfs"), manifest.files.at("root.squashfs"));
  const auto third = builder.build(recipe(), {.initramfs = counting, .initramfs_key = "a"});
  ASSERT_TRUE(third) << third.error().describe();
  EXPECT_EQ(calls, 1) << "the initramfs of the same key comes from the cache";
  EXPECT_EQ(third->manifest().files, again->manifest().files);
  EXPECT_EQ(third->manifest().notes, again->manifest().notes);
  EXPECT_EQ(third->manifest().initramfs, again->manifest().initramfs);
  const auto second = store->publish(std::move(*again), make_id<model::NodeImageId>(random), "tiny");
  ASSERT_TRUE(second) << second.error().describe();
  EXPECT_TRUE(store->diff(published->id, second->id)->files.empty());

  // Other inputs, another key.
  auto changed = recipe();
  changed.files[1].content = "another agent";
  EXPECT_NE(*builder.cache_key(changed, {}), *builder.cache_key(recipe(), {}));
}

TEST_F(Builder, FailsCleanly) {
  ImageBuilder builder(runner_, {work(), cache()});
  auto missing = recipe();
  missing.packages.push_back("no-such-package-anywhere");
  const auto unknown = builder.build(missing, {.initramfs = make_initramfs});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message,
            "apt can't install what the recipe names: no apt source has the package no-such-package-anywhere");
  const auto log = BuilderPaths{work(), cache()}.failure_log("tiny");
  EXPECT_THAT(unknown.error().hint, HasSubstr(log.native()));
  EXPECT_THAT(slurp(log), HasSubstr("Unable to locate package no-such-package-anywhere"));

  const auto no_deb = builder.build(recipe(), {.debs = {"/nowhere/agent.deb"}, .initramfs = make_initramfs});
  ASSERT_FALSE(no_deb);
  EXPECT_THAT(no_deb.error().message, HasSubstr("/nowhere/agent.deb"));

  std::stop_source stop;
  const auto cancelled = builder.build(
      recipe(), {.initramfs = make_initramfs},
      [&](const Progress& progress) {
        if (progress.phase == "extract" || progress.phase == "configure") stop.request_stop();
      },
      stop.get_token());
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled) << cancelled.error().describe();
  expect_only(0);
}

TEST_F(Builder, AnAptSourceWithoutAGoodSignatureIsNotUsed) {
  vendor_->sign_by_another();
  ImageBuilder builder(runner_, {work(), cache()});
  const auto refused = builder.build(recipe(), {.initramfs = make_initramfs});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("vendor")) << refused.error().describe();
  EXPECT_THAT(refused.error().hint, HasSubstr("failed-tiny.log"));
  expect_only(0);
}

TEST_F(Builder, SweepTakesOnlyWhatNobodyHas) {
  write(work() / "build.dead00/tree/etc/x", "x");
  write(work() / "image.alive0/root.squashfs", "x");
  write(work() / "unrelated/x", "x");
  const auto lock = open_file(work() / "image.alive0", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(lock->get(), LOCK_EX), 0);
  ASSERT_TRUE(ImageBuilder(runner_, {work(), {}}).sweep());
  EXPECT_FALSE(fs::exists(work() / "build.dead00"));
  EXPECT_TRUE(fs::exists(work() / "image.alive0"));
  EXPECT_TRUE(fs::exists(work() / "unrelated"));
}

class Importer : public Builder {
 protected:
  // What a Dockerfile with a base and two more steps would give.
  void make_layout(const fs::path& at) {
    using testing::TarMaker;
    testing::LayoutMaker(at).image(
        {TarMaker()
             .directory("usr")
             .directory("usr/lib")
             .symlink("lib", "usr/lib")
             .directory("etc")
             .file("etc/os-release", "PRETTY_NAME=\"Rocky Linux 9\"\n")
             .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
             .file("etc/removed", "x")
             .bytes(),
         TarMaker()
             .directory("usr/lib/systemd")
             .file("usr/lib/systemd/systemd", "init", 0755)
             .file("lib/modules/6.1.0-test/vmlinuz", "the kernel")
             .file("etc/.wh.removed", "")
             .bytes(),
         TarMaker().directory("usr/bin").file("usr/bin/bridgehead-agent", "the agent", 0755).bytes()});
  }
  ImportOptions options() const {
    ImportOptions options;
    options.keep_tree = true;
    options.initramfs = [](const fs::path&, const fs::path& output) -> Result<InitramfsSummary> {
      write(output, "initramfs");
      return InitramfsSummary{"6.1.0-test", {}, {}, {}};
    };
    return options;
  }
  void expect_image(const Result<StagedImage>& staged) {
    ASSERT_TRUE(staged) << staged.error().describe();
    EXPECT_EQ(slurp(staged->directory() / "vmlinuz"), "the kernel");
    EXPECT_EQ(staged->manifest().os, "Rocky Linux 9");
    EXPECT_EQ(slurp(staged->directory() / "root/usr/lib/modules/6.1.0-test/vmlinuz"), "the kernel");
    EXPECT_FALSE(fs::exists(staged->directory() / "root/etc/removed"));
    EXPECT_EQ(slurp(staged->directory() / "root/etc/machine-id"), "");
    EXPECT_TRUE(fs::is_symlink(staged->directory() /
                               "root/etc/systemd/system/multi-user.target.wants/bridgehead-netboot-join.service"));
    EXPECT_THAT(staged->manifest().notes, Contains(HasSubstr("no libvirt")));
    const auto check =
        runner_.run({.program = "unsquashfs", .arguments = {"-ll", staged->directory() / "root.squashfs"}});
    EXPECT_TRUE(check) << check.error().describe();
  }
};

TEST_F(Importer, OciLayoutArchiveTreeAndTarGiveTheSameImage) {
  const fs::path layout = directory_->path() / "layout";
  make_layout(layout);
  ImageBuilder builder(runner_, {work(), {}});
  const auto from_layout = builder.import(layout, options());
  expect_image(from_layout);

  const fs::path archive = directory_->path() / "oci.tar";
  ASSERT_TRUE(runner_.run({.program = "tar", .arguments = {"-C", layout, "-cf", archive, "."}}));
  const auto from_archive = builder.import(archive, options());
  expect_image(from_archive);

  const fs::path tree = from_layout->directory() / "root";
  const auto from_tree = builder.import(tree, options());
  expect_image(from_tree);

  const fs::path tar = directory_->path() / "root.tar.zst";
  ASSERT_TRUE(runner_.run({.program = "tar", .arguments = {"-C", tree, "--zstd", "-cf", tar, "."}}));
  auto checked = options();
  checked.expected_sha256 = hash_file(tar)->sha256;
  const auto from_tar = builder.import(tar, checked);
  expect_image(from_tar);

  for (const auto* other : {&from_archive, &from_tree, &from_tar}) {
    EXPECT_EQ((*other)->manifest().files.at("root.squashfs").sha256,
              from_layout->manifest().files.at("root.squashfs").sha256);
  }
  expect_only(4);
}

TEST_F(Importer, RefusesAndLeavesNothing) {
  ImageBuilder builder(runner_, {work(), {}});
  const fs::path archive = directory_->path() / "root.tar";
  const auto refused = [&](const std::string& bytes, ErrorCode code, ImportOptions with) {
    write(archive, bytes);
    const auto staged = builder.import(archive, with);
    ASSERT_FALSE(staged);
    EXPECT_EQ(staged.error().code, code) << staged.error().describe();
    expect_only(0);
  };
  using testing::TarMaker;
  refused("no tar", ErrorCode::data_corrupt, options());
  refused(TarMaker().file("../x", "").bytes(), ErrorCode::data_corrupt, options());
  refused(TarMaker().file("etc/x", "").bytes(), ErrorCode::failed_precondition, options());
  refused(TarMaker().file("sbin/init", "").bytes(), ErrorCode::not_found, options());
  auto checked = options();
  checked.expected_sha256 = std::string(64, '0');
  refused(TarMaker().file("sbin/init", "").bytes(), ErrorCode::data_corrupt, checked);
  auto small = options();
  small.tree_limit = 1_KiB;
  refused(TarMaker().file("sbin/init", std::string(4000, 'x')).bytes(), ErrorCode::resource_exhausted, small);
  auto small_root = options();
  small_root.root_limit = 1_KiB;
  refused(TarMaker().file("sbin/init", "").file("lib/modules/6.1.0-test/vmlinuz", "k").bytes(),
          ErrorCode::resource_exhausted, small_root);
  EXPECT_EQ(builder.import("/nowhere", options()).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace bridgehead::nodeimage
