// Checks of single fields. Pure. Errors: invalid_argument, beginning with the field's name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/netboot.h"
#include "model/network.h"
#include "model/vm.h"

namespace bridgehead::reconcile::validate {

template <typename... Args>
tl::unexpected<Error> wrong(std::string_view field, fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_argument, "{}: {}", field, fmt::format(format, std::forward<Args>(args)...));
}
// The same error with the field in front.
tl::unexpected<Error> in_field(std::string_view field, const Error& error);

// What a user sent, safe to be shown back: short and printable.
std::string shown(std::string_view text);

Status name(std::string_view what, std::string_view value, std::string_view field = "name");
Status cpus(std::uint64_t value);                                                // 1..512
Status memory(Bytes value);                                                      // 64 MiB..16 TiB in whole MiB
Status disk_size(Bytes value, std::string_view field);                           // 1 MiB..64 TiB in whole sectors
Status vlan(const std::optional<std::uint64_t>& value, std::string_view field);  // 1..4094
Status labels(const std::map<std::string, std::string>& value);
Status priority(std::int64_t value);  // -1000..1000
Status planning(const model::PlanningWish& value);
Status restart_hung(std::uint64_t seconds);  // 0, or from two minutes to a day
Status cloud_init(const model::CloudInit& value);
Status bridge(std::string_view value);  // a network interface's name
Status sha256(std::string_view value, std::string_view field);
// Fields files and secret_files of a profile or a node.
Status overlay(const std::vector<model::OverlayFile>& files, const std::vector<model::SecretFile>& secret_files);

struct Subnet {
  std::uint32_t address = 0;
  unsigned prefix = 0;
  std::uint32_t mask() const { return ~std::uint32_t{0} << (32 - prefix); }
  bool overlaps(const Subnet& other) const {
    const auto both = mask() & other.mask();
    return (address & both) == (other.address & both);
  }
};
// "192.168.120.0/24": an IPv4 network with its host part zero, /8 to /29, not one that can't be used for hosts.
Result<Subnet> subnet(std::string_view text);

}  // namespace bridgehead::reconcile::validate
