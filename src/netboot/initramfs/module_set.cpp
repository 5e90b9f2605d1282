#include "netboot/initramfs/module_set.h"

#include "netboot/initramfs/compression.h"

namespace bridgehead::netboot {
namespace {

constexpr int kMaxNeedDepth = 64;

// What modules ask modprobe for while they run, told by no softdep. In the initramfs nobody answers such requests.
struct RuntimeNeed {
  std::string_view module;
  std::string_view before;  // must be there when the module starts
  std::string_view after;   // does the work once the module is there
};
constexpr RuntimeNeed kRuntimeNeeds[] = {
    {"tg3", "broadcom", ""},   // the PHYs of the 5785 and 57780
    {"r8169", "realtek", ""},  // all of its PHYs
    {"mlx4_core", "", "mlx4_en"},
    {"libcrc32c", "crc32c", ""},
};

bool is_for_cpus(const ModuleInfo& info) {
  return std::any_of(info.aliases.begin(), info.aliases.end(),
                     [](const std::string& alias) { return alias.starts_with("cpu:"); });
}

// Of a device, as in its file "modalias", or what the kernel asks modprobe for ("fs-nfs4", "crypto-crc32c").
bool is_index_word(std::string_view alias) {
  return !alias.empty() && !alias.starts_with("devname:") &&
         std::none_of(alias.begin(), alias.end(), [](char c) { return c <= ' ' || c == 0x7f; });
}

void append_unique(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const auto& name : more) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }
}

}  // namespace

Status ModuleSet::add(std::string_view name) { return visit(module_name(name), 0); }

Status ModuleSet::add_always(std::string_view name) {
  if (auto added = add(name); !added) return added;
  std::vector<std::string> names{module_name(name)};
  for (auto [at, end] = companions_.equal_range(names.front()); at != end; ++at) names.push_back(at->second);
  std::erase_if(names, [&](const std::string& module) { return !modules_.contains(module); });
  append_unique(always_, names);
  return {};
}

void ModuleSet::take_need(const std::string& need, ChosenModule& module) const {
  const auto found = modules_.find(need);
  if (found == modules_.end()) return;  // built in
  append_unique(module.needs, found->second.needs);
  append_unique(module.needs, {need});
}

Status ModuleSet::visit_needs(const std::string& name, ChosenModule& module, int depth) {
  ModuleInfo soft = module.info;
  if (const auto* more = index_.softdep(name)) {
    append_unique(soft.soft_pre, more->soft_pre);
    append_unique(soft.soft_post, more->soft_post);
  }
  for (const auto& need : kRuntimeNeeds) {
    if (need.module != name) continue;
    if (!need.before.empty()) append_unique(soft.soft_pre, {std::string(need.before)});
    if (!need.after.empty()) append_unique(soft.soft_post, {std::string(need.after)});
  }
  for (const auto& wish : soft.soft_pre) {
    for (const auto& found : index_.resolve(wish)) {
      if (found == name) continue;
      if (auto visited = visit(found, depth + 1); !visited) return visited;
      // One made for some CPUs refuses to be loaded on others: it comes by its alias, not as a need.
      if (!is_for_cpus(modules_.at(found).info)) take_need(found, module);
    }
  }
  const auto* known = index_.find(name);
  for (const auto& need : known->needs) {
    if (auto visited = visit(need, depth + 1); !visited) {
      auto error = visited.error();
      if (error.code == ErrorCode::not_found) error.message += fmt::format(" (needed by {})", name);
      return fail(std::move(error));
    }
    take_need(need, module);
  }
  for (const auto& wish : soft.soft_post) {
    for (const auto& found : index_.resolve(wish)) {
      if (found != name) companions_.emplace(name, found);
    }
  }
  return {};
}

Status ModuleSet::visit(const std::string& name, int depth) {
  if (modules_.contains(name)) return {};
  const auto* known = index_.find(name);
  if (known == nullptr && index_.built_in(name)) return {};
  if (known == nullptr) {
    return fail_with_hint(
        ErrorCode::not_found, fmt::format("the kernel has no module {}", name),
        fmt::format("Look into {} in the tree; install the package that has it.", index_.directory()));
  }
  if (depth > kMaxNeedDepth) return fail(ErrorCode::data_corrupt, "{}: modules need each other without end", name);
  auto content = read_module(tree_, index_.directory(), *known);
  if (!content) return forward(content);
  auto info = read_module_info(*content, known->path);
  if (!info) return forward(info);
  // In the set before its needs are looked at, so that a circle ends; filled afterwards.
  modules_[name] = {std::string(without_compression(known->path)), std::move(*content), {}, std::move(*info)};
  ChosenModule work{{}, {}, {}, modules_[name].info};
  if (auto visited = visit_needs(name, work, depth); !visited) {
    modules_.erase(name);
    return visited;
  }
  std::erase(work.needs, name);
  modules_[name].needs = std::move(work.needs);
  // Companions need the module itself, so they come last.
  for (auto [at, end] = companions_.equal_range(name); at != end; ++at) {
    if (auto visited = visit(at->second, depth + 1); !visited) return visited;
  }
  return {};
}

std::string ModuleSet::index_text() const {
  std::string text;
  for (const auto& name : always_) text += fmt::format("always {}\n", name);
  for (const auto& [name, module] : modules_) {
    text += fmt::format("module {} {}{}{}\n", name, module.path, module.needs.empty() ? "" : " ",
                        fmt::join(module.needs, " "));
  }
  for (const auto& [name, module] : modules_) {
    for (const auto& alias : module.info.aliases) {
      if (!is_index_word(alias)) continue;
      text += fmt::format("alias {} {}\n", alias, name);
      for (auto [at, end] = companions_.equal_range(name); at != end; ++at) {
        text += fmt::format("alias {} {}\n", alias, at->second);
      }
    }
  }
  return text;
}

}  // namespace bridgehead::netboot
