#include "pki/secret_box.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/file.h"
#include "pki/openssl.h"

namespace bridgehead::pki {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;

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

}  // namespace

Result<std::unique_ptr<SecretBox>> SecretBox::open(const std::filesystem::path& key_file, RandomSource& random) {
  if (!std::filesystem::exists(key_file)) {
    const auto made = to_base64(random_bytes(random, kKeyBytes)) + "\n";
    if (auto written = write_file_atomic(key_file, made, 0600); !written) return forward(written);
  }
  auto text = read_file(key_file, 4_KiB);
  if (!text) return forward(text);
  while (text->ends_with('\n')) text->pop_back();
  auto key = from_base64(*text);
  if (!key || key->size() != kKeyBytes) {
    return fail_with_hint(ErrorCode::data_corrupt, fmt::format("{} is no key of 32 bytes in base64", key_file.native()),
                          "Put it back from the backup. Without it secret files must be set again: move it away.");
  }
  return std::unique_ptr<SecretBox>(new SecretBox(std::move(*key), random));
}

SecretBox::~SecretBox() { OPENSSL_cleanse(key_.data(), key_.size()); }

std::string SecretBox::seal(std::string_view content, std::string_view label) const {
  const auto nonce = random_bytes(random_, kNonceBytes);
  const auto cipher = begin(key_, nonce, label, true);
  std::string text(content.size() + kTagBytes, '\0');
  int length = 0;
  int rest = 0;
  const bool good =
      EVP_CipherUpdate(cipher.get(), bytes_of(text), &length, bytes_of(content), static_cast<int>(content.size())) ==
          1 &&
      EVP_CipherFinal_ex(cipher.get(), bytes_of(text) + length, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, bytes_of(text) + content.size()) == 1;
  require(good, "OpenSSL can't seal");
  return to_base64(nonce + text);
}

Result<std::string> SecretBox::unseal(std::string_view sealed, std::string_view label) const {
  auto all = from_base64(sealed);
  if (!all || all->size() < kNonceBytes + kTagBytes) return fail_unseal();
  const auto nonce = all->substr(0, kNonceBytes);
  auto tag = all->substr(all->size() - kTagBytes);
  const auto text = std::string_view(*all).substr(kNonceBytes, all->size() - kNonceBytes - kTagBytes);
  const auto cipher = begin(key_, nonce, label, false);
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

}  // namespace bridgehead::pki
