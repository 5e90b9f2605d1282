// Lustre's structures, byte by byte, as lustre_user.h has them and as a real Lustre took and gave them. What needs a
// mounted Lustre is in tests/cluster_pools_test.cpp.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "base/random.h"
#include "storage/lustre/lov_format.h"
#include "storage/lustre/obd_statfs.h"
#include "storage/lustre/stripe_policy.h"

namespace bridgehead::storage::lustre {
namespace {

using Role = model::ImageRole;

// "d0 0b d1 0b": what it looks like on a little-endian host.
std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size();) {
    if (hex[i] == ' ') {
      ++i;
      continue;
    }
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    i += 2;
  }
  return bytes;
}

std::string encoded(const FileLayout& layout) {
  const auto bytes = encode_layout(layout);
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message);
  return bytes ? *bytes : "";
}

std::uint32_t random_number(RandomSource& random) {
  std::array<std::uint8_t, 4> bytes{};
  random.fill(bytes);
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

FileLayout plain(std::uint32_t stripes, Bytes size, std::string pool = {}, std::vector<std::uint32_t> targets = {}) {
  return {.group = std::move(pool),
          .parts = {{.stripes = stripes, .stripe_size = size, .targets = std::move(targets)}}};
}

// Magic, pattern, object id and sequence, stripe size, count, offset.
constexpr char kV1[] = "d00bd10b 01000000 0000000000000000 0000000000000000 00001000 0400 ffff";

TEST(LovFormat, APlainLayoutIsV1) {
  EXPECT_EQ(encoded(plain(4, 1_MiB)), bytes_of(kV1));
  EXPECT_EQ(encoded(plain(kAllTargets, 4_MiB)),
            bytes_of("d00bd10b 01000000 0000000000000000 0000000000000000 00004000 ffff ffff"));
}

TEST(LovFormat, APoolMakesItV3) {
  EXPECT_EQ(encoded(plain(4, 1_MiB, "flash")),
            bytes_of("d00bd30b 01000000 0000000000000000 0000000000000000 00001000 0400 ffff"
                     "666c617368 0000000000000000000000"));
}

TEST(LovFormat, ChosenOstsFollowAsObjects) {
  EXPECT_EQ(encoded(plain(2, 1_MiB, "", {3, 1})),
            bytes_of("d00bd50b 01000000 0000000000000000 0000000000000000 00001000 0200 0300"
                     "00000000000000000000000000000000"
                     "0000000000000000 0000000000000000 00000000 03000000"
                     "0000000000000000 0000000000000000 00000000 01000000"));
}

FileLayout progressive() {
  return {.parts = {{.end = 64 << 20, .stripes = 1, .stripe_size = 1_MiB},
                    {.end = kToTheEnd, .stripes = 4, .stripe_size = 1_MiB}}};
}

TEST(LovFormat, AProgressiveLayoutIsComposite) {
  EXPECT_EQ(
      encoded(progressive()),
      bytes_of(
          "d00bd60b c0000000 00000000 0000 0200 0000 0000000000000000000000000000"
          // id, flags, extent, offset, size, generation, time stamp, padding
          "00000000 00000000 0000000000000000 0000000400000000 80000000 20000000 00000000 0000000000000000 00000000"
          "00000000 00000000 0000000400000000 ffffffffffffffff a0000000 20000000 00000000 0000000000000000 00000000"
          "d00bd10b 01000000 0000000000000000 0000000000000000 00001000 0100 ffff") +
          bytes_of(kV1));
}

TEST(LovFormat, NonsenseIsNotEncoded) {
  const auto refused = [](const FileLayout& layout) {
    const auto bytes = encode_layout(layout);
    return !bytes && bytes.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(plain(1, Bytes(65537))));
  EXPECT_TRUE(refused(plain(1, 4_GiB)));
  EXPECT_TRUE(refused(plain(2001, 1_MiB)));
  EXPECT_TRUE(refused(plain(1, 1_MiB, "sixteen-letters-")));
  EXPECT_TRUE(refused(plain(1, 1_MiB, "a b")));
  EXPECT_TRUE(refused(plain(2, 1_MiB, "", {1})));
  EXPECT_TRUE(refused(plain(2, 1_MiB, "", {1, 1})));
  EXPECT_TRUE(refused(plain(1, 1_MiB, "", {0xffff})));
  auto open_end = progressive();
  open_end.parts.back().end = 1 << 30;
  EXPECT_TRUE(refused(open_end));
  auto odd = progressive();
  odd.parts.front().end = 1000;
  EXPECT_TRUE(refused(odd));
  auto twice = progressive();
  twice.parts.insert(twice.parts.begin(), twice.parts.front());
  EXPECT_TRUE(refused(twice));
}

TEST(LovFormat, WhatAFileHasIsRead) {
  // Two objects: id, sequence, generation, index. The offset is a generation then.
  const auto file = bytes_of(
      "d00bd10b 01000000 1100000000000000 0004000200000000 00001000 0200 0000"
      "0500000000000000 0000000000000000 00000000 02000000"
      "0600000000000000 0000000000000000 00000000 00000000");
  const auto layout = decode_layout(file);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(*layout, plain(2, 1_MiB, "", {2, 0}));
  EXPECT_EQ(layout->describe(), "2 stripes of 1 MiB on 2, 0");

  for (const auto& each :
       {plain(1, 1_MiB), plain(kAllTargets, 4_MiB, "flash"), plain(2, 1_MiB, "flash", {7, 5}), progressive()}) {
    const auto again = decode_layout(encoded(each));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, each);
  }
  // Overstriped, and released by HSM.
  auto other = bytes_of(kV1);
  other[5] = 2;
  EXPECT_TRUE(decode_layout(other));
  other[7] = static_cast<char>(0x80);
  EXPECT_TRUE(decode_layout(other));
}

