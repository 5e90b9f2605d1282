// The manager as the machine sees it: the plan is asked for, steps, log lines and hardware are reported
// (docs/boot-protocol.md, sections 3 and 4). One thread.
#pragma once

#include <string>
#include <string_view>

#include "boot_plan.h"
#include "deadline.h"
#include "http_message.h"
#include "journal.h"

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
  // Never fail and take 3 s at most; the console's lines go with them.
  void report(std::string_view step, std::string_view message);
  void report_hardware(std::string_view json);

 private:
  Url url(std::string_view target) const;
  void post(const Url& url, std::string_view body);

  Journal& journal_;
  Url server_;
  std::string boot_;
  Identity identity_;
};

}  // namespace bridgehead::init
