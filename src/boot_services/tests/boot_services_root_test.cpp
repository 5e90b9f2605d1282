// BootServices for real, both ways: dnsmasq and nbdkit on a segment, asked by a machine's firmware.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/random.h"
#include "boot_services/tests/both_ways.h"
#include "netboot/tests/dhcp_client.h"
#include "netboot/tests/segment.h"

namespace bridgehead::boot_services {
namespace {

using netboot::eventually;

constexpr char kMac[] = "52:54:00:00:00:01";

class ServingRootTest : public ::testing::TestWithParam<Way> {
 protected:
  ServingRootTest() {
    plan_.mode = model::NetbootMode::full;
    plan_.interface = "prov0";
    plan_.address = "10.20.0.1/22";
    plan_.range_first = "10.20.1.0";
    plan_.range_last = "10.20.3.250";
    plan_.reservations = {{.mac = kMac, .address = "10.20.0.101", .hostname = "rack1-1"}};
    listen();
  }
  void listen() {
    site_.services().listen({.address_given =
                                 [this](const model::AddressGiven& given) {
                                   const std::lock_guard lock(mutex_);
                                   given_.push_back(given);
                                 },
                             .began_anew = [this] { ++began_; }});
  }
  ~ServingRootTest() override { site_.services().listen({}); }

  bool all_run() {
    const auto status = site_.services().status();
    return status && status->parts.size() == 2 &&
           std::all_of(status->parts.begin(), status->parts.end(), [](const auto& part) { return part.running; });
  }
  std::optional<netboot::Lease> lease(std::chrono::seconds patience = std::chrono::seconds(30)) {
    std::optional<netboot::Lease> got;
    segment_.as_client([&] { got = netboot::get_lease({kMac, 0}, patience); });
    return got;
  }
  std::optional<std::string> by_tftp(const std::string& file) {
    std::optional<std::string> got;
    segment_.as_client([&] {
      segment_.run("ip", {"address", "replace", "10.20.0.99/22", "dev", "cl0"});
      got = netboot::get_by_tftp("10.20.0.1", file);
    });
    return got;
  }
  model::NodeImageId put_image() { return put_image(make_id<model::NodeImageId>(random_)); }
  model::NodeImageId put_image(const model::NodeImageId& id) {
    const auto directory = nodeimage::image_directory(site_.store(), id);
    std::filesystem::create_directories(directory);
    for (const auto name : {nodeimage::kKernelFile, nodeimage::kInitramfsFile, nodeimage::kRootFile}) {
      EXPECT_TRUE(write_file_atomic(directory / name, fmt::format("the {}", name), 0444));
    }
    return id;
  }
  std::vector<std::string> exports() { return netboot_exports(site_.path() / "netboot/nbd"); }
  static std::vector<std::string> netboot_exports(const std::filesystem::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) names.push_back(entry.path().filename());
    return names;
  }

  netboot::Segment segment_{"10.20.0.1/22"};
  SeededRandom random_{5};
  model::ServingPlan plan_;
  std::mutex mutex_;
  std::vector<model::AddressGiven> given_;
  std::atomic<int> began_{0};
  Site site_{GetParam()};
};

TEST_P(ServingRootTest, BringsAPlanAboutAndAnother) {
  const auto first = put_image();
  plan_.images = {{.id = first}};
  plan_.loader_files = {{model::BootMethod::pxelinux, kMac, "its own"}};
  const auto applied = site_.services().apply(plan_, {});
  ASSERT_TRUE(applied) << applied.error().describe();
  ASSERT_TRUE(eventually([&] { return all_run(); }));
  const auto got = lease();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->address, "10.20.0.101");
  EXPECT_EQ(got->hostname, "rack1-1");
  const model::AddressGiven told{.mac = kMac, .address = "10.20.0.101", .asker = model::Asker::firmware};
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex_);
    return std::find(given_.begin(), given_.end(), told) != given_.end();
  })) << "the manager hears of it";
  EXPECT_EQ(by_tftp("pxelinux.cfg/01-52-54-00-00-00-01"), "its own");
  EXPECT_EQ(by_tftp(fmt::format("images/{}/vmlinuz", first)), "the vmlinuz");
  EXPECT_THAT(exports(), ::testing::ElementsAre(first.str()));

  // Whatever was there before, the next plan is all that counts.
  const auto second = put_image();
  plan_.images = {{.id = second}};
  plan_.loader_files.clear();
  plan_.reservations = {{.mac = kMac, .address = "10.20.0.102", .hostname = "rack1-1"}};
  ASSERT_TRUE(site_.services().apply(plan_, {}));
  EXPECT_TRUE(eventually([&] {
    const auto now = lease();
    return now && now->address == "10.20.0.102";
  }));
  EXPECT_THAT(exports(), ::testing::ElementsAre(second.str()));
  EXPECT_EQ(by_tftp("pxelinux.cfg/01-52-54-00-00-00-01"), std::nullopt);
  EXPECT_EQ(by_tftp(fmt::format("images/{}/vmlinuz", first)), std::nullopt);

  const auto found = site_.services().foreign_dhcp_servers({});
  ASSERT_TRUE(found) << found.error().describe();
  EXPECT_TRUE(found->servers.empty()) << "our own server is no foreign one";

  ASSERT_TRUE(site_.services().apply({}, {}));
  EXPECT_EQ(site_.services().status(), model::ServingStatus{});
  EXPECT_FALSE(lease(std::chrono::seconds(3)));
}

