// Reports: what a record says, for somebody who wasn't there. One story, written as text for a terminal, as a page that
// needs nothing from elsewhere, and as JSON. Pure; thread-safe; none fails.
#pragma once

#include <utility>
#include <variant>

#include <nlohmann/json_fwd.hpp>

#include "bench/study.h"
#include "plot/chart.h"

namespace bridgehead::bench {

struct Paragraph {
  std::string text;
  bool warning = false;
};
struct TextTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};
struct Section {
  std::string title;
  std::vector<std::variant<Paragraph, TextTable, plot::Chart>> blocks;
};
struct Story {
  std::string title;
  std::vector<Section> sections;
};

Story tell(const Record& record);
Story tell(const Record& a, const Record& b, const RecordComparison& comparison);
Story tell(const Record& record, const Scaling& scaling, const Sizes& sizes, const Prediction& prediction);

std::string text_of(const Story& story, std::size_t columns = 80);
std::string html_of(const Story& story);
// A file name and what is in it for each chart.
std::vector<std::pair<std::string, std::string>> svgs_of(const Story& story);

// What was measured and what follows from it.
nlohmann::json json_report(const Record& record);
nlohmann::json json_report(const RecordComparison& comparison);
nlohmann::json json_report(const Prediction& prediction);

}  // namespace bridgehead::bench
