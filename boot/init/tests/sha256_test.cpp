#include "sha256.h"

#include <gtest/gtest.h>

namespace bridgehead::init {
namespace {

std::string digest(std::string_view bytes) {
  Sha256 sha;
  sha.update(bytes);
  return sha.hex();
}

// FIPS 180-4's examples and NIST's long message.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(
      digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
             "nopqrstu"),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(digest(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowTheBytesCome) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(i * 7);
  for (const std::size_t length : {0UL, 1UL, 55UL, 56UL, 63UL, 64UL, 65UL, 119UL, 120UL, 128UL, 1000UL}) {
    const auto whole = std::string_view(bytes).substr(0, length);
    for (const std::size_t step : {1UL, 3UL, 64UL, 100UL}) {
      Sha256 sha;
      for (std::size_t at = 0; at < length; at += step) sha.update(whole.substr(at, step));
      EXPECT_EQ(sha.hex(), digest(whole)) << length << " by " << step;
    }
  }
}

}  // namespace
}  // namespace bridgehead::init
