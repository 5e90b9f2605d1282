#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "archive_maker.h"
#include "base/command.h"
#include "base/file.h"
#include "nodeimage/oci.h"
#include "nodeimage/tar_import.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::LayoutMaker;
using testing::slurp;
using testing::TarMaker;
using testing::write;

class Import : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root());
    fs::create_directories(outside());
    write(outside() / "victim", "untouched");
  }

  fs::path base() const { return directory_->path(); }
  fs::path root() const { return base() / "root"; }
  fs::path outside() const { return base() / "outside"; }

  Result<TarResult> unpack(const std::string& tar, Bytes limit = 1_MiB, bool whiteouts = false) {
    write(base() / "archive.tar", tar);
    const auto fd = open_file(base() / "archive.tar", O_RDONLY);
    const auto tree = Tree::open(root());
    return unpack_tar(fd->get(), "archive.tar", *tree, {.limit = limit, .whiteouts = whiteouts});
  }
  void expect_nothing_outside() {
    EXPECT_EQ(slurp(outside() / "victim"), "untouched");
    struct stat status {};
    ASSERT_EQ(::stat((outside() / "victim").c_str(), &status), 0);
    EXPECT_EQ(status.st_nlink, 1u);
    EXPECT_EQ(std::distance(fs::directory_iterator(outside()), {}), 1);
    for (const auto& entry : fs::directory_iterator(base())) {
      EXPECT_THAT(entry.path().filename().native(), ::testing::AnyOf("root", "outside", "archive.tar", "layout"));
    }
  }

  Result<TemporaryDirectory> directory_ = TemporaryDirectory::create();
};

