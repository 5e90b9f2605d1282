// Any bytes an agent could send, through the same decoding and delivery that its stream takes. Half of the time the
// bytes stand in a valid envelope, so that the fuzzer gets past protobuf into the records.
#include <cstdint>
#include <string>

#include "agent_gateway/agent_message.h"

namespace {

using namespace bridgehead;

class Ignore final : public reconcile::AgentEvents {
 public:
  void on_report(const model::NodeId&, model::NodeReport report) override { touch(report.facts.hostname.size()); }
  void on_heartbeat(const model::NodeId&, const model::NodeLoad& load) override { touch(load.uptime_seconds); }
  void on_use(const model::NodeId&, const model::NodeUse& use) override { touch(use.guests.size()); }
  void on_observed_vm(const model::NodeId&, const model::ObservedVm& observed) override {
    touch(observed.vm.str().size());
  }
  void on_vm_gone(const model::NodeId&, const model::VmId& vm) override { touch(vm.str().size()); }
  void on_assignment_report(const model::NodeId&, const model::AssignmentReport& report) override {
    touch(report.images.size());
  }
  void on_disconnected(const model::NodeId&) override {}

 private:
  void touch(std::uint64_t value) { sink_ = sink_ + value; }
  volatile std::uint64_t sink_ = 0;
};

void decode_and_deliver(std::string_view bytes) {
  static Ignore events;
  static const model::NodeId node("11111111-1111-4111-8111-111111111111");
  if (auto message = agent_gateway::decode_agent_message(bytes)) {
    agent_gateway::deliver(node, std::move(*message), events);
  }
}

// One length-delimited field of AgentMessage.
std::string field(unsigned number, std::string_view bytes) {
  std::string result(1, static_cast<char>(number << 3U | 2U));
  for (std::size_t size = bytes.size();; size >>= 7U) {
    result += static_cast<char>((size & 0x7fU) | (size > 0x7fU ? 0x80U : 0U));
    if (size <= 0x7f) break;
  }
  return result.append(bytes);
}

std::string_view kind_of_field(unsigned number) {
  switch (number) {
    case 1: return "node_report";
    case 2: return "node_load";
    case 3: return "observed_vm";
    default: return "assignment_report";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  decode_and_deliver(bytes);
  if (size == 0) return 0;
  const unsigned number = 1 + data[0] % 5;
  const auto rest = bytes.substr(1);
  decode_and_deliver(field(number, rest));
  std::string record = R"({"kind":")";
  record.append(kind_of_field(number)).append(R"(","version":1,"data":)").append(rest).append("}");
  decode_and_deliver(field(number, record));
  return 0;
}
