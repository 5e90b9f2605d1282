#include "config.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>

#include "base/file.h"
#include "service_manager.h"

namespace bridgehead::agent_app {
namespace {

TEST(AgentConfig, AnEmptyFileGivesTheDefaults) {
  const auto config = parse_config("", "agent.toml");
  ASSERT_TRUE(config) << config.error().describe();
  EXPECT_EQ(*config, Config{});
}

TEST(AgentConfig, EverySettingIsRead) {
  const auto config = parse_config(R"(
manager = "manager.example.org:7444"
state_dir = "/srv/agent"
import_directories = ["/srv/images", "/mnt/iso"]
workers = 12
import_workers = 3
libvirt_uri = "test:///default"
log_level = "debug"
log_format = "json"
)",
                                   "agent.toml");
  ASSERT_TRUE(config) << config.error().describe();
  EXPECT_EQ(config->manager, "manager.example.org:7444");
  EXPECT_EQ(config->state_dir, "/srv/agent");
  EXPECT_EQ(config->import_directories, (std::vector<std::filesystem::path>{"/srv/images", "/mnt/iso"}));
  EXPECT_EQ(config->workers, 12U);
  EXPECT_EQ(config->import_workers, 3U);
  EXPECT_EQ(config->libvirt_uri, "test:///default");
  EXPECT_EQ(config->log_level, log::Level::debug);
  EXPECT_EQ(config->log_format, log::Format::json);
}

TEST(AgentConfig, MistakesNameTheLineAndTheKey) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"\nworker = 2\n", "agent.toml, line 2: there is no setting 'worker'"},
      {"workers = \"two\"", "'workers' must be a number from 0 to 256"},
      {"import_workers = 0", "'import_workers' must be a number from 1 to 256"},
      {"state_dir = \"relative\"", "'state_dir' must be an absolute path in quotes"},
      {"import_directories = [\"relative\"]", "'import_directories' must be an absolute path in quotes"},
      {"log_level = \"loud\"", "'log_level' must be one of"},
      {"manager = ", "agent.toml, line 1:"},
  };
  for (const auto& [text, expected] : wrong) {
    const auto config = parse_config(text, "agent.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
  }
}

TEST(AgentConfig, OnlyTheDefaultFileMayBeMissing) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto missing = load_config(directory->path() / "none.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

TEST(AgentConfig, TheShippedFileIsValidAndChangesNothing) {
  const auto text = read_file(std::filesystem::path(BRIDGEHEAD_CONFIG_DIR) / "agent.toml");
  ASSERT_TRUE(text) << text.error().describe();
  const auto config = parse_config(*text, "agent.toml");
  ASSERT_TRUE(config) << config.error().describe();
  EXPECT_EQ(*config, Config{});
}

TEST(ServiceManager, IsToldThroughItsSocket) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto path = (directory->path() / "notify").native();
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  notify_service_manager("READY=1");
  ::unsetenv("NOTIFY_SOCKET");
  char buffer[64] = {};
  ASSERT_EQ(::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT), 7);
  EXPECT_STREQ(buffer, "READY=1");
  notify_service_manager("READY=1");  // nobody is there: nothing happens
}

}  // namespace
}  // namespace bridgehead::agent_app
