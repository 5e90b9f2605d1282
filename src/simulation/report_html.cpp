// The report as one page without anything from elsewhere: figures, plots as SVG, violations.
#include <algorithm>
#include <cmath>

#include "plot/chart.h"
#include "plot/page.h"
#include "simulation/report.h"

namespace bridgehead::simulation {
namespace {

std::vector<plot::Point> over_time(const std::vector<double>& values, double length) {
  std::vector<plot::Point> points;
  const double step = values.size() > 1 ? length / static_cast<double>(values.size() - 1) : 0;
  for (std::size_t i = 0; i < values.size(); ++i) points.push_back({step * static_cast<double>(i), values[i]});
  return points;
}

plot::Chart chart_of(const Curve& curve, double length) {
  plot::Chart chart;
  chart.title = curve.name;
  chart.y_label = curve.unit;
  chart.height = 130;
  chart.lines.push_back({"", over_time(curve.values, length), false, true});
  if (!curve.beside.empty()) chart.lines.push_back({curve.beside_name, over_time(curve.beside, length), true});
  const bool days = length > 2 * 86400;
  const double unit = days ? 86400 : 3600;
  const double every = std::max(1.0, std::ceil(length / unit / 14));
  for (double at = 0; at * unit <= length; at += every) {
    chart.x_ticks.push_back({at * unit, fmt::format("{:.0f} {}", at, days ? "d" : "h")});
  }
  return chart;
}

}  // namespace

std::string html_report(const Outcome& outcome) {
  std::string body =
      fmt::format("<h1>{}</h1>\n<p>{} of virtual time, {} hosts, seed {}</p>\n<table>\n", plot::escape(outcome.name),
                  to_text(Seconds(outcome.length)), outcome.hosts, outcome.seed);
  for (const auto& [name, value] : figures_of(outcome)) {
    body +=
        fmt::format("<tr><th scope=\"row\">{}</th><td{}>{}</td></tr>\n", plot::escape(name),
                    name == "invariants" && !outcome.violations.empty() ? " class=\"wrong\"" : "", plot::escape(value));
  }
  body += "</table>\n";
  for (const auto& violation : outcome.violations) {
    body += fmt::format("<p class=\"wrong\">{} {}: {}</p>\n", to_text(Seconds(violation.at)),
                        plot::escape(violation.invariant), plot::escape(violation.what));
  }
  for (const auto& curve : curves_of(outcome)) {
    body += "<figure>" + plot::svg(chart_of(curve, outcome.length), plot::Place::in_page) + "</figure>\n";
  }
  return plot::page(outcome.name, body);
}

}  // namespace bridgehead::simulation
