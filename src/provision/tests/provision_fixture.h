// BootBook and BootDesk against a real inventory, for tests.
#pragma once

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/ids.h"
#include "base/testing/manual_clock.h"
#include "model/enum_names.h"
#include "pki/tokens.h"
#include "provision/boot_desk.h"
#include "reconcile/commands/netboot.h"
#include "state/memory_store.h"

namespace bridgehead::provision {

inline constexpr char kMac[] = "52:54:00:aa:bb:01";

class ProvisionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    inventory_ = std::move(*state::Inventory::open(*store_, clock_));
    commander_ = std::make_unique<reconcile::Commander>(*inventory_, random_, clock_);
    directory_ = std::make_unique<TemporaryDirectory>(std::move(*TemporaryDirectory::create()));
    restart();
    enable();
  }
  // A new manager over the same records.
  void restart() {
    desk_.reset();
    book_ = std::make_unique<BootBook>(*inventory_, clock_, random_);
    desk_ = std::make_unique<BootDesk>(*inventory_, *book_, directory_->path() / "store",
                                       AgentDoor{.port = 7444,
                                                 .ca_fingerprint = std::string(64, 'a'),
                                                 .probe = [this](const model::NodeId& id) { probed_.push_back(id); }},
                                       directory_->path() / "first", directory_->path() / "reads");
  }
  void enable(bool auto_approve = false) {
    reconcile::EnableNetboot request{.interface = "prov0",
                                     .address = "10.77.0.1/24",
                                     .range = "10.77.0.100-10.77.0.200",
                                     .auto_approve = auto_approve};
    const auto enabled = reconcile::enable_netboot(*commander_, {.actor = "test"}, request);
    ASSERT_TRUE(enabled) << enabled.error().describe();
  }
  model::NodeImage add_image(const std::string& name, std::vector<model::RootTransport> transports = {
                                                          model::RootTransport::nbd, model::RootTransport::ram}) {
    clock_.advance(std::chrono::seconds(1));
    model::NodeImage image;
    image.id = make_id<model::NodeImageId>(random_);
    image.name = name;
    image.base = name.substr(0, name.find(':'));
    image.version = static_cast<std::uint32_t>(std::stoul(name.substr(name.find(':') + 1)));
    image.state = model::NodeImageState::ready;
    image.transports = std::move(transports);
    image.root_sha256 = std::string(64, '0');
    image.root_size = 100_MiB;
    image.created = clock_.now();
    auto edit = inventory_->edit();
    edit.create(image);
    EXPECT_TRUE(inventory_->commit(std::move(edit)));
    return image;
  }
  netboot::BootAnswer get(const std::string& path, std::vector<std::pair<std::string, std::string>> query) {
    return ask("GET", path, std::move(query), "");
  }
  netboot::BootAnswer post(const std::string& path, std::vector<std::pair<std::string, std::string>> query,
                           std::string body = "") {
    return ask("POST", path, std::move(query), std::move(body));
  }
  netboot::BootAnswer ask(std::string method, std::string path, std::vector<std::pair<std::string, std::string>> query,
                          std::string body) {
    netboot::BootRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.query = std::move(query);
    request.body = std::move(body);
    request.remote_address = "10.77.0.101";
    return desk_->answer(request);
  }
  netboot::BootAnswer plan(const std::string& boot, const std::string& mac = kMac) {
    return get("/boot/v1/plan", {{"mac", mac}, {"uuid", "u-1"}, {"serial", "s-1"}, {"boot", boot}});
  }
  model::Node node(const std::string& mac = kMac) {
    const auto record = book_->find(mac);
    EXPECT_TRUE(record);
    return record ? record->value : model::Node{};
  }
  void approve_and_assign(const std::string& image) {
    const std::vector<std::string> all{"*"};
    ASSERT_TRUE(reconcile::approve_nodes(*commander_, {.actor = "test"}, {.select = {all}}));
    const auto assigned = reconcile::assign_nodes(*commander_, {.actor = "test"}, {.select = {all}, .image = image});
    ASSERT_TRUE(assigned) << assigned.error().describe();
  }
  std::vector<std::string> steps() {
    std::vector<std::string> result;
    const auto boot = inventory_->find<model::Boot>(node().id);
    if (!boot) return result;
    for (const auto& event : boot->value.events) {
      result.push_back(
          fmt::format("{}{}{}", model::to_string(event.step), event.message.empty() ? "" : " ", event.message));
    }
    return result;
  }

  bridgehead::testing::ManualClock clock_;
  SeededRandom random_{7};
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<state::Inventory> inventory_;
  std::unique_ptr<reconcile::Commander> commander_;
  std::unique_ptr<TemporaryDirectory> directory_;
  std::unique_ptr<BootBook> book_;
  std::unique_ptr<BootDesk> desk_;
  std::vector<model::NodeId> probed_;  // whose agents had to give a sign of life
};

// The value of "key=" in a plan, or of an argument of a script's kernel line.
inline std::string value_of(const std::string& text, const std::string& key) {
  const auto at = text.find(key + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + key.size() + 1;
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

}  // namespace bridgehead::provision
