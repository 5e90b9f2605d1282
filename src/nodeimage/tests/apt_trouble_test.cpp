// Words of apt 2.6, dpkg 1.21 and mmdebstrap 1.3, as they print them.
#include "nodeimage/apt_trouble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing/fake_command_runner.h"
#include "nodeimage/apt.h"

namespace bridgehead::nodeimage {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(AptTrouble, NamesWhatIsMissing) {
  EXPECT_EQ(apt_trouble("Reading package lists...\nBuilding dependency tree...\nE: Unable to locate package nginxx\n"),
            "no apt source has the package nginxx");
  EXPECT_EQ(apt_trouble("E: Package 'lustre-client' has no installation candidate\n"),
            "no apt source has the package lustre-client");
  EXPECT_EQ(
      apt_trouble("Some packages could not be installed.\nThe following packages have unmet dependencies:\n"
                  " lustre-client-utils : Depends: libyaml-0-2 (>= 9) but 0.2.5-1 is to be installed\n"
                  "E: Unable to correct problems, you have held broken packages.\n"),
      "these don't fit together: lustre-client-utils : Depends: libyaml-0-2 (>= 9) but 0.2.5-1 is to be installed");
}

TEST(AptTrouble, NamesTheRepository) {
  EXPECT_EQ(apt_trouble("E: Failed to fetch http://m.test/InRelease  Could not connect\n"
                        "E: Unable to locate package bash\n"),
            "http://m.test/InRelease can't be fetched: Could not connect")
      << "what is missing is missing because of that";
  EXPECT_EQ(apt_trouble("I: running apt-get update...\n"
                        "Err:1 http://mirror.test/debian bookworm Release\n  404  Not Found [IP: 10.0.0.1 80]\n"
                        "E: The repository 'http://mirror.test/debian bookworm Release' does not have a Release file.\n"
                        "E: apt-get update failed\n"),
            "The repository 'http://mirror.test/debian bookworm Release' does not have a Release file.");
  EXPECT_EQ(apt_trouble("E: Failed to fetch http://mirror.test/p/x.deb  Could not resolve 'mirror.test'\n"
                        "E: Some files failed to download\n"),
            "http://mirror.test/p/x.deb can't be fetched: Could not resolve 'mirror.test'");
  EXPECT_EQ(
      apt_trouble("W: GPG error: http://l.test ./ InRelease: The following signatures couldn't be verified because "
                  "the public key is not available: NO_PUBKEY 1234\n"
                  "E: The repository 'http://l.test ./ InRelease' is not signed.\n"),
      "the signature of http://l.test ./ InRelease: The following signatures couldn't be verified because the "
      "public key is not available: NO_PUBKEY 1234");
}

TEST(AptTrouble, NamesTheBrokenPackageAndTheFullDisk) {
  EXPECT_EQ(apt_trouble("Setting up broken (1) ...\ndpkg: error processing package broken (--configure):\n"
                        " installed broken package post-installation script subprocess returned error exit status 1\n"
                        "E: Sub-process /usr/bin/dpkg returned an error code (1)\nE: run_chroot failed\n"),
            "dpkg can't install broken");
  EXPECT_EQ(apt_trouble("dpkg: error processing archive /a/b.deb (--unpack):\n cannot copy: No space left on device\n"),
            "no space is left on the disk")
      << "the reason, not what it hit";
  EXPECT_EQ(apt_trouble("W: GPG error: http://m.test bookworm InRelease: Couldn't create temporary file\n"
                        "E: Failed to fetch http://m.test/x.deb  Error writing to file - write (28: No space left on "
                        "device)\nE: The repository 'http://m.test bookworm InRelease' is not signed.\n"),
            "no space is left on the disk");
  EXPECT_EQ(apt_trouble("tar: ./x: Cannot write: No space left on device\nE: tar failed\n"),
            "no space is left on the disk");
}

TEST(AptTrouble, IsOneLineWhateverIsSaid) {
  EXPECT_EQ(apt_trouble(""), "");
  EXPECT_EQ(apt_trouble("E: something new\nE: and its consequence\n"), "something new");
  EXPECT_EQ(apt_trouble("killed\n\n"), "killed");
  const auto longest = apt_trouble("E: Unable to locate package " + std::string(4000, 'x'));
  EXPECT_LE(longest.size(), 200U);
  EXPECT_THAT(longest, EndsWith("..."));
}

TEST(AptTrouble, WhatIsReadIsEnglishAndAFailureIsNotTheCallersFault) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  bridgehead::testing::FakeCommandRunner runner;
  runner.answers = {CommandOutput{}, CommandOutput{.exit_code = 100, .err = "E: Unable to locate package nginxx\n"}};
  const auto planned = planned_packages(runner, {}, {}, {}, directory->path() / "state", directory->path() / "log");
  ASSERT_FALSE(planned);
  EXPECT_EQ(planned.error().code, ErrorCode::io_error);
  EXPECT_THAT(planned.error().message, HasSubstr("no apt source has the package nginxx"));
  ASSERT_EQ(runner.commands.size(), 2U);
  for (const auto& command : runner.commands) EXPECT_EQ(command.environment.at("LC_ALL"), "C") << command.describe();
}

TEST(AptTrouble, TheWholeOutputIsKept) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto log = directory->path() / "tiny.log";
  const std::string output = "Reading...\nE: Unable to locate package nginxx\n";
  const auto error = apt_failure("mmdebstrap failed", {ErrorCode::io_error, "ended with 100", {}}, output, log);
  EXPECT_EQ(error.message, "mmdebstrap failed: no apt source has the package nginxx");
  EXPECT_THAT(error.hint, HasSubstr("All that was said is in " + log.native()));
  EXPECT_EQ(read_file(log).value_or(""), output);
  EXPECT_EQ(apt_failure("apt-get", {ErrorCode::timeout, "took too long", {}}, "", log).message,
            "apt-get: took too long");
}

}  // namespace
}  // namespace bridgehead::nodeimage
