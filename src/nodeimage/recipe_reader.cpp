#include "nodeimage/recipe_reader.h"

#include <algorithm>

namespace bridgehead::nodeimage {
namespace {

constexpr std::string_view kKnownKeys =
    "extends, name, role, suite, variant, kernel, packages, debs, exclude, keep, enable, mask, file, source, hook, "
    "root_password_hash, ssh_keys, root_limit, tree_limit";

// What becomes part of an image's name and of file names.
bool is_simple_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text[0] != '-' && text[0] != '.' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

bool is_pattern(std::string_view text) {
  return text.size() > 1 && text[0] == '/' && text.find("..") == std::string_view::npos &&
         text.find_first_of("\n'") == std::string_view::npos;
}

bool is_ssh_key(std::string_view text) {
  return (text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-")) &&
         text.find('\n') == std::string_view::npos && text.find(' ') != std::string_view::npos;
}

bool is_source_line(std::string_view text) {
  return text.starts_with("deb ") && text.find_first_of("\n[]") == std::string_view::npos &&
         text.find("://") != std::string_view::npos;
}

}  // namespace

tl::unexpected<Error> RecipeReader::wrong(const toml::node& node, std::string_view key, std::string_view wanted) const {
  return fail(ErrorCode::invalid_argument, "{}, line {}: '{}' must be {}", name_, node.source().begin.line, key,
              wanted);
}

tl::unexpected<Error> RecipeReader::unknown(const toml::node& node, std::string_view key,
                                            std::string_view known) const {
  return fail_with_hint(ErrorCode::invalid_argument,
                        fmt::format("{}, line {}: there is no key '{}'", name_, node.source().begin.line, key),
                        fmt::format("Known: {}.", known));
}

Status RecipeReader::text(std::string_view key, const toml::node& node, std::string& target) const {
  const auto value = node.value_exact<std::string>();
  if (!value) return wrong(node, key, "a text in quotes");
  target = *value;
  return {};
}

Status RecipeReader::size(std::string_view key, const toml::node& node, Bytes& target) const {
  const auto value = node.value_exact<std::string>();
  const auto bytes = value ? parse_bytes(*value) : fail(ErrorCode::invalid_argument, "not a text");
  if (!bytes || bytes->count() == 0) return wrong(node, key, "a size in quotes such as \"350MiB\"");
  target = *bytes;
  return {};
}

Status RecipeReader::path(std::string_view key, const toml::node& node, std::filesystem::path& target) const {
  const auto value = node.value_exact<std::string>();
  if (!value || value->empty()) return wrong(node, key, "a file's path in quotes");
  target = *value;
  if (target.is_relative() && directory_.empty()) return wrong(node, key, "an absolute path");
  if (target.is_relative()) target = directory_ / target;
  return {};
}

Status RecipeReader::names(std::string_view key, const toml::node& node, std::string_view kind,
                           bool (*valid)(std::string_view), std::vector<std::string>& target) const {
  const auto* list = node.as_array();
  if (list == nullptr) return wrong(node, key, fmt::format("a list, each {}", kind));
  for (const auto& item : *list) {
    const auto value = item.value_exact<std::string>();
    if (!value || !valid(*value)) {
      return wrong(item, key, fmt::format("a list, each {}; not '{}'", kind, value.value_or("(no text)")));
    }
    if (std::find(target.begin(), target.end(), *value) == target.end()) target.push_back(*value);
  }
  return {};
}

Status RecipeReader::tables(std::string_view key, const toml::node& node,
                            Status (RecipeReader::*take_one)(const toml::table&)) const {
  const auto* list = node.as_array();
  if (list == nullptr) return wrong(node, key, fmt::format("tables: [[{}]]", key));
  for (const auto& item : *list) {
    if (!item.is_table()) return wrong(item, key, fmt::format("tables: [[{}]]", key));
    if (auto taken = (const_cast<RecipeReader*>(this)->*take_one)(*item.as_table()); !taken) return taken;
  }
  return {};
}

Status RecipeReader::take_file(const toml::table& table) {
  RecipeFile file;
  bool has_content = false;
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    Status taken;
    if (name == "path") {
      taken = text(name, node, file.path);
      if (taken && !valid_image_path(file.path)) taken = wrong(node, name, "an absolute path without '.' and '..'");
    } else if (name == "mode") {
      std::string mode;
      taken = text(name, node, mode);
      if (taken && (mode.empty() || mode.size() > 5 || mode.find_first_not_of("01234567") != std::string::npos ||
                    std::stoul(mode, nullptr, 8) > 07777)) {
        taken = wrong(node, name, "an octal mode in quotes such as \"0644\"");
      }
      if (taken) file.mode = static_cast<std::uint32_t>(std::stoul(mode, nullptr, 8));
    } else if (name == "content") {
      taken = text(name, node, file.content);
      has_content = true;
    } else if (name == "source") {
      taken = path(name, node, file.source);
    } else {
      taken = unknown(node, name, "path, mode, content, source");
    }
    if (!taken) return taken;
  }
  if (file.path.empty()) return wrong(table, "file", "given a 'path'");
  if (has_content != file.source.empty()) return wrong(table, "file", "given either 'content' or 'source'");
  std::erase_if(recipe_.files, [&](const RecipeFile& other) { return other.path == file.path; });
  recipe_.files.push_back(std::move(file));
  return {};
}

Status RecipeReader::take_source(const toml::table& table) {
  AptSource source;
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    Status taken;
    if (name == "line") {
      taken = text(name, node, source.line);
      if (taken && !is_source_line(source.line)) {
        taken = wrong(node, name, "one line \"deb URI SUITE COMPONENT...\" without options in brackets");
      }
    } else if (name == "key") {
      taken = path(name, node, source.key);
      if (taken && source.key.extension() != ".asc" && source.key.extension() != ".gpg") {
        taken = wrong(node, name, "a file that ends in .asc (armored) or .gpg");
      }
    } else {
      taken = unknown(node, name, "line, key");
    }
    if (!taken) return taken;
  }
  if (source.line.empty() || source.key.empty()) return wrong(table, "source", "given 'line' and 'key'");
  recipe_.sources.push_back(std::move(source));
  return {};
}

