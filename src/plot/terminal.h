// Plots made of characters. Pure functions; thread-safe; none fails. UTF-8, no colours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plot/chart.h"

namespace bridgehead::plot {

// Lines as braille dots, bands as ░, marks as ●, those that don't count as ○, places as ▲ below. `columns` wide.
std::string terminal_chart(const Chart& chart, std::size_t columns = 80, std::size_t rows = 14);

// Values over time as columns of blocks; the axis is marked where a whole `unit_length` of `length` is gone.
struct Columns {
  std::string title;
  std::string unit;
  std::vector<double> values;
  double top = 0;  // at least so high
  double length = 0;
  double unit_length = 1;
};
std::string terminal_columns(const Columns& plot, std::size_t columns = 80);

// Columns as wide as they need be; the first stands to the left, the others to the right.
std::string terminal_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

}  // namespace bridgehead::plot
