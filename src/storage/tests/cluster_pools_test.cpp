// The conformance suites on a real shared file system, named by the environment; tests/lab/storage_test starts the
// servers.
//   BRIDGEHEAD_POOL_DRIVER    nfs, moosefs, cephfs, lustre, posix
//   BRIDGEHEAD_POOL_SOURCE    as in `bh pool add --source`
//   BRIDGEHEAD_POOL_PATH      posix: a directory on the mounted file system
//   BRIDGEHEAD_POOL_OPTIONS   NAME=VALUE,...
//   BRIDGEHEAD_LUSTRE_MOUNT   a directory on a mounted Lustre; stands for posix and that path
#include <cstdlib>

#include "model/enum_names.h"
#include "storage/layout.h"
#include "storage/testing/pool_marks_conformance.h"
#include "storage/testing/shared_pool_conformance.h"

namespace bridgehead::storage::testing {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<PoolUnderTest> pools() {
  model::Pool pool;
  const auto lustre = from_environment("BRIDGEHEAD_LUSTRE_MOUNT");
  const auto driver = model::parse_enum<model::PoolDriver>(from_environment("BRIDGEHEAD_POOL_DRIVER"));
  if (!lustre.empty()) {
    pool.driver = model::PoolDriver::posix;
    pool.path = lustre;
  } else if (driver) {
    pool.driver = *driver;
    pool.source = from_environment("BRIDGEHEAD_POOL_SOURCE");
    pool.path = from_environment("BRIDGEHEAD_POOL_PATH");
  } else {
    return {};
  }
  std::string rest = from_environment("BRIDGEHEAD_POOL_OPTIONS");
  while (!rest.empty()) {
    const auto option = rest.substr(0, rest.find(','));
    rest.erase(0, option.size() + 1);
    const auto equals = option.find('=');
    require(equals != option.npos, "BRIDGEHEAD_POOL_OPTIONS isn't NAME=VALUE,...");
    pool.options[option.substr(0, equals)] = option.substr(equals + 1);
  }
  return {{pool}};
}

const auto kPools = pools();
INSTANTIATE_TEST_SUITE_P(Cluster, PoolConformance, ::testing::ValuesIn(kPools));
INSTANTIATE_TEST_SUITE_P(Cluster, SharedPoolConformance, ::testing::ValuesIn(kPools));

class LayoutConformance : public PoolConformance {
 protected:
  void SetUp() override {
    PoolConformance::SetUp();
    if (HasFatalFailure()) return;
    const auto table = read_mount_table();
    ASSERT_TRUE(table);
    const auto mount = mount_of(*table, std::filesystem::canonical(root()));
    ASSERT_TRUE(mount);
    control_ = layout_control(record_, root(), *mount, std::make_shared<SystemCommandRunner>());
    EXPECT_EQ(control_ != nullptr, state_.abilities.layouts);
    if (!control_) GTEST_SKIP() << state_.abilities.file_system << " takes no layouts";
  }
  std::filesystem::path file(const std::string& name) const { return tmp() / name; }

  std::unique_ptr<LayoutControl> control_;
};
INSTANTIATE_TEST_SUITE_P(Cluster, LayoutConformance, ::testing::ValuesIn(kPools));

TEST_P(LayoutConformance, WhatIsChosenForARoleIsWhatTheFileHas) {
  for (const auto role : {model::ImageRole::golden, model::ImageRole::disk}) {
    const auto chosen = control_->choose({.role = role, .size = 20_GiB});
    ASSERT_TRUE(chosen) << chosen.error().describe();
    const auto name = file(std::string(model::to_string(role)));
    const auto made = control_->create(name, *chosen);
    ASSERT_TRUE(made) << made.error().describe();
    const auto read = control_->read(name);
    ASSERT_TRUE(read) << read.error().describe();
    if (!chosen->group.empty()) {
      EXPECT_EQ(read->group, chosen->group);
    }
    EXPECT_EQ(control_->create(name, *chosen).error().code, ErrorCode::already_exists);
  }
}

TEST_P(LayoutConformance, ImportedImagesHaveTheLayoutOfTheirRole) {
  const auto chosen = control_->choose({.role = model::ImageRole::golden});
  ASSERT_TRUE(chosen);
  const auto golden = imported_golden();
  const auto read = control_->read(pool_->inspect(golden)->path);
  ASSERT_TRUE(read) << read.error().describe();
  for (std::size_t i = 0; i < chosen->parts.size(); ++i) {
    EXPECT_EQ(read->parts.at(i).stripe_size, chosen->parts[i].stripe_size);
  }
}

TEST_P(LayoutConformance, ASurveyTellsWhereImagesLie) {
  const auto golden = imported_golden();
  auto disk = image(model::ImageRole::disk);
  disk.layout = model::LayoutWish::wide;
  ASSERT_TRUE(pool_->create_disk(disk, nullptr, 64_MiB));
  const auto survey = pool_->survey({golden, disk, image(model::ImageRole::disk)});
  ASSERT_TRUE(survey) << survey.error().describe();
  EXPECT_TRUE(survey->layouts);
  ASSERT_EQ(survey->images.size(), 2U) << "not the one that isn't there";
  EXPECT_EQ(survey->images[0].image, golden.id);
  EXPECT_EQ(survey->images[0].layout, *control_->read(pool_->inspect(golden)->path));
  EXPECT_EQ(survey->images[1].layout, *control_->read(pool_->inspect(disk)->path));
  EXPECT_GT(survey->images[0].allocated.count(), 0U);
  EXPECT_EQ(survey->targets, *control_->targets());
  const auto wide = control_->choose({.size = 64_MiB, .wish = model::LayoutWish::wide});
  ASSERT_TRUE(wide);
  for (const auto& part : wide->parts) EXPECT_EQ(survey->images[1].layout.parts.at(0).stripe_size, part.stripe_size);
}

TEST_P(LayoutConformance, AnImpossibleLayoutLeavesNoFile) {
  const FileLayout impossible{.group = "no-such-class-x", .parts = {{.stripes = 3000, .stripe_size = Bytes(12345)}}};
  EXPECT_FALSE(control_->create(file("impossible"), impossible));
  EXPECT_FALSE(std::filesystem::exists(file("impossible")));
}

}  // namespace
}  // namespace bridgehead::storage::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (bridgehead::storage::testing::kPools.empty()) {
    fmt::print("Skipped: neither BRIDGEHEAD_POOL_DRIVER nor BRIDGEHEAD_LUSTRE_MOUNT names a shared file system.\n");
    return 0;
  }
  return RUN_ALL_TESTS();
}
