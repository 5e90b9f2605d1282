#include "manager/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "manager/advertise.h"

namespace bridgehead::manager {
namespace {

std::string error_of(std::string_view toml) {
  const auto config = parse_config(toml, "manager.toml");
  if (config) return "accepted";
  EXPECT_EQ(config.error().code, ErrorCode::invalid_argument);
  return config.error().message;
}

TEST(Config, EmptyFileGivesTheDefaults) {
  const auto config = parse_config("", "manager.toml");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->listen, (Endpoint{"0.0.0.0", 7443}));
  EXPECT_EQ(config->agent_listen, (Endpoint{"0.0.0.0", 7444}));
  EXPECT_EQ(config->state_dir, "/var/lib/bridgehead/manager");
}

TEST(Config, TakesEverySetting) {
  const auto config = parse_config(R"(
state_dir = "/srv/bh"
listen = "[::1]:8443"
agent_listen = "10.0.0.1:8444"
advertise = ["manager.example.org", "10.0.0.1"]
log_level = "debug"
log_format = "json"
heartbeat_seconds = 10
history = 500
[limits]
cpu_overcommit = 2
host_memory_reserve = "1GiB"
host_memory_reserve_percent = 10
pool_reserve = "2GiB"
)",
                                   "manager.toml");
  ASSERT_TRUE(config) << config.error().describe();
  EXPECT_EQ(config->state_dir, "/srv/bh");
  EXPECT_EQ(config->listen.text(), "[::1]:8443");
  EXPECT_EQ(config->agent_listen.text(), "10.0.0.1:8444");
  EXPECT_EQ(config->advertise, (std::vector<std::string>{"manager.example.org", "10.0.0.1"}));
  EXPECT_EQ(config->log_level, log::Level::debug);
  EXPECT_EQ(config->log_format, log::Format::json);
  EXPECT_EQ(config->heartbeat, std::chrono::seconds(10));
  EXPECT_EQ(config->history, 500U);
  EXPECT_EQ(config->limits.cpu_overcommit, 2.0);
  EXPECT_EQ(config->limits.least_reserve, 1_GiB);
  EXPECT_EQ(config->limits.reserve_percent, 10U);
  EXPECT_EQ(config->limits.pool_reserve, 2_GiB);
}

TEST(Config, SaysWhereAndWhatIsWrong) {
  EXPECT_EQ(error_of("listen = \"0.0.0.0:7443\"\nlisten_port = 1\n"),
            "manager.toml, line 2: listen_port: there is no such setting");
  EXPECT_EQ(error_of("\n[limits]\nfoo = 1\n"), "manager.toml, line 3: limits.foo: there is no such setting");
  EXPECT_EQ(error_of("state_dir = \"relative\""), "manager.toml, line 1: state_dir: 'relative' isn't an absolute path");
  EXPECT_EQ(error_of("state_dir = 7"), "manager.toml, line 1: state_dir: must be a text in quotes");
  EXPECT_EQ(error_of("heartbeat_seconds = 0"),
            "manager.toml, line 1: heartbeat_seconds: must be a whole number from 1 to 300");
  EXPECT_EQ(error_of("heartbeat_seconds = 1.5"),
            "manager.toml, line 1: heartbeat_seconds: must be a whole number from 1 to 300");
  EXPECT_EQ(error_of("history = 1"), "manager.toml, line 1: history: must be a whole number from 100 to 10000000");
  EXPECT_EQ(error_of("limits = 3"), "manager.toml, line 1: limits: there is no such setting");
  EXPECT_EQ(error_of("[limits]\ncpu_overcommit = nan"),
            "manager.toml, line 2: limits.cpu_overcommit: must be a number from 0.1 to 100");
  EXPECT_EQ(error_of("advertise = \"one\""),
            "manager.toml, line 1: advertise: must be a list of names and addresses in quotes");
  EXPECT_NE(error_of("advertise = [\"https://x\"]").find("neither a host name nor an IP address"), std::string::npos);
  EXPECT_NE(error_of("log_level = \"loud\"").find("log_level: 'loud' isn't a log level"), std::string::npos);
  EXPECT_TRUE(error_of("listen = \n").starts_with("manager.toml, line 1: "));
}

