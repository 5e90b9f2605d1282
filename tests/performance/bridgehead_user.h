// A user of Bridgehead's API: one TLS connection for requests that is kept open, and one for the event stream, from
// which the ends of operations are taken. create() and remove() are for one thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/api_client.h"

namespace bridgehead::performance {

struct CreatedGuest {
  std::string id;
  std::string domain;  // its name in libvirt
  std::string operation;
};

class BridgeheadUser {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  explicit BridgeheadUser(const cli::Connection& connection);
  ~BridgeheadUser();
  BridgeheadUser(const BridgeheadUser&) = delete;
  BridgeheadUser& operator=(const BridgeheadUser&) = delete;

  // Answered, not done yet.
  Result<std::vector<CreatedGuest>> create(const nlohmann::json& body);
  // When the end of the operation was heard of; the reason if it failed, timeout after two minutes.
  Result<Moment> wait_end(const std::string& operation);
  Status remove(const std::vector<CreatedGuest>& guests);
  Result<std::string> show(const std::string& path, const std::string& pointer);

 private:
  void listen();

  cli::ApiClient api_;
  cli::ApiClient events_;
  std::uint64_t since_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Moment> ended_;
  bool listening_ = false;
  bool stopping_ = false;
  std::thread listener_;
};

}  // namespace bridgehead::performance
