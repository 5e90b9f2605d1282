#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive_maker.h"
#include "base/file.h"
#include "nodeimage/apt.h"
#include "nodeimage/debian_tree.h"
#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::string_view kGood = R"(
name = "mine"
role = "compute"
kernel = "linux-image-amd64"
packages = ["libstdc++6", "qemu-utils", "bash=5.2.15-2+b7"]
exclude = ["/usr/share/doc/*"]
enable = ["serial-getty@ttyS0.service"]
mask = ["apt-daily.timer"]
root_limit = "300MiB"
ssh_keys = ["ssh-ed25519 AAAA me"]
root_password_hash = "$6$salt$hash"
[[file]]
path = "/etc/motd"
mode = "0600"
content = "hello\n"
[[source]]
line = "deb https://example.org/lustre bookworm main"
key = "lustre.asc"
[[hook]]
name = "last"
script = "#!/bin/sh\nexit 0\n"
)";

TEST(Recipe, HoldsWhatTheFileSays) {
  const auto recipe = parse_recipe(kGood, "mine.toml", "/recipes");
  ASSERT_TRUE(recipe) << recipe.error().describe();
  EXPECT_EQ(recipe->name, "mine");
  EXPECT_EQ(recipe->suite, "bookworm");
  EXPECT_THAT(recipe->packages, ::testing::ElementsAre("libstdc++6", "qemu-utils", "bash=5.2.15-2+b7"));
  EXPECT_EQ(recipe->root_limit, 300_MiB);
  ASSERT_EQ(recipe->files.size(), 1u);
  EXPECT_EQ(recipe->files[0], (RecipeFile{"/etc/motd", 0600, "hello\n", {}}));
  ASSERT_EQ(recipe->sources.size(), 1u);
  EXPECT_EQ(recipe->sources[0].key, "/recipes/lustre.asc");
}

struct Bad {
  std::string line;
  std::string key;
};

class BadRecipe : public ::testing::TestWithParam<Bad> {};

TEST_P(BadRecipe, IsRefusedWithPlaceAndKey) {
  const std::string text = "name = \"mine\"\nrole = \"compute\"\n" + GetParam().line + "\n";
  const auto recipe = parse_recipe(text, "mine.toml", "/recipes");
  ASSERT_FALSE(recipe) << GetParam().line;
  EXPECT_EQ(recipe.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(recipe.error().message,
              AllOf(HasSubstr("mine.toml"), HasSubstr("line "), HasSubstr("'" + GetParam().key + "'")));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRecipe,
    ::testing::Values(
        Bad{"pakages = []", "pakages"}, Bad{"packages = \"bash\"", "packages"},
        Bad{"packages = [\"--allow-unauthenticated\"]", "packages"}, Bad{"packages = [\"bash-\"]", "packages"},
        Bad{"packages = [\"Bash\"]", "packages"}, Bad{"packages = [\"a,b\"]", "packages"},
        Bad{"packages = [1]", "packages"}, Bad{"suite = \"../x\"", "suite"}, Bad{"variant = \"all\"", "variant"},
        Bad{"kernel = \"linux image\"", "kernel"}, Bad{"exclude = [\"usr/share\"]", "exclude"},
        Bad{"exclude = [\"/usr/../etc\"]", "exclude"}, Bad{"enable = [\"ssh\"]", "enable"},
        Bad{"mask = [\"../x.service\"]", "mask"}, Bad{"root_limit = 5", "root_limit"},
        Bad{"root_limit = \"0\"", "root_limit"}, Bad{"root_password_hash = \"secret\"", "root_password_hash"},
        Bad{"ssh_keys = [\"hello\"]", "ssh_keys"}, Bad{"debs = [\"agent.rpm\"]", "debs"},
        Bad{"[[file]]\npath = \"/etc/../x\"\ncontent = \"\"", "path"},
        Bad{"[[file]]\npath = \"etc/x\"\ncontent = \"\"", "path"}, Bad{"[[file]]\npath = \"/etc/x\"", "file"},
        Bad{"[[file]]\npath = \"/x/y\"\ncontent = \"\"\nsource = \"y\"", "file"},
        Bad{"[[file]]\npath = \"/x/y\"\ncontent = \"\"\nmode = \"888\"", "mode"},
        Bad{"[[file]]\npath = \"/x/y\"\ncontent = \"\"\nowner = \"me\"", "owner"},
        Bad{"[[source]]\nline = \"deb [trusted=yes] http://x y\"\nkey = \"k.asc\"", "line"},
        Bad{"[[source]]\nline = \"deb http://x y\"", "source"},
        Bad{"[[hook]]\nname = \"x\"\nscript = \"echo\"", "script"}));

TEST(Recipe, SyntaxErrorsNameTheLine) {
  const auto recipe = parse_recipe("name = \"x\"\nrole = \n", "broken.toml", "/");
  ASSERT_FALSE(recipe);
  EXPECT_THAT(recipe.error().message, HasSubstr("broken.toml, line 2"));
}

TEST(Recipe, ExtendsOthersAndRefusesCircles) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto& path = directory->path();
  testing::write(path / "site.toml",
                 "extends = \"debian-12-compute\"\nname = \"site\"\npackages = [\"lldpd\"]\n"
                 "[[file]]\npath = \"/etc/fstab\"\ncontent = \"x\"\n");
  const auto recipe = load_recipe(path / "site.toml");
  ASSERT_TRUE(recipe) << recipe.error().describe();
  EXPECT_EQ(recipe->name, "site");
  EXPECT_EQ(recipe->role, "compute");
  EXPECT_THAT(recipe->packages, AllOf(Contains("qemu-system-x86"), Contains("systemd"), Contains("lldpd")));
  EXPECT_EQ(std::count_if(recipe->files.begin(), recipe->files.end(),
                          [](const auto& file) { return file.path == "/etc/fstab" && file.content == "x"; }),
            1);

  testing::write(path / "a.toml", "extends = \"b\"\nname = \"a\"\nrole = \"x\"\n");
  testing::write(path / "b.toml", "extends = \"a\"\nname = \"a\"\nrole = \"x\"\n");
  const auto circle = load_recipe(path / "a.toml");
  ASSERT_FALSE(circle);
  EXPECT_THAT(circle.error().message, HasSubstr("circle"));
}

