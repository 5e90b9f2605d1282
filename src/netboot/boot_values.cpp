#include "netboot/boot_values.h"

#include <arpa/inet.h>

#include <charconv>

namespace bridgehead::netboot {
namespace {

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 200));
  for (char& c : result) c = c >= ' ' && c <= '~' ? c : '?';
  return result;
}

std::string menu_text(std::string_view text) {
  std::string result(text.substr(0, 200));
  for (char& c : result) {
    const bool plain = is_letter_or_digit(c) || std::string_view(" -_.:,()+/@=!").find(c) != std::string_view::npos;
    c = plain ? c : c == '\'' ? ' ' : '?';
  }
  return result;
}

Status check_characters(std::string_view what, std::string_view text, std::string_view also, std::size_t longest) {
  if (text.size() > longest) {
    return fail(ErrorCode::invalid_argument, "the {} '{}' has more than {} characters", what, printable(text), longest);
  }
  for (const char c : text) {
    if (!is_letter_or_digit(c) && also.find(c) == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  "the {} '{}' has a character that it may not have ({}); letters, digits and {} are possible", what,
                  printable(text),
                  c >= ' ' && c <= '~' ? std::string(1, c) : fmt::format("byte {}", static_cast<unsigned char>(c)),
                  also);
    }
  }
  return {};
}

Result<std::string> canonical_mac(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_argument, "'{}' is no MAC address: write it as 52:54:00:12:34:56", printable(text));
  };
  std::string_view rest = text;
  if (rest.size() == 20 && (rest.starts_with("01-") || rest.starts_with("01:"))) rest.remove_prefix(3);
  if (rest.size() != 17) return bad();
  std::string result;
  bool zero = true;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    char c = rest[i];
    if (i % 3 == 2) {
      if (c != ':' && c != '-') return bad();
      result += ':';
      continue;
    }
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c | 0x20);
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return bad();
    zero = zero && c == '0';
    result += c;
  }
  const bool group = std::string_view("13579bdf").find(result[1]) != std::string_view::npos;
  if (zero || group) {
    return fail(ErrorCode::invalid_argument, "'{}' isn't the MAC address of one NIC", printable(text));
  }
  return result;
}

Result<std::uint32_t> ipv4_number(const std::string& text) {
  in_addr address{};
  if (text.find('\0') != std::string::npos || ::inet_pton(AF_INET, text.c_str(), &address) != 1) {
    return fail(ErrorCode::invalid_argument, "'{}' is no IPv4 address", printable(text));
  }
  return ntohl(address.s_addr);
}

std::string ipv4_text(std::uint32_t number) {
  return fmt::format("{}.{}.{}.{}", number >> 24, (number >> 16) & 255, (number >> 8) & 255, number & 255);
}

Result<Ipv4Network> parse_network(const std::string& text) {
  const auto slash = text.find('/');
  const auto address = ipv4_number(text.substr(0, slash));
  unsigned prefix = 0;
  bool good = address && slash != std::string::npos;
  if (good) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, prefix);
    good = parsed.ec == std::errc() && parsed.ptr == end && prefix >= 8 && prefix <= 30;
  }
  if (!good) {
    return fail(ErrorCode::invalid_argument,
                "'{}' is no address with a prefix length of 8 to 30: write it as 10.20.0.1/22", printable(text));
  }
  const Ipv4Network network{*address, prefix};
  if (!network.usable(*address)) {
    return fail(ErrorCode::invalid_argument, "{} is the network's own address, no host can have it", text);
  }
  return network;
}

Status check_ipv4(const std::string& text) {
  auto number = ipv4_number(text);
  if (!number) return forward(number);
  return {};
}

Status check_network(const std::string& text) {
  auto network = parse_network(text);
  if (!network) return forward(network);
  return {};
}

Status check_interface(const std::string& name) {
  if (name.empty() || name == "." || name == "..") {
    return fail(ErrorCode::invalid_argument, "'{}' is no interface's name", printable(name));
  }
  return check_characters("interface", name, "-_.@", 15);
}

Status check_server(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme) || url.size() == kScheme.size()) {
    return fail(ErrorCode::invalid_argument, "'{}' is no boot server: write it as http://10.20.0.1:7480",
                printable(url));
  }
  return check_characters("boot server", std::string_view(url).substr(kScheme.size()), ".:-[]", 200);
}

Status check_image_id(const std::string& id) {
  if (id.empty() || id.starts_with('.')) {
    return fail(ErrorCode::invalid_argument, "'{}' is no image id", printable(id));
  }
  return check_characters("image id", id, "-_.", 64);
}

Status check_hostname(const std::string& name) {
  if (name.empty() || name.starts_with('-') || name.ends_with('-')) {
    return fail(ErrorCode::invalid_argument, "'{}' is no host name", printable(name));
  }
  return check_characters("host name", name, "-", 63);
}

Status check_config_path(std::string_view what, const std::string& path) {
  if (!path.starts_with('/')) {
    return fail(ErrorCode::invalid_argument, "the {} '{}' isn't an absolute path", what, printable(path));
  }
  return check_characters(what, path, "/-_.+@:", 1024);
}

}  // namespace bridgehead::netboot
