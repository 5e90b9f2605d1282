#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {
namespace {

ErrorCode code_of(int code, std::string_view message) {
  const auto says = [&](std::string_view part) { return message.find(part) != std::string_view::npos; };
  if (says("Cannot allocate memory") || says("No space left")) return ErrorCode::resource_exhausted;
  switch (code) {
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_AGENT_UNRESPONSIVE: return ErrorCode::unavailable;
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_NETWORK:
    case VIR_ERR_NO_DOMAIN_SNAPSHOT: return ErrorCode::not_found;
    case VIR_ERR_DOM_EXIST:
    case VIR_ERR_NETWORK_EXIST: return ErrorCode::already_exists;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED: return ErrorCode::unsupported;
    case VIR_ERR_OPERATION_INVALID:
    case VIR_ERR_RESOURCE_BUSY: return ErrorCode::failed_precondition;
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_ACCESS_DENIED: return ErrorCode::permission_denied;
    case VIR_ERR_NO_MEMORY: return ErrorCode::resource_exhausted;
    case VIR_ERR_OPERATION_TIMEOUT: return ErrorCode::timeout;
    case VIR_ERR_OPERATION_ABORTED: return ErrorCode::cancelled;
    default: break;
  }
  if (says("\"write\" lock") || says("already in use")) return ErrorCode::failed_precondition;
  return ErrorCode::io_error;
}

std::string hint_of(int code, std::string_view message) {
  const auto says = [&](std::string_view part) { return message.find(part) != std::string_view::npos; };
  if (says("Cannot allocate memory")) return "Give the guest less memory, or stop others on this node.";
  if (says("No space left")) return "Free space on this node.";
  if (says("\"write\" lock")) return "Another process has the disk open: end it, or remove its lock.";
  if (says("Failed to connect socket") || code == VIR_ERR_NO_CONNECT) {
    return "Install libvirt-daemon-system and qemu-system-x86 and start libvirtd (systemctl start libvirtd).";
  }
  if (says("iptables") || says("nft") || says("ip6tables")) {
    return "This node's kernel or firewall refuses address translation: install iptables and load nf_nat, or use a "
           "bridge network.";
  }
  if (says("dnsmasq")) return "Install dnsmasq-base; another DNS or DHCP server may hold the address.";
  return {};
}

}  // namespace

int last_libvirt_code() {
  const auto* error = ::virGetLastError();
  return error == nullptr ? VIR_ERR_OK : error->code;
}

std::string last_libvirt_message() {
  const auto* error = ::virGetLastError();
  if (error == nullptr || error->message == nullptr) return "libvirt gave no reason";
  std::string text = error->message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

tl::unexpected<Error> fail_libvirt(std::string_view what) {
  const int code = last_libvirt_code();
  const auto message = last_libvirt_message();
  return fail_with_hint(code_of(code, message), fmt::format("can't {}: {}", what, message), hint_of(code, message));
}

}  // namespace bridgehead::hypervisor
