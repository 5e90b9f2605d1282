#include "reading_list.h"

#include <gtest/gtest.h>

#include "prefetch_daemon.h"

namespace bridgehead::init {
namespace {

using Ranges = std::vector<PageRange>;

TEST(ReadingList, WhatIsResidentBecomesAListAndBack) {
  // Bits other than the first mean nothing.
  const std::vector<unsigned char> pages{1, 1, 0, 2, 3, 0, 0, 1};
  const auto ranges = resident_ranges(pages);
  EXPECT_EQ(ranges, (Ranges{{0, 2}, {4, 1}, {7, 1}}));
  EXPECT_EQ(format_reading_list(ranges), "0 2\n4 1\n7 1\n");
  const auto parsed = parse_reading_list(format_reading_list(ranges), pages.size());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, ranges);
  EXPECT_TRUE(resident_ranges({}).empty());
}

TEST(ReadingList, NearRangesBecomeOne) {
  const Ranges ranges{{0, 2}, {3, 1}, {6, 1}, {7, 2}};
  EXPECT_EQ(join_near(ranges, 0), (Ranges{{0, 2}, {3, 1}, {6, 3}}));
  EXPECT_EQ(join_near(ranges, 1), (Ranges{{0, 4}, {6, 3}}));
  EXPECT_EQ(join_near(ranges, 2), (Ranges{{0, 9}}));
  EXPECT_TRUE(join_near({}, 5).empty());
}

TEST(ReadingList, WhatCantBeOneIsRefusedAndItsLineNamed) {
  EXPECT_EQ(parse_reading_list("", 10)->size(), 0U);
  EXPECT_EQ(parse_reading_list("9 1", 10)->size(), 1U);
  for (const auto* bad :
       {"\n", "1\n", "1 0\n", "a 1\n", "1 b\n", "-1 2\n", "1 2 3\n", " 1 2\n", "10 1\n", "9 2\n",
        "0 18446744073709551615\n", "18446744073709551615 18446744073709551615\n", "99999999999999999999 1\n"}) {
    const auto parsed = parse_reading_list(bad, 10);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_NE(parsed.error().why.find("line 1 "), std::string::npos) << parsed.error().why;
  }
  // Not ascending, overlapping, touching.
  for (const auto* bad : {"5 1\n3 1\n", "3 3\n5 1\n", "3 2\n5 1\n", "3 1\n3 1\n"}) {
    const auto parsed = parse_reading_list(bad, 10);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_NE(parsed.error().why.find("line 2 "), std::string::npos);
  }
}

TEST(PrefetchDaemon, ItsArgumentsComeBack) {
  const PrefetchDuty duty{"/dev/nbd3", *Url::parse("http://10.20.0.1:7480/boot/v1/reads?boot=ab")};
  const auto back = prefetch_duty(to_arguments(duty));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->device, duty.device);
  EXPECT_EQ(back->list.text(), duty.list.text());
  EXPECT_FALSE(prefetch_duty({prefetch_daemon_name, "/dev/nbd3"}));
  EXPECT_FALSE(prefetch_duty({prefetch_daemon_name, "/dev/nbd3", "ftp://x"}));
}

}  // namespace
}  // namespace bridgehead::init
