#include "pki/tokens.h"

#include <crypt.h>
#include <gtest/gtest.h>

#include <set>

namespace bridgehead::pki {
namespace {

const model::TokenId kId("4a7c0a4e-3a2b-4c1d-9e8f-0123456789ab");
const std::string kSecret(64, 'a');

JoinTicket ticket() { return {"manager.example.org:7444", std::string(64, '1'), kId, kSecret}; }

TEST(Tokens, SecretsAreLongAndDiffer) {
  SystemRandom random;
  std::set<std::string> secrets;
  for (int i = 0; i < 100; ++i) {
    const auto secret = make_secret(random);
    EXPECT_EQ(secret.size(), 64u);
    EXPECT_EQ(secret.find_first_not_of("0123456789abcdef"), std::string::npos);
    secrets.insert(secret);
  }
  EXPECT_EQ(secrets.size(), 100u);
}

TEST(Tokens, Sha256IsTheStandardOne) {
  // FIPS 180-4's examples.
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Tokens, ComparesSecrets) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  EXPECT_TRUE(secret_matches(kSecret, sha256_hex(kSecret)));
  EXPECT_FALSE(secret_matches(kSecret, sha256_hex("other")));
  EXPECT_FALSE(secret_matches("", ""));
}

TEST(Tokens, AccessTokensRoundTrip) {
  const auto text = format_access_token(kId, kSecret);
  EXPECT_EQ(text, "bh_" + kId.str() + "_" + kSecret);
  EXPECT_EQ(parse_access_token(text).value(), (AccessToken{kId, kSecret}));
}

TEST(Tokens, RefusesWhatIsNoAccessToken) {
  const auto good = format_access_token(kId, kSecret);
  std::vector<std::string> bad = {"",
                                  "bh_",
                                  "bh__",
                                  good + "a",
                                  " " + good,
                                  good + "\n",
                                  "BH" + good.substr(2),
                                  format_access_token(model::TokenId("x"), kSecret),
                                  format_access_token(kId, ""),
                                  format_access_token(kId, std::string(64, 'A')),
                                  format_access_token(kId, std::string(64, 'g')),
                                  std::string(1 << 20, 'b')};
  for (std::size_t length = 0; length < good.size(); ++length) bad.push_back(good.substr(0, length));
  for (const auto& text : bad) {
    const auto parsed = parse_access_token(text);
    ASSERT_FALSE(parsed) << text.substr(0, 200);
    EXPECT_EQ(parsed.error().code, ErrorCode::unauthenticated);
    EXPECT_EQ(parsed.error().describe().find(kSecret.substr(0, 20)), std::string::npos)
        << "a secret never gets into a message";
  }
}

TEST(Tokens, JoinTokensRoundTrip) {
  for (const char* address : {"manager.example.org:7444", "192.0.2.1:1", "[2001:db8::1]:65535", "my_host-1:7444"}) {
    auto wanted = ticket();
    wanted.address = address;
    const auto text = format_join_token(wanted);
    EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos);
    const auto parsed = parse_join_token(text);
    ASSERT_TRUE(parsed) << address;
    EXPECT_EQ(*parsed, wanted);
  }
}

TEST(Tokens, RefusesDamagedAndHostileJoinTokens) {
  const auto refused = [](std::string_view text) {
    const auto parsed = parse_join_token(text);
    if (!parsed) {
      EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    }
    return !parsed;
  };
  const auto good = format_join_token(ticket());
  for (std::size_t length = 0; length < good.size(); ++length) EXPECT_TRUE(refused(good.substr(0, length))) << length;
  for (const std::string& bad :
       {good + "A", good + "=", good + "\n", " " + good, std::string(1 << 20, 'A'), std::string("!")}) {
    EXPECT_TRUE(refused(bad));
  }
  for (const std::string& address :
       {std::string(), std::string("host"), std::string("host:"), std::string(":7444"), std::string("host:0"),
        std::string("host:65536"), std::string("host:7444x"), std::string("unix:///run/x:1"), std::string("a b:1"),
        std::string("2001:db8::1:7444"), std::string("host\n:1"), std::string(400, 'a') + ":1"}) {
    auto wanted = ticket();
    wanted.address = address;
    EXPECT_TRUE(refused(format_join_token(wanted))) << address;
  }
  auto wrong = ticket();
  wrong.ca_fingerprint = "1";
  EXPECT_TRUE(refused(format_join_token(wrong)));
  wrong = ticket();
  wrong.secret.pop_back();
  EXPECT_TRUE(refused(format_join_token(wrong)));
  wrong = ticket();
  wrong.id = model::TokenId("../../etc/passwd");
  EXPECT_TRUE(refused(format_join_token(wrong)));
  EXPECT_TRUE(refused("W1tbW1tbW1tbW1tb"));    // [[[[[[[[[[[[
  EXPECT_TRUE(refused("eyJhZGRyZXNzIjoxfQ"));  // {"address":1}

  SeededRandom noise(3);
  for (int i = 0; i < 5000; ++i) {  // no crash, whatever comes
    auto text = good;
    text[noise.next_u64() % text.size()] = static_cast<char>(noise.next_u64());
    std::ignore = parse_join_token(text);
  }
}

TEST(Tokens, PasswordsAreHashedWithSha512Crypt) {
  SystemRandom random;
  const std::string plain = "p\xc3\xa4ss word'\"$";
  const auto hash = hash_password(plain, random);
  ASSERT_TRUE(hash) << hash.error().describe();
  EXPECT_TRUE(hash->starts_with("$6$"));
  EXPECT_EQ(hash->size(), 3u + 16 + 1 + 86);
  crypt_data data{};
  EXPECT_EQ(*hash, ::crypt_r(plain.c_str(), hash->c_str(), &data)) << "what a guest's login does";
  EXPECT_NE(*hash, ::crypt_r("other", hash->c_str(), &data));
  EXPECT_NE(*hash, hash_password(plain, random).value()) << "salted";
  EXPECT_TRUE(hash_password(std::string(511, 'x'), random));
  for (const std::string& bad : {std::string(), std::string(512, 'x'), std::string("a\0b", 3)}) {
    EXPECT_EQ(hash_password(bad, random).error().code, ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace bridgehead::pki
