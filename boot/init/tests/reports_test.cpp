#include "reports.h"

#include <gtest/gtest.h>

namespace bridgehead::init {
namespace {

Report report(const std::string& target, std::string body = {}) {
  return {*Url::parse("http://10.0.0.1:7480" + target), std::move(body), std::chrono::milliseconds(4600)};
}

TEST(Reports, AnotherProgramReadsThemAsTheyWere) {
  Reports reports;
  EXPECT_EQ(reports.text(), "");
  reports.add(report("/boot/v1/progress?boot=ab&step=root&message=a%20b"));
  reports.add(report("/boot/v1/log?boot=ab", "[4.6] one 100 %\n[4.7] two\n"));
  const auto read = Reports::parse(reports.text());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text(), reports.text());
  EXPECT_EQ(reports.text(),
            "4600 http://10.0.0.1:7480/boot/v1/progress?boot=ab&step=root&message=a%20b \n"
            "4600 http://10.0.0.1:7480/boot/v1/log?boot=ab %5B4.6%5D%20one%20100%20%25%0A%5B4.7%5D%20two%0A\n");
  for (const auto* bad : {"x\n", "1 http://10.0.0.1/a\n", "x http://10.0.0.1/a b\n", "1 ftp://10.0.0.1/a b\n",
                          "1 http://10.0.0.1/a %4\n", "1 http://10.0.0.1/a %zz\n"}) {
    EXPECT_FALSE(Reports::parse(bad)) << bad;
  }
}

TEST(Reports, TheOldestMakeRoom) {
  Reports reports;
  for (int i = 0; i < 70; ++i) reports.add(report("/boot/v1/log?n=" + std::to_string(i)));
  EXPECT_EQ(reports.text().find("n=5 "), std::string::npos);
  EXPECT_NE(reports.text().find("n=6 "), std::string::npos);
  EXPECT_NE(reports.text().find("n=69 "), std::string::npos);
}

TEST(Reports, WhatHasNoAnswerStays) {
  Reports reports;
  reports.add({*Url::parse("http://127.0.0.1:1/boot/v1/log?boot=ab"), "line", {}});
  EXPECT_FALSE(reports.tell(Deadline(std::chrono::seconds(3)))) << "nobody listens there";
  EXPECT_FALSE(reports.empty());
}

}  // namespace
}  // namespace bridgehead::init
