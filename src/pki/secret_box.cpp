#include "pki/secret_box.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "base/base64.h"
#include "base/file.h"
#include "base/text.h"
#include "pki/openssl.h"

namespace bridgehead::pki {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kKeyIdDigits = 8;
constexpr std::string_view kVersion = "1:";

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, openssl::Deleter<EVP_CIPHER_CTX_free>>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string random_bytes(RandomSource& random, std::size_t count) {
  std::string bytes(count, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

// AES-256-GCM ready for its text: key, nonce and label are in.
Cipher begin(std::string_view key, std::string_view nonce, std::string_view label, bool seal) {
  Cipher cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  const bool good =
      cipher &&
      EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key), bytes_of(nonce), seal ? 1 : 0) == 1 &&
      EVP_CipherUpdate(cipher.get(), nullptr, &length, bytes_of(label), static_cast<int>(label.size())) == 1;
  require(good, "OpenSSL has no AES-256-GCM");
  return cipher;
}

tl::unexpected<Error> fail_unseal() {
  return fail_with_hint(ErrorCode::data_corrupt, "it can't be opened with this manager's secrets.key",
                        "Put the key of the backup back, or set the secret again.");
}

std::string head_of(std::string_view key_id) { return fmt::format("{}{}:", kVersion, key_id); }

Result<std::string> open_with(std::string_view key, std::string_view bytes, std::string_view label) {
  if (bytes.size() < kNonceBytes + kTagBytes) return fail_unseal();
  const auto nonce = bytes.substr(0, kNonceBytes);
  std::string tag(bytes.substr(bytes.size() - kTagBytes));
  const auto text = bytes.substr(kNonceBytes, bytes.size() - kNonceBytes - kTagBytes);
  const auto cipher = begin(key, nonce, label, false);
  std::string content(text.size() + 1, '\0');  // never empty: OpenSSL wants a place
  int length = 0;
  int rest = 0;
  const bool good =
      EVP_CipherUpdate(cipher.get(), bytes_of(content), &length, bytes_of(text), static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_CipherFinal_ex(cipher.get(), bytes_of(content) + length, &rest) == 1;
  if (!good) return fail_unseal();
  content.resize(text.size());
  return content;
}

// The file's keys, newest first.
Result<std::vector<std::string>> read_keys(const std::filesystem::path& key_file) {
  struct stat status {};
  if (::stat(key_file.c_str(), &status) != 0) return fail_errno(errno, key_file.native());
  if ((status.st_mode & 077U) != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("{} can be read by others than its owner", key_file.native()),
                          fmt::format("chmod 600 {}", key_file.native()));
  }
  const auto text = read_file(key_file, 64_KiB);
  if (!text) return forward(text);
  std::vector<std::string> keys;
  for (std::string_view left = trimmed(*text); !left.empty() || keys.empty();) {
    const auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    auto key = from_base64(line);
    if (!key || key->size() != kKeyBytes) {
      return fail_with_hint(ErrorCode::data_corrupt,
                            fmt::format("{} has a line that is no key of 32 bytes in base64", key_file.native()),
                            "Put it back from the backup. Without it secrets must be set again: move it away.");
    }
    keys.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace

Result<std::unique_ptr<SecretBox>> SecretBox::open(const std::filesystem::path& key_file, RandomSource& random) {
  if (!std::filesystem::exists(key_file)) {
    const auto made = to_base64(random_bytes(random, kKeyBytes)) + "\n";
    if (auto written = write_file_atomic(key_file, made, 0600); !written) return forward(written);
  }
  auto keys = read_keys(key_file);
  if (!keys) return forward(keys);
  return std::unique_ptr<SecretBox>(new SecretBox(key_file, std::move(*keys), random));
}

SecretBox::SecretBox(std::filesystem::path key_file, std::vector<std::string> keys, RandomSource& random)
    : key_file_(std::move(key_file)), random_(random) {
  use(std::move(keys));
}

SecretBox::~SecretBox() {
  for (auto& key : keys_) OPENSSL_cleanse(key.bytes.data(), key.bytes.size());
}

std::string SecretBox::seal(std::string_view content, std::string_view label) const {
  const std::shared_lock lock(mutex_);
  const auto& key = keys_.front();
  const auto head = head_of(key.id);
  const auto nonce = random_bytes(random_, kNonceBytes);
  const auto cipher = begin(key.bytes, nonce, head + std::string(label), true);
  std::string text(content.size() + kTagBytes, '\0');
  int length = 0;
  int rest = 0;
  const bool good =
      EVP_CipherUpdate(cipher.get(), bytes_of(text), &length, bytes_of(content), static_cast<int>(content.size())) ==
          1 &&
      EVP_CipherFinal_ex(cipher.get(), bytes_of(text) + length, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, bytes_of(text) + content.size()) == 1;
  require(good, "OpenSSL can't seal");
  return head + to_base64(nonce + text);
}

Result<std::string> SecretBox::unseal(std::string_view sealed, std::string_view label) const {
  const std::shared_lock lock(mutex_);
  for (const auto& key : keys_) {
    const auto head = head_of(key.id);
    if (!sealed.starts_with(head)) continue;
    const auto bytes = from_base64(sealed.substr(head.size()));
    return bytes ? open_with(key.bytes, *bytes, head + std::string(label)) : fail_unseal();
  }
  // Without a version, under whichever key was there then.
  const auto bytes = from_base64(sealed);
  if (!bytes) return fail_unseal();
  for (const auto& key : keys_) {
    if (auto opened = open_with(key.bytes, *bytes, label)) return opened;
  }
  return fail_unseal();
}

Status SecretBox::rotate() {
  const std::unique_lock lock(mutex_);
  std::vector<std::string> keys{random_bytes(random_, kKeyBytes)};
  for (const auto& key : keys_) keys.push_back(key.bytes);
  if (auto written = write(keys); !written) return written;  // before anything is sealed under the new one
  use(std::move(keys));
  return {};
}

bool SecretBox::needs_resealing(std::string_view sealed) const {
  const std::shared_lock lock(mutex_);
  return !sealed.starts_with(head_of(keys_.front().id));
}

Status SecretBox::forget_old_keys() {
  const std::unique_lock lock(mutex_);
  std::vector<std::string> keys{keys_.front().bytes};
  if (auto written = write(keys); !written) return written;
  use(std::move(keys));
  return {};
}

Status SecretBox::write(const std::vector<std::string>& keys) const {
  std::string text;
  for (const auto& key : keys) text += to_base64(key) + "\n";
  return write_file_atomic(key_file_, text, 0600);
}

void SecretBox::use(std::vector<std::string> keys) {
  keys_.clear();
  for (auto& key : keys) {
    auto id = openssl::sha256(key).substr(0, kKeyIdDigits);
    keys_.push_back({.id = std::move(id), .bytes = std::move(key)});
  }
}

std::string record_label(std::string_view kind, std::string_view id, std::string_view field) {
  return fmt::format("{}/{}/{}", kind, id, field);
}

}  // namespace bridgehead::pki
