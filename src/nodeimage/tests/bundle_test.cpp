#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "archive_maker.h"
#include "base/command.h"
#include "base/file.h"
#include "nodeimage/bundle.h"

namespace bridgehead::nodeimage {
namespace {

using ::testing::HasSubstr;

const model::OverlayVariables kNode{"n1", "10.20.0.101", "52:54:00:12:34:56", "debian-12:3"};

TEST(Bundle, IsReadByTar) {
  const std::string deep = "/etc/" + std::string(90, 'd') + "/" + std::string(80, 'e') + "/file";
  const auto bundle = make_bundle({{"/etc/issue", "old", 0644},
                                   {deep, std::string(1500, 'x'), 0640},
                                   {"/etc/issue", "${node} ${address} ${mac} ${image} $${node} $HOME $", 0600}},
                                  kNode);
  ASSERT_TRUE(bundle) << bundle.error().describe();
  EXPECT_EQ(bundle->tar.size() % 512, 0u);
  EXPECT_EQ(bundle->sha256, sha256_of(bundle->tar));
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  testing::write(directory->path() / "bundle.tar", bundle->tar);
  SystemCommandRunner runner;
  const auto done =
      runner.run({.program = "tar",
                  .arguments = {"--extract", "--no-same-owner", "--preserve-permissions", "--file",
                                directory->path() / "bundle.tar", "--directory", directory->path().native()}});
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(done->err, "");
  EXPECT_EQ(testing::slurp(directory->path() / "etc/issue"),
            "n1 10.20.0.101 52:54:00:12:34:56 debian-12:3 ${node} $HOME $");
  EXPECT_EQ(testing::slurp(directory->path() / deep.substr(1)), std::string(1500, 'x'));
  struct stat status {};
  ASSERT_EQ(::stat((directory->path() / "etc/issue").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST(Bundle, IsTheSameForTheSameFilesInAnyOrder) {
  const model::OverlayFile a{"/a/b", "1", 0644};
  const model::OverlayFile b{"/a/c", "2", 0644};
  EXPECT_EQ(make_bundle({a, b}, kNode)->sha256, make_bundle({b, a}, kNode)->sha256);
  EXPECT_NE(make_bundle({a, b}, kNode)->sha256, make_bundle({a}, kNode)->sha256);
  EXPECT_EQ(make_bundle({}, kNode)->tar, std::string(1024, '\0'));
}

TEST(Bundle, RefusesWhatItCantHold) {
  const auto error_of = [](const model::OverlayFile& file) {
    const auto checked = make_bundle({file}, kNode);
    EXPECT_FALSE(checked) << file.path;
    return checked ? std::string() : checked.error().describe();
  };
  EXPECT_THAT(error_of({"/etc/x", "a ${nod} b", 0644}), HasSubstr("/etc/x: there is no variable '${nod}'"));
  EXPECT_THAT(error_of({"/etc/x", "a ${node", 0644}), HasSubstr("no variable"));
  EXPECT_THAT(error_of({"etc/x", "", 0644}), HasSubstr("absolute"));
  EXPECT_THAT(error_of({"/etc/../x", "", 0644}), HasSubstr("absolute"));
  EXPECT_THAT(error_of({"/", "", 0644}), HasSubstr("absolute"));
  EXPECT_THAT(error_of({"/etc/x", "", 010000}), HasSubstr("mode"));
  EXPECT_THAT(error_of({"/" + std::string(120, 'x'), "", 0644}), HasSubstr("too long"));
  const auto both = make_bundle({{"/a", "", 0644}, {"/a/b", "", 0644}}, kNode);
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().message, HasSubstr("can't be a file and hold"));
}

}  // namespace
}  // namespace bridgehead::nodeimage