TEST(LovFormat, OfAMirroredFileTheFirstMirrorIsRead) {
  auto bytes = encoded(progressive());
  // Both parts become a mirror of their own, each from the start to the end.
  bytes[32 + 2] = 1;       // id 0x00010000
  bytes[32 + 48 + 2] = 2;  // id 0x00020000
  std::memset(bytes.data() + 32 + 16, 0xff, 8);
  std::memset(bytes.data() + 80 + 8, 0, 8);
  const auto layout = decode_layout(bytes);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(*layout, plain(1, 1_MiB));
}

TEST(LovFormat, DamagedBytesAreRefusedAndNeverReadBeyond) {
  SeededRandom random(5);
  std::size_t refused = 0;
  for (const auto& good :
       {encoded(plain(2, 1_MiB, "flash", {7, 5})), encoded(progressive()), encoded(plain(4, 1_MiB))}) {
    for (std::size_t length = 0; length < good.size(); ++length) {
      // In memory of its own, so that a sanitizer sees a read beyond it.
      const std::vector<char> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
      const auto layout = decode_layout(std::string_view(cut.data(), cut.size()));
      if (!layout) {
        EXPECT_EQ(layout.error().code, ErrorCode::data_corrupt);
      }
      refused += layout ? 0 : 1;
    }
    for (int i = 0; i < 2000; ++i) {
      std::vector<char> changed(good.begin(), good.end());
      const auto noise = random_number(random);
      changed[noise / 256 % changed.size()] = static_cast<char>(noise);
      const auto layout = decode_layout(std::string_view(changed.data(), changed.size()));
      refused += layout ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 500U);
  EXPECT_FALSE(decode_layout(bytes_of("d00bd20b 01000000 0000000000000000 0000000000000000 00001000 0400 ffff")));
  EXPECT_FALSE(decode_layout(bytes_of("d00bd10b 05000000 0000000000000000 0000000000000000 00001000 0400 ffff")));
  EXPECT_FALSE(decode_layout(bytes_of("d00bd10b 01000000 0000000000000000 0000000000000000 01001000 0400 ffff")));
}

TEST(LovFormat, WhatLustreChangesSilentlyIsNoticed) {
  EXPECT_TRUE(check_same(plain(2, 1_MiB), plain(2, 1_MiB, "", {0, 3})));
  EXPECT_TRUE(check_same(plain(kAllTargets, 1_MiB), plain(4, 1_MiB, "", {0, 1, 2, 3})));
  EXPECT_TRUE(check_same(progressive(), progressive()));
  const auto clipped = check_same(plain(8, 1_MiB), plain(4, 1_MiB, "", {0, 1, 2, 3}));
  ASSERT_FALSE(clipped);
  EXPECT_EQ(clipped.error().code, ErrorCode::failed_precondition);
  EXPECT_NE(clipped.error().message.find("4 stripes instead of 8"), std::string::npos) << clipped.error().message;
  EXPECT_FALSE(check_same(plain(1, 4_MiB), plain(1, 1_MiB)));
  EXPECT_FALSE(check_same(plain(1, 1_MiB, "flash"), plain(1, 1_MiB)));
  EXPECT_FALSE(check_same(plain(2, 1_MiB, "", {1, 2}), plain(2, 1_MiB, "", {1, 3})));
  EXPECT_FALSE(check_same(plain(1, 1_MiB), {}));
  EXPECT_FALSE(check_same(progressive(), plain(4, 1_MiB)));
}

template <typename T>
T at(const void* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(bytes) + offset, sizeof value);
  return value;
}

