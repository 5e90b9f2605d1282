#include "plot/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plot/page.h"

namespace bridgehead::plot {
namespace {

constexpr double kWidth = 860, kLeft = 64, kRight = 14;
// A limit higher than this many times the data isn't drawn: it would press the data flat.
constexpr double kFarAbove = 1.7;

// Literal colours: renderers of single SVG files don't know CSS variables.
constexpr std::string_view kStandaloneStyle =
    "<style>text{font:12px sans-serif;fill:#1a1d21}.title{font-size:15px;font-weight:600}.grid{stroke:#e3e6ea}"
    ".axis{stroke:#6b7280}.line{fill:none;stroke:#0b6bcb;stroke-width:2}.line1{stroke:#c2410c}.line2{stroke:#15803d}"
    ".line3{stroke:#7c3aed}.dashed{stroke-dasharray:6 "
    "4;stroke-width:1.5}.area{fill:#0b6bcb;fill-opacity:.13;stroke:none}"
    ".band{fill:#0b6bcb;fill-opacity:.15;stroke:none}.mark{fill:#1a1d21;fill-opacity:.75}"
    ".hollow{fill:#fff;stroke:#b91c1c;stroke-width:1.5}.limit{stroke:#b45309;stroke-dasharray:2 3;stroke-width:1.5}"
    ".place{stroke:#6b7280;stroke-dasharray:5 4}.note{fill:#6b4a08}</style>"
    "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";

// Where data lies on the paper.
struct Paper {
  Extent extent;
  double top = 0;
  double bottom = 0;

  double x(double value) const {
    return kLeft + (kWidth - kLeft - kRight) * (value - extent.left) / (extent.right - extent.left);
  }
  double y(double value) const { return bottom - (bottom - top) * std::clamp(value / extent.top, -0.02, 1.02); }
};

bool finite(const Point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

std::string path_of(const std::vector<Point>& points, const Paper& paper) {
  std::string text;
  for (const auto& point : points) text += fmt::format("{:.1f},{:.1f} ", paper.x(point.x), paper.y(point.y));
  return text;
}

std::string band_of(const Band& band, const Paper& paper) {
  std::string there;
  std::string back;
  for (const auto& slice : band.slices) {
    if (!std::isfinite(slice.x + slice.low + slice.high)) continue;
    there += fmt::format("{:.1f},{:.1f} ", paper.x(slice.x), paper.y(slice.high));
    back.insert(0, fmt::format("{:.1f},{:.1f} ", paper.x(slice.x), paper.y(slice.low)));
  }
  return fmt::format("<polygon class=\"band\" points=\"{}{}\"/>\n", there, back);
}

void axes(std::string& out, const Chart& chart, const Paper& paper) {
  for (const double value : round_ticks(0, paper.extent.top, 5)) {
    const double y = paper.y(value);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
        kLeft, kWidth - kRight, y, y, kLeft - 7, y + 4, readable(value));
  }
  auto ticks = chart.x_ticks;
  if (ticks.empty()) {
    for (const double value : round_ticks(paper.extent.left, paper.extent.right, 12)) {
      ticks.push_back({value, readable(value)});
    }
  }
  for (const auto& tick : ticks) {
    const double x = paper.x(tick.at);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        x, paper.top, paper.bottom, paper.bottom + 16, escape(tick.text));
  }
  out += fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kLeft, kWidth - kRight,
                     paper.bottom, paper.bottom);
  if (!chart.x_label.empty()) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                       (kLeft + kWidth - kRight) / 2, paper.bottom + 33, escape(chart.x_label));
  }
  out += fmt::format("<text x=\"{}\" y=\"{:.1f}\">{}</text>\n", kLeft - 50, paper.top - 9, escape(chart.y_label));
}

