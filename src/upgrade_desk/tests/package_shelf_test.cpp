// What of the agents' packages that came is kept.
#include "upgrade_desk/package_shelf.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "pki/tokens.h"

namespace bridgehead::upgrade_desk {
namespace {

class PackageShelfTest : public ::testing::Test {
 protected:
  PackageShelfTest() {
    EXPECT_TRUE(make_directories(carried_));
    EXPECT_TRUE(make_directories(kept_));
  }
  // The manager's package of this version has come in place of the one before, and the manager is started.
  PackageShelf comes(const std::string& version) {
    const auto before = list_directory(carried_);
    for (const auto& path : *before) EXPECT_TRUE(remove_file(path));
    EXPECT_TRUE(
        write_file_atomic(carried_ / fmt::format("bridgehead-agent_{}_amd64.deb", version), "agent " + version));
    auto shelf = PackageShelf::open(carried_, kept_);
    // Within the same tick of the file system's clock nobody could say which came first.
    const auto copies = list_directory(kept_);
    for (const auto& path : *copies) {
      std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) - std::chrono::hours(1));
    }
    return shelf;
  }

  const TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  const std::filesystem::path carried_ = directory_.path() / "share/packages";
  const std::filesystem::path kept_ = directory_.path() / "state/agent-packages";
};

TEST_F(PackageShelfTest, TheOneBeforeIsKeptForTheWayBack) {
  EXPECT_EQ(comes("0.1.0").carried_version(), "0.1.0");
  const auto shelf = comes("0.2.0");
  EXPECT_EQ(shelf.carried_version(), "0.2.0");
  const auto before = shelf.find("0.1.0");
  ASSERT_TRUE(before);
  EXPECT_EQ(before->size, 11u);
  EXPECT_EQ(before->sha256, pki::sha256_hex("agent 0.1.0"));
  EXPECT_EQ(*read_file(before->path), "agent 0.1.0");
  EXPECT_FALSE(shelf.find("0.3.0"));
  EXPECT_EQ(comes("0.1.0").carried_version(), "0.1.0") << "the manager went back";
}

TEST_F(PackageShelfTest, OnlyTheLastFewAreKept) {
  for (int i = 1; i <= 6; ++i) comes(fmt::format("0.{}.0", i));
  const auto shelf = comes("0.7.0");
  for (const char* version : {"0.4.0", "0.5.0", "0.6.0", "0.7.0"}) EXPECT_TRUE(shelf.find(version)) << version;
  EXPECT_FALSE(shelf.find("0.3.0"));
}

TEST_F(PackageShelfTest, TheSameVersionMadeAnewTakesItsPlace) {
  comes("0.1.0");
  ASSERT_TRUE(write_file_atomic(carried_ / "bridgehead-agent_0.1.0_amd64.deb", "made anew"));
  EXPECT_EQ(PackageShelf::open(carried_, kept_).find("0.1.0")->sha256, pki::sha256_hex("made anew"));
}

TEST_F(PackageShelfTest, WithoutAnythingItIsEmpty) {
  ASSERT_TRUE(write_file_atomic(kept_ / "README", "not a package"));
  const auto shelf = PackageShelf::open(directory_.path() / "nowhere", kept_);
  EXPECT_EQ(shelf.carried_version(), "");
  EXPECT_FALSE(shelf.find(""));
}

TEST_F(PackageShelfTest, WhatCanNotBeKeptServesFromWhereItCame) {
  ASSERT_TRUE(remove_file(kept_) || std::filesystem::remove(kept_));
  ASSERT_TRUE(write_file_atomic(kept_, "in the way"));
  ASSERT_TRUE(write_file_atomic(carried_ / "bridgehead-agent_0.2.0_amd64.deb", "agent"));
  const auto shelf = PackageShelf::open(carried_, kept_);
  ASSERT_TRUE(shelf.find("0.2.0"));
  EXPECT_EQ(*read_file(shelf.find("0.2.0")->path), "agent");
}

}  // namespace
}  // namespace bridgehead::upgrade_desk
