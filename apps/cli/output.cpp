#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"

namespace bridgehead::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 6;

std::string shortened(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::string result;
  std::size_t cells = 0;
  for (const char c : text) {
    const bool starts_character = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (starts_character && ++cells >= width) break;
    result += c;
  }
  return result + "…";
}

// A plain scalar only when nothing could read it as anything but this text.
std::string yaml_text(const std::string& text) {
  static constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
  const bool letters_only =
      !text.empty() && text.find_first_not_of(plain) == std::string::npos &&
      ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') || text[0] == '/');
  static const std::vector<std::string> words{"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (letters_only && std::find(words.begin(), words.end(), lower) == words.end()) return text;
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);  // JSON text is YAML text
}

void write_yaml(const nlohmann::json& json, std::size_t indent, std::string& out);

void write_child(const nlohmann::json& value, std::size_t indent, std::string& out) {
  if (value.is_structured() && !value.empty()) {
    out += '\n';
    write_yaml(value, indent, out);
  } else {
    out += ' ';
    write_yaml(value, indent, out);
  }
}

void write_yaml(const nlohmann::json& json, std::size_t indent, std::string& out) {
  const std::string pad(indent, ' ');
  if (json.is_object() && !json.empty()) {
    for (const auto& [key, value] : json.items()) {
      out += pad + yaml_text(key) + ":";
      write_child(value, indent + 2, out);
    }
  } else if (json.is_array() && !json.empty()) {
    for (const auto& value : json) {
      if (value.is_structured() && !value.empty()) {
        std::string block;
        write_yaml(value, indent + 2, block);
        out += pad + "- " + block.substr(indent + 2);
      } else {
        out += pad + "- ";
        write_yaml(value, 0, out);
      }
    }
  } else if (json.is_string()) {
    out += yaml_text(json.get<std::string>()) + "\n";
  } else {
    out += json.dump() + "\n";
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return result;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void Table::add(std::vector<std::string> row) {
  for (auto& cell : row) cell = printable(cell);
  row.resize(headers_.size());
  rows_.push_back(std::move(row));
}

std::string Table::render(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const auto& header : headers_) widths.push_back(display_width(header));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  const auto total = [&] {
    std::size_t sum = kGap * (widths.size() - 1);
    for (const auto column : widths) sum += column;
    return sum;
  };
  while (width > 0 && total() > width) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kNarrowest) break;
    *widest = std::max(kNarrowest, *widest - std::min(*widest, total() - width));
    if (*widest > kNarrowest && total() <= width) break;
  }
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      auto cells_taken = display_width(cells[i]);
      if (cells_taken <= widths[i]) {
        text += cells[i];
      } else {
        text += shortened(cells[i], widths[i]);
        cells_taken = widths[i];
      }
      text.append(widths[i] - cells_taken + kGap, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  line(headers_);
  for (const auto& row : rows_) line(row);
  return text;
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    if (cells[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += cells[i];
      continue;
    }
    line += '"';
    for (const char c : cells[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\n";
}

std::string to_yaml(const nlohmann::json& json) {
  std::string out;
  write_yaml(json, 0, out);
  return out;
}

std::size_t terminal_width() {
  if (::isatty(STDOUT_FILENO) == 0) return 0;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string age(std::string_view rfc3339) {
  const auto time = parse_rfc3339(rfc3339);
  if (!time) return "-";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(SystemClock().now() - *time).count();
  if (seconds < 0) return "0 s";
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86400);
}

}  // namespace bridgehead::cli
