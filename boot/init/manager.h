// The manager as the machine sees it: the plan is asked for, steps, log lines and hardware are reported
// (docs/boot-protocol.md, sections 3 and 4). One thread.
#pragma once

#include <string>
#include <string_view>

#include "boot_plan.h"
#include "deadline.h"
#include "http_message.h"
#include "journal.h"
#include "reports.h"

namespace bridgehead::init {

// By which the manager knows the machine.
struct Identity {
  std::string mac;
  std::string uuid;    // SMBIOS
  std::string serial;  // SMBIOS
};

enum class PlanAnswer { plan, wait, reboot };

struct PlanReply {
  PlanAnswer answer = PlanAnswer::plan;
  BootPlan plan;
  std::string reason;  // of wait and reboot: the manager's words
};

class Manager {
 public:
  Manager(Journal& journal, const std::string& server, std::string boot);

  void set_identity(Identity identity) { identity_ = std::move(identity); }
  // The boot's id: from the command line, or the newest plan's.
  const std::string& boot() const { return boot_; }
  const Url& server() const { return server_; }
  // A URL of the plan; one that begins with '/' is on the manager.
  Result<Url> resolve(std::string_view url) const;

  Result<PlanReply> ask_plan(Deadline deadline);
  // Never fail and take 3 s at most; the console's lines go with them. What the manager doesn't answer is told again
  // before the next one.
  void report(std::string_view step, std::string_view message);
  void report_hardware(std::string json);
  // Nothing is reported from now on: a program of its own tells what the manager hasn't answered.
  void leave_untold();

 private:
  Url url(std::string_view target) const;
  void add(std::string_view kind, std::string_view more, std::string body);
  void add_lines();

  Journal& journal_;
  Url server_;
  std::string boot_;
  Identity identity_;
  Reports reports_;
};

}  // namespace bridgehead::init