void legend(std::string& out, const Chart& chart, const Paper& paper) {
  double x = kWidth - kRight;
  const double y = paper.top - 9;
  // From the right, the first one leftmost.
  std::vector<std::pair<std::string, std::string>> entries;
  for (std::size_t i = 0; i < chart.lines.size(); ++i) {
    if (!chart.lines[i].name.empty())
      entries.emplace_back(fmt::format("<line class=\"line line{} {}\" x1=\"-22\" x2=\"-4\" y1=\"-4\" y2=\"-4\"/>",
                                       i % 4, chart.lines[i].dashed ? "dashed" : ""),
                           chart.lines[i].name);
  }
  for (const auto& band : chart.bands) {
    if (!band.name.empty())
      entries.emplace_back("<rect class=\"band\" x=\"-22\" y=\"-11\" width=\"18\" height=\"12\"/>", band.name);
  }
  for (const auto& marks : chart.marks) {
    if (!marks.name.empty() && !marks.points.empty())
      entries.emplace_back(
          fmt::format("<circle class=\"{}\" cx=\"-11\" cy=\"-4\" r=\"3.5\"/>", marks.hollow ? "hollow" : "mark"),
          marks.name);
  }
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    x -= 6.3 * static_cast<double>(entry->second.size());
    out += fmt::format("<g transform=\"translate({:.1f} {:.1f})\">{}<text>{}</text></g>\n", x, y, entry->first,
                       escape(entry->second));
    x -= 34;
  }
}

void rules(std::string& out, const Chart& chart, const Paper& paper) {
  auto limits = chart.limits;
  std::sort(limits.begin(), limits.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  double last_label = std::numeric_limits<double>::infinity();
  for (const auto& limit : limits) {
    if (!std::isfinite(limit.at) || limit.at > paper.extent.top) continue;
    const double y = paper.y(limit.at);
    // Labels of limits that lie close together go upwards.
    last_label = std::min(y - 5, last_label - 14);
    out += fmt::format(
        "<line class=\"limit\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"note\" x=\"{}\" y=\"{:.1f}\">{}</text>\n",
        kLeft, kWidth - kRight, y, y, kLeft + 8, last_label, escape(limit.name));
  }
  double drop = paper.bottom - 8;
  for (const auto& place : chart.places) {
    if (!(place.at >= paper.extent.left && place.at <= paper.extent.right)) continue;
    const double x = paper.x(place.at);
    const bool left = x > kWidth * 0.7;
    out += fmt::format(
        "<line class=\"place\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"{5}\">{6}</text>\n",
        x, paper.top, paper.bottom, left ? x - 6 : x + 6, drop, left ? "end" : "start", escape(place.name));
    drop -= 15;
  }
}

double highest(const Chart& chart) {
  double top = 0;
  const auto see = [&](double value) {
    if (std::isfinite(value)) top = std::max(top, value);
  };
  for (const auto& line : chart.lines) {
    for (const auto& point : line.points) see(point.y);
  }
  for (const auto& marks : chart.marks) {
    for (const auto& point : marks.points) see(point.y);
  }
  // A wide band is cut off rather than pressing the rest flat.
  const double drawn = top;
  for (const auto& band : chart.bands) {
    for (const auto& slice : band.slices) see(drawn > 0 ? std::min(slice.high, drawn * kFarAbove) : slice.high);
  }
  return top;
}

}  // namespace

Extent extent_of(const Chart& chart) {
  double left = std::numeric_limits<double>::infinity();
  double right = -left;
  const auto see = [&](double x) {
    if (!std::isfinite(x)) return;
    left = std::min(left, x);
    right = std::max(right, x);
  };
  for (const auto& line : chart.lines) {
    for (const auto& point : line.points) see(point.x);
  }
  for (const auto& marks : chart.marks) {
    for (const auto& point : marks.points) see(point.x);
  }
  for (const auto& band : chart.bands) {
    for (const auto& slice : band.slices) see(slice.x);
  }
  if (!(left < right)) {
    left = std::isfinite(left) ? left : 0;
    right = left + 1;
  }
  const double data = highest(chart);
  double top = data;
  for (const auto& limit : chart.limits) {
    if (limit.at <= data * kFarAbove) top = std::max(top, limit.at);
  }
  top = top > 0 ? top * 1.06 : 1;
  return {left, right, top};
}

