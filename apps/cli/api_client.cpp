#include "cli/api_client.h"

#include <curl/curl.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <toml++/toml.h>

#include "base/file.h"

namespace bridgehead::cli {
namespace {

constexpr std::string_view kBase = "/api/v1";
constexpr std::size_t kLongestError = 65536;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Error problem_from(long status, const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("detail")) {
    return Error{error_code_from_string(json.value("code", std::string("internal"))),
                 json.value("detail", std::string()), json.value("hint", std::string())};
  }
  return Error{ErrorCode::internal, fmt::format("the manager answered with HTTP status {}", status),
               "Is that address really a Bridgehead manager?"};
}

}  // namespace

std::filesystem::path Connection::default_file() {
  const std::string xdg = from_environment("XDG_CONFIG_HOME");
  const std::filesystem::path base =
      xdg.empty() ? std::filesystem::path(from_environment("HOME")) / ".config" : std::filesystem::path(xdg);
  return base / "bridgehead" / "cli.toml";
}

Result<Connection> Connection::load(const std::filesystem::path& file) {
  Connection connection;
  if (std::filesystem::exists(file)) {
    try {
      const auto table = toml::parse_file(file.string());
      connection.server = table["server"].value_or(std::string());
      connection.token = table["token"].value_or(std::string());
      connection.ca = table["ca"].value_or(std::string());
    } catch (const toml::parse_error& error) {
      return fail_with_hint(ErrorCode::invalid_argument,
                            fmt::format("{} can't be read: {}", file.string(), error.description()),
                            "Mend it, or write it anew with: bh login");
    }
  }
  if (const auto server = from_environment("BH_SERVER"); !server.empty()) connection.server = server;
  if (const auto token = from_environment("BH_TOKEN"); !token.empty()) connection.token = token;
  if (const auto ca = from_environment("BH_CA"); !ca.empty()) connection.ca = ca;
  return connection;
}

Status Connection::save(const std::filesystem::path& file) const {
  const toml::table table{{"server", server}, {"token", token}, {"ca", ca.string()}};
  std::ostringstream text;
  text << table << '\n';
  if (auto made = make_directories(file.parent_path(), 0700); !made) return made;
  return write_file_atomic(file, text.str(), 0600);
}

struct ApiClient::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

// One request: what goes out, and where the answer goes.
struct ApiClient::Exchange {
  const char* method = "GET";
  std::string path;
  std::string body;
  bool has_body = false;
  std::FILE* file = nullptr;
  curl_off_t file_size = 0;
  std::function<void(std::uint64_t)> sent;
  std::function<bool(std::string_view)> sink;  // for a successful answer; otherwise it is collected
  std::vector<std::string> headers;
  bool endless = false;

  CURL* curl = nullptr;
  std::string answer;
  bool sink_stopped = false;

  static std::size_t on_write(char* data, std::size_t size, std::size_t count, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    const std::string_view bytes(data, size * count);
    long status = 0;
    curl_easy_getinfo(self.curl, CURLINFO_RESPONSE_CODE, &status);
    if (self.sink && status < 300) {
      if (self.sink(bytes)) return bytes.size();
      self.sink_stopped = true;
      return 0;
    }
    if (status >= 300 && self.answer.size() > kLongestError) return bytes.size();
    self.answer.append(bytes);
    return bytes.size();
  }

  static int on_progress(void* self_pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t up) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    if (self.sent) self.sent(static_cast<std::uint64_t>(up));
    return 0;
  }
};

ApiClient::ApiClient(Connection connection) : connection_(std::move(connection)), handle_(std::make_unique<Handle>()) {}
ApiClient::~ApiClient() = default;

Result<std::string> ApiClient::perform(Exchange& exchange) {
  if (connection_.server.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition, "no manager is configured",
                          "Run: bh login --server https://HOST:7443 --ca FILE --token-file FILE");
  }
  CURL* curl = exchange.curl = handle_->curl;
  curl_easy_reset(curl);
  const std::string url = connection_.server + std::string(kBase) + exchange.path;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, exchange.method);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
  if (!exchange.endless) {
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 120L);
  }
  if (!connection_.ca.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, connection_.ca.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Exchange::on_write);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);

  struct Headers {
    curl_slist* list = nullptr;
    ~Headers() { curl_slist_free_all(list); }
    void add(const std::string& header) { list = curl_slist_append(list, header.c_str()); }
  } headers;
  if (!connection_.token.empty()) headers.add("Authorization: Bearer " + connection_.token);
  headers.add("Expect:");
  for (const auto& header : exchange.headers) headers.add(header);
  if (exchange.has_body) {
    headers.add("Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(exchange.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange.body.data());
  }
  if (exchange.file != nullptr) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READDATA, exchange.file);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, exchange.file_size);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 1048576L);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);

  const CURLcode code = curl_easy_perform(curl);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 300) return fail(problem_from(status, exchange.answer));
  if (exchange.sink_stopped) return std::string();
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return fail(ErrorCode::timeout, "{} did not answer in time", connection_.server);
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
    return fail_with_hint(
        ErrorCode::unauthenticated,
        fmt::format("{} is not who it should be: {}", connection_.server, curl_easy_strerror(code)),
        "Give the cluster's CA certificate: bh login --ca FILE (on the manager: ca/ca.pem in its state directory)");
  }
  if (code != CURLE_OK) {
    return fail_with_hint(
        ErrorCode::unavailable,
        fmt::format("can't reach the manager at {}: {}", connection_.server, curl_easy_strerror(code)),
        "Is bridgehead-manager running there, and is the address right?");
  }
  return std::move(exchange.answer);
}