TEST_F(Import, TarKeepsModesLinksAndTimes) {
  const auto done = unpack(TarMaker()
                               .directory("./")
                               .directory("./usr/bin/")
                               .file("./usr/bin/su", "program", 04755)
                               .symlink("./bin", "usr/bin")
                               .hard_link("./usr/bin/also", "./usr/bin/su")
                               .file("bin/through", "a link inside")
                               .bytes());
  ASSERT_TRUE(done) << done.error().describe();
  struct stat status {};
  ASSERT_EQ(::stat((root() / "usr/bin/su").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 04755u);
  EXPECT_EQ(status.st_nlink, 2u);
  EXPECT_EQ(status.st_mtime, 1'700'000'000);
  EXPECT_EQ(fs::read_symlink(root() / "bin"), "usr/bin");
  EXPECT_EQ(slurp(root() / "usr/bin/through"), "a link inside");
}

TEST_F(Import, CompressedTarsAreRead) {
  SystemCommandRunner runner;
  for (const auto& [program, name] : {std::pair{"gzip", "gz"}, std::pair{"xz", "xz"}, std::pair{"zstd", "zst"}}) {
    write(base() / "archive.tar", TarMaker().file(std::string("from-") + name, name).bytes());
    const auto packed =
        runner.run({.program = program, .arguments = {"-k", "-f", "-q", (base() / "archive.tar").native()}});
    ASSERT_TRUE(packed) << packed.error().describe();
    const auto bytes = slurp(base() / (std::string("archive.tar.") + name));
    const auto done = unpack(bytes);
    ASSERT_TRUE(done) << done.error().describe();
    EXPECT_EQ(slurp(root() / (std::string("from-") + name)), name);
  }
}

TEST_F(Import, DotDotIsRefused) {
  for (const auto* name : {"../escaped", "usr/../../escaped", "/../escaped", "a/.."}) {
    const auto done = unpack(TarMaker().file(name, "x").bytes());
    ASSERT_FALSE(done) << name;
    EXPECT_EQ(done.error().code, ErrorCode::data_corrupt);
  }
  expect_nothing_outside();
}

TEST_F(Import, AbsoluteNamesStayInside) {
  const auto done = unpack(TarMaker().file((outside() / "victim").native(), "hostile").bytes());
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(slurp(root() / outside().relative_path() / "victim"), "hostile");
  expect_nothing_outside();
}

TEST_F(Import, LinksDontLeadOutside) {
  // An absolute link, one with "..", and a link that is replaced by a file rather than written through.
  for (const auto& target :
       {outside().native(), std::string("../outside"), std::string("../../../../../..") + outside().native()}) {
    (void)unpack(TarMaker().symlink("link", target).file("link/victim", "hostile").file("link/new", "hostile").bytes());
    expect_nothing_outside();
  }
  const auto over = unpack(TarMaker().symlink("file", (outside() / "victim").native()).file("file", "hostile").bytes());
  ASSERT_TRUE(over) << over.error().describe();
  EXPECT_EQ(slurp(root() / "file"), "hostile");
  EXPECT_FALSE(fs::is_symlink(root() / "file"));
  expect_nothing_outside();
}

TEST_F(Import, DirectoryEntriesDontChangeWhatALinkNames) {
  fs::permissions(outside(), fs::perms::owner_all);
  const auto done = unpack(TarMaker().symlink("link", outside().native()).directory("link").bytes());
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(fs::status(outside()).permissions(), fs::perms::owner_all);
  EXPECT_TRUE(fs::is_directory(fs::symlink_status(root() / "link")));
}

TEST_F(Import, HardLinksReachOnlyWhatIsInside) {
  for (const auto& target : {(outside() / "victim").native(), std::string("../outside/victim")}) {
    const auto done = unpack(TarMaker().hard_link("link", target).file("link", "hostile").bytes());
    EXPECT_FALSE(done) << target;
  }
  // Through a symbolic link of the archive's own.
  (void)unpack(TarMaker().symlink("s", outside().native()).hard_link("h", "s/victim").bytes());
  expect_nothing_outside();
}

TEST_F(Import, TruncatedAndForeignFilesAreRefused) {
  const auto tar = TarMaker().file("a", std::string(4000, 'x')).bytes();
  for (const auto& bytes :
       {tar.substr(0, 2000), std::string("this is no tar at all, not even nearly"), std::string()}) {
    const auto done = unpack(bytes);
    if (bytes.empty()) continue;  // an empty file is an empty archive to libarchive
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::data_corrupt) << done.error().describe();
  }
}

TEST_F(Import, LimitsHold) {
  const auto big = unpack(TarMaker().file("a", std::string(100'000, 'x')).bytes(), 64_KiB);
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().code, ErrorCode::resource_exhausted);
  TarMaker many;
  for (int i = 0; i < 300; ++i) many.file(fmt::format("f{}", i), "");
  const auto entries = unpack(many.bytes(), 64_KiB);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, ErrorCode::resource_exhausted);
}

class OciImport : public Import {
 protected:
  Status unpack_layout(const std::string& reference = {}) {
    const auto layout = Tree::open(base() / "layout");
    const auto tree = Tree::open(root());
    return unpack_oci(*layout, *tree, {.reference = reference, .limit = 1_MiB});
  }
  fs::path layout() const { return base() / "layout"; }
};

TEST_F(OciImport, LaterLayersReplaceAndRemove) {
  LayoutMaker(layout()).image({TarMaker()
                                   .directory("d")
                                   .file("d/old", "1")
                                   .file("d/stays", "1")
                                   .file("gone", "1")
                                   .directory("opaque")
                                   .file("opaque/old", "1")
                                   .bytes(),
                               // The new file stands before the marker that empties its directory: it has to stay.
                               TarMaker()
                                   .file("d/.wh.old", "")
                                   .file(".wh.gone", "")
                                   .file("opaque/new", "2")
                                   .file("opaque/.wh..wh..opq", "")
                                   .bytes()});
  const auto done = unpack_layout();
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_FALSE(fs::exists(root() / "d/old"));
  EXPECT_TRUE(fs::exists(root() / "d/stays"));
  EXPECT_FALSE(fs::exists(root() / "gone"));
  EXPECT_FALSE(fs::exists(root() / "opaque/old"));
  EXPECT_EQ(slurp(root() / "opaque/new"), "2");
  EXPECT_FALSE(fs::exists(root() / "opaque/.wh..wh..opq"));
}

TEST_F(OciImport, WhiteoutsDontReachOutside) {
  LayoutMaker(layout()).image(
      {TarMaker().symlink("s", outside().native()).bytes(),
       TarMaker().file("s/.wh.victim", "").file("s/.wh..wh..opq", "").file(".wh...", "").bytes()});
  EXPECT_FALSE(unpack_layout());
  expect_nothing_outside();
}

TEST_F(OciImport, ChangedBlobsAreRefused) {
  const std::string layer = TarMaker().file("a", "good").bytes();
  LayoutMaker(layout()).image({layer});
  std::string bad = layer;
  bad[512] = 'b';
  const fs::path blob = layout() / "blobs/sha256" / sha256_of(layer);
  write(blob, bad);
  auto done = unpack_layout();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::data_corrupt);
  EXPECT_THAT(done.error().message, HasSubstr("other content"));
  write(blob, layer + "more");
  EXPECT_EQ(unpack_layout().error().code, ErrorCode::data_corrupt);
  fs::remove(blob);
  EXPECT_THAT(unpack_layout().error().message, HasSubstr("missing"));
  EXPECT_TRUE(fs::is_empty(root()));
}

TEST_F(OciImport, SeveralImagesNeedAName) {
  LayoutMaker maker(layout());
  maker.image({TarMaker().file("one", "").bytes()}, "v1");
  maker.image({TarMaker().file("two", "").bytes()}, "v2");
  maker.image({TarMaker().file("arm", "").bytes()}, "v3", "arm64");
  const auto unclear = unpack_layout();
  ASSERT_FALSE(unclear);
  EXPECT_THAT(unclear.error().hint, HasSubstr("v1, v2"));
  EXPECT_EQ(unpack_layout("v9").error().code, ErrorCode::not_found);
  EXPECT_EQ(unpack_layout("v3").error().code, ErrorCode::not_found);
  const auto named = unpack_layout("v2");
  ASSERT_TRUE(named) << named.error().describe();
  EXPECT_TRUE(fs::exists(root() / "two"));
  EXPECT_FALSE(fs::exists(root() / "one"));
}

TEST_F(OciImport, DamagedLayoutsAreRefused) {
  LayoutMaker maker(layout());
  maker.image({TarMaker().file("a", "").bytes()});
  for (const auto* index : {"", "[]", "{}", R"({"manifests": [{"digest": "sha256:../../x", "size": 1}]})",
                            R"({"manifests": [{"digest": 5, "size": "x"}]})"}) {
    write(layout() / "index.json", index);
    const auto done = unpack_layout();
    EXPECT_FALSE(done) << index;
  }
}

}  // namespace
}  // namespace bridgehead::nodeimage
