#include "netboot/initramfs/kernel.h"

#include <cctype>
#include <optional>

#include "netboot/initramfs/lines.h"

namespace bridgehead::netboot {
namespace {

constexpr Bytes kConfigLimit = 4_MiB;
constexpr std::string_view kImagePrefix = "vmlinuz-";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Runs of digits and runs of letters; what stands between them only separates.
std::vector<std::string_view> version_parts(std::string_view version) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < version.size();) {
    std::size_t end = at;
    const auto run = [&](auto kind) {
      while (end < version.size() && kind(version[end])) ++end;
    };
    if (is_digit(version[at])) {
      run(is_digit);
    } else if (is_letter(version[at])) {
      run(is_letter);
    } else {
      ++at;
      continue;
    }
    parts.push_back(version.substr(at, end - at));
    at = end;
  }
  return parts;
}

int sign(int value) { return value < 0 ? -1 : value > 0 ? 1 : 0; }

int compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return sign(a.compare(b));
}

// How ready for use a version's name says that it is.
int rank(const std::vector<std::string_view>& parts) {
  for (const auto part : parts) {
    if (part == "rc") return 0;
    if (part == "debug" || part == "rt" || part == "cloud") return 1;
  }
  return 2;
}

bool is_version_name(std::string_view name) {
  return !name.empty() && is_digit(name.front()) && name.size() < 128 &&
         name.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_+~") ==
             std::string_view::npos;
}

std::optional<std::string> first_file(const RootTree& tree, std::initializer_list<std::string> candidates) {
  for (const auto& path : candidates) {
    if (tree.is_file(path)) return path;
  }
  return std::nullopt;
}

std::optional<std::string> modules_directory(const RootTree& tree, const std::string& version) {
  for (const auto* base : {"usr/lib/modules/", "lib/modules/"}) {
    if (tree.is_directory(base + version)) return base + version;
  }
  return std::nullopt;
}

std::optional<std::string> kernel_image(const RootTree& tree, const std::string& version) {
  return first_file(tree, {"boot/vmlinuz-" + version, "usr/lib/modules/" + version + "/vmlinuz",
                           "lib/modules/" + version + "/vmlinuz"});
}

// Versions that have both an image and a directory of modules, newest first. Fedora's rescue kernel has no directory.
std::vector<std::string> kernel_versions(const RootTree& tree) {
  std::vector<std::string> candidates;
  for (const auto& name : tree.list("boot")) {
    if (name.starts_with(kImagePrefix)) candidates.push_back(name.substr(kImagePrefix.size()));
  }
  for (const auto* base : {"usr/lib/modules", "lib/modules"}) {
    for (auto& name : tree.list(base)) candidates.push_back(std::move(name));
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  std::erase_if(candidates, [&](const std::string& version) {
    return !is_version_name(version) || !kernel_image(tree, version) || !modules_directory(tree, version);
  });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const std::string& a, const std::string& b) { return compare_kernel_versions(a, b) > 0; });
  return candidates;
}

// Only letters, digits and the like come out: it goes into messages.
std::string distribution_of(const RootTree& tree) {
  std::string ids;
  for (const auto* path : {"etc/os-release", "usr/lib/os-release"}) {
    const auto text = tree.read(path, 64_KiB);
    if (!text) continue;
    for (const auto line : lines(*text)) {
      if (!line.starts_with("ID=") && !line.starts_with("ID_LIKE=")) continue;
      for (const char c : line.substr(line.find('=') + 1)) {
        if (is_letter(c) || is_digit(c) || c == ' ' || c == '-') ids += c;
      }
      ids += ' ';
    }
    break;
  }
  return ids;
}

KernelConfig config_of(const RootTree& tree, const std::string& version, const std::string& modules) {
  const auto path = first_file(tree, {"boot/config-" + version, modules + "/config"});
  if (!path) return {};
  const auto text = tree.read(*path, kConfigLimit);
  return text ? KernelConfig(*text) : KernelConfig();
}

tl::unexpected<Error> no_kernel(const RootTree& tree, const std::string& wanted,
                                const std::vector<std::string>& found) {
  const auto root = tree.root().native();
  if (!found.empty()) {
    return fail_with_hint(ErrorCode::not_found, fmt::format("{} has no kernel {}", root, wanted),
                          fmt::format("It has: {}.", fmt::join(found, ", ")));
  }
  return fail_with_hint(
      ErrorCode::not_found,
      fmt::format("{} has no kernel{}{}: neither boot/vmlinuz-VERSION nor lib/modules/VERSION/vmlinuz beside "
                  "a directory lib/modules/VERSION",
                  root, wanted.empty() ? "" : " ", wanted),
      "Install one in the tree: Debian linux-image-amd64, Ubuntu linux-image-generic, Fedora, CentOS and "
      "Rocky kernel-core and kernel-modules.");
}

}  // namespace

int compare_kernel_versions(std::string_view a, std::string_view b) {
  const auto parts_a = version_parts(a);
  const auto parts_b = version_parts(b);
  const auto numeric = [](const auto& parts, std::size_t at) {
    return at < parts.size() && is_digit(parts[at].front());
  };
  std::size_t at = 0;
  for (; numeric(parts_a, at) && numeric(parts_b, at); ++at) {
    if (const int order = compare_numbers(parts_a[at], parts_b[at]); order != 0) return order;
  }
  if (numeric(parts_a, at) != numeric(parts_b, at)) return numeric(parts_a, at) ? 1 : -1;
  if (const int order = rank(parts_a) - rank(parts_b); order != 0) return sign(order);
  for (; at < parts_a.size() && at < parts_b.size(); ++at) {
    const bool numbers = is_digit(parts_a[at].front()) && is_digit(parts_b[at].front());
    const int order = numbers ? compare_numbers(parts_a[at], parts_b[at]) : sign(parts_a[at].compare(parts_b[at]));
    if (order != 0) return order;
  }
  if (parts_a.size() != parts_b.size()) return parts_a.size() < parts_b.size() ? -1 : 1;
  return sign(a.compare(b));
}

Result<Kernel> find_kernel(const RootTree& tree, const std::string& version) {
  Kernel kernel;
  kernel.found = kernel_versions(tree);
  const bool has_it = version.empty()
                          ? !kernel.found.empty()
                          : std::find(kernel.found.begin(), kernel.found.end(), version) != kernel.found.end();
  if (!has_it) return no_kernel(tree, version, kernel.found);
  kernel.version = version.empty() ? kernel.found.front() : version;
  kernel.modules = modules_directory(tree, kernel.version).value_or("");
  const auto image = tree.real_path(kernel_image(tree, kernel.version).value_or(""));
  if (!image) return forward(image);
  kernel.image = *image;
  kernel.config = config_of(tree, kernel.version, kernel.modules);
  kernel.distribution = distribution_of(tree);
  return kernel;
}

}  // namespace bridgehead::netboot
