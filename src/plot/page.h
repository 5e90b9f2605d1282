// Pages that need nothing from anywhere else: style, tables, escaping. Pure functions; thread-safe; none fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bridgehead::plot {

// Text as it may stand in HTML and SVG, also within quotes; what no document may hold (control characters) as '?'.
std::string escape(std::string_view text);

// The whole document; light or dark as the reader's system is. `body` is HTML.
std::string page(std::string_view title, std::string_view body);

// Cells that begin with a digit or a sign stand to the right. All cells are text.
std::string html_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

}  // namespace bridgehead::plot