TEST(Config, Endpoints) {
  EXPECT_EQ(parse_endpoint("7443").value(), (Endpoint{"0.0.0.0", 7443}));
  EXPECT_EQ(parse_endpoint(":0").value(), (Endpoint{"0.0.0.0", 0}));
  EXPECT_EQ(parse_endpoint("[::]:1").value(), (Endpoint{"::", 1}));
  for (const char* wrong : {"", "x", "localhost:1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "::1:80", "[::1]",
                            "1.2.3.4:-1", "1.2.3.4:1x"}) {
    EXPECT_FALSE(parse_endpoint(wrong)) << wrong;
  }
}

// What packages install says what the defaults are, and names every setting as it must be written.
TEST(Config, InstalledFileShowsTheDefaults) {
  const auto path = std::filesystem::path(BRIDGEHEAD_CONFIG_DIR) / "manager.toml";
  const auto text = read_file(path);
  ASSERT_TRUE(text) << text.error().describe();
  ASSERT_TRUE(parse_config(*text, "manager.toml"));
  std::string active;
  std::size_t settings = 0;
  for (std::size_t at = 0; at < text->size();) {
    const auto end = std::min(text->find('\n', at), text->size());
    auto line = text->substr(at, end - at);
    if (line.starts_with('#') && line.size() > 1 && line[1] != ' ') line.erase(0, 1), ++settings;
    active += line + "\n";
    at = end + 1;
  }
  const auto config = parse_config(active, "manager.toml");
  ASSERT_TRUE(config) << config.error().describe();
  const Config defaults;
  EXPECT_EQ(settings, 17U);
  EXPECT_EQ(config->state_dir, defaults.state_dir);
  EXPECT_EQ(config->listen, defaults.listen);
  EXPECT_EQ(config->agent_listen, defaults.agent_listen);
  EXPECT_EQ(config->heartbeat, defaults.heartbeat);
  EXPECT_EQ(config->history, defaults.history);
  EXPECT_EQ(config->limits, defaults.limits);
  EXPECT_EQ(config->netboot.directory, defaults.netboot.directory);
  EXPECT_EQ(config->netboot.import_directories, defaults.netboot.import_directories);
  EXPECT_EQ(config->netboot.recipes, defaults.netboot.recipes);
  EXPECT_EQ(config->netboot.busybox, defaults.netboot.busybox);
}

TEST(Config, CommandLineWins) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto file = directory->path() / "m.toml";
  std::ofstream(file) << "listen = \"127.0.0.1:1\"\nadvertise = [\"a\"]\n";
  auto config = load_config(file, {.listen = "127.0.0.1:2", .advertise = {"b", "c"}, .log_format = "json"});
  ASSERT_TRUE(config) << config.error().describe();
  EXPECT_EQ(config->listen.port, 2);
  EXPECT_EQ(config->advertise, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(config->log_format, log::Format::json);
  EXPECT_EQ(load_config(file, {.listen = "nonsense"}).error().message.substr(0, 9), "--listen:");
  EXPECT_FALSE(load_config(file, {.agent_listen = "127.0.0.1:1"}));  // both on one port
  EXPECT_EQ(load_config(directory->path() / "missing", {}).error().code, ErrorCode::not_found);
}

TEST(Advertise, CertificateAndJoinTokensSayWhereTheManagerIs) {
  Config config;
  config.advertise = {"manager.example.org", "192.0.2.7"};
  auto under = advertised(config, 7444);
  EXPECT_EQ(under.agent_endpoint, "manager.example.org:7444");
  EXPECT_EQ(under.names[0], "bridgehead-manager");
  EXPECT_EQ(under.names[1], "manager.example.org");
  EXPECT_EQ(std::ranges::count(under.addresses, "192.0.2.7"), 1);
  EXPECT_EQ(std::ranges::count(under.addresses, "127.0.0.1"), 1);
  EXPECT_EQ(std::ranges::count(under.addresses, "0.0.0.0"), 0);

  config.advertise.clear();
  config.agent_listen = {"::1", 7444};
  under = advertised(config, 7444);
  EXPECT_EQ(under.agent_endpoint, "[::1]:7444");
  EXPECT_EQ(std::ranges::count(under.addresses, "::1"), 1);
}

}  // namespace
}  // namespace bridgehead::manager
