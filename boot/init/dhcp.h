// An address by DHCP: busybox udhcpc asks, and runs this program as its script, which keeps the lease in a file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "address.h"
#include "deadline.h"
#include "result.h"

namespace bridgehead::init {

struct Lease {
  HostAddress address;
  std::optional<Ipv4> gateway;
  std::vector<Ipv4> name_servers;
  std::string domain;
};

// Of the file's lines KEY=VALUE, in udhcpc's words. Pure.
Result<Lease> parse_lease(std::string_view text);
// "nameserver 10.20.0.1" lines; "" where there is none. Pure.
std::string resolv_conf(const Lease& lease);

// Asks on the interface, which must be up, until the deadline. `hostname` may be empty. The interface isn't changed.
Result<Lease> ask_dhcp(const std::string& interface, const std::string& hostname, Deadline deadline);

// What udhcpc runs with "bound" and the lease in the environment.
bool is_dhcp_script_call(int count, char** arguments);
int run_as_dhcp_script(std::string_view event);

}  // namespace bridgehead::init
