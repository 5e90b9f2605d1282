#include "bench/report.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "plot/page.h"
#include "plot/terminal.h"

namespace bridgehead::bench {
namespace {

using nlohmann::json;

// Records come from elsewhere: nothing in them commands a terminal.
std::string plain(std::string text) {
  for (char& c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f) c = '?';
  }
  return text;
}

std::string wrapped(const std::string& text, std::size_t columns) {
  std::string out;
  std::size_t used = 0;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const auto end = std::min(text.find(' ', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    if (used > 0 && used + 1 + word.size() > columns) {
      out += '\n';
      used = 0;
    } else if (used > 0) {
      out += ' ';
      ++used;
    }
    out += word;
    used += word.size();
    begin = end + 1;
  }
  return out + "\n";
}

struct AsText {
  std::size_t columns;
  std::string operator()(const Paragraph& paragraph) const {
    return wrapped((paragraph.warning ? "! " : "") + paragraph.text, columns);
  }
  std::string operator()(const TextTable& table) const { return plot::terminal_table(table.head, table.rows); }
  std::string operator()(const plot::Chart& chart) const { return plot::terminal_chart(chart, columns); }
};

struct AsHtml {
  std::string operator()(const Paragraph& paragraph) const {
    return fmt::format("<p{}>{}</p>\n", paragraph.warning ? " class=\"box warn\"" : "", plot::escape(paragraph.text));
  }
  std::string operator()(const TextTable& table) const { return plot::html_table(table.head, table.rows); }
  std::string operator()(const plot::Chart& chart) const {
    return "<figure>" + plot::svg(chart, plot::Place::in_page) + "</figure>\n";
  }
};

json finite(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json interval_json(const Interval& interval) {
  return {{"low", finite(interval.low)}, {"high", finite(interval.high)}, {"confidence", interval.confidence}};
}

json comparison_json(const Comparison& row) {
  json object = {{"workload", row.workload}, {"nodes", row.nodes},      {"a", row.a}, {"b", row.b},
                 {"median_a", row.median_a}, {"median_b", row.median_b}};
  if (row.ratio) {
    object["ratio"] = row.ratio->value;
    object["interval"] = interval_json(row.ratio->interval);
  } else {
    object["refusal"] = row.refusal;
  }
  return object;
}

json group_json(const Group& group) {
  json object = {{"workload", group.workload}, {"pool", group.pool}, {"nodes", group.nodes},
                 {"rates", group.rates},       {"lost", group.lost}, {"skew_seconds", group.skew}};
  if (!group.rates.empty()) {
    object["median"] = group.rate.median;
    object["interval"] = interval_json(group.rate.interval);
    object["variation"] = group.rate.variation();
    object["outliers"] = group.rate.outliers;
    object["p99_ms"] = group.p99_ms;
  }
  if (group.cpu_busy) object["cpu_busy"] = *group.cpu_busy;
  if (group.link_busy) object["link_busy"] = *group.link_busy;
  return object;
}

json scaling_json(const Scaling& scaling) {
  const auto& fit = scaling.fit;
  json object = {{"workload", scaling.workload},
                 {"pool", scaling.pool},
                 {"form", scaling.form == Form::law ? "usl" : "hard_limit"},
                 {"shape", to_string(fit.shape)},
                 {"usl",
                  {{"lambda", fit.usl.lambda},
                   {"sigma", fit.usl.sigma},
                   {"kappa", fit.usl.kappa},
                   {"lambda_interval", interval_json(fit.lambda)},
                   {"sigma_interval", interval_json(fit.sigma)},
                   {"kappa_interval", interval_json(fit.kappa)},
                   {"peak", finite(fit.usl.peak())},
                   {"peak_interval", interval_json(fit.peak)},
                   {"capacity", finite(fit.usl.capacity())},
                   {"capacity_interval", interval_json(fit.capacity)},
                   {"spread", fit.spread},
                   {"explained", fit.explained}}},
                 {"hard_limit",
                  {{"per_node", scaling.bend.bend.per_node},
                   {"limit", finite(scaling.bend.bend.limit)},
                   {"per_node_interval", interval_json(scaling.bend.per_node)},
                   {"limit_interval", interval_json(scaling.bend.limit)},
                   {"spread", scaling.bend.spread}}},
                 {"notes", fit.notes},
                 {"bottleneck", scaling.diagnosis.bottleneck},
                 {"because", scaling.diagnosis.because},
                 {"advice", scaling.diagnosis.advice},
                 {"limits", json::array()}};
  for (const auto& limit : scaling.diagnosis.limits) {
    object["limits"].push_back({{"name", limit.name}, {"rate", limit.rate}});
  }
  if (scaling.validation) {
    object["validation"] = {{"fitted_up_to", scaling.validation->fitted_up_to},
                            {"mean_error", scaling.validation->mean_error},
                            {"worst_error", scaling.validation->worst_error}};
  }
  return object;
}

}  // namespace

std::string text_of(const Story& story, std::size_t columns) {
  std::string text = story.title + "\n";
  for (const auto& section : story.sections) {
    text += "\n" + section.title + "\n" + std::string(section.title.size(), '-') + "\n";
    for (const auto& block : section.blocks) text += std::visit(AsText{columns}, block) + "\n";
  }
  return plain(std::move(text));
}

std::string html_of(const Story& story) {
  std::string body = fmt::format("<h1>{}</h1>\n", plot::escape(story.title));
  for (const auto& section : story.sections) {
    body += fmt::format("<h2>{}</h2>\n", plot::escape(section.title));
    for (const auto& block : section.blocks) body += std::visit(AsHtml{}, block);
  }
  return plot::page(story.title, body);
}

std::vector<std::pair<std::string, std::string>> svgs_of(const Story& story) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& section : story.sections) {
    for (const auto& block : section.blocks) {
      const auto* chart = std::get_if<plot::Chart>(&block);
      if (chart == nullptr) continue;
      std::string name = chart->title;
      for (char& c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
      }
      files.emplace_back(name + ".svg", plot::svg(*chart, plot::Place::standalone));
    }
  }
  return files;
}

