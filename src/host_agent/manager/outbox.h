// Outbox: what waits to be sent to the manager. A newer word about the same thing replaces the one that waits, in its
// place, so that its size is bounded by the number of things, however slow the stream is. Thread-safe. Closed while
// there is no stream: nothing is kept then, because the first report on the next stream tells it all.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "model/assignment.h"
#include "model/use.h"

namespace bridgehead::host_agent {

struct ReportWanted {};  // the whole NodeReport, made when it is sent
struct VmGone {
  model::VmId vm;
};
struct TunnelRefused {
  model::TunnelId tunnel;
  Error error;
};
struct Pong {
  std::uint64_t number = 0;
};
struct RenewalText {  // availability/lease_text.h
  std::string text;
};
using Outgoing = std::variant<ReportWanted, model::ObservedVm, VmGone, model::AssignmentReport, TunnelRefused, Pong,
                              model::NodeUse, RenewalText>;

class Outbox {
 public:
  void open();
  void close();
  void push(Outgoing message);
  // The next one; nothing at the timeout or when it is closed.
  std::optional<Outgoing> pop(std::chrono::milliseconds timeout);
  bool is_open() const;

 private:
  struct Item {
    std::string key;
    Outgoing message;
  };
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool open_ = false;
  std::list<Item> items_;
  std::map<std::string, std::list<Item>::iterator> by_key_;
};

}  // namespace bridgehead::host_agent