Status RecipeReader::take_hook(const toml::table& table) {
  Hook hook;
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    Status taken;
    if (name == "name") {
      taken = text(name, node, hook.name);
      if (taken && !is_simple_name(hook.name)) taken = wrong(node, name, "letters a-z, digits, '.' and '-'");
    } else if (name == "script") {
      taken = text(name, node, hook.script);
      if (taken && !hook.script.starts_with("#!/")) taken = wrong(node, name, "a script that begins with #!/");
    } else if (name == "file") {
      taken = path(name, node, hook.source);
    } else {
      taken = unknown(node, name, "name, script, file");
    }
    if (!taken) return taken;
  }
  if (hook.name.empty() || hook.script.empty() == hook.source.empty()) {
    return wrong(table, "hook", "given a 'name' and either 'script' or 'file'");
  }
  recipe_.hooks.push_back(std::move(hook));
  return {};
}

Status RecipeReader::take_debs(const toml::node& node) {
  const auto* list = node.as_array();
  if (list == nullptr) return wrong(node, "debs", "a list of .deb files");
  for (const auto& item : *list) {
    std::filesystem::path file;
    if (auto taken = path("debs", item, file); !taken) return taken;
    if (file.extension() != ".deb") return wrong(item, "debs", "a list of .deb files");
    recipe_.debs.push_back(std::move(file));
  }
  return {};
}

Status RecipeReader::take(std::string_view key, const toml::node& node) {
  const auto simple = [&](std::string& target) -> Status {
    if (auto taken = text(key, node, target); !taken) return taken;
    if (is_simple_name(target)) return {};
    return wrong(node, key, "a name of the letters a-z, digits, '.' and '-'");
  };
  if (key == "name") return simple(recipe_.name);
  if (key == "role") return simple(recipe_.role);
  if (key == "suite") return simple(recipe_.suite);
  if (key == "variant") {
    if (auto taken = text(key, node, recipe_.variant); !taken) return taken;
    for (const std::string_view known : {"custom", "essential", "apt", "minbase"}) {
      if (recipe_.variant == known) return {};
    }
    return wrong(node, key, "\"custom\", \"essential\", \"apt\" or \"minbase\"");
  }
  if (key == "kernel") {
    if (auto taken = text(key, node, recipe_.kernel); !taken) return taken;
    return recipe_.kernel.empty() || valid_package_name(recipe_.kernel) ? Status{}
                                                                        : wrong(node, key, "a package's name");
  }
  if (key == "packages") return names(key, node, "a package's name", valid_package_name, recipe_.packages);
  if (key == "exclude") return names(key, node, "a pattern of absolute paths", is_pattern, recipe_.exclude);
  if (key == "keep") return names(key, node, "a pattern of absolute paths", is_pattern, recipe_.keep);
  if (key == "enable") return names(key, node, "a systemd unit's name", valid_unit_name, recipe_.enable);
  if (key == "mask") return names(key, node, "a systemd unit's name", valid_unit_name, recipe_.mask);
  if (key == "ssh_keys") return names(key, node, "a public key", is_ssh_key, recipe_.ssh_keys);
  if (key == "debs") return take_debs(node);
  if (key == "file") return tables(key, node, &RecipeReader::take_file);
  if (key == "source") return tables(key, node, &RecipeReader::take_source);
  if (key == "hook") return tables(key, node, &RecipeReader::take_hook);
  if (key == "root_limit") return size(key, node, recipe_.root_limit);
  if (key == "tree_limit") return size(key, node, recipe_.tree_limit);
  if (key == "root_password_hash") {
    if (auto taken = text(key, node, recipe_.root_password_hash); !taken) return taken;
    const auto& hash = recipe_.root_password_hash;
    if (hash.empty() || (hash.starts_with('$') && hash.find_first_of(":\n ") == std::string::npos)) return {};
    return wrong(node, key, "a hash as crypt(5) has it (made by: openssl passwd -6), not the password");
  }
  return unknown(node, key, kKnownKeys);
}

}  // namespace bridgehead::nodeimage
