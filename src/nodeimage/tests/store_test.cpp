#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "archive_maker.h"
#include "base/file.h"
#include "base/random.h"
#include "nodeimage/store.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::slurp;
using testing::write;

class Store : public ::testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    store_.reset();
    auto opened = ImageStore::open(path());
    ASSERT_TRUE(opened) << opened.error().describe();
    store_ = std::make_unique<ImageStore>(std::move(*opened));
  }
  fs::path path() const { return directory_->path() / "store"; }
  model::NodeImageId new_id() { return make_id<model::NodeImageId>(random_); }

  // An image as the builder would leave it in the store's tmp.
  StagedImage staged(const std::string& root, bool with_tree = false, std::string_view root_name = kRootFile) {
    const fs::path at = store_->temporary() / fmt::format("image.{}", ++count_);
    write(at / "vmlinuz", "the kernel");
    write(at / "initramfs.img", "initramfs of " + root);
    write(at / root_name, root);
    Manifest manifest;
    manifest.role = "compute";
    manifest.kernel_version = "6.1.0";
    manifest.packages = {{"bash", "5.2"}, {"only-" + root, "1"}};
    manifest.has_tree = with_tree;
    std::string list;
    if (with_tree) {
      write(at / "root/etc/same", "same in all");
      write(at / "root/etc/own", root);
      const timespec times[2] = {{1'700'000'000, 0}, {1'700'000'000, 0}};
      ::utimensat(AT_FDCWD, (at / "root/etc/same").c_str(), times, 0);
      list = format_list(*list_tree(at / "root"));
    }
    write(at / "files.list", list);
    for (const auto name : {kKernelFile, kInitramfsFile, root_name, kListFile}) {
      const auto hashed = hash_file(at / name);
      manifest.files[std::string(name)] = {Bytes(hashed->size), hashed->sha256};
    }
    return StagedImage(at, manifest);
  }
  Manifest published(const std::string& root, bool with_tree = false) {
    auto manifest = store_->publish(staged(root, with_tree), new_id(), "debian-12");
    EXPECT_TRUE(manifest) << manifest.error().describe();
    return manifest ? *manifest : Manifest{};
  }
  static ino_t inode(const fs::path& file) {
    struct stat status {};
    EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
    return status.st_ino;
  }
  std::uint64_t blobs() const {
    return static_cast<std::uint64_t>(std::count_if(fs::recursive_directory_iterator(path() / "blobs"),
                                                    fs::recursive_directory_iterator(),
                                                    [](const auto& entry) { return entry.is_regular_file(); }));
  }

  Result<TemporaryDirectory> directory_ = TemporaryDirectory::create();
  SystemRandom random_;
  std::unique_ptr<ImageStore> store_;
  int count_ = 0;
};

TEST_F(Store, TheRootIsFoundByEitherName) {
  const auto image = published("new");
  EXPECT_EQ(root_file(store_->path(image.id)), store_->file(image.id, "root.squashfs"));
  auto before = store_->publish(staged("before", false, "root.erofs"), new_id(), "debian-12");
  ASSERT_TRUE(before) << before.error().describe();
  EXPECT_EQ(root_file(store_->path(before->id)), store_->file(before->id, "root.erofs"));
  EXPECT_EQ(to_model(*before).root_sha256, before->files.at("root.erofs").sha256);
  EXPECT_EQ(to_model(*before).root_size, Bytes(6));
  EXPECT_EQ(to_model(image).root_sha256, image.files.at("root.squashfs").sha256);
}

TEST_F(Store, PublishesImmutableImagesUnderGrowingVersions) {
  const auto first = published("one");
  const auto second = published("two");
  EXPECT_EQ(first.name, "debian-12:1");
  EXPECT_EQ(second.name, "debian-12:2");
  EXPECT_EQ(slurp(store_->file(first.id, "root.squashfs")), "one");
  EXPECT_EQ(fs::status(store_->file(first.id, "root.squashfs")).permissions(), fs::perms(0444));
  EXPECT_EQ(*store_->get(second.id), second);
  EXPECT_EQ(store_->find("debian-12")->id, second.id);
  EXPECT_EQ(store_->find("debian-12:1")->id, first.id);
  EXPECT_EQ(store_->find("debian-13").error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->list()->size(), 2u);
  EXPECT_TRUE(fs::is_empty(store_->temporary()));
  const auto model = to_model(first);
  EXPECT_EQ(model.root_sha256, sha256_of("one"));
  EXPECT_EQ(model.state, model::NodeImageState::ready);
  EXPECT_TRUE(model.nic_drivers.empty()) << "an image of before they were told";
  auto told = first;
  told.initramfs = {{"nic_drivers", {"igb", "virtio_net", 7}}};
  EXPECT_EQ(to_model(told).nic_drivers, (std::vector<std::string>{"igb", "virtio_net"}));
}

