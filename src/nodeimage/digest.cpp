#include "nodeimage/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/file.h"

namespace bridgehead::nodeimage {

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  require(context_->digest != nullptr && EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr) == 1,
          "OpenSSL has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) { EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size()); }

std::string Sha256::hex() {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_->digest, raw, &size);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", raw[i]);
  return text;
}

std::string sha256_of(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

Result<HashedFile> hash_open_file(int fd, std::string_view what, const std::stop_token& stop) {
  Sha256 digest;
  HashedFile result;
  std::vector<char> buffer(256 << 10);
  for (;;) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "reading {} was cancelled", what);
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, fmt::format("read {}", what));
    if (got == 0) break;
    digest.update({buffer.data(), static_cast<std::size_t>(got)});
    result.size += static_cast<std::uint64_t>(got);
  }
  result.sha256 = digest.hex();
  return result;
}

Result<HashedFile> hash_file(const std::filesystem::path& path, const std::stop_token& stop) {
  auto fd = open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!fd) return forward(fd);
  return hash_open_file(fd->get(), path.native(), stop);
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace bridgehead::nodeimage
