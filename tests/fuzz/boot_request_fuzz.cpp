// Requests to the boot server from machines that nobody vouches for, and what else comes from the wire before a machine
// is known: DHCP packets and lines of dnsmasq's log.
#include <cstdint>

#include "netboot/boot_values.h"
#include "netboot/dhcp_packet.h"
#include "netboot/dnsmasq.h"
#include "netboot/http_head.h"

namespace {

using namespace bridgehead;
using namespace bridgehead::netboot;

void check_request(std::string_view bytes) {
  const auto end = find_head_end(bytes);
  const auto head = parse_request_head(bytes.substr(0, end.value_or(bytes.size())));
  if (!head) {
    require(head.error().status >= 400 && head.error().status < 600, "a refusal without a status");
    return;
  }
  const auto& path = head->request.path;
  require(path.starts_with('/') && path.find("/../") == std::string::npos && !path.ends_with("/..") &&
              path.find('\0') == std::string::npos,
          "a path that leads outside");
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, UINT64_MAX}) {
    const auto part = choose_part(*head, size, "tag");
    require(part.offset <= size && part.length <= size - part.offset, "a range outside of the file");
    (void)format_answer_head({.status = part.status, .etag = "tag", .is_file = true, .part = part, .file_size = size});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_request(bytes);
  (void)SightingReader().read(bytes);
  (void)canonical_mac(bytes);
  (void)decode_dhcp(bytes);
  if (const auto payload = client_payload(bytes)) (void)decode_dhcp(payload->bytes);
  return 0;
}
