#include "host_agent/manager/messages_wire.h"

namespace bridgehead::host_agent {

agent::v1::AgentMessage to_wire(const Outgoing& message) {
  agent::v1::AgentMessage wire;
  struct Visitor {
    agent::v1::AgentMessage& wire;
    void operator()(const ReportWanted&) const { abort_with("a report is made where it is sent"); }
    void operator()(const model::ObservedVm& seen) const { wire.set_observed_vm(model::encode(seen)); }
    void operator()(const VmGone& gone) const { wire.set_vm_gone(gone.vm.str()); }
    void operator()(const model::AssignmentReport& report) const { wire.set_assignment_report(model::encode(report)); }
    void operator()(const TunnelRefused& refused) const {
      auto& failed = *wire.mutable_tunnel_failed();
      failed.set_tunnel_id(refused.tunnel.str());
      failed.set_error_code(std::string(to_string(refused.error.code)));
      failed.set_error_message(refused.error.describe());
    }
    void operator()(const Pong& pong) const { wire.set_pong(pong.number); }
    void operator()(const model::NodeUse& use) const { wire.set_use(model::encode(use)); }
    void operator()(const RenewalText& renewal) const { wire.set_renewal(renewal.text); }
  };
  std::visit(Visitor{wire}, message);
  return wire;
}

Result<WelcomeMessage> welcome_from_wire(const agent::v1::Welcome& welcome) {
  WelcomeMessage message{
      .node_name = welcome.node_name(), .takes_use = welcome.takes_use(), .takes_renewals = welcome.takes_renewals()};
  for (const auto& bytes : welcome.pools()) {
    auto pool = model::decode<model::Pool>(bytes);
    if (!pool) return forward(pool);
    message.pools.push_back(std::move(*pool));
  }
  for (const auto& bytes : welcome.networks()) {
    auto network = model::decode<model::Network>(bytes);
    if (!network) return forward(network);
    message.networks.push_back(std::move(*network));
  }
  return message;
}

SecretSet secrets_from_wire(const agent::v1::SecretFiles& files) {
  SecretSet set{.digest = files.digest()};
  for (const auto& file : files.files()) {
    set.files.push_back({.path = file.path(), .mode = file.mode(), .content = file.content()});
  }
  return set;
}

Result<TunnelOrder> tunnel_from_wire(const agent::v1::OpenTunnel& open) {
  using Wire = agent::v1::OpenTunnel;
  TunnelOrder order{.id = model::TunnelId(open.tunnel_id()),
                    .vm = model::VmId(open.vm_id()),
                    .operation = model::OperationId(open.operation_id()),
                    .format = open.format()};
  switch (open.kind()) {
    case Wire::KIND_SERIAL_CONSOLE: order.kind = TunnelKind::serial_console; return order;
    case Wire::KIND_VNC: order.kind = TunnelKind::vnc; return order;
    case Wire::KIND_IMAGE_UPLOAD: order.kind = TunnelKind::image_upload; return order;
    case Wire::KIND_BOOT_LOG: order.kind = TunnelKind::boot_log; return order;
    case Wire::KIND_SLEEP: order.kind = TunnelKind::sleep; return order;
    case Wire::KIND_UPGRADE: order.kind = TunnelKind::upgrade; return order;
    case Wire::KIND_IMAGE_DOWNLOAD: {
      order.kind = TunnelKind::image_download;
      auto image = model::decode<model::Image>(open.image());
      if (!image) return forward(image);
      auto pool = model::decode<model::Pool>(open.pool());
      if (!pool) return forward(pool);
      order.image = std::move(*image);
      order.pool = std::move(*pool);
      return order;
    }
    case Wire::KIND_POOL_SURVEY: {
      order.kind = TunnelKind::pool_survey;
      auto pool = model::decode<model::Pool>(open.pool());
      if (!pool) return forward(pool);
      order.pool = std::move(*pool);
      for (const auto& bytes : open.images()) {
        auto image = model::decode<model::Image>(bytes);
        if (!image) return forward(image);
        order.images.push_back(std::move(*image));
      }
      return order;
    }
    case Wire::KIND_BENCH: {
      order.kind = TunnelKind::bench;
      auto pool = model::decode<model::Pool>(open.pool());
      if (!pool) return forward(pool);
      order.pool = std::move(*pool);
      order.bench_order = open.bench_order();
      return order;
    }
    case Wire::KIND_FREE_LOCKS: {
      order.kind = TunnelKind::free_locks;
      order.addresses.assign(open.addresses().begin(), open.addresses().end());
      auto pool = model::decode<model::Pool>(open.pool());
      if (!pool) return forward(pool);
      order.pool = std::move(*pool);
      return order;
    }
    case Wire::KIND_CLAIM: {
      order.kind = TunnelKind::claim;
      order.node = model::NodeId(open.node_id());
      order.claim = open.claim();
      order.remove_claim = open.remove_claim();
      auto pool = model::decode<model::Pool>(open.pool());
      if (!pool) return forward(pool);
      order.pool = std::move(*pool);
      return order;
    }
    case Wire::KIND_NODE_LOOK: {
      order.kind = TunnelKind::node_look;
      order.node = model::NodeId(open.node_id());
      order.addresses.assign(open.addresses().begin(), open.addresses().end());
      if (open.pool().empty()) return order;
      auto pool = model::decode<model::Pool>(open.pool());
      if (!pool) return forward(pool);
      order.pool = std::move(*pool);
      return order;
    }
    default:
      return fail_with_hint(ErrorCode::unsupported, "this node's agent does not know this kind of tunnel",
                            "Update the agent.");
  }
}

}  // namespace bridgehead::host_agent
