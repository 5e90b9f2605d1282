#include "plot/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace bridgehead::plot {
namespace {

constexpr std::size_t kMargin = 9;

// Characters that can be put anywhere, and dots of a 2 by 4 raster within each.
class Canvas {
 public:
  Canvas(std::size_t columns, std::size_t rows, Extent extent)
      : columns_(columns), rows_(rows), extent_(extent), cells_(columns * rows), dots_(columns * rows) {}

  // In characters from the left, from the top; may lie outside.
  double column(double x) const {
    return (x - extent_.left) / (extent_.right - extent_.left) * (static_cast<double>(columns_) - 1) + 0.5;
  }
  double row(double y) const { return (1 - y / extent_.top) * static_cast<double>(rows_); }

  void dot(double x, double y) {
    const auto dot_column = static_cast<std::ptrdiff_t>(std::floor(column(x) * 2));
    const auto dot_row = static_cast<std::ptrdiff_t>(std::floor(row(y) * 4));
    if (dot_column < 0 || dot_row < 0 || dot_column >= static_cast<std::ptrdiff_t>(columns_ * 2) ||
        dot_row >= static_cast<std::ptrdiff_t>(rows_ * 4))
      return;
    // Unicode's order of the eight dots: two columns of three, then the fourth row.
    constexpr std::array<std::array<std::uint8_t, 2>, 4> kBits{
        {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};
    dots_[static_cast<std::size_t>(dot_row / 4) * columns_ + static_cast<std::size_t>(dot_column / 2)] |=
        kBits[static_cast<std::size_t>(dot_row % 4)][static_cast<std::size_t>(dot_column % 2)];
  }
  void put(double x, double y, std::string_view what) {
    const double at_column = std::floor(column(x));
    const double at_row = std::min(std::floor(row(y)), static_cast<double>(rows_) - 1);
    if (at_column < 0 || at_row < 0 || at_column >= static_cast<double>(columns_)) return;
    cells_[static_cast<std::size_t>(at_row) * columns_ + static_cast<std::size_t>(at_column)] = what;
  }
  std::string line(std::size_t row) const {
    std::string text;
    for (std::size_t i = row * columns_; i < (row + 1) * columns_; ++i) {
      if (dots_[i] != 0 && (cells_[i].empty() || cells_[i] == "░")) {
        // U+2800 and the dots, in UTF-8.
        text += {static_cast<char>(0xE2), static_cast<char>(0xA0 + (dots_[i] >> 6)),
                 static_cast<char>(0x80 + (dots_[i] & 0x3F))};
      } else {
        text += cells_[i].empty() ? " " : cells_[i];
      }
    }
    return text;
  }

 private:
  std::size_t columns_;
  std::size_t rows_;
  Extent extent_;
  std::vector<std::string> cells_;
  std::vector<std::uint8_t> dots_;
};

void draw_line(Canvas& canvas, const Line& line) {
  constexpr int kSteps = 400;
  for (std::size_t i = 1; i < line.points.size(); ++i) {
    const auto& from = line.points[i - 1];
    const auto& to = line.points[i];
    if (!std::isfinite(from.x + from.y + to.x + to.y)) continue;
    for (int step = 0; step <= kSteps; ++step) {
      if (line.dashed && (step / 8) % 2 == 1) continue;
      const double part = static_cast<double>(step) / kSteps;
      canvas.dot(from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part);
    }
  }
}

// The most of the values that fall into each of `columns`.
std::vector<double> fold(const std::vector<double>& values, std::size_t columns) {
  std::vector<double> folded(std::min(columns, values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& target = folded[i * folded.size() / values.size()];
    target = std::max(target, values[i]);
  }
  return folded;
}

// Characters, not bytes; what is plotted here is one column each.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string terminal_chart(const Chart& chart, std::size_t columns, std::size_t rows) {
  columns = columns > kMargin + 20 ? columns - kMargin : 20;
  rows = std::max<std::size_t>(rows, 4);
  const auto extent = extent_of(chart);
  Canvas canvas(columns, rows, extent);
  for (const auto& band : chart.bands) {
    for (std::size_t i = 1; i < band.slices.size(); ++i) {
      const auto& from = band.slices[i - 1];
      const auto& to = band.slices[i];
      for (double x = from.x; x <= to.x; x += (extent.right - extent.left) / static_cast<double>(columns * 2)) {
        const double part = to.x > from.x ? (x - from.x) / (to.x - from.x) : 0;
        const double low = from.low + (to.low - from.low) * part;
        const double high = std::min(from.high + (to.high - from.high) * part, extent.top);
        for (double y = low; y <= high; y += extent.top / static_cast<double>(rows * 2)) canvas.put(x, y, "░");
      }
    }
  }
  for (const auto& limit : chart.limits) {
    if (limit.at > extent.top) continue;
    for (std::size_t i = 0; i < columns; ++i) {
      const double part = static_cast<double>(i) / static_cast<double>(columns);
      canvas.put(extent.left + (extent.right - extent.left) * part, limit.at, "┄");
    }
  }
  for (const auto& line : chart.lines) draw_line(canvas, line);
  for (const auto& marks : chart.marks) {
    for (const auto& point : marks.points) canvas.put(point.x, point.y, marks.hollow ? "○" : "●");
  }
  std::string text = chart.title.empty() ? "" : chart.title + "\n";
  if (!chart.y_label.empty()) text += fmt::format("{:>7}\n", chart.y_label);
  const auto y_ticks = round_ticks(0, extent.top, 4);
  for (std::size_t row = 0; row < rows; ++row) {
    std::string label;
    for (const double tick : y_ticks) {
      if (static_cast<std::size_t>(std::clamp(canvas.row(tick), 0.0, static_cast<double>(rows) - 0.5)) == row)
        label = readable(tick);
    }
    text += label.empty() ? "        │" : fmt::format("{:>7} ┤", label);
    text += canvas.line(row) + "\n";
  }
  std::string axis;
  for (std::size_t i = 0; i < columns; ++i) axis += "─";
  text += "        └" + axis + "\n";
  std::string below(columns + kMargin, ' ');
  for (const double tick : round_ticks(extent.left, extent.right, 8)) {
    const auto label = readable(tick);
    const auto at = std::min(static_cast<std::size_t>(std::max(0.0, canvas.column(tick))) + kMargin,
                             below.size() - std::min(label.size(), below.size()));
    below.replace(at, label.size(), label);
  }
  text += below.substr(0, below.find_last_not_of(' ') + 1) + "  " + chart.x_label + "\n";
  for (const auto& place : chart.places) {
    if (!(place.at >= extent.left && place.at <= extent.right)) continue;
    text += std::string(static_cast<std::size_t>(std::max(0.0, canvas.column(place.at))) + kMargin, ' ') + "▲ " +
            place.name + "\n";
  }
  for (const auto& limit : chart.limits) {
    text += fmt::format("        {} {}\n", limit.at > extent.top ? "higher:" : "┄┄┄", limit.name);
  }
  return text;
}

std::string terminal_columns(const Columns& plot, std::size_t columns) {
  constexpr std::array<std::string_view, 9> kBlocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::size_t kRows = 5;
  const auto values = fold(plot.values, columns > kMargin + 10 ? columns - kMargin : 10);
  if (values.empty()) return {};
  const double top = std::max(plot.top, *std::max_element(values.begin(), values.end()));
  std::string text = plot.title + "\n";
  for (std::size_t row = kRows; row-- > 0;) {
    text += row == kRows - 1 ? fmt::format("{:>7} ┤", readable(top)) : row == 0 ? "      0 ┤" : "        │";
    for (const double value : values) {
      const double eighths = top > 0 ? value / top * kRows * 8 - static_cast<double>(row) * 8 : 0;
      // What isn't nothing shows.
      const double least = row == 0 && value > 0 ? 1 : 0;
      text += kBlocks[static_cast<std::size_t>(std::clamp(std::round(eighths), least, 8.0))];
    }
    text += '\n';
  }
  text += "        └";
  const double units = plot.length / plot.unit_length;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto unit = [&](std::size_t at) {
      return std::floor(static_cast<double>(at) * units / static_cast<double>(values.size()));
    };
    text += i > 0 && unit(i) != unit(i - 1) ? "┴" : "─";
  }
  return text + fmt::format(" {}\n", plot.unit);
}

std::string terminal_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  const auto see = [&](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  };
  see(head);
  for (const auto& row : rows) see(row);
  std::string text;
  const auto write = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - width_of(row[i]), ' ');
      line += (i == 0 ? row[i] + gap : gap + row[i]) + "  ";
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  write(head);
  for (const auto& row : rows) write(row);
  return text;
}

}  // namespace bridgehead::plot