TEST_P(ServingRootTest, WhatWasLeftBehindGoesWithTheNextPlan) {
  const auto before = put_image();
  plan_.images = {{.id = before}};
  plan_.loader_files = {{model::BootMethod::shim, kMac, "its own"}};
  ASSERT_TRUE(site_.services().apply(plan_, {}));
  const auto configuration = site_.path() / "netboot/tftp/grub/grub.cfg-01-52-54-00-00-00-01";
  ASSERT_TRUE(std::filesystem::exists(configuration));
  site_.stop();
  site_.start();
  listen();
  ASSERT_TRUE(GetParam() == Way::local || eventually([&] { return began_ > 1; })) << "one hears that it began anew";
  plan_.images.clear();
  plan_.loader_files.clear();
  ASSERT_TRUE(site_.services().apply(plan_, {}));
  EXPECT_TRUE(eventually([&] { return all_run(); }));
  EXPECT_TRUE(exports().empty());
  EXPECT_FALSE(std::filesystem::exists(configuration));
  EXPECT_TRUE(lease());
}

TEST_P(ServingRootTest, AMissingImageSaysSoAndStopsNoOther) {
  const auto missing = make_id<model::NodeImageId>(random_);
  const auto there = put_image();
  plan_.images = {{.id = missing}, {.id = there}};
  plan_.loader_files = {{model::BootMethod::pxelinux, kMac, "its own"}};
  const auto applied = site_.services().apply(plan_, {});
  ASSERT_TRUE(applied) << applied.error().describe();
  for (const auto& part : applied->parts) EXPECT_THAT(part.message, ::testing::HasSubstr(missing.str())) << part.name;
  EXPECT_THAT(exports(), ::testing::ElementsAre(there.str()));
  EXPECT_TRUE(eventually([&] { return lease().has_value(); }));
  EXPECT_EQ(by_tftp("pxelinux.cfg/01-52-54-00-00-00-01"), "its own");
  EXPECT_EQ(by_tftp(fmt::format("images/{}/vmlinuz", there)), "the vmlinuz");
  segment_.as_client([&] {
    segment_.run("timeout", {"20", "bash", "-c", "until (exec 3<>/dev/tcp/10.20.0.1/10809) 2>&-; do sleep 0.1; done"});
  });

  put_image(missing);
  ASSERT_TRUE(site_.services().apply(plan_, {}));
  EXPECT_TRUE(eventually([&] { return all_run(); }));
}

TEST_P(ServingRootTest, AWrongPartSaysSoAndStopsNoOther) {
  plan_.range_last = "10.99.0.1";
  const auto applied = site_.services().apply(plan_, {});
  ASSERT_TRUE(applied) << applied.error().describe();
  const auto part = [&](const std::string& name) {
    const auto status = site_.services().status();
    for (const auto& one : status->parts) {
      if (one.name == name) return one;
    }
    return model::ServingPart{};
  };
  EXPECT_FALSE(part("dhcp").running);
  EXPECT_THAT(part("dhcp").message, ::testing::HasSubstr("10.99.0.1"));
  EXPECT_TRUE(eventually([&] { return part("nbd").running; }));
}

INSTANTIATE_TEST_SUITE_P(BothWays, ServingRootTest, ::testing::Values(Way::local, Way::remote),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace
}  // namespace bridgehead::boot_services
