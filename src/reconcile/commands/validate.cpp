#include "reconcile/commands/validate.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "model/names.h"
#include "model/overlay.h"

namespace bridgehead::reconcile::validate {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_word(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }
bool is_control(char c) { return (static_cast<unsigned char>(c) < ' ') || c == 127; }

template <typename Good>
bool all(std::string_view text, Good good) {
  return std::all_of(text.begin(), text.end(), good);
}

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> starts) {
  return std::any_of(starts.begin(), starts.end(), [&](auto start) { return text.starts_with(start); });
}

// authorized_keys form: type, base64, comment (sshd(8)).
bool is_ssh_key(std::string_view key) {
  if (key.size() > 16384 || !all(key, [](char c) { return !is_control(c); })) return false;
  if (!begins_with_any(key, {"ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-nistp", "sk-ssh-ed25519@openssh.com ",
                             "sk-ecdsa-sha2-nistp256@openssh.com "})) {
    return false;
  }
  const auto space = key.find(' ');
  if (space == std::string_view::npos) return false;
  const auto blob = key.substr(space + 1, key.find(' ', space + 1) - space - 1);
  return blob.size() >= 16 && all(blob, [](char c) { return is_word(c) || c == '+' || c == '/' || c == '='; });
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  for (std::size_t at = 0; at <= name.size();) {
    const auto dot = std::min(name.find('.', at), name.size());
    const auto label = name.substr(at, dot - at);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!all(label, [](char c) { return is_word(c) || c == '-'; })) return false;
    at = dot + 1;
  }
  return true;
}

Status text_of_seed(std::string_view field, const std::string& text) {
  if (text.size() > (64u << 10)) return wrong(field, "must be at most 64 KiB, is {}", Bytes(text.size()).human());
  if (text.find('\0') != std::string::npos) return wrong(field, "must be text; it has a zero byte");
  return {};
}

}  // namespace

tl::unexpected<Error> in_field(std::string_view field, const Error& error) {
  return fail(Error{error.code, fmt::format("{}: {}", field, error.message), error.hint});
}

std::string shown(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 64)) result += is_control(c) || static_cast<unsigned char>(c) > 126 ? '?' : c;
  if (text.size() > 64) result += "...";
  return result;
}

Status name(std::string_view what, std::string_view value, std::string_view field) {
  auto checked = model::check_name(what, value);
  if (!checked) return in_field(field, checked.error());
  return {};
}

Status cpus(std::uint64_t value) {
  if (value < 1 || value > 512) return wrong("cpus", "must be between 1 and 512");
  return {};
}

Status memory(Bytes value) {
  if (value < 64_MiB || value > 16_TiB) return wrong("memory", "must be between 64 MiB and 16 TiB");
  if (value.count() % (1_MiB).count() != 0) return wrong("memory", "must be in whole MiB");
  return {};
}

Status disk_size(Bytes value, std::string_view field) {
  if (value < 1_MiB || value > 64_TiB) return wrong(field, "must be between 1 MiB and 64 TiB");
  if (value.count() % 512 != 0) return wrong(field, "must be in whole sectors of 512 bytes");
  return {};
}

Status vlan(const std::optional<std::uint64_t>& value, std::string_view field) {
  if (value && (*value < 1 || *value > 4094)) return wrong(field, "must be between 1 and 4094");
  return {};
}