Result<nlohmann::json> ApiClient::json_request(const char* method, const std::string& path,
                                               const nlohmann::json* body) {
  Exchange exchange{.method = method, .path = path};
  if (body != nullptr) {
    exchange.body = body->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    exchange.has_body = true;
  }
  auto answer = perform(exchange);
  if (!answer) return forward(answer);
  if (answer->empty()) return nlohmann::json::object();
  auto json = nlohmann::json::parse(*answer, nullptr, false);
  if (json.is_discarded()) return fail(ErrorCode::internal, "the manager's answer is not JSON");
  return json;
}

Result<nlohmann::json> ApiClient::get(const std::string& path) { return json_request("GET", path, nullptr); }
Result<nlohmann::json> ApiClient::post(const std::string& path, const nlohmann::json& body) {
  return json_request("POST", path, &body);
}
Result<nlohmann::json> ApiClient::put(const std::string& path, const nlohmann::json& body) {
  return json_request("PUT", path, &body);
}
Result<nlohmann::json> ApiClient::patch(const std::string& path, const nlohmann::json& body) {
  return json_request("PATCH", path, &body);
}
Result<nlohmann::json> ApiClient::remove(const std::string& path) { return json_request("DELETE", path, nullptr); }

Result<std::string> ApiClient::get_text(const std::string& path) {
  Exchange exchange{.path = path};
  return perform(exchange);
}

Result<nlohmann::json> ApiClient::upload(const std::string& path, const std::filesystem::path& file,
                                         const std::function<void(std::uint64_t)>& progress) {
  struct File {
    std::FILE* handle;
    ~File() {
      if (handle != nullptr) std::fclose(handle);
    }
  } input{std::fopen(file.c_str(), "rbe")};
  if (input.handle == nullptr) return fail_errno(errno, fmt::format("open {}", file.string()));
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) return fail(ErrorCode::invalid_argument, "{} is not a regular file", file.string());
  Exchange exchange{.method = "PUT",
                    .path = path,
                    .file = input.handle,
                    .file_size = static_cast<curl_off_t>(size),
                    .sent = progress,
                    .headers = {"Content-Type: application/octet-stream"}};
  auto answer = perform(exchange);
  if (!answer) return forward(answer);
  auto json = nlohmann::json::parse(*answer, nullptr, false);
  return json.is_discarded() ? nlohmann::json::object() : json;
}

Status ApiClient::download(const std::string& path, const std::function<bool(std::string_view)>& sink) {
  Exchange exchange{.path = path, .sink = sink};
  auto answer = perform(exchange);
  if (!answer) return forward(answer);
  return {};
}

Status ApiClient::stream(const std::string& path, const std::string& last_event_id,
                         const std::function<bool(const StreamEvent&)>& handler) {
  std::string buffer;
  StreamEvent event;
  std::string data;
  const auto take_line = [&](std::string_view line) {
    if (line.empty()) {
      if (data.empty()) return true;
      event.data = nlohmann::json::parse(data, nullptr, false);
      const bool go_on = handler(event);
      event = {};
      data.clear();
      return go_on;
    }
    const auto colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos) return true;  // a comment keeps the connection alive
    auto value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    const auto field = line.substr(0, colon);
    if (field == "id") event.id = value;
    if (field == "event") event.kind = value;
    if (field == "data") data.append(data.empty() ? "" : "\n").append(value);
    return true;
  };
  Exchange exchange{.path = path, .headers = {"Accept: text/event-stream"}, .endless = true};
  if (!last_event_id.empty()) exchange.headers.push_back("Last-Event-ID: " + last_event_id);
  exchange.sink = [&](std::string_view bytes) {
    buffer.append(bytes);
    std::size_t start = 0;
    for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n', start)) {
      std::string_view line(buffer.data() + start, end - start);
      if (line.ends_with('\r')) line.remove_suffix(1);
      start = end + 1;
      if (!take_line(line)) return false;
    }
    buffer.erase(0, start);
    return true;
  };
  auto answer = perform(exchange);
  if (!answer) return forward(answer);
  if (exchange.sink_stopped) return {};
  return fail(ErrorCode::unavailable, "the manager ended the event stream");
}

std::string path_segment(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  // "." and ".." would be taken for directories on the way.
  if (escaped == "." || escaped == "..") escaped = escaped == "." ? "%2E" : "%2E%2E";
  return escaped;
}

}  // namespace bridgehead::cli
