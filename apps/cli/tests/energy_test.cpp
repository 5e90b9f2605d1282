#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/energy_view.h"

namespace bridgehead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

nlohmann::json node(const std::string& name, double bmc, double rapl, double model) {
  return {{"name", name},        {"kwh", bmc + rapl + model}, {"kwh_bmc", bmc},
          {"kwh_rapl", rapl},    {"kwh_model", model},        {"off_hours", 0.5},
          {"saved_kwh", 0.0475}, {"promised_kwh", 0.095},     {"unknown_hours", 1.25}};
}

nlohmann::json report() {
  return {{"from", "2026-11-28T21:00:00.000Z"},
          {"to", "2026-11-29T21:30:00.000Z"},
          {"nodes", {node("n1", 0.8, 0, 0.2), node("n2", 0, 0.3, 0)}},
          {"guests", {{{"name", "web"}, {"kwh", 0.1}, {"kwh_bmc", 0.1}, {"kwh_rapl", 0}, {"kwh_model", 0}}}},
          {"days", nlohmann::json::array()},
          {"away", nlohmann::json::array()},
          {"plans", nlohmann::json::array()}};
}

std::vector<std::string> cells(const nlohmann::json& row, const std::string& by) {
  std::vector<std::string> all;
  for (const auto& one : energy_columns(by)) all.push_back(one.cell(row));
  return all;
}

TEST(EnergyView, EachFigureSaysWhoseItIs) {
  const auto rows = energy_rows(report(), "nodes");
  ASSERT_EQ(rows.size(), 3U) << "and their sum";
  EXPECT_THAT(cells(rows[0], "nodes"),
              ElementsAre("n1", "1.000", "BMC 80 %, model 20 %", "0.5", "0.048", "0.095", "1.2"));
  EXPECT_EQ(energy_sources(rows[1]), "CPUs");
  EXPECT_THAT(cells(rows[2], "nodes")[1], "1.300");
  EXPECT_EQ(energy_sources(node("n3", 0, 0, 0)), "");
  EXPECT_THAT(cells(energy_rows(report(), "guests")[0], "guests"), ElementsAre("web", "0.100", "BMC"));
}

TEST(EnergyView, SaysWhatIsUnknownAndWhatWasPromised) {
  auto json = report();
  EXPECT_THAT(energy_notes(json),
              ElementsAre("From 2026-11-28 21:00 to 2026-11-29 21:30 UTC.", HasSubstr("CPUs count themselves"),
                          HasSubstr("promised to save 0.190 kWh by switching hosts off; 0.095 kWh were saved")));
  json["nodes"] = nlohmann::json::array();
  json["away"].push_back({{"from", "2026-11-29T00:00:00.000Z"}, {"to", "2026-11-29T00:00:20.000Z"}});
  EXPECT_THAT(energy_notes(json)[1], HasSubstr("away for less than a minute"));
  json["away"].clear();
  for (int i = 0; i < 7; ++i) {
    json["away"].push_back(
        {{"from", fmt::format("2026-11-29T0{}:00:00.000Z", i)}, {"to", fmt::format("2026-11-29T0{}:30:00.000Z", i)}});
  }
  EXPECT_THAT(energy_notes(json)[1], ::testing::AllOf(HasSubstr("away for 3.5 h"),
                                                      HasSubstr("unknown: lately 2026-11-29 02:00 to 2026-11-29 02:30"),
                                                      ::testing::Not(HasSubstr("01:00"))));
}

TEST(Csv, QuotesWhatNeedsIt) { EXPECT_EQ(csv_line({"a", "b,c", "say \"no\"", ""}), "a,\"b,c\",\"say \"\"no\"\"\",\n"); }

}  // namespace
}  // namespace bridgehead::cli
