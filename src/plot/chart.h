// Chart: curves, bands, marks and limits in one picture, as a value. Pure functions; thread-safe; none fails.
// What isn't finite isn't drawn.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bridgehead::plot {

struct Point {
  double x = 0;
  double y = 0;
};

struct Line {
  std::string name;
  std::vector<Point> points;
  bool dashed = false;
  bool filled = false;  // down to zero
};

// Single measurements. Hollow ones are those that don't count.
struct Marks {
  std::string name;
  std::vector<Point> points;
  bool hollow = false;
};

// Where a curve may lie.
struct Band {
  struct Slice {
    double x = 0;
    double low = 0;
    double high = 0;
  };
  std::string name;
  std::vector<Slice> slices;
};

// A limit (across) or a place (upright), with its name at it.
struct Rule {
  std::string name;
  double at = 0;
};

struct Tick {
  double at = 0;
  std::string text;
};

struct Chart {
  std::string title;  // empty: none is drawn
  std::string x_label;
  std::string y_label;
  std::vector<Band> bands;
  std::vector<Line> lines;
  std::vector<Marks> marks;
  std::vector<Rule> limits;   // across; those far above all else are named in the legend instead of drawn
  std::vector<Rule> places;   // upright
  std::vector<Tick> x_ticks;  // empty: round numbers
  double height = 320;        // the width is 860
};

// What is shown: x from low to high, y from 0 to top. Always a positive extent.
struct Extent {
  double left = 0;
  double right = 1;
  double top = 1;
};
Extent extent_of(const Chart& chart);
// The limits that are beyond the extent.
std::vector<Rule> limits_beyond(const Chart& chart);

// At most `most` + 1 round numbers from low to high.
std::vector<double> round_ticks(double low, double high, int most);

// 1234567.8 -> "1,234,568"; 12.34 -> "12.3"; 0.01234 -> "0.0123"
std::string readable(double value);

// Standalone ones bring their own colours; others take those of the page that they are in (page.h).
enum class Place { in_page, standalone };
std::string svg(const Chart& chart, Place place);

}  // namespace bridgehead::plot
