// Report: what came of a run, for people (terminal, HTML) and programs (JSON). Pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "simulation/simulator.h"

namespace bridgehead::simulation {

// A table of figures and plots made of block characters, `columns` wide.
std::string text_report(const Outcome& outcome, std::size_t columns = 80);

nlohmann::json json_report(const Outcome& outcome);

// One page with the figures and plots (SVG in it); it needs nothing from anywhere else.
std::string html_report(const Outcome& outcome);

// The figures as rows, in the order in which they are shown.
struct Figure {
  std::string name;
  std::string value;
};
std::vector<Figure> figures_of(const Outcome& outcome);

// What is plotted, with its unit.
struct Curve {
  std::string name;
  std::string unit;
  std::vector<double> values;
  std::vector<double> beside;  // what it is compared with, or empty
  std::string beside_name;
};
std::vector<Curve> curves_of(const Outcome& outcome);

}  // namespace bridgehead::simulation