TEST(ObdStatfs, TheRequestIsWhatTheKernelWants) {
  ObdStatfsRequest request(7);
  const auto* bytes = request.bytes().data();
  EXPECT_EQ(request.argument(), bytes);
  EXPECT_EQ(at<std::uint32_t>(bytes, 0), 592U);
  EXPECT_EQ(at<std::uint32_t>(bytes, 4), 0x10004U);
  EXPECT_EQ(at<std::uint32_t>(bytes, 480), 144U);
  EXPECT_EQ(at<const void*>(bytes, 488), request.answer().data());
  EXPECT_EQ(at<std::uint32_t>(bytes, 496), 40U);
  EXPECT_EQ(at<const void*>(bytes, 504), request.uuid().data());
  EXPECT_EQ(at<std::uint32_t>(bytes, 512), 4U);
  EXPECT_EQ(at<const void*>(bytes, 520), bytes + 576);
  EXPECT_EQ(at<std::uint32_t>(bytes, 528), 4U);
  EXPECT_EQ(at<const void*>(bytes, 536), bytes + 584);
  EXPECT_EQ(at<std::uint32_t>(bytes, 576), 6U);  // OST, do not delay
  EXPECT_EQ(at<std::uint32_t>(bytes, 584), 7U);
  EXPECT_EQ(kObdStatfsIoctl, 0xc00866a4U);
}

TEST(ObdStatfs, TheAnswerIsRead) {
  ObdStatfsRequest request(2);
  const auto put = [&](std::size_t offset, auto value) {
    std::memcpy(request.answer().data() + offset, &value, sizeof value);
  };
  put(8, std::uint64_t{1000});
  put(16, std::uint64_t{700});
  put(24, std::uint64_t{600});
  put(88, std::uint32_t{4096});
  std::strcpy(request.uuid().data(), "scratch-OST0002_UUID");
  const auto target = read_obd_statfs(2, request, 0);
  ASSERT_TRUE(target);
  EXPECT_EQ(*target, (StorageTarget{2, "scratch-OST0002", TargetState::up, Bytes(4096000), Bytes(600 * 4096)}));
  put(104, std::uint32_t{2});
  EXPECT_EQ(read_obd_statfs(2, request, 0)->state, TargetState::inactive);
  EXPECT_EQ(read_obd_statfs(2, request, EIO)->state, TargetState::down);
  EXPECT_EQ(read_obd_statfs(2, request, EIO)->name, "OST0002");
  EXPECT_EQ(read_obd_statfs(2, request, ENODATA)->state, TargetState::inactive);
  EXPECT_FALSE(read_obd_statfs(2, request, EAGAIN));
}

std::vector<StorageTarget> osts(std::initializer_list<std::pair<TargetState, int>> list) {
  std::vector<StorageTarget> all;
  for (const auto& [state, free] : list) {
    const auto index = static_cast<std::uint32_t>(all.size());
    all.push_back({index, "OST", state, 100_GiB, Bytes(static_cast<std::uint64_t>(free) << 30)});
  }
  return all;
}

// As many stripes as a disk's size suggests.
FileLayout by_size(std::uint32_t stripes, std::vector<std::uint32_t> targets = {}) {
  auto layout = plain(stripes, 1_MiB, "", std::move(targets));
  layout.parts[0].fewer_do = true;
  return layout;
}