TEST_F(Store, VersionsAreNeverGivenTwice) {
  const auto first = published("one");
  ASSERT_TRUE(store_->remove(first.id));
  open();
  EXPECT_EQ(*store_->next_version("debian-12"), 2u);
  EXPECT_EQ(published("two").version, 2u);
  EXPECT_EQ(*store_->next_version("other"), 1u);
}

TEST_F(Store, RefusesWhatIsThereAndLeavesNothing) {
  const auto first = published("one");
  const auto same_id = store_->publish(staged("two"), first.id, "debian-12");
  ASSERT_FALSE(same_id);
  EXPECT_EQ(same_id.error().code, ErrorCode::already_exists);
  const auto same_version = store_->publish(staged("two"), new_id(), "debian-12", 1);
  ASSERT_FALSE(same_version);
  EXPECT_EQ(same_version.error().code, ErrorCode::already_exists);
  EXPECT_EQ(store_->publish(staged("x"), model::NodeImageId("../../x"), "debian-12").error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(store_->publish(staged("x"), new_id(), "../x").error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(fs::is_empty(store_->temporary()));
  EXPECT_EQ(store_->list()->size(), 1u);
}

TEST_F(Store, EqualFilesAreStoredOnce) {
  const auto first = published("one", true);
  const auto second = published("two", true);
  EXPECT_EQ(inode(store_->file(first.id, "vmlinuz")), inode(store_->file(second.id, "vmlinuz")));
  EXPECT_NE(inode(store_->file(first.id, "root.squashfs")), inode(store_->file(second.id, "root.squashfs")));
  EXPECT_EQ(inode(store_->file(first.id, "root/etc/same")), inode(store_->file(second.id, "root/etc/same")));
  EXPECT_NE(inode(store_->file(first.id, "root/etc/own")), inode(store_->file(second.id, "root/etc/own")));
  EXPECT_EQ(slurp(store_->file(second.id, "root/etc/own")), "two");
}

TEST_F(Store, GcRemovesOnlyWhatNoImageHas) {
  const auto first = published("one", true);
  const auto second = published("two", true);
  EXPECT_EQ(store_->gc()->files, 0u);
  const auto before = blobs();
  ASSERT_TRUE(store_->remove(first.id));
  ASSERT_TRUE(store_->remove(first.id)) << "removing twice is no error";
  const auto report = store_->gc();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->files, 4u) << "initramfs, root, list and the tree's own file";
  EXPECT_EQ(blobs(), before - 4);
  EXPECT_TRUE(store_->verify(second.id));
  ASSERT_TRUE(store_->remove(second.id));
  ASSERT_TRUE(store_->gc());
  EXPECT_EQ(blobs(), 0u);
}

TEST_F(Store, VerifyNamesTheFileThatChanged) {
  const auto image = published("one", true);
  EXPECT_TRUE(store_->verify(image.id));
  const fs::path root = store_->file(image.id, "root.squashfs");
  fs::permissions(root, fs::perms::owner_all);
  write(root, "two");
  auto result = store_->verify(image.id);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::data_corrupt);
  EXPECT_THAT(result.error().message, HasSubstr("root.squashfs"));
  write(root, "one");
  EXPECT_TRUE(store_->verify(image.id));
  write(store_->file(image.id, "root/etc/added"), "");
  EXPECT_THAT(store_->verify(image.id).error().message, HasSubstr("/etc/added"));
}

