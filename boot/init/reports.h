// What the manager is to be told (docs/boot-protocol.md, section 4), kept in its order until it has answered: it may be
// away while machines boot. One thread.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "deadline.h"
#include "http_message.h"

namespace bridgehead::init {

struct Report {
  Url url;  // with a query; how long ago it was is added when it is told
  std::string body;
  std::chrono::milliseconds at{};  // since the kernel's start
};

class Reports {
 public:
  // The oldest makes room where there are 64.
  void add(Report report);
  // In their order, until one stays without an answer; a refusal is one. True where none is left.
  bool tell(Deadline deadline);
  bool empty() const { return reports_.empty(); }

  // As lines "AT URL BODY", for another program; nothing where these aren't such lines. Pure.
  std::string text() const;
  static std::optional<Reports> parse(std::string_view text);

 private:
  std::deque<Report> reports_;
};

// By the clock that goes on while the machine sleeps.
std::chrono::milliseconds since_kernel_start();

}  // namespace bridgehead::init
