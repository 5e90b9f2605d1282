#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "archive_maker.h"
#include "base/file.h"
#include "nodeimage/debian_tree.h"
#include "nodeimage/packages.h"

namespace bridgehead::nodeimage {
namespace {

using ::testing::ElementsAre;
using testing::slurp;
using testing::write;

// A header as rpm stores it: string tags only.
std::string rpm_header(const std::vector<std::pair<std::uint32_t, std::string>>& tags) {
  const auto number = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
    return bytes;
  };
  std::string index;
  std::string data;
  for (const auto& [tag, value] : tags) {
    index += number(tag) + number(6) + number(static_cast<std::uint32_t>(data.size())) + number(1);
    data += value + std::string(1, '\0');
  }
  return number(static_cast<std::uint32_t>(tags.size())) + number(static_cast<std::uint32_t>(data.size())) + index +
         data;
}

TEST(Packages, OfDpkg) {
  EXPECT_THAT(parse_dpkg_status("Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2\n\n"
                                "Package: gone\nStatus: deinstall ok config-files\nVersion: 3\n\n"
                                "Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2.36\n"),
              ElementsAre(Package{"libc6:i386", "2.36"}, Package{"zlib1g", "1:1.2"}));
}

TEST(Packages, OfRpm) {
  const auto package =
      parse_rpm_header(rpm_header({{1000, "bash"}, {1001, "5.1.8"}, {1002, "9.el9"}, {1022, "x86_64"}}));
  ASSERT_TRUE(package) << package.error().describe();
  EXPECT_EQ(*package, (Package{"bash", "5.1.8-9.el9"}));
  const std::string good = rpm_header({{1000, "bash"}});
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(parse_rpm_header(good.substr(0, size))) << size;
  EXPECT_FALSE(parse_rpm_header(std::string(64, '\xff')));
  EXPECT_FALSE(parse_rpm_header(rpm_header({{1001, "1"}})));
}

TEST(Packages, OfATreeWithRpmsDatabase) {
  const auto directory = TemporaryDirectory::create();
  const auto database = directory->path() / "var/lib/rpm/rpmdb.sqlite";
  write(database, "");
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(database.c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  for (const auto* name : {"zsh", "bash", "gpg-pubkey"}) {
    const std::string blob = rpm_header({{1000, name}, {1001, "1"}, {1002, "2"}});
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(handle, "INSERT INTO Packages (blob) VALUES (?)", -1, &insert, nullptr);
    sqlite3_bind_blob(insert, 1, blob.data(), static_cast<int>(blob.size()), SQLITE_TRANSIENT);
    EXPECT_EQ(sqlite3_step(insert), SQLITE_DONE);
    sqlite3_finalize(insert);
  }
  sqlite3_close(handle);
  write(directory->path() / "etc/os-release", "NAME=x\nPRETTY_NAME=\"Rocky Linux 9.5\"\n");
  const auto tree = Tree::open(directory->path());
  std::vector<std::string> notes;
  const auto installed = installed_packages(*tree, notes);
  EXPECT_EQ(installed.from, "rpm");
  EXPECT_THAT(installed.packages, ElementsAre(Package{"bash", "1-2"}, Package{"zsh", "1-2"}));
  EXPECT_EQ(os_name(*tree), "Rocky Linux 9.5");
  write(database,
        "this is no database, but it is long enough to be looked at as if it were one ......................");
  EXPECT_EQ(installed_packages(*tree, notes).from, "");
  EXPECT_EQ(notes.size(), 1u);
}

TEST(AnonymousTree, HasNoIdentityAndNoDisks) {
  const auto directory = TemporaryDirectory::create();
  const auto& root = directory->path();
  write(root / "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  write(root / "etc/hostname", "builder\n");
  write(root / "etc/ssh/ssh_host_rsa_key", "secret");
  write(root / "etc/fstab", "# comment\n  UUID=1-2 / ext4 defaults 0 1\n");
  write(root / "var/log/apt/history.log", "x");
  write(root / "usr/bin/bridgehead-agent", "x");
  // Nothing of this may be followed out of the tree.
  std::filesystem::create_symlink("/etc/passwd", root / "etc/resolv.conf");
  const auto tree = Tree::open(root);
  std::vector<std::string> notes;
  const auto done = make_anonymous(*tree, notes);
  ASSERT_TRUE(done) << done.error().describe();
  ASSERT_TRUE(add_join_unit(*tree));
  EXPECT_TRUE(std::filesystem::is_empty(root / "etc/machine-id"));
  EXPECT_FALSE(std::filesystem::exists(root / "etc/hostname"));
  EXPECT_TRUE(std::filesystem::is_empty(root / "etc/ssh"));
  EXPECT_EQ(slurp(root / "etc/fstab"), "");
  EXPECT_EQ(notes.size(), 1u);
  EXPECT_TRUE(std::filesystem::is_empty(root / "var/log/apt"));
  EXPECT_FALSE(std::filesystem::is_symlink(root / "etc/resolv.conf"));
  EXPECT_THAT(slurp(root / "etc/systemd/system/bridgehead-netboot-join.service"),
              ::testing::HasSubstr("ConditionPathExists=/run/bridgehead/boot\n"));
}

}  // namespace
}  // namespace bridgehead::nodeimage