TEST(Recipe, BuiltInOnesAreGood) {
  for (const auto* role : {"compute", "storage"}) {
    const auto recipe = find_recipe("debian-12", role);
    ASSERT_TRUE(recipe) << recipe.error().describe();
    EXPECT_EQ(recipe->role, role);
    EXPECT_EQ(recipe->kernel, "linux-image-amd64");
    EXPECT_GE(recipe->mask.size(), 50u);
  }
  const auto listed = list_recipes();
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0], (RecipeName{"debian-12", "compute", {}}));
  const auto missing = find_recipe("debian-99", "compute");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().hint, HasSubstr("debian-12 (compute)"));
}

TEST(Recipe, OnesOwnComeBeforeBuiltInOnes) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  testing::write(directory->path() / "debian-12-compute.toml",
                 "extends = \"debian-12-compute\"\npackages = [\"lldpd\"]\n");
  const auto recipe = find_recipe("debian-12", "compute", {directory->path()});
  ASSERT_TRUE(recipe) << recipe.error().describe();
  EXPECT_THAT(recipe->packages, Contains("lldpd"));
}

TEST(Apt, ReadsWhatASimulationWouldInstall) {
  EXPECT_THAT(parse_simulation("Reading...\nInst zlib1g (1:1.2.13 Debian:12.5/stable [amd64])\n"
                               "Inst bash (5.2-2 Debian:12/stable [amd64])\nConf bash (5.2-2 ...)\n"),
              ::testing::ElementsAre("bash 5.2-2", "zlib1g 1:1.2.13"));
}

TEST(Apt, TheImageGetsNothingOfTheMachinesSources) {
  EXPECT_THAT(plain_sources("bookworm"),
              AllOf(HasSubstr("http://deb.debian.org/debian bookworm main\n"), HasSubstr("bookworm-security main\n")));
}

TEST(DebianTree, CommandNamesPackagesExclusionsAndSources) {
  auto recipe = *parse_recipe(kGood, "mine.toml", "/recipes");
  const auto command = mmdebstrap_command(recipe, {{}, {"Acquire::http::Proxy \"http://p:1\";"}},
                                          {"deb [trusted=yes] copy:/w/packages ./", {"bridgehead-agent"}}, {"/w"});
  EXPECT_EQ(command.program, "setpriv");
  EXPECT_THAT(command.arguments,
              AllOf(Contains("mmdebstrap"), Contains("--variant=minbase"), Contains("/w/tree"), Contains("bookworm"),
                    Contains("--include=bridgehead-agent,linux-image-amd64,libstdc++6,qemu-utils,bash=5.2.15-2+b7"),
                    Contains("--dpkgopt=path-exclude=/usr/share/doc/*"),
                    Contains("--aptopt=Acquire::http::Proxy \"http://p:1\";")));
  EXPECT_EQ(command.environment.at("INITRD"), "No");
  EXPECT_EQ(command.environment.at("LANGUAGE"), "") << "its words are read";
}

}  // namespace
}  // namespace bridgehead::nodeimage
