// What BootServices promise, kept by both implementations; without root: nothing is served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/ids.h"
#include "base/random.h"
#include "boot_services/serving.h"
#include "boot_services/tests/both_ways.h"

namespace bridgehead::boot_services {
namespace {

using ::testing::HasSubstr;

class BootServicesTest : public ::testing::TestWithParam<Way> {
 protected:
  BootServices& services() { return site_.services(); }
  model::NodeImageOrder order() {
    return {.id = make_id<model::NodeImageId>(random_), .base = "debian-12", .version = 1, .role = "compute"};
  }
  Error refused(const model::NodeImageOrder& order) {
    const auto made = services().make_image(order, {}, {});
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }
  // As if it had been made: what the store keeps of it.
  void put_image(const model::NodeImageOrder& order, const std::string& package) {
    nodeimage::Manifest manifest;
    manifest.id = order.id;
    manifest.base = order.base;
    manifest.version = order.version;
    manifest.name = fmt::format("{}:{}", order.base, order.version);
    manifest.packages = {{package, "1"}};
    const auto directory = nodeimage::image_directory(site_.store(), order.id);
    std::filesystem::create_directories(directory);
    ASSERT_TRUE(write_file_atomic(directory / nodeimage::kManifestFile, nodeimage::to_json(manifest).dump()));
    ASSERT_TRUE(write_file_atomic(directory / nodeimage::kListFile, ""));
  }

  SeededRandom random_{3};
  Site site_{GetParam()};
};

model::ServingPlan good_plan() {
  model::ServingPlan plan;
  plan.mode = model::NetbootMode::full;
  plan.interface = "prov0";
  plan.address = "10.20.0.1/22";
  plan.range_first = "10.20.1.0";
  plan.range_last = "10.20.3.250";
  return plan;
}

TEST_P(BootServicesTest, OffServesNothing) {
  const auto applied = services().apply({}, {});
  ASSERT_TRUE(applied) << applied.error().describe();
  EXPECT_TRUE(applied->parts.empty());
  EXPECT_EQ(services().status(), model::ServingStatus{});
  EXPECT_EQ(services().foreign_dhcp_servers({}), model::ForeignDhcpServers{});
}

TEST_P(BootServicesTest, RefusesPlansThatCannotBe) {
  const auto refuses = [&](const std::function<void(model::ServingPlan&)>& spoil) {
    auto plan = good_plan();
    spoil(plan);
    const auto applied = services().apply(plan, {});
    return !applied && applied.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(check_plan(good_plan()));
  EXPECT_TRUE(refuses([](auto& plan) { plan.interface = "prov0\ndhcp-script=/bin/sh"; }));
  EXPECT_TRUE(refuses([](auto& plan) { plan.interface = "../prov0"; }));
  EXPECT_TRUE(refuses([](auto& plan) { plan.address = "10.20.0.1/22\nx"; }));
  EXPECT_TRUE(refuses([](auto& plan) { plan.nbd_port = 0; }));
  EXPECT_TRUE(refuses([](auto& plan) { plan.images = {{.id = model::NodeImageId("../../../etc")}}; }));
  EXPECT_TRUE(refuses([](auto& plan) { plan.loader_files = {{.text = std::string(100'000, 'x')}}; }));
  EXPECT_TRUE(refuses([](auto& plan) { plan.reservations.resize(70'000); }));
  EXPECT_EQ(services().status(), model::ServingStatus{}) << "nothing was begun";
  auto large = good_plan();
  large.reservations.resize(16'384 + 20'000);  // strangers and nodes
  EXPECT_TRUE(check_plan(large));
}

TEST_P(BootServicesTest, APlanThatWasGivenUpIsNotApplied) {
  std::stop_source stop;
  stop.request_stop();
  const auto applied = services().apply(good_plan(), stop.get_token());
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, ErrorCode::cancelled);
  EXPECT_EQ(services().status(), model::ServingStatus{});
}

TEST_P(BootServicesTest, ImportsOnlyFromItsDirectories) {
  std::filesystem::create_symlink("/etc", site_.imports() / "link");
  for (const auto& path :
       {std::string("/etc"), (site_.imports() / "link").string(), (site_.imports() / "../../../etc").string(),
        site_.imports().string() + "-beside", (site_.imports() / "missing").string()}) {
    auto asked = order();
    asked.path = path;
    // Past the check for tools, which come first.
    ASSERT_TRUE(write_file_atomic(site_.path() / "no-init", ""));
    ASSERT_TRUE(write_file_atomic(site_.path() / "no-busybox", ""));
    const auto error = refused(asked);
    EXPECT_EQ(error.code, ErrorCode::permission_denied) << path << ": " << error.describe();
    EXPECT_THAT(error.hint, HasSubstr("import_directories"));
  }
}

TEST_P(BootServicesTest, RefusesOrdersThatCannotBe) {
  const auto refuses = [&](const std::function<void(model::NodeImageOrder&)>& spoil) {
    auto asked = order();
    asked.recipe = "debian-12";
    spoil(asked);
    return refused(asked).code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refuses([](auto& asked) { asked.recipe = "../../../root/recipe"; }));
  EXPECT_TRUE(refuses([](auto& asked) { asked.role = "../compute"; }));
  EXPECT_TRUE(refuses([](auto& asked) { asked.base = "a/b"; }));
  EXPECT_TRUE(refuses([](auto& asked) { asked.id = model::NodeImageId("../x"); }));
  EXPECT_TRUE(refuses([](auto& asked) { asked.version = 0; }));
  EXPECT_TRUE(refuses([](auto& asked) { asked.path = "/srv"; })) << "both a recipe and a path";
}

TEST_P(BootServicesTest, SaysWhatIsMissing) {
  auto asked = order();
  asked.recipe = "debian-12";
  const auto error = refused(asked);
  EXPECT_EQ(error.code, ErrorCode::failed_precondition);
  EXPECT_THAT(error.message, HasSubstr("no-init isn't there"));
  asked.recipe.clear();
  asked.path = (site_.imports() / "missing").string();
  asked.initramfs = "boot/initramfs.img";
  EXPECT_EQ(refused(asked).code, ErrorCode::permission_denied) << "nothing is made, so nothing is missing";
}

TEST_P(BootServicesTest, AnImageThatIsThereIsGivenAsItIs) {
  auto first = order();
  first.recipe = "debian-12";
  put_image(first, "old");
  const auto made = services().make_image(first, {}, {});
  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->name, "debian-12:1");
  EXPECT_EQ(made->state, model::NodeImageState::ready);

  auto second = order();
  second.version = 2;
  put_image(second, "new");
  const auto difference = services().compare_images({.from = first.id, .to = second.id});
  ASSERT_TRUE(difference) << difference.error().describe();
  EXPECT_THAT(difference->packages, ::testing::UnorderedElementsAre("- old 1", "+ new 1"));

  ASSERT_TRUE(services().remove_image(first.id, {}));
  EXPECT_TRUE(services().remove_image(first.id, {})) << "missing is success";
  const auto gone = services().compare_images({.from = first.id, .to = second.id});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::not_found);
}

INSTANTIATE_TEST_SUITE_P(BothWays, BootServicesTest, ::testing::Values(Way::local, Way::remote),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace
}  // namespace bridgehead::boot_services