Status restart_hung(std::uint64_t seconds) {
  if (seconds != 0 && (seconds < 120 || seconds > 86'400)) {
    return wrong("restart_hung", "must be 0 (never), or between 120 and 86400 seconds");
  }
  return {};
}

Status priority(std::int64_t value) {
  if (value < -1000 || value > 1000) return wrong("priority", "must be between -1000 and 1000");
  return {};
}

Status planning(const model::PlanningWish& value) {
  if (auto checked = priority(value.priority); !checked) return checked;
  if (!(value.move_cost >= 0 && value.move_cost <= 1e6)) return wrong("move_cost", "must be between 0 and 1000000");
  return {};
}

Status labels(const std::map<std::string, std::string>& value) {
  if (value.size() > 64) return wrong("labels", "at most 64 are possible, these are {}", value.size());
  for (const auto& [key, text] : value) {
    const bool good = !key.empty() && key.size() <= 63 && is_word(key.front()) && is_word(key.back()) &&
                      all(key, [](char c) { return is_word(c) || c == '.' || c == '-' || c == '_' || c == '/'; });
    if (!good) {
      return wrong("labels",
                   "'{}' can't be a key: use 1 to 63 letters, digits, '.', '-', '_' and '/', with a letter or "
                   "digit at both ends",
                   shown(key));
    }
    if (text.size() > 255) return wrong("labels", "the value of '{}' is longer than 255 bytes", key);
    if (!all(text, [](char c) { return !is_control(c); })) {
      return wrong("labels", "the value of '{}' has control characters", key);
    }
  }
  return {};
}

Status cloud_init(const model::CloudInit& value) {
  if (!value.hostname.empty() && !is_host_name(value.hostname)) {
    return wrong("cloud_init.hostname", "'{}' is no host name", shown(value.hostname));
  }
  const auto& user = value.user;
  if (!user.empty() && (user.size() > 32 || !(is_lower(user.front()) || user.front() == '_') ||
                        !all(user, [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; }))) {
    return wrong("cloud_init.user", "'{}' is no user name: use up to 32 of a-z, 0-9, '_' and '-', a letter first",
                 shown(user));
  }
  const auto& hash = value.password_hash;
  if (!hash.empty() && (hash.front() != '$' || hash.size() > 512 || std::count(hash.begin(), hash.end(), '$') < 3 ||
                        !all(hash, [](char c) { return !is_control(c) && c != ':' && c != ' '; }))) {
    return wrong("cloud_init.password_hash", "must have crypt(3)'s form, like $6$salt$hash");
  }
  if (value.ssh_keys.size() > 100) return wrong("cloud_init.ssh_keys", "at most 100 are possible");
  for (const auto& key : value.ssh_keys) {
    if (!is_ssh_key(key)) {
      return wrong("cloud_init.ssh_keys", "'{}' is no public SSH key, like \"ssh-ed25519 AAAA... name\"", shown(key));
    }
  }
  if (auto checked = text_of_seed("cloud_init.user_data", value.user_data); !checked) return checked;
  return text_of_seed("cloud_init.network_config", value.network_config);
}

Status bridge(std::string_view value) {
  const bool good = !value.empty() && value.size() <= 15 && value != "." && value != ".." &&
                    all(value, [](char c) { return is_word(c) || c == '-' || c == '_' || c == '.'; });
  if (!good)
    return wrong("bridge", "'{}' is no name of a bridge: use 1 to 15 letters, digits, '-', '_' and '.'", shown(value));
  return {};
}

Status sha256(std::string_view value, std::string_view field) {
  if (value.empty()) return {};
  if (value.size() != 64 || !all(value, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); })) {
    return wrong(field, "must be 64 lower-case hex digits");
  }
  return {};
}

Result<Subnet> subnet(std::string_view text) {
  const auto bad = [&] { return wrong("subnet", "'{}' is no IPv4 network, like 192.168.120.0/24", shown(text)); };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return bad();
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) != 1) return bad();
  Subnet result{.address = ntohl(address.s_addr)};
  const auto digits = text.substr(slash + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), result.prefix);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || digits.empty()) return bad();
  if (result.prefix < 8 || result.prefix > 29) return wrong("subnet", "the prefix must be between /8 and /29");
  if ((result.address & ~result.mask()) != 0) {
    const in_addr network{htonl(result.address & result.mask())};
    std::array<char, INET_ADDRSTRLEN> buffer{};
    inet_ntop(AF_INET, &network, buffer.data(), buffer.size());
    return wrong("subnet", "the host part must be zero: {}/{}", buffer.data(), result.prefix);
  }
  const auto first = result.address >> 24;
  if (first == 0 || first == 127 || first >= 224) return wrong("subnet", "hosts can't have addresses of {}", text);
  return result;
}

Status overlay(const std::vector<model::OverlayFile>& files, const std::vector<model::SecretFile>& secret_files) {
  if (auto checked = model::check_overlay(files); !checked) return in_field("files", checked.error());
  if (auto checked = model::check_secrets(secret_files, files); !checked)
    return in_field("secret_files", checked.error());
  return {};
}

}  // namespace bridgehead::reconcile::validate
