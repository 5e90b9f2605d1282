#include "pki/tokens.h"

#include <crypt.h>
#include <openssl/crypto.h>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "pki/openssl.h"

namespace bridgehead::pki {
namespace {

constexpr std::string_view kAccessPrefix = "bh_";
constexpr std::size_t kIdLength = 36;
constexpr std::size_t kSecretLength = 64;
constexpr std::size_t kLongestJoinToken = 2048;
constexpr std::size_t kLongestAddress = 300;
constexpr std::size_t kLongestPassword = 511;  // libxcrypt's CRYPT_MAX_PASSPHRASE_SIZE, with its NUL

bool is_hex64(std::string_view text) {
  return text.size() == kSecretLength &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string base64url(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) text += kBase64Url[(bits >> (held - 6)) & 63];
  }
  if (held > 0) text += kBase64Url[(bits << (6 - held)) & 63];
  return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const auto value = kBase64Url.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>((bits >> held) & 255);
    }
  }
  // What is left over must be padding of less than a character, all zero: one text for each content.
  if (held >= 6 || (bits & ((1U << held) - 1)) != 0) return std::nullopt;
  return bytes;
}

bool is_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (text.size() > kLongestAddress || colon == std::string_view::npos || colon == 0) return false;
  const auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5) return false;
  int number = 0;
  for (const char c : port) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + (c - '0');
  }
  const bool brackets = host.front() == '[' && host.back() == ']' && host.size() > 2;
  const auto inner = brackets ? host.substr(1, host.size() - 2) : host;
  const bool plain = std::all_of(inner.begin(), inner.end(), [&](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) || c == '.' || c == '-' || c == '_' ||
           (brackets && (c == ':' || c == '%'));
  });
  return plain && number > 0 && number < 65536;
}

tl::unexpected<Error> not_a_join_token() {
  return fail_with_hint(ErrorCode::invalid_argument, "this is not a whole join token",
                        "Copy it in full, in one line, from where it was made.");
}

}  // namespace

std::string make_secret(RandomSource& random) {
  std::uint8_t bytes[kSecretLength / 2];
  random.fill(bytes);
  return to_hex(bytes);
}

std::string sha256_hex(std::string_view bytes) { return openssl::sha256(bytes); }

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool secret_matches(std::string_view secret, std::string_view kept_sha256_hex) {
  return equal_in_constant_time(sha256_hex(secret), kept_sha256_hex);
}

std::string format_access_token(const model::TokenId& id, std::string_view secret) {
  return fmt::format("{}{}_{}", kAccessPrefix, id, secret);
}

Result<AccessToken> parse_access_token(std::string_view text) {
  const auto id = text.substr(std::min(text.size(), kAccessPrefix.size()), kIdLength);
  const bool whole = text.size() == kAccessPrefix.size() + kIdLength + 1 + kSecretLength &&
                     text.starts_with(kAccessPrefix) && is_uuid(id) && text[kAccessPrefix.size() + kIdLength] == '_';
  const auto secret = whole ? text.substr(text.size() - kSecretLength) : std::string_view();
  if (!whole || !is_hex64(secret)) {
    return fail_with_hint(ErrorCode::unauthenticated, "this is not an access token",
                          "A token looks like bh_<id>_<secret>; make one with: bh token create");
  }
  return AccessToken{model::TokenId(std::string(id)), std::string(secret)};
}

std::string format_join_token(const JoinTicket& ticket) {
  const nlohmann::json json = {
      {"address", ticket.address}, {"ca", ticket.ca_fingerprint}, {"id", ticket.id.str()}, {"secret", ticket.secret}};
  return base64url(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<JoinTicket> parse_join_token(std::string_view text) {
  if (text.size() > kLongestJoinToken) return not_a_join_token();
  const auto bytes = from_base64url(text);
  if (!bytes || bytes->find('\0') != std::string::npos) return not_a_join_token();  // the parser would stop at a NUL
  const auto json = nlohmann::json::parse(*bytes, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return not_a_join_token();
  const auto field = [&](const char* name) -> std::string {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  JoinTicket ticket{field("address"), field("ca"), model::TokenId(field("id")), field("secret")};
  if (!is_address(ticket.address) || !is_hex64(ticket.ca_fingerprint) || !is_uuid(ticket.id.str()) ||
      !is_hex64(ticket.secret)) {
    return not_a_join_token();
  }
  return ticket;
}

Result<std::string> hash_password(std::string_view plain, RandomSource& random) {
  if (plain.empty() || plain.size() > kLongestPassword || plain.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "a password has 1 to {} bytes and no NUL", kLongestPassword);
  }
  // 96 bits of salt in crypt(3)'s alphabet, which has 64 characters: each takes 6 of a byte's bits evenly.
  static constexpr std::string_view alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::uint8_t bytes[16];
  random.fill(bytes);
  std::string setting = "$6$";
  for (const auto byte : bytes) setting += alphabet[byte & 63];

  std::string phrase(plain);
  const auto data = std::make_unique<crypt_data>();  // 32 KiB, too much for a stack
  const char* hash = ::crypt_rn(phrase.c_str(), setting.c_str(), data.get(), static_cast<int>(sizeof *data));
  const std::string result = hash != nullptr ? hash : "";
  OPENSSL_cleanse(phrase.data(), phrase.size());
  OPENSSL_cleanse(data.get(), sizeof *data);
  if (!result.starts_with(setting)) return fail(ErrorCode::unsupported, "this system's crypt(3) knows no SHA-512");
  return result;
}

}  // namespace bridgehead::pki
