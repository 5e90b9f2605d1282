// What an agent writes of the secret files: modes, atomicity, what goes away again, and where it never writes.
#include "host_agent/secret_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "state/memory_store.h"

namespace bridgehead::host_agent {
namespace {

namespace fs = std::filesystem;

class SecretFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_ / "etc");
    start();
  }
  // Another run of the agent.
  void start() {
    journal_ = std::move(*Journal::open(*store_));
    secrets_ = std::make_unique<SecretFiles>(*journal_, root_, "/srv/agent");
  }
  std::string apply(const std::string& digest, std::vector<SecretFile> files) {
    secrets_->apply({.digest = digest, .files = std::move(files)});
    return secrets_->report().message;
  }
  std::string content(const std::string& path) {
    const auto read = read_file(root_ / path.substr(1));
    return read ? *read : "(none)";
  }
  unsigned mode(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::lstat((root_ / path.substr(1)).c_str(), &status), 0) << path;
    return status.st_mode & 07777U;
  }
  // All there is below a directory, to see what was left behind.
  std::set<std::string> names(const fs::path& directory) {
    std::set<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) all.insert(entry.path().filename());
    return all;
  }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  const fs::path root_ = directory_.path() / "root";
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<SecretFiles> secrets_;
};

TEST_F(SecretFilesTest, AreWrittenWithTheirModesWhateverTheUmaskIs) {
  const std::string bytes("\0\xff\n", 3);
  const auto umask = ::umask(0066);
  EXPECT_EQ(apply("d1", {{"/etc/key", 0600, bytes}, {"/opt/a/b/shared", 0444, "x"}, {"/top", 0640, ""}}), "");
  ::umask(umask);
  EXPECT_EQ(content("/etc/key"), bytes);
  EXPECT_EQ(mode("/etc/key"), 0600U);
  EXPECT_EQ(mode("/opt/a/b/shared"), 0444U);
  EXPECT_EQ(mode("/opt/a"), 0755U);
  EXPECT_EQ(content("/top"), "");
  EXPECT_EQ(secrets_->report(), (model::SecretsOnNode{.digest = "d1"}));
  EXPECT_EQ(names(root_ / "etc"), std::set<std::string>{"key"}) << "no temporary file stays";
}

TEST_F(SecretFilesTest, AFileIsReplacedAsAWhole) {
  ASSERT_TRUE(write_file_atomic(root_ / "etc/key", "the image's", 0644));
  const auto open_before = open_file(root_ / "etc/key", O_RDONLY);
  ASSERT_EQ(apply("d1", {{"/etc/key", 0600, "ours"}}), "");
  char buffer[32];
  EXPECT_EQ(::read(open_before->get(), buffer, sizeof buffer), 11) << "who reads the old one reads it to its end";
  EXPECT_EQ(content("/etc/key"), "ours");
  EXPECT_EQ(mode("/etc/key"), 0600U);
}

TEST_F(SecretFilesTest, WhatIsNotInTheNextSetGoes) {
  ASSERT_EQ(apply("d1", {{"/etc/a", 0600, "1"}, {"/etc/b", 0600, "1"}}), "");
  start();
  EXPECT_EQ(secrets_->report().digest, "d1") << "known after a restart";
  ASSERT_TRUE(write_file_atomic(root_ / "etc/other", "not ours", 0644));
  ASSERT_EQ(apply("d2", {{"/etc/b", 0600, "2"}}), "");
  EXPECT_EQ(content("/etc/a"), "(none)");
  EXPECT_EQ(content("/etc/b"), "2");
  ASSERT_EQ(apply("", {}), "");
  EXPECT_EQ(names(root_ / "etc"), std::set<std::string>{"other"});
  EXPECT_EQ(secrets_->report(), model::SecretsOnNode());
  for (const auto& entry : store_->list("").value()) EXPECT_EQ(entry.value.find("\"2\""), std::string::npos);
}

