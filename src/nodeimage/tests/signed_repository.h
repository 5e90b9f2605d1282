// An apt source as vendors have them, in a directory: one package, signed by a key of its own. Needs gpg and dpkg-deb.
#pragma once

#include <gtest/gtest.h>

#include "archive_maker.h"
#include "base/command.h"
#include "base/file.h"

namespace bridgehead::nodeimage::testing {

class SignedRepository {
 public:
  // The package `name` holds /usr/share/<name>.
  SignedRepository(CommandRunner& runner, std::filesystem::path directory, const std::string& name)
      : runner_(&runner), directory_(std::move(directory)) {
    const auto package = directory_ / "package";
    write(package / "usr/share" / name, name + "\n");
    const auto control = fmt::format(
        "Package: {}\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@vendor.invalid>\n"
        "Description: for a test\n",
        name);
    write(package / "DEBIAN/control", control);
    const auto deb = directory_ / (name + ".deb");
    run("dpkg-deb", {"--build", "--root-owner-group", package.native(), deb.native()});
    const auto hashed = hash_file(deb);
    EXPECT_TRUE(hashed);
    if (!hashed) return;
    write(directory_ / "Packages",
          fmt::format("{}Filename: ./{}.deb\nSize: {}\nSHA256: {}\n", control, name, hashed->size, hashed->sha256));
    sign("vendor");
  }

  std::string line() const { return fmt::format("deb copy:{} ./", directory_.native()); }
  std::filesystem::path key() const { return directory_ / "vendor.asc"; }

  // Its key file stays: what was signed by `person` is good no more.
  void sign_by_another() {
    const auto trusted = read_file(key());
    sign("thief");
    write(key(), trusted.value_or(""));
  }

 private:
  void sign(const std::string& person) {
    const auto packages = hash_file(directory_ / "Packages");
    EXPECT_TRUE(packages);
    if (!packages) return;
    write(directory_ / "Release",
          fmt::format("Origin: Vendor\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n {} {} Packages\n",
                      packages->sha256, packages->size));
    const auto home = directory_ / ("gnupg-" + person);
    EXPECT_TRUE(make_directories(home, 0700));
    const std::vector<std::string> gpg{"--homedir", home.native(), "--batch", "--yes", "--quiet"};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), gpg.begin(), gpg.end());
      run("gpg", std::move(more));
    };
    with({"--passphrase", "", "--quick-generate-key", person + "@vendor.invalid", "rsa2048", "sign", "never"});
    with({"--armor", "--output", key().native(), "--export"});
    with({"--clearsign", "--output", (directory_ / "InRelease").native(), (directory_ / "Release").native()});
    run("gpgconf", {"--homedir", home.native(), "--kill", "gpg-agent"});
  }
  void run(const std::string& program, std::vector<std::string> arguments) {
    const auto done = runner_->run({.program = program, .arguments = std::move(arguments)});
    EXPECT_TRUE(done) << done.error().describe();
  }

  CommandRunner* runner_;
  std::filesystem::path directory_;
};

}  // namespace bridgehead::nodeimage::testing
