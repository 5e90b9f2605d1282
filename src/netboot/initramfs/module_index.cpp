#include "netboot/initramfs/module_index.h"

#include "netboot/initramfs/compression.h"
#include "netboot/initramfs/lines.h"

namespace bridgehead::netboot {
namespace {

constexpr Bytes kIndexLimit = 64_MiB;
constexpr std::size_t kMaxModules = 50'000;
constexpr int kMaxDirectories = 20'000;

// It becomes a path in the initramfs and a word in its index.
bool is_module_path(std::string_view path) {
  if (path.empty() || path.front() == '/' || !without_compression(path).ends_with(".ko")) return false;
  for (const char c : path) {
    if (c <= ' ' || c == 0x7f) return false;
  }
  for (const auto part : split(path, '/')) {
    if (part == "." || part == "..") return false;
  }
  return path.find("//") == std::string_view::npos;
}

std::string text_of(const RootTree& tree, const std::string& path) {
  auto text = tree.read(path, kIndexLimit);
  return text ? std::move(*text) : std::string();
}

}  // namespace

const KnownModule* ModuleIndex::find(std::string_view name) const {
  const auto found = modules_.find(module_name(name));
  return found == modules_.end() ? nullptr : &found->second;
}

const ModuleInfo* ModuleIndex::softdep(std::string_view name) const {
  const auto found = softdeps_.find(name);
  return found == softdeps_.end() ? nullptr : &found->second;
}

std::vector<std::string> ModuleIndex::resolve(std::string_view name_or_alias) const {
  const auto name = module_name(name_or_alias);
  if (modules_.contains(name)) return {name};
  std::vector<std::string> found;
  for (auto [at, end] = aliases_.equal_range(name); at != end; ++at) {
    if (modules_.contains(at->second)) found.push_back(at->second);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

void ModuleIndex::add_alias(std::string_view alias, std::string_view module) {
  // Those of devices are read from the modules that are taken; here only names that softdeps use.
  if (alias.find_first_of(":*?[") == std::string_view::npos) aliases_.emplace(module_name(alias), module_name(module));
}

// "kernel/a.ko.xz: kernel/b.ko.xz kernel/c.ko.xz": all that a needs, loaded from the last to the first.
Status ModuleIndex::read_dependencies(const std::string& text) {
  for (const auto line : lines(text)) {
    const auto colon = line.find(':');
    const auto path = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_module_path(path)) {
      return fail_with_hint(
          ErrorCode::data_corrupt,
          fmt::format("{}/modules.dep has a line that depmod doesn't write: '{:.80}'", directory_, line),
          "Run 'depmod VERSION' in the tree, or remove modules.dep: then the modules themselves are read.");
    }
    KnownModule module{std::string(path), {}};
    for (const auto need : words(line.substr(colon + 1)))
      module.needs.insert(module.needs.begin(), module_name_of_path(need));
    modules_[module_name_of_path(path)] = std::move(module);
    if (modules_.size() > kMaxModules)
      return fail(ErrorCode::resource_exhausted, "{}/modules.dep names more than {} modules", directory_, kMaxModules);
  }
  return {};
}

Status ModuleIndex::scan_directory(const RootTree& tree, const std::string& below, int& budget) {
  // Symbolic links may make a small tree endless.
  if (--budget < 0)
    return fail(ErrorCode::resource_exhausted, "{} has more than {} directories", directory_, kMaxDirectories);
  // "build" and "source" of a modules' directory link to kernel headers.
  for (const auto& name : tree.list(directory_ + "/" + below)) {
    const auto path = below.empty() ? name : below + "/" + name;
    if (is_module_path(path)) {
      modules_[module_name_of_path(path)] = {path, {}};
      if (modules_.size() > kMaxModules)
        return fail(ErrorCode::resource_exhausted, "{} has more than {} modules", directory_, kMaxModules);
    } else if (name != "build" && name != "source" && tree.is_directory(directory_ + "/" + path)) {
      if (auto scanned = scan_directory(tree, path, budget); !scanned) return scanned;
    }
  }
  return {};
}

Status ModuleIndex::scan(const RootTree& tree) {
  int budget = kMaxDirectories;
  if (auto scanned = scan_directory(tree, "", budget); !scanned) return scanned;
  for (auto& [name, module] : modules_) {
    const auto content = read_module(tree, directory_, module);
    if (!content) return forward(content);
    auto info = read_module_info(*content, module.path);
    if (!info) return forward(info);
    for (const auto& alias : info->aliases) add_alias(alias, name);
    module.needs = std::move(info->needs);
  }
  return {};
}

Result<ModuleIndex> ModuleIndex::load(const RootTree& tree, const std::string& directory) {
  ModuleIndex index;
  index.directory_ = directory;
  const auto dependencies = text_of(tree, directory + "/modules.dep");
  const auto read = lines(dependencies).empty() ? index.scan(tree) : index.read_dependencies(dependencies);
  if (!read) return forward(read);
  const auto built_in = text_of(tree, directory + "/modules.builtin");
  for (const auto path : lines(built_in)) index.built_in_.insert(module_name_of_path(path));
  const auto aliases = text_of(tree, directory + "/modules.alias");
  for (const auto line : lines(aliases)) {
    const auto fields = words(line);
    if (fields.size() == 3 && fields[0] == "alias") index.add_alias(fields[1], fields[2]);
  }
  const auto softdeps = text_of(tree, directory + "/modules.softdep");
  for (const auto line : lines(softdeps)) {
    const auto fields = words(line);
    if (fields.size() > 2 && fields[0] == "softdep") {
      read_softdep(line.substr(static_cast<std::size_t>(fields[2].data() - line.data())),
                   index.softdeps_[module_name(fields[1])]);
    }
  }
  if (index.modules_.empty() && index.built_in_.empty()) {
    return fail_with_hint(ErrorCode::not_found, fmt::format("{} has neither modules nor modules.builtin", directory),
                          "Install the package with the kernel's modules in the tree.");
  }
  return index;
}

Result<std::string> read_module(const RootTree& tree, const std::string& directory, const KnownModule& module) {
  const auto path = directory + "/" + module.path;
  const auto bytes = tree.read(path, kModuleLimit);
  if (!bytes) {
    return fail_with_hint(bytes.error().code, bytes.error().message,
                          "Install the package with the kernel's modules again in the tree.");
  }
  return decompress(*bytes, compression_of(path), kModuleLimit, path);
}

}  // namespace bridgehead::netboot
