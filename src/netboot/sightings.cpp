// What dnsmasq's log says of machines. Lines as dnsmasq 2.90 writes them, for instance:
//   dnsmasq-dhcp: 3817 vendor class: PXEClient:Arch:00000:UNDI:002001
//   dnsmasq-dhcp: 3817 user class: iPXE
//   dnsmasq-dhcp: 3817 DHCPACK(prov0) 10.20.0.101 52:54:00:12:34:56 rack1-1
//   dnsmasq-tftp: sent /srv/tftp/undionly.kpxe to 10.20.0.101
#include <algorithm>
#include <utility>

#include "netboot/boot_values.h"
#include "netboot/dnsmasq.h"

namespace bridgehead::netboot {
namespace {

// Takes the next word off the front.
std::string_view next_word(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::string_view rest_of(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool is_address(std::string_view word) { return ipv4_number(std::string(word)).has_value(); }

std::optional<SightingKind> kind_of(std::string_view event) {
  constexpr std::pair<std::string_view, SightingKind> kKinds[] = {
      {"DHCPDISCOVER", SightingKind::discover}, {"DHCPOFFER", SightingKind::offer},
      {"DHCPREQUEST", SightingKind::request},   {"DHCPACK", SightingKind::ack},
      {"DHCPNAK", SightingKind::refused},       {"PXE", SightingKind::pxe}};
  for (const auto& [name, kind] : kKinds) {
    if (name == event) return kind;
  }
  return std::nullopt;
}

// "DHCPACK(prov0) 10.20.0.101 52:54:00:12:34:56 rack1-1": address and detail may be missing.
std::optional<Sighting> parse_dhcp(std::string_view text) {
  std::string_view word;
  do {  // before it: the transaction's number
    word = next_word(text);
    if (word.empty()) return std::nullopt;
  } while (word.find('(') == std::string_view::npos);
  const auto kind = kind_of(word.substr(0, word.find('(')));
  if (!kind) return std::nullopt;
  Sighting sighting{.kind = *kind};
  word = next_word(text);
  if (is_address(word)) {
    sighting.address = word;
    word = next_word(text);
  }
  auto mac = canonical_mac(word);
  if (!mac) return std::nullopt;
  sighting.mac = *mac;
  sighting.detail = printable(rest_of(text));
  // A refusal is a discover or a request with a reason.
  const bool asked = *kind == SightingKind::discover || *kind == SightingKind::request;
  if (asked && !sighting.detail.empty()) sighting.kind = SightingKind::refused;
  return sighting;
}

// "sent FILE to ADDRESS", "failed sending FILE to ADDRESS", "file FILE not found for ADDRESS". The file's name may hold
// anything, so the address is what stands last.
std::optional<Sighting> parse_tftp(std::string_view text) {
  text = rest_of(text);
  const auto space = text.rfind(' ');
  if (space == std::string_view::npos || !is_address(text.substr(space + 1))) return std::nullopt;
  Sighting sighting{.address = std::string(text.substr(space + 1))};
  constexpr struct {
    std::string_view begin;
    std::string_view end;
    SightingKind kind;
  } kForms[] = {{"sent ", " to", SightingKind::tftp_sent},
                {"failed sending ", " to", SightingKind::tftp_failed},
                {"file ", " not found for", SightingKind::tftp_failed}};
  auto words = text.substr(0, space);
  for (const auto& form : kForms) {
    if (!words.starts_with(form.begin) || !words.ends_with(form.end)) continue;
    if (words.size() < form.begin.size() + form.end.size()) continue;
    words.remove_prefix(form.begin.size());
    words.remove_suffix(form.end.size());
    sighting.kind = form.kind;
    sighting.detail = printable(words);
    return sighting;
  }
  return std::nullopt;
}

// Debian's iPXE says both; firmware says only the first.
std::optional<Asker> asker_of(std::string_view text) {
  constexpr std::string_view kVendorClass = "vendor class: ";
  constexpr std::string_view kUserClass = "user class: ";
  if (text.starts_with(kUserClass) && text.substr(kUserClass.size()).find("iPXE") != std::string_view::npos)
    return Asker::loader;
  if (!text.starts_with(kVendorClass)) return std::nullopt;
  text.remove_prefix(kVendorClass.size());
  return text.starts_with("PXEClient") || text.starts_with("HTTPClient") ? Asker::firmware : Asker::other;
}

}  // namespace

std::optional<Sighting> SightingReader::read(std::string_view line) {
  const auto colon = line.find(": ");
  if (colon == std::string_view::npos) return std::nullopt;
  // "dnsmasq-dhcp" or "dnsmasq-dhcp[123]", after a date if there is one.
  auto program = line.substr(0, colon);
  program = program.substr(program.rfind(' ') == std::string_view::npos ? 0 : program.rfind(' ') + 1);
  program = program.substr(0, program.find('['));
  auto text = line.substr(colon + 2);
  if (program == "dnsmasq-tftp") return parse_tftp(text);
  if (program != "dnsmasq-dhcp") return std::nullopt;
  auto sighting = parse_dhcp(text);
  const auto transaction = next_word(text);
  if (transaction != transaction_) {
    transaction_ = transaction;
    asker_ = Asker::other;
  }
  if (const auto asker = asker_of(rest_of(text))) asker_ = *asker;
  if (sighting) sighting->asker = asker_;
  return sighting;
}

}  // namespace bridgehead::netboot
