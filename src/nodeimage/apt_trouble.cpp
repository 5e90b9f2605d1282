#include "nodeimage/apt_trouble.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace bridgehead::nodeimage {
namespace {

constexpr std::size_t kLongest = 200;
constexpr std::string_view kUnmet = "The following packages have unmet dependencies:";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// What stands between the two; nothing if one of them is missing.
std::optional<std::string_view> between(std::string_view line, std::string_view before, std::string_view after) {
  if (!line.starts_with(before)) return std::nullopt;
  line.remove_prefix(before.size());
  const auto end = after.empty() ? line.size() : line.find(after);
  if (end == std::string_view::npos) return std::nullopt;
  return line.substr(0, end);
}

std::optional<std::string> missing_package(std::string_view line) {
  auto name = between(line, "E: Unable to locate package ", "");
  if (!name) name = between(line, "E: Package '", "' has no installation candidate");
  if (!name) return std::nullopt;
  return fmt::format("no apt source has the package {}", *name);
}

std::optional<std::string> broken_repository(std::string_view line) {
  if (const auto rest = between(line, "E: Failed to fetch ", "")) {
    const auto space = std::min(rest->find(' '), rest->size());
    return fmt::format("{} can't be fetched: {}", rest->substr(0, space), trimmed(rest->substr(space)));
  }
  if (const auto rest = between(line, "W: GPG error: ", "")) return fmt::format("the signature of {}", *rest);
  if (line.starts_with("E: The repository ")) return std::string(line.substr(3));
  return std::nullopt;
}

// Also where it is told in the middle of something that failed because of it: a fetch, a signature, a package.
std::optional<std::string> full_disk(std::string_view line) {
  if (line.find("No space left on device") == std::string_view::npos) return std::nullopt;
  return "no space is left on the disk";
}

std::optional<std::string> broken_package(std::string_view line) {
  for (const std::string_view kind : {"package ", "archive "}) {
    const auto name = between(line, fmt::format("dpkg: error processing {}", kind), " (");
    if (name) return fmt::format("dpkg can't install {}", *name);
  }
  return std::nullopt;
}

std::string cut(std::string text) {
  if (text.size() > kLongest) text = text.substr(0, kLongest - 3) + "...";
  return text;
}

}  // namespace

std::string apt_trouble(std::string_view output) {
  const auto lines = lines_of(output);
  const auto first = [&](const auto& look) -> std::optional<std::string> {
    for (const auto line : lines) {
      if (auto found = look(trimmed(line))) return cut(std::move(*found));
    }
    return std::nullopt;
  };
  if (auto found = first(full_disk)) return *found;
  // Without a repository packages are missing, too; and mmdebstrap repeats apt's failure in words of its own.
  if (auto found = first(broken_repository)) return *found;
  for (std::size_t at = 0; at + 1 < lines.size(); ++at) {
    // " corosync : Depends: libknet1 (>= 1.13) but it is not installable"
    if (trimmed(lines[at]) == kUnmet) {
      return cut(fmt::format("these don't fit together: {}", trimmed(lines[at + 1])));
    }
  }
  if (auto found = first(missing_package)) return *found;
  if (auto found = first(broken_package)) return *found;
  std::string_view last;
  for (const auto line : lines) {
    if (line.starts_with("E: ")) return cut(std::string(trimmed(line.substr(3))));
    if (!trimmed(line).empty()) last = trimmed(line);
  }
  return cut(std::string(last));
}

Error apt_failure(std::string_view what, const Error& failed, std::string_view output,
                  const std::filesystem::path& log) {
  const auto why = apt_trouble(output);
  Error error{failed.code, fmt::format("{}: {}", what, why.empty() ? cut(failed.message) : why),
              "Check the packages of the recipe, its apt sources and those of this machine."};
  if (!output.empty() && write_file_atomic(log, output, 0644)) {
    error.hint += fmt::format(" All that was said is in {}.", log.native());
  }
  return error;
}

}  // namespace bridgehead::nodeimage
