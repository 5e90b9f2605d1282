#include "hypervisor/libvirt/guest_counters.h"

#include "hypervisor/libvirt/domains.h"

namespace bridgehead::hypervisor {
namespace {

struct FreeStats {
  void operator()(virDomainStatsRecordPtr* records) const { ::virDomainStatsRecordListFree(records); }
};

std::uint64_t number_of(const virTypedParameter& parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_ULLONG: return parameter.value.ul;
    case VIR_TYPED_PARAM_LLONG: return static_cast<std::uint64_t>(std::max(parameter.value.l, 0LL));
    case VIR_TYPED_PARAM_UINT: return parameter.value.ui;
    default: return 0;
  }
}

GuestCounters counters_of(const virDomainStatsRecord& record) {
  GuestCounters guest{.id = id_of(record.dom)};
  for (int i = 0; i < record.nparams; ++i) {
    const auto& parameter = record.params[i];
    const std::string_view field = parameter.field;
    const auto number = number_of(parameter);
    // "cpu.time", "balloon.rss" (KiB), "block.0.rd.bytes", "net.0.rx.bytes"
    if (field == "cpu.time") guest.cpu = std::chrono::nanoseconds(number);
    if (field == "balloon.rss") guest.memory = Bytes(number * 1024);
    if (field.starts_with("block.") && (field.ends_with(".rd.bytes") || field.ends_with(".wr.bytes")))
      guest.storage += number;
    if (field.starts_with("block.")) {
      if (field.ends_with(".reqs")) guest.disk_operations += number;                       // rd, wr, fl
      if (field.ends_with(".times")) guest.disk_time += std::chrono::nanoseconds(number);  // likewise
    }
    if (field.starts_with("net.") && (field.ends_with(".rx.bytes") || field.ends_with(".tx.bytes")))
      guest.network += number;
  }
  return guest;
}

}  // namespace

Result<std::vector<GuestCounters>> count_guests(virConnectPtr connection) {
  virDomainStatsRecordPtr* raw = nullptr;
  const int count = ::virConnectGetAllDomainStats(
      connection,
      VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_INTERFACE, &raw,
      VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
  if (count < 0) return fail_libvirt("ask what guests use");
  const std::unique_ptr<virDomainStatsRecordPtr[], FreeStats> records(raw);
  std::vector<GuestCounters> guests;
  for (int i = 0; i < count; ++i) {
    // Ours by their name alone: reading each one's metadata every few seconds would cost more than all this.
    const std::string_view name = ::virDomainGetName(raw[i]->dom);
    auto guest = counters_of(*raw[i]);
    if (name == "bh-" + guest.id.str()) guests.push_back(std::move(guest));
  }
  return guests;
}

}  // namespace bridgehead::hypervisor
