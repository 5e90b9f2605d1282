// A small Redfish service for tests: HTTP/1.1 with TLS on loopback, a self-signed certificate of its own, sessions and
// basic authentication, one or several systems, and the ways in which BMCs differ. One thread for each connection;
// thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "power/testing/bmc_rig.h"

namespace bridgehead::power::testing {

struct RedfishWays {
  std::string user = "operator";
  std::vector<std::string> systems{"System.1"};
  std::vector<std::string> resets{"On", "ForceOff", "GracefulShutdown"};  // empty = it doesn't say
  bool resets_by_action_info = false;
  bool has_sessions = true;
};

class RedfishSimulator {
 public:
  explicit RedfishSimulator(RedfishWays ways = {});
  ~RedfishSimulator();
  RedfishSimulator(const RedfishSimulator&) = delete;
  RedfishSimulator& operator=(const RedfishSimulator&) = delete;

  std::uint16_t port() const { return port_; }
  const std::string& certificate_pem() const { return certificate_pem_; }
  const std::string& pin() const { return pin_; }

  bool is_on();
  void set_on(bool on);
  unsigned times_off();
  void set_trouble(Trouble trouble);
  void forget_sessions();
  std::size_t open_sessions();
  unsigned refused_logins();
  // The answer to "GET path", as it is, in place of its own.
  void answer_with(const std::string& path, std::string body);

 private:
  struct Tls;
  struct Request {
    std::string method, path, authorization, token, body;
  };
  struct Answer {
    int status = 200;
    nlohmann::json body;
    std::string headers;
    std::string raw;
  };
  void accept();
  void serve(int socket);
  Answer answer(const Request& request);
  Answer log_in(const Request& request);
  Answer show_system(const std::string& id);
  Answer reset(const Request& request);

  const RedfishWays ways_;
  std::unique_ptr<Tls> tls_;
  std::string certificate_pem_;
  std::string pin_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  bool on_ = false;
  unsigned times_off_ = 0;
  unsigned refused_logins_ = 0;
  unsigned next_session_ = 1;
  Trouble trouble_ = Trouble::none;
  std::map<std::string, std::string> sessions_;  // path -> token
  std::map<std::string, std::string> fixed_answers_;
  std::set<int> sockets_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace bridgehead::power::testing
