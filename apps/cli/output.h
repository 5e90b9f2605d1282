// What goes to standard output: tables for people, or json|yaml|csv|name for machines. Not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace bridgehead::cli {

// field: one field of an object, named by -o.
enum class OutputFormat { table, json, yaml, csv, name, field };

// Text from guests, images or other users goes through this before it meets a terminal: control characters become '?'.
std::string printable(std::string_view text);

class Table {
 public:
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}
  void add(std::vector<std::string> row);
  // At most `width` columns (0 = unlimited): the widest columns are shortened with an ellipsis. No line ends in blanks.
  std::string render(std::size_t width) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

std::string to_yaml(const nlohmann::json& json);
// One line of it, as RFC 4180 says.
std::string csv_line(const std::vector<std::string>& cells);

// Columns of the terminal behind standard output; 0 when it isn't one (then nothing is shortened).
std::size_t terminal_width();
// Cells that a UTF-8 text takes, counting each code point as one.
std::size_t display_width(std::string_view text);
// "3 d", "2 h", "14 s": how long ago, for tables.
std::string age(std::string_view rfc3339);

}  // namespace bridgehead::cli