json json_report(const Record& record) {
  json report = {{"name", record.name}, {"record", json::parse(write_record(record))}};
  for (const auto* list : {"groups", "comparisons", "peers", "scaling", "refused"}) report[list] = json::array();
  const auto groups = groups_of(record);
  for (const auto& group : groups) report["groups"].push_back(group_json(group));
  for (const auto& row : compare_pools(record)) report["comparisons"].push_back(comparison_json(row));
  for (const auto& row : compare_peers(record)) report["peers"].push_back(comparison_json(row));
  const Group* before = nullptr;
  for (const auto& group : groups) {
    const bool is_first = before == nullptr || before->workload != group.workload || before->pool != group.pool;
    if (is_first && !record.workload(group.workload)->in_seconds) {
      const auto scaling = study_scaling(record, group.workload, group.pool);
      if (scaling) {
        report["scaling"].push_back(scaling_json(*scaling));
      } else {
        report["refused"].push_back(
            {{"workload", group.workload}, {"pool", group.pool}, {"reason", scaling.error().describe()}});
      }
    }
    before = &group;
  }
  return report;
}

json json_report(const RecordComparison& comparison) {
  json report = {{"comparisons", json::array()}, {"warnings", comparison.warnings}};
  for (const auto& row : comparison.rows) report["comparisons"].push_back(comparison_json(row));
  return report;
}

json json_report(const Prediction& prediction) {
  return {{"rate", prediction.rate},
          {"interval", interval_json(prediction.interval)},
          {"limited_by", prediction.limited_by},
          {"best_clients", finite(prediction.best_clients)},
          {"assumptions", prediction.assumptions}};
}

}  // namespace bridgehead::bench
