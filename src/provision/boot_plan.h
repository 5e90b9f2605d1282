// What a machine is told, made from the records: its plan (docs/boot-protocol.md, section 3), its kernel's command line
// and its loader's choice. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/netboot.h"
#include "model/node.h"
#include "netboot/boot_scripts.h"

namespace bridgehead::provision {

// "http://10.20.0.1:7480"
std::string server_url(const model::NetbootSettings& settings);
// "10.20.0.1"
std::string own_address(const model::NetbootSettings& settings);

// An image's root in /boot/files/<id>/, whatever its file is called in the store.
inline constexpr std::string_view kRootUrlName = "root";

// What a node's boot is made of.
struct BootOrder {
  model::NetbootSettings settings;
  model::Node node;  // with its netboot
  model::Profile profile;
  model::NodeImage image;
  std::string token;  // of this boot
};

// failed_precondition: the image can't give its root the way that the profile asks for.
Status check_order(const BootOrder& order);

struct Bundle {
  std::string url;
  std::string sha256;
};
std::string plan_text(const BootOrder& order, const std::string& join_token, const Bundle& bundle);
// Report your hardware, and ask again. `hostname`: of the node that waits for its approval.
std::string discovery_plan(const std::string& token, const std::string& hostname);

// `address`: what the machine has now, "" = not known.
netboot::KernelCommandLine command_line(const BootOrder& order, const std::string& address);
netboot::KernelCommandLine discovery_command_line(const model::NetbootSettings& settings, const std::string& mac,
                                                  const std::string& address);

}  // namespace bridgehead::provision
