#include "boot_plan.h"

#include <algorithm>
#include <functional>
#include <map>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::string_view asks_manager = "look at the node and its image with 'bh node show'";

tl::unexpected<Failure> bad_plan(std::string why) {
  return fail("read the plan", std::move(why), std::string(asks_manager));
}

bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '-' && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

// tmpfs: a number with k, m, g or %.
bool is_tmpfs_size(std::string_view size) {
  if (!size.empty() && std::string_view("kmgKMG%").find(size.back()) != std::string_view::npos) {
    const bool percent = size.back() == '%';
    size.remove_suffix(1);
    const auto number = parse_number(size);
    return number && *number > 0 && (!percent || *number <= 100);
  }
  const auto number = parse_number(size);
  return number && *number > 0;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  return result;
}

Status read_sha256(std::string_view key, std::string_view value, std::string& to) {
  if (!is_hex(value, 64)) return bad_plan(concat(key, " isn't a SHA-256 in hex: '", value, "'"));
  to = lower(value);
  return {};
}

Status read_root(std::string_view value, BootPlan& plan) {
  static const std::map<std::string_view, RootKind> kinds{
      {"none", RootKind::none}, {"nbd", RootKind::nbd}, {"nfs", RootKind::nfs}, {"ram", RootKind::ram}};
  const auto found = kinds.find(value);
  if (found == kinds.end()) return bad_plan(concat("root '", value, "' is none of nbd, nfs, ram, none"));
  plan.root = found->second;
  return {};
}

Status read_nbd(std::string_view key, std::string_view value, BootPlan& plan) {
  if (key == "nbd.server") {
    const auto server = Endpoint::parse(value);
    if (!server) return bad_plan(concat("nbd.server isn't ADDRESS:PORT: '", value, "'"));
    plan.nbd_servers.push_back(*server);
  } else if (key == "nbd.export") {
    if (value.size() > 4096) return bad_plan("nbd.export is longer than 4,096 bytes");
    plan.nbd_export = value;
  } else if (key == "nbd.reads") {
    plan.nbd_reads = value;
  } else if (key == "nbd.timeout") {
    const auto seconds = parse_number(value);
    if (!seconds || *seconds < 1 || *seconds > 600) return bad_plan("nbd.timeout isn't 1 to 600 seconds");
    plan.nbd_timeout = std::chrono::seconds(*seconds);
  }
  return {};
}

Status read_key(std::string_view key, std::string_view value, BootPlan& plan) {
  if (key == "boot") {
    if (!is_hex(value, 64)) return bad_plan("boot isn't 64 hex digits");
    plan.boot = value;
  } else if (key == "message") {
    plan.message = value;
  } else if (key == "hostname") {
    if (!is_host_name(value)) return bad_plan(concat("hostname '", value, "' can't be one"));
    plan.hostname = value;
  } else if (key == "root") {
    return read_root(value, plan);
  } else if (key.starts_with("nbd.")) {
    return read_nbd(key, value, plan);
  } else if (key == "nfs.source") {
    plan.nfs_source = value;
  } else if (key == "nfs.options") {
    plan.nfs_options = value;
  } else if (key == "ram.url") {
    plan.ram_url = value;
  } else if (key == "ram.sha256") {
    return read_sha256(key, value, plan.ram_sha256);
  } else if (key == "ram.size") {
    const auto size = parse_number(value);
    if (!size || *size == 0) return bad_plan(concat("ram.size isn't a number of bytes: '", value, "'"));
    plan.ram_size = *size;
  } else if (key == "overlay") {
    if (!is_tmpfs_size(value)) return bad_plan(concat("overlay isn't a size for tmpfs: '", value, "'"));
    plan.overlay = value;
  } else if (key == "bundle.url") {
    plan.bundle_url = value;
  } else if (key == "bundle.sha256") {
    return read_sha256(key, value, plan.bundle_sha256);
  }
  return {};
}

Status check_whole(const BootPlan& plan) {
  const auto colon = plan.nfs_source.find(":/");
  switch (plan.root) {
    case RootKind::none: break;
    case RootKind::nbd:
      if (plan.nbd_servers.empty()) return bad_plan("nbd.server is missing");
      break;
    case RootKind::nfs:
      if (colon == std::string::npos || !Ipv4::parse(std::string_view(plan.nfs_source).substr(0, colon))) {
        return bad_plan(concat("nfs.source isn't ADDRESS:/PATH: '", plan.nfs_source, "'"));
      }
      break;
    case RootKind::ram:
      if (plan.ram_url.empty() || plan.ram_sha256.empty() || plan.ram_size == 0) {
        return bad_plan("ram.url, ram.sha256 or ram.size is missing");
      }
      break;
  }
  if (!plan.bundle_url.empty() && plan.bundle_sha256.empty()) return bad_plan("bundle.sha256 is missing");
  return {};
}

}  // namespace

Result<BootPlan> parse_plan(std::string_view text) {
  BootPlan plan;
  plan.text = text;
  bool root_seen = false;
  for (auto rest = text; !rest.empty();) {
    auto value = take_until(rest, '\n');
    if (value.ends_with('\r')) value.remove_suffix(1);
    if (value.find('=') == std::string_view::npos) continue;
    const auto key = take_until(value, '=');
    root_seen |= key == "root";
    if (auto read = read_key(key, value, plan); !read) return fail(read.error());
  }
  if (!root_seen) return bad_plan("it names no root");
  if (auto whole = check_whole(plan); !whole) return fail(whole.error());
  return plan;
}

}  // namespace bridgehead::init
