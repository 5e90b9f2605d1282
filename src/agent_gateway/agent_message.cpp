#include "agent_gateway/agent_message.h"

#include <limits>

#include "agent.pb.h"
#include "model/codec.h"

namespace bridgehead::agent_gateway {
namespace {

template <typename T>
Result<AgentMessage> decode_record(std::string_view what, const std::string& bytes) {
  auto value = model::decode<T>(bytes);
  if (!value) return fail(ErrorCode::invalid_argument, "{}: {}", what, value.error().message);
  return AgentMessage(std::move(*value));
}

Status check_uuid(std::string_view what, std::string_view text) {
  if (is_uuid(text)) return {};
  return fail(ErrorCode::invalid_argument, "{} isn't a UUID", what);
}

// The ids in records come from the network like all else: keys of the store are made from them.
Result<AgentMessage> check_ids(Result<AgentMessage> message) {
  if (!message) return message;
  Status status;
  if (const auto* report = std::get_if<model::NodeReport>(&*message)) {
    for (const auto& vm : report->vms) {
      if (status) status = check_uuid("a VM's id", vm.vm.str());
    }
    for (const auto& assignment : report->assignments) {
      if (status) status = check_uuid("an assignment's operation", assignment.operation.str());
    }
    for (const auto& [pool, state] : report->pools) {
      if (status) status = check_uuid("a pool's id", pool.str());
    }
  } else if (const auto* observed = std::get_if<model::ObservedVm>(&*message)) {
    status = check_uuid("a VM's id", observed->vm.str());
  } else if (const auto* assignment = std::get_if<model::AssignmentReport>(&*message)) {
    status = check_uuid("an assignment's operation", assignment->operation.str());
  } else if (const auto* use = std::get_if<model::NodeUse>(&*message)) {
    for (const auto& guest : use->guests) {
      if (status) status = check_uuid("a VM's id", guest.vm.str());
    }
  }
  if (!status) return forward(status);
  return message;
}

}  // namespace

Result<AgentMessage> decode_agent_message(std::string_view bytes) {
  agent::v1::AgentMessage message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorCode::invalid_argument, "not an AgentMessage");
  }
  using Case = agent::v1::AgentMessage::MessageCase;
  switch (message.message_case()) {
    case Case::kReport: return check_ids(decode_record<model::NodeReport>("report", message.report()));
    case Case::kHeartbeat: return decode_record<model::NodeLoad>("heartbeat", message.heartbeat());
    case Case::kObservedVm: return check_ids(decode_record<model::ObservedVm>("observed_vm", message.observed_vm()));
    case Case::kVmGone:
      if (auto ok = check_uuid("vm_gone", message.vm_gone()); !ok) return forward(ok);
      return AgentMessage(VmGone{model::VmId(message.vm_gone())});
    case Case::kAssignmentReport:
      return check_ids(decode_record<model::AssignmentReport>("assignment_report", message.assignment_report()));
    case Case::kTunnelFailed: {
      const auto& failed = message.tunnel_failed();
      if (auto ok = check_uuid("tunnel_failed", failed.tunnel_id()); !ok) return forward(ok);
      return AgentMessage(
          TunnelFailure{model::TunnelId(failed.tunnel_id()),
                        Error{error_code_from_string(failed.error_code()), failed.error_message(), {}}});
    }
    case Case::kPong: return AgentMessage(Pong{message.pong()});
    case Case::kUse: return check_ids(decode_record<model::NodeUse>("use", message.use()));
    case Case::kRenewal: return AgentMessage(Renewal{message.renewal()});
    case Case::MESSAGE_NOT_SET: break;
  }
  return fail(ErrorCode::invalid_argument, "an AgentMessage of a kind that this version doesn't know");
}

namespace {

struct Deliver {
  const model::NodeId& node;
  reconcile::AgentEvents& events;
  void operator()(model::NodeReport& report) const { events.on_report(node, std::move(report)); }
  void operator()(model::NodeLoad& load) const { events.on_heartbeat(node, load); }
  void operator()(model::ObservedVm& observed) const { events.on_observed_vm(node, observed); }
  void operator()(VmGone& gone) const { events.on_vm_gone(node, gone.vm); }
  void operator()(model::AssignmentReport& report) const { events.on_assignment_report(node, report); }
  void operator()(TunnelFailure&) const {}
  void operator()(Pong&) const {}
  void operator()(Renewal&) const {}
  void operator()(model::NodeUse& use) const { events.on_use(node, use); }
};

}  // namespace

void deliver(const model::NodeId& node, AgentMessage message, reconcile::AgentEvents& events) {
  std::visit(Deliver{node, events}, message);
}

}  // namespace bridgehead::agent_gateway
