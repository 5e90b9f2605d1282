#include "model/overlay.h"

#include <algorithm>
#include <array>
#include <set>

namespace bridgehead::model {
namespace {

// An identity, a socket or a device of the system in the place of a file is never what somebody wants.
constexpr std::array<std::string_view, 6> kReserved{
    "/proc", "/sys", "/dev", "/run/bridgehead", "/var/lib/bridgehead", "/etc/bridgehead"};

std::string printable_path(std::string_view path) {
  std::string text;
  for (const char c : path.substr(0, 100)) text += c >= ' ' && c < 127 ? c : '?';
  return text + (path.size() > 100 ? "..." : "");
}

bool is_name(std::string_view part) {
  return !part.empty() && part != "." && part != ".." &&
         std::none_of(part.begin(), part.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; });
}

// The bundle is a ustar archive: 100 bytes for the path, or for its end, with 155 before it.
bool fits_archive(std::string_view path) {
  if (path.size() <= 100) return true;
  const auto split = path.rfind('/', 155);
  return split != std::string_view::npos && path.size() - split - 1 <= 100;
}

Status check_path(std::string_view path) {
  bool clean = path.starts_with('/') && fits_archive(path.substr(1));
  for (std::size_t start = 1; clean && start <= path.size();) {
    const auto end = std::min(path.find('/', start), path.size());
    clean = is_name(path.substr(start, end - start));
    start = end + 1;
  }
  if (clean && path.size() > 1) return {};
  return fail(ErrorCode::invalid_argument, "'{}' is not a clean absolute path of a file, or too long for a bundle",
              printable_path(path));
}

// Of files or secret files: what both have.
class Checker {
 public:
  Status add(std::string_view path, std::uint32_t mode, Bytes size) {
    if (auto checked = check_path(path); !checked) return checked;
    if (mode > 07777) return fail(ErrorCode::invalid_argument, "{}: the mode must be at most 7777", path);
    if (size > kLargestOverlayFile) {
      return fail(ErrorCode::invalid_argument, "{}: is larger than {}", path, kLargestOverlayFile.human());
    }
    sum_ += size.count();
    if (!paths_.insert(path).second) return fail(ErrorCode::invalid_argument, "{} is given twice", path);
    return {};
  }
  Status finish() const {
    if (paths_.size() > kMostOverlayFiles) {
      return fail(ErrorCode::invalid_argument, "there are more than {} of them", kMostOverlayFiles);
    }
    if (sum_ > kLargestOverlay.count()) {
      return fail(ErrorCode::invalid_argument, "together they are larger than {}", kLargestOverlay.human());
    }
    for (const auto path : paths_) {
      const auto below = paths_.lower_bound(std::string(path) + "/");
      if (below != paths_.end() && below->starts_with(std::string(path) + "/")) {
        return fail(ErrorCode::invalid_argument, "{} can't be a file and hold {}", path, *below);
      }
    }
    return {};
  }

 private:
  std::set<std::string_view> paths_;
  std::uint64_t sum_ = 0;
};

}  // namespace

Result<std::string> substitute(std::string_view text, const OverlayVariables& variables) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      result += text[at];
    } else if (text[at + 1] == '$') {
      result += '$';
      ++at;
    } else if (text[at + 1] == '{') {
      const std::size_t end = text.find('}', at);
      const std::string_view name = text.substr(at + 2, end == std::string_view::npos ? end : end - at - 2);
      const std::string* value = name == "node"      ? &variables.node
                                 : name == "address" ? &variables.address
                                 : name == "mac"     ? &variables.mac
                                 : name == "image"   ? &variables.image
                                                     : nullptr;
      if (end == std::string_view::npos || value == nullptr) {
        return fail_with_hint(ErrorCode::invalid_argument,
                              fmt::format("there is no variable '${{{}{}'", printable_path(name.substr(0, 40)),
                                          end == std::string_view::npos ? "" : "}"),
                              "Known: ${node}, ${address}, ${mac}, ${image}; a plain $ before { is written as $$.");
      }
      result += *value;
      at = end;
    } else {
      result += '$';
    }
  }
  return result;
}

Status check_overlay(const std::vector<OverlayFile>& files) {
  Checker checker;
  for (const auto& file : files) {
    if (auto added = checker.add(file.path, file.mode, Bytes(file.content.size())); !added) return added;
    if (const auto text = substitute(file.content, {}); !text) {
      const auto& error = text.error();
      return fail_with_hint(error.code, fmt::format("{}: {}", file.path, error.message), error.hint);
    }
  }
  return checker.finish();
}

Status check_secret_path(std::string_view path) {
  if (auto checked = check_path(path); !checked) return checked;
  for (const auto reserved : kReserved) {
    if (!path.starts_with(reserved)) continue;
    if (path.size() == reserved.size() || path[reserved.size()] == '/') {
      return fail(ErrorCode::invalid_argument, "{}: nothing is laid below {}", path, reserved);
    }
  }
  return {};
}

Status check_secrets(const std::vector<SecretFile>& secrets, const std::vector<OverlayFile>& files) {
  Checker checker;
  for (const auto& secret : secrets) {
    if (auto checked = check_secret_path(secret.path); !checked) return checked;
    if (secret.mode > 0777) return fail(ErrorCode::invalid_argument, "{}: the mode must be at most 777", secret.path);
    if (auto added = checker.add(secret.path, secret.mode, secret.size); !added) return added;
    if (std::any_of(files.begin(), files.end(), [&](const auto& file) { return file.path == secret.path; })) {
      return fail(ErrorCode::invalid_argument, "{} is one of the files that aren't secret, too", secret.path);
    }
  }
  return checker.finish();
}

}  // namespace bridgehead::model