TEST_F(Store, WhatACrashLeftIsNotSeenAndGoes) {
  const auto image = published("one");
  // A publication that got as far as sharing its files.
  {
    auto half = staged("two");
    fs::create_hard_link(half.directory() / "vmlinuz", half.directory() / "other");
    half.release();
  }
  // A removal that got as far as the rename.
  write(store_->temporary() / "removed.x/root.squashfs", "old");
  open();
  EXPECT_EQ(store_->list()->size(), 1u);
  EXPECT_FALSE(fs::exists(store_->temporary() / "removed.x"));
  SystemCommandRunner runner;
  ASSERT_TRUE(ImageBuilder(runner, {store_->temporary(), {}}).sweep());
  EXPECT_TRUE(fs::is_empty(store_->temporary()));
  EXPECT_TRUE(store_->verify(image.id));
  EXPECT_EQ(published("three").version, 2u);
}

TEST_F(Store, IsForOneProcessAtATime) {
  const auto second = ImageStore::open(path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
}

TEST_F(Store, ADamagedManifestHidesOneImageAndStopsGc) {
  const auto good = published("one");
  const auto bad = published("two");
  const fs::path manifest = store_->file(bad.id, "manifest.json");
  fs::permissions(manifest, fs::perms::owner_all);
  write(manifest, "{\"format\": 1}");
  EXPECT_EQ(store_->list()->size(), 1u);
  EXPECT_EQ(store_->get(bad.id).error().code, ErrorCode::data_corrupt);
  ASSERT_TRUE(store_->remove(good.id));
  const auto report = store_->gc();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::failed_precondition);
  ASSERT_TRUE(store_->remove(bad.id));
  EXPECT_TRUE(store_->gc());
}

TEST_F(Store, FilesThatArentWhatTheManifestSaysAreRefused) {
  auto image = staged("one");
  write(image.directory() / "root.squashfs", "longer than before");
  const auto done = store_->publish(std::move(image), new_id(), "debian-12");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::data_corrupt);
}

TEST_F(Store, DiffTellsPackagesAndFiles) {
  const auto first = published("one", true);
  const auto second = published("two", true);
  const auto diff = store_->diff(first.id, second.id);
  ASSERT_TRUE(diff) << diff.error().describe();
  EXPECT_THAT(diff->packages,
              ::testing::ElementsAre(PackageChange{"only-one", "1", ""}, PackageChange{"only-two", "", "1"}));
  ASSERT_EQ(diff->files.size(), 1u);
  EXPECT_EQ(diff->files[0], (FileChange{FileChange::Kind::content, "/etc/own", 3, 3}));
  EXPECT_EQ(*store_->diff(first.id, first.id), (ImageDiff{"6.1.0", "6.1.0", {}, {}}));
}

TEST(Diff, TellsKindsOfChangesAndLeavesNoiseOut) {
  const TreeEntry same{'f', 0644, 0, 0, 1, "aa", "/same"};
  TreeEntry mode = same;
  mode.path = "/mode";
  TreeEntry other_mode = mode;
  other_mode.mode = 0600;
  const TreeEntry log{'f', 0644, 0, 0, 1, "bb", "/var/log/x"};
  const TreeEntry gone{'l', 0777, 0, 0, 0, "target", "/gone"};
  const TreeEntry now{'f', 0644, 0, 0, 7, "cc", "/new"};
  const auto diff = diff_images({}, {gone, mode, same}, {}, {other_mode, now, same, log});
  EXPECT_THAT(diff.files, ::testing::ElementsAre(FileChange{FileChange::Kind::removed, "/gone", 0, 0},
                                                 FileChange{FileChange::Kind::metadata, "/mode", 1, 1},
                                                 FileChange{FileChange::Kind::added, "/new", 0, 7}));
}

TEST(TreeList, SurvivesOddNames) {
  const auto directory = TemporaryDirectory::create();
  write(directory->path() / "a b\tc", "x");
  fs::create_symlink("to\tsomewhere else", directory->path() / "link");
  const auto entries = list_tree(directory->path());
  ASSERT_TRUE(entries);
  const auto parsed = parse_list(format_list(*entries));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ((*parsed)[0], (*entries)[0]);
  EXPECT_EQ((*parsed)[1].path, "/link");
  for (const auto* bad : {"f\t0644\t0\n", "f\t9\t0\t0\t0\t-\t/x\n", "f\t0644\t0\t0\t0\t-\tx\n", "nonsense"}) {
    EXPECT_EQ(parse_list(bad).error().code, ErrorCode::data_corrupt) << bad;
  }
}

}  // namespace
}  // namespace bridgehead::nodeimage
