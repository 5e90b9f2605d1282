#include "module_list.h"

#include <algorithm>

#include "text.h"

namespace bridgehead::init {
namespace {

std::string module_name(std::string_view name) {
  std::string normal(name);
  std::replace(normal.begin(), normal.end(), '-', '_');
  return normal;
}

// `pattern` begins after '['. Sets `end` to what follows ']', or npos where there is none.
bool in_set(std::string_view pattern, char c, std::size_t& end) {
  std::size_t i = 0;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found |= pattern[i] <= c && c <= pattern[i + 2];
      i += 3;
    } else {
      found |= pattern[i++] == c;
    }
  }
  end = i < pattern.size() ? i + 1 : std::string_view::npos;
  return found != negated;
}

// The literal beginning up to ':', by which patterns are sorted; "" where a wildcard comes before.
std::string_view bus_of(std::string_view pattern) {
  const auto colon = pattern.find(':');
  const auto bus = pattern.substr(0, colon);
  return colon == std::string_view::npos || bus.find_first_of("*?[") != std::string_view::npos ? "" : bus;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // after the last '*', to which we come back
  std::size_t star_text = 0;
  while (t < text.size()) {
    bool matches = false;
    std::size_t next = p + 1;
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '[') {
      std::size_t end = 0;
      matches = in_set(pattern.substr(p + 1), text[t], end);
      if (end == std::string_view::npos) return false;
      next = p + 1 + end;
    } else if (p < pattern.size()) {
      matches = pattern[p] == '?' || pattern[p] == text[t];
    }
    if (matches) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

ModuleList ModuleList::parse(std::string_view text) {
  ModuleList list;
  while (!text.empty()) {
    const auto fields = words(take_until(text, '\n'));
    if (fields.size() >= 2 && fields[0] == "always") {
      for (std::size_t i = 1; i < fields.size(); ++i) list.always_.push_back(module_name(fields[i]));
    } else if (fields.size() >= 3 && fields[0] == "module") {
      auto& module = list.modules_[module_name(fields[1])];
      module.path = fields[2];
      for (std::size_t i = 3; i < fields.size(); ++i) module.needs.push_back(module_name(fields[i]));
    } else if (fields.size() == 3 && fields[0] == "alias") {
      list.aliases_[std::string(bus_of(fields[1]))].push_back({std::string(fields[1]), module_name(fields[2])});
    }
  }
  return list;
}

std::vector<std::string> ModuleList::matching(std::string_view modalias) const {
  std::vector<std::string> found;
  for (const auto bus : {bus_of(modalias), std::string_view()}) {
    const auto aliases = aliases_.find(bus);
    if (aliases == aliases_.end()) continue;
    for (const auto& alias : aliases->second) {
      if (glob_match(alias.pattern, modalias) && std::find(found.begin(), found.end(), alias.module) == found.end()) {
        found.push_back(alias.module);
      }
    }
    if (bus.empty()) break;
  }
  return found;
}

void ModuleList::add_order(const std::string& name, std::vector<std::string>& order,
                           std::vector<std::string>& entered) const {
  // Entered once, so that a circle in a damaged list ends too.
  if (std::find(entered.begin(), entered.end(), name) != entered.end()) return;
  const auto module = modules_.find(name);
  if (module == modules_.end()) return;  // built in
  entered.push_back(name);
  for (const auto& need : module->second.needs) add_order(need, order, entered);
  order.push_back(name);
}

std::vector<std::string> ModuleList::load_order(std::string_view name) const {
  std::vector<std::string> order;
  std::vector<std::string> entered;
  add_order(module_name(name), order, entered);
  return order;
}

std::string ModuleList::path(std::string_view name) const {
  const auto module = modules_.find(name);
  return module == modules_.end() ? std::string() : module->second.path;
}

}  // namespace bridgehead::init
