#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plot/chart.h"
#include "plot/page.h"
#include "plot/terminal.h"

namespace bridgehead::plot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

Chart curve() {
  Chart chart;
  chart.title = "Read <a> & b";
  chart.x_label = "nodes";
  chart.y_label = "MB/s";
  chart.bands = {{"95 %", {{1, 90, 110}, {8, 600, 800}}}};
  chart.lines = {{"fit", {{1, 100}, {4, 380}, {8, 700}}}};
  chart.marks = {{"measured", {{1, 98}, {2, 203}, {8, 690}}}, {"doesn't count", {{4, 100}}, true}};
  chart.limits = {{"links 900 MB/s", 900}, {"disks 9,000 MB/s", 9000}};
  chart.places = {{"peak at 6", 6}, {"far away", 60}};
  return chart;
}

TEST(Ticks, AreRoundAndInside) {
  EXPECT_THAT(round_ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(round_ticks(1, 5, 12), ElementsAre(1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5));
  EXPECT_THAT(round_ticks(3, 3, 5), ElementsAre(3));
  for (const double high : {0.003, 1.7, 99.0, 123456.0}) {
    const auto ticks = round_ticks(0, high, 6);
    EXPECT_GE(ticks.size(), 3U) << high;
    EXPECT_LE(ticks.size(), 7U) << high;
    EXPECT_LE(ticks.back(), high * 1.0000001);
  }
}

TEST(Numbers, AreReadable) {
  EXPECT_EQ(readable(1234567.8), "1,234,568");
  EXPECT_EQ(readable(-1234), "-1,234");
  EXPECT_EQ(readable(-123), "-123");
  EXPECT_EQ(readable(12.34), "12.3");
  EXPECT_EQ(readable(0.01234), "0.0123");
  EXPECT_EQ(readable(0), "0");
  EXPECT_EQ(readable(INFINITY), "∞");
}

TEST(Svg, DrawsEverythingEscapedAndWithinItsFrame) {
  const auto text = svg(curve(), Place::standalone);
  EXPECT_THAT(text, HasSubstr("Read &lt;a&gt; &amp; b"));
  EXPECT_EQ(count(text, "<circle class=\"mark\""), 3U + 1U) << "three marks and one in the legend";
  EXPECT_EQ(count(text, "<circle class=\"hollow\""), 1U + 1U);
  EXPECT_THAT(text, HasSubstr("peak at 6"));
  EXPECT_THAT(text, Not(HasSubstr("far away")));
  EXPECT_EQ(count(text, "class=\"limit\""), 1U) << "a limit far above isn't drawn";
  EXPECT_THAT(text, HasSubstr("Higher than drawn: disks 9,000 MB/s"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  EXPECT_THAT(text, HasSubstr("xmlns="));
  EXPECT_THAT(svg(curve(), Place::in_page), Not(HasSubstr("<style>")));
}

TEST(Svg, BearsEmptyAndInfiniteData) {
  Chart chart;
  for (const auto& points : {std::vector<Point>{}, {{1, INFINITY}}, {{2, 0}}, {{NAN, 1}, {3, NAN}}}) {
    chart.lines = {{"odd", points, false, true}};
    chart.marks = {{"odd", points}};
    chart.limits = {{"none", INFINITY}};
    const auto text = svg(chart, Place::standalone);
    EXPECT_THAT(text, Not(HasSubstr("nan")));
    EXPECT_THAT(text, Not(HasSubstr("inf")));
    EXPECT_FALSE(terminal_chart(chart).empty());
  }
}

TEST(Page, EscapesWhatItIsGiven) {
  EXPECT_EQ(escape("<b a=\"x\" c='y'>&\x1b"), "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;?");
  const auto text = page("a<b", html_table({"what", "n"}, {{"<script>", "-12"}}));
  EXPECT_THAT(text, HasSubstr("<title>a&lt;b</title>"));
  EXPECT_THAT(text, HasSubstr("<td>&lt;script&gt;</td><td class=\"number\">-12</td>"));
  EXPECT_THAT(text, Not(HasSubstr("http")));
}

TEST(Terminal, CurveMarksAndPeakAreSeen) {
  const auto text = terminal_chart(curve(), 60, 10);
  EXPECT_EQ(count(text, "●"), 3U);
  EXPECT_EQ(count(text, "○"), 1U);
  EXPECT_THAT(text, HasSubstr("▲ peak at 6"));
  EXPECT_THAT(text, HasSubstr("higher: disks"));
  EXPECT_THAT(text, HasSubstr("┄"));
  EXPECT_THAT(text, HasSubstr("░"));
  // Braille begins with U+28xx.
  EXPECT_GT(count(text, "\xE2\xA0") + count(text, "\xE2\xA1") + count(text, "\xE2\xA2") + count(text, "\xE2\xA3"), 10U);
}

TEST(Terminal, TablesLineUpWhateverIsInThem) {
  EXPECT_EQ(terminal_table({"pool", "MB/s"}, {{"nfs", "23.7"}, {"größer", "1,234"}}),
            "pool     MB/s\n"
            "nfs      23.7\n"
            "größer  1,234\n");
}

TEST(Terminal, ColumnsShowWhatIsntNothing) {
  const auto text = terminal_columns({"Moves", "moves", {0, 0.001, 5}, 0, 86400 * 3, 86400}, 40);
  EXPECT_THAT(text, HasSubstr("Moves\n"));
  EXPECT_THAT(text, HasSubstr("      0 ┤ ▁█"));
  EXPECT_THAT(text, HasSubstr("└─┴┴ moves"));
}

}  // namespace
}  // namespace bridgehead::plot