TEST_F(SecretFilesTest, ALinkOnTheWayIsNeverFollowed) {
  const auto outside = directory_.path() / "outside";
  fs::create_directories(outside);
  fs::create_directories(root_ / "tmp");
  fs::create_symlink(outside, root_ / "tmp/mine");
  fs::create_symlink("../etc", root_ / "tmp/inside");
  fs::create_symlink(outside / "target", root_ / "etc/last");
  for (const char* path : {"/tmp/mine/key", "/tmp/mine/deep/key", "/tmp/inside/key"}) {
    const auto message = apply("d1", {{path, 0600, "secret"}});
    EXPECT_NE(message.find("leads through a symbolic link"), std::string::npos) << message;
    EXPECT_EQ(secrets_->report().digest, "");
  }
  EXPECT_EQ(apply("d1", {{"/etc/last", 0600, "secret"}}), "") << "replaced, not followed";
  EXPECT_FALSE(fs::is_symlink(root_ / "etc/last"));
  EXPECT_EQ(names(outside), std::set<std::string>()) << "nothing has left the root";
  EXPECT_EQ(names(root_ / "etc"), std::set<std::string>{"last"});

  // A directory becomes a link after the file was written: what lies there now isn't ours to remove.
  ASSERT_EQ(apply("d2", {{"/opt/key", 0600, "secret"}}), "");
  ASSERT_TRUE(write_file_atomic(outside / "key", "somebody's", 0644));
  fs::remove_all(root_ / "opt");
  fs::create_symlink(outside, root_ / "opt");
  EXPECT_EQ(apply("", {}), "");
  EXPECT_TRUE(fs::exists(outside / "key"));
}

TEST_F(SecretFilesTest, AStaleTemporaryIsNeverWrittenThrough) {
  const auto outside = directory_.path() / "outside";
  fs::create_symlink(outside, root_ / "etc/.key.bridgehead");
  ASSERT_EQ(apply("d1", {{"/etc/key", 0600, "secret"}}), "");
  EXPECT_FALSE(fs::exists(outside));
  EXPECT_EQ(names(root_ / "etc"), std::set<std::string>{"key"});
}

TEST_F(SecretFilesTest, TheSystemsOwnIsRefusedAndNothingIsWritten) {
  for (const char* path : {"/srv/agent/identity.json", "/srv/agent/guests/x", "/var/lib/bridgehead/agent/journal.db",
                           "/run/bridgehead/boot", "/proc/x", "/etc/../srv/agent/x", "etc/x", "/etc/", ""}) {
    EXPECT_NE(apply("d1", {{"/etc/good", 0600, "x"}, {path, 0600, "x"}}), "") << path;
  }
  EXPECT_EQ(names(root_), std::set<std::string>{"etc"});
  EXPECT_EQ(apply("d1", {{"/srv/agents", 0600, "x"}}), "");
}

TEST_F(SecretFilesTest, WhatFailedIsTriedAgain) {
  ASSERT_EQ(apply("d1", {{"/etc/a", 0600, "1"}}), "");
  fs::create_directories(root_ / "etc/b");
  EXPECT_NE(apply("d2", {{"/etc/b", 0600, "2"}, {"/etc/c", 0600, "2"}}), "") << "a directory is in its place";
  EXPECT_EQ(secrets_->report().digest, "") << "neither the old set nor the new one";
  EXPECT_EQ(names(root_ / "etc"), std::set<std::string>{"b"});
  EXPECT_TRUE(secrets_->retry());
  EXPECT_NE(secrets_->report().message, "");
  fs::remove(root_ / "etc/b");
  EXPECT_TRUE(secrets_->retry());
  EXPECT_EQ(secrets_->report(), (model::SecretsOnNode{.digest = "d2"}));
  EXPECT_EQ(content("/etc/c"), "2");
  EXPECT_FALSE(secrets_->retry());

  // Killed in the middle of a set: the next one removes what the first had begun.
  EXPECT_NE(apply("d3", {{"/etc/d", 0600, "3"}, {"/etc/d/x", 0600, "3"}}), "");
  EXPECT_EQ(content("/etc/d"), "3");
  start();
  EXPECT_EQ(secrets_->report().digest, "");
  EXPECT_EQ(apply("d4", {{"/etc/c", 0600, "4"}}), "");
  EXPECT_EQ(names(root_ / "etc"), std::set<std::string>{"c"});
}

}  // namespace
}  // namespace bridgehead::host_agent
