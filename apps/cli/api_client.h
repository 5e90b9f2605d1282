// ApiClient: the manager's REST API over HTTPS (libcurl, one connection kept open). Not thread-safe.
// Fails with the Error inside the manager's problem details, or `unavailable` with what to check.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace bridgehead::cli {

// Where the manager is and who we are: flags, then BH_SERVER, BH_TOKEN and BH_CA, then ~/.config/bridgehead/cli.toml.
struct Connection {
  std::string server;  // https://host:7443
  std::string token;
  std::filesystem::path ca;

  static std::filesystem::path default_file();
  static Result<Connection> load(const std::filesystem::path& file);
  Status save(const std::filesystem::path& file) const;
};

struct StreamEvent {
  std::string id;
  std::string kind;
  nlohmann::json data;
};

class ApiClient {
 public:
  explicit ApiClient(Connection connection);
  ~ApiClient();

  const Connection& connection() const { return connection_; }

  // `path` begins with '/', below /api/v1, already escaped (see path_segment).
  Result<nlohmann::json> get(const std::string& path);
  Result<std::string> get_text(const std::string& path);
  Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body = nlohmann::json::object());
  Result<nlohmann::json> put(const std::string& path, const nlohmann::json& body);
  Result<nlohmann::json> patch(const std::string& path, const nlohmann::json& body);
  Result<nlohmann::json> remove(const std::string& path);

  // PUT of a file's bytes; `progress` gets bytes sent.
  Result<nlohmann::json> upload(const std::string& path, const std::filesystem::path& file,
                                const std::function<void(std::uint64_t)>& progress);
  // GET into `sink`; false stops it.
  Status download(const std::string& path, const std::function<bool(std::string_view)>& sink);
  // Server-sent events until `handler` returns false or the connection ends (unavailable).
  Status stream(const std::string& path, const std::string& last_event_id,
                const std::function<bool(const StreamEvent&)>& handler);

 private:
  struct Handle;
  struct Exchange;
  Result<std::string> perform(Exchange& exchange);
  Result<nlohmann::json> json_request(const char* method, const std::string& path, const nlohmann::json* body);

  Connection connection_;
  std::unique_ptr<Handle> handle_;
};

// Percent-encodes one segment of a path or one value of a query.
std::string path_segment(std::string_view text);

}  // namespace bridgehead::cli
