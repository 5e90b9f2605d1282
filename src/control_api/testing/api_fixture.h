// ApiFixture: a real Server on 127.0.0.1 with real TLS over a memory store, a fake agent behind it, some records in it,
// and a libcurl client that checks the certificate. For the tests of this module.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing/manual_clock.h"
#include "control_api/server.h"
#include "control_api/testing/fake_availability.h"
#include "control_api/testing/fake_energy.h"
#include "control_api/testing/fake_netboot.h"
#include "control_api/testing/fake_power.h"
#include "control_api/testing/fake_tunnels.h"
#include "control_api/testing/fake_upgrades.h"
#include "control_api/testing/raw_client.h"
#include "pki/secret_box.h"
#include "reconcile/commands/commands.h"
#include "reconcile/metrics.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::control_api::testing {

class FakeAgents final : public reconcile::AgentPort {
 public:
  bool connected(const model::NodeId&) const override { return true; }
  bool assign(const model::NodeId&, const model::Assignment&) override { return true; }
  bool cancel(const model::NodeId&, const model::OperationId&) override { return true; }
  bool acknowledge(const model::NodeId&, const model::OperationId&) override { return true; }
};

struct HttpAnswer {
  long status = 0;
  std::string content_type;
  std::string headers;
  std::string body;
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

struct HttpRequest {
  std::string method;
  std::string path;
  std::string body = {};
  std::string token = {};  // "" = the admin's; "-" = none
  std::vector<std::string> headers = {};
};

class ApiFixture : public ::testing::Test {
 protected:
  ApiFixture();
  ~ApiFixture() override;

  // Called by the constructor's user before start_server() to change the configuration.
  ServerConfig config;
  void start_server();

  HttpAnswer send(const HttpRequest& request);
  HttpAnswer get(const std::string& path) { return send({.method = "GET", .path = path}); }
  HttpAnswer post(const std::string& path, const nlohmann::json& body) {
    return send({.method = "POST", .path = path, .body = body.dump()});
  }
  std::string path(std::string_view below) const { return "/api/v1" + std::string(below); }

  template <typename Fill>
  void commit(Fill fill) {
    auto edit = inventory->edit();
    fill(edit);
    const auto committed = inventory->commit(std::move(edit));
    ASSERT_TRUE(committed) << committed.error().describe();
  }
  std::string make_token(const std::string& name, model::Role role, std::optional<Timestamp> expires = {});
  model::Vm make_vm(const std::string& name, bool running);
  void fill_cluster();
  // Ends an operation as the reconciler would.
  void finish_operation(const std::string& id, model::OperationState state);
  model::Operation make_upload_operation();
  // A machine that boots over the network, as its first boot leaves it.
  model::Node make_netboot_node(const std::string& name, model::Approval approval, const std::string& image);
  // Its newest boot, with these steps a second apart, the last one now.
  void make_boot(const model::Node& of, const std::vector<model::BootStep>& steps, const std::string& message);
  model::NodeImage make_node_image(const std::string& base, std::uint32_t version, model::NodeImageState state);

  TemporaryDirectory directory;
  std::unique_ptr<state::StateStore> store;
  bridgehead::testing::ManualClock clock;
  SystemRandom random;
  std::unique_ptr<state::Inventory> inventory;
  reconcile::UseHistory use;
  std::unique_ptr<reconcile::Commander> commander;
  reconcile::ProgressBoard progress;
  reconcile::ReconcileMetrics metrics;
  FakeAgents agents;
  FakeTunnels tunnels;
  FakeNetboot netboot;
  FakePower power;
  FakeAvailability availability;
  FakeEnergy energy;
  FakeUpgrades upgrades;
  bool boots_machines = true;  // read by start_server()
  std::unique_ptr<pki::SecretBox> secret_box =
      std::move(*pki::SecretBox::open(directory.path() / "secrets.key", random));
  std::unique_ptr<Server> server;

  std::string admin, operator_, viewer;
  model::Node node;
  model::Pool pool;
  model::Image golden;
  model::Network network;

 private:
  void* curl_ = nullptr;
};

}  // namespace bridgehead::control_api::testing
