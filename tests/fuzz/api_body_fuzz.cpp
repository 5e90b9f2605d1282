// Request bodies through the parse layer: no input may crash it, and whatever is refused is refused with
// invalid_argument and a sentence. The first byte chooses the reader.
#include <cstdint>

#include "base/random.h"
#include "control_api/bodies/alert_requests.h"
#include "control_api/bodies/power_requests.h"

namespace {

template <typename T>
void check(const bridgehead::Result<T>& read) {
  if (read) return;
  bridgehead::require(read.error().code == bridgehead::ErrorCode::invalid_argument, "refused with another code");
  bridgehead::require(!read.error().message.empty(), "refused without a reason");
  bridgehead::require(read.error().message.size() < 4096, "the message repeats the whole body");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bridgehead;
  using namespace bridgehead::control_api;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  SeededRandom random(1);
  switch ((data[0] + 256U - 'A') % 20U) {  // seeds begin with letters
    // A password costs a thousand rounds of SHA-512: fuzzing would do little else.
    case 0:
      if (body.find("password\"") == std::string_view::npos) check(read_create_vms(body, random));
      break;
    case 1:
      if (body.find("password\"") == std::string_view::npos) check(read_update_vm(body, random));
      break;
    case 2: check(read_power(body, reconcile::PowerAction::stop)); break;
    case 3: check(read_power(body, reconcile::PowerAction::start)); break;
    case 4: check(read_add_disk(body)); break;
    case 5: check(read_add_nic(body)); break;
    case 6: check(read_snapshot_name(body)); break;
    case 7: check(read_import_image(body)); break;
    case 8: check(read_add_pool(body)); break;
    case 9: check(read_create_network(body)); break;
    case 10:
      check(read_update_node(body, nullptr));
      check(read_create_token(body));
      break;
    case 11: check(read_create_join_token(body)); break;
    case 12: check(read_terminal_size(body)); break;
    case 13: check(read_enable_netboot(body)); break;
    case 14:
      check(read_approve_nodes(body));
      check(read_assign_nodes(body));
      break;
    case 15: check(read_profile(body, nullptr)); break;
    case 16: check(read_node_image(body)); break;
    case 17: check(read_set_bmc(body)); break;
    case 18: check(read_set_webhook(body)); break;
    default: check(read_switch_node(body));
  }
  return 0;
}