TEST(StripePolicy, GoldenImagesAreWideAndDisksAsWideAsTheyAreLarge) {
  const auto all = osts({{TargetState::up, 5}, {TargetState::up, 9}, {TargetState::up, 7}, {TargetState::up, 1}});
  const auto chosen = [&](const StripePolicy& policy, Role role, Bytes size) {
    return *choose_layout(policy, {.role = role, .size = size}, all, 3);
  };
  EXPECT_EQ(chosen({}, Role::golden, 2_GiB), plain(kAllTargets, 4_MiB));
  EXPECT_EQ(chosen({}, Role::disk, 20_GiB), by_size(1));
  EXPECT_EQ(chosen({}, Role::disk, Bytes()), by_size(1));
  EXPECT_EQ(chosen({}, Role::disk, 600_GiB), by_size(3));
  EXPECT_EQ(chosen({}, Role::disk, 60_TiB), by_size(4));
  const StripePolicy policy{.ost_pool = "flash", .stripe_size = 2_MiB, .disk_stripes = 2, .golden_stripes = 9};
  EXPECT_EQ(chosen(policy, Role::disk, 20_GiB), plain(2, 2_MiB, "flash"));
  EXPECT_EQ(chosen(policy, Role::golden, 20_GiB), plain(4, 2_MiB, "flash"));
  using model::LayoutWish;
  EXPECT_EQ(*choose_layout({}, {.size = 20_GiB, .wish = LayoutWish::wide}, all, 3), plain(kAllTargets, 1_MiB));
  EXPECT_EQ(*choose_layout({}, {.size = 60_TiB, .wish = LayoutWish::narrow}, all, 3), plain(1, 1_MiB));
  EXPECT_EQ(*choose_layout({}, {.role = Role::golden, .wish = LayoutWish::narrow}, all, 3), plain(1, 4_MiB));
}

// An OST pool may have fewer OSTs than a large disk would get.
TEST(StripePolicy, OfANumberBySizeLustreMayGiveLessButNotOfAnOrderedOne) {
  const auto all = osts({{TargetState::up, 5}, {TargetState::up, 9}, {TargetState::up, 7}, {TargetState::up, 1}});
  const auto got = plain(2, 1_MiB, "flash", {0, 1});
  const auto wished = *choose_layout({.ost_pool = "flash"}, {.role = Role::disk, .size = 1_TiB}, all, 0);
  ASSERT_EQ(wished.parts[0].stripes, 4U);
  EXPECT_TRUE(check_same(wished, got));
  EXPECT_FALSE(check_same(wished, plain(0, 1_MiB, "flash")));
  EXPECT_FALSE(check_same(wished, plain(kAllTargets, 1_MiB, "flash")));
  const auto ordered =
      *choose_layout({.ost_pool = "flash", .disk_stripes = 4}, {.role = Role::disk, .size = 1_TiB}, all, 0);
  EXPECT_FALSE(check_same(ordered, got));
}

TEST(StripePolicy, WhileAnOstIsDownTheOthersAreNamedInTurn) {
  const auto some = osts({{TargetState::up, 5},
                          {TargetState::down, 90},
                          {TargetState::up, 7},
                          {TargetState::inactive, 80},
                          {TargetState::up, 1}});
  // The one that is almost full gets none while there are others; all that have room get the same number.
  std::map<std::vector<std::uint32_t>, int> disks;
  for (std::uint32_t turn = 0; turn < 10; ++turn) {
    const auto layout = *choose_layout({}, {.role = Role::disk, .size = 20_GiB}, some, turn);
    EXPECT_EQ(layout, by_size(1, layout.parts[0].targets));
    ++disks[layout.parts[0].targets];
  }
  EXPECT_EQ(disks, (std::map<std::vector<std::uint32_t>, int>{{{0}, 5}, {{2}, 5}}));
  EXPECT_EQ(*choose_layout({}, {.role = Role::disk, .size = 600_GiB}, some, 0), by_size(3, {2, 0, 4}));
  EXPECT_EQ(*choose_layout({}, {.role = Role::golden, .size = 20_GiB}, some, 1), plain(3, 4_MiB, "", {0, 4, 2}));
  EXPECT_EQ(choose_layout({}, {.role = Role::disk, .size = 1_GiB}, osts({{TargetState::down, 1}}), 0).error().code,
            ErrorCode::resource_exhausted);
}

TEST(StripePolicy, ComesFromThePoolsOptions) {
  model::Pool pool{
      .driver = model::PoolDriver::lustre,
      .options = {{"ost_pool", "flash"}, {"stripe_size", "8MiB"}, {"disk_stripes", "2"}, {"golden_stripes", "16"}}};
  const auto policy = StripePolicy::of(pool);
  EXPECT_EQ(policy.ost_pool, "flash");
  EXPECT_EQ(policy.stripe_size, 8_MiB);
  EXPECT_EQ(policy.disk_stripes, 2U);
  EXPECT_EQ(policy.golden_stripes, 16U);
}

}  // namespace
}  // namespace bridgehead::storage::lustre