std::vector<Rule> limits_beyond(const Chart& chart) {
  std::vector<Rule> beyond;
  const double top = extent_of(chart).top;
  for (const auto& limit : chart.limits) {
    if (std::isfinite(limit.at) && limit.at > top) beyond.push_back(limit);
  }
  return beyond;
}

std::vector<double> round_ticks(double low, double high, int most) {
  if (!(high > low) || !std::isfinite(high - low) || most < 1) return {low};
  const double raw = (high - low) / most;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power * 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= raw * (1 - 1e-9)) {
      step = power * factor;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9) + 0.0;  // not -0
  for (double at = first; at * step <= high + step * 1e-9; at += 1) ticks.push_back(at * step);
  return ticks;
}

std::string readable(double value) {
  if (!std::isfinite(value)) return value > 0 ? "∞" : "-";
  const double size = std::abs(value);
  if (size < 100) return fmt::format("{:.3g}", value);
  auto text = fmt::format("{:.0f}", value);
  const auto front = static_cast<std::ptrdiff_t>(text.starts_with('-') ? 1 : 0);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > front; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string svg(const Chart& chart, Place place) {
  const double head = (chart.title.empty() ? 0 : 26) + 24;
  const double foot = chart.x_label.empty() ? 22 : 40;
  const auto beyond = limits_beyond(chart);
  const double height = head + chart.height + foot + (beyond.empty() ? 0 : 18);
  const Paper paper{extent_of(chart), head, head + chart.height};
  std::string out = fmt::format(
      "<svg {}viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
      place == Place::standalone
          ? fmt::format("xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" ", kWidth, height)
          : "",
      kWidth, height, escape(fmt::format("{}, up to {} {}", chart.title, readable(highest(chart)), chart.y_label)));
  if (place == Place::standalone) out += kStandaloneStyle;
  if (!chart.title.empty()) {
    out += fmt::format("<text class=\"title\" x=\"{}\" y=\"19\">{}</text>\n", kLeft - 50, escape(chart.title));
  }
  axes(out, chart, paper);
  for (const auto& band : chart.bands) out += band_of(band, paper);
  for (std::size_t i = 0; i < chart.lines.size(); ++i) {
    const auto& line = chart.lines[i];
    auto points = line.points;
    std::erase_if(points, [](const auto& point) { return !finite(point); });
    const auto path = path_of(points, paper);
    if (line.filled && !points.empty()) {
      out += fmt::format("<polygon class=\"area\" points=\"{:.1f},{:.1f} {}{:.1f},{:.1f}\"/>\n",
                         paper.x(points.front().x), paper.bottom, path, paper.x(points.back().x), paper.bottom);
    }
    out +=
        fmt::format("<polyline class=\"line line{}{}\" points=\"{}\"/>\n", i % 4, line.dashed ? " dashed" : "", path);
  }
  rules(out, chart, paper);
  for (const auto& marks : chart.marks) {
    for (const auto& point : marks.points) {
      if (!finite(point)) continue;
      out += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n",
                         marks.hollow ? "hollow" : "mark", paper.x(point.x), paper.y(point.y));
    }
  }
  legend(out, chart, paper);
  if (!beyond.empty()) {
    std::string text = "Higher than drawn: ";
    for (const auto& limit : beyond) text += fmt::format("{}{}", &limit == beyond.data() ? "" : "; ", limit.name);
    out += fmt::format("<text class=\"note\" x=\"{}\" y=\"{:.1f}\">{}</text>\n", kLeft, height - 5, escape(text));
  }
  return out + "</svg>\n";
}

}  // namespace bridgehead::plot
