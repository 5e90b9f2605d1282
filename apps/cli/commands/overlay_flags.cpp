#include "cli/commands/overlay_flags.h"

#include <sys/stat.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/netboot_words.h"
#include "model/overlay.h"

namespace bridgehead::cli {
namespace {

// JSON carries text only; anything else would be changed on the way without a word.
bool is_text(const std::string& content) {
  try {
    (void)nlohmann::json(content).dump();
    return content.find('\0') == std::string::npos;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

Result<nlohmann::json> overlay_file(const std::string& text) {
  const auto spec = parse_overlay_spec("--file", text);
  if (!spec) return forward(spec);
  const auto content = read_file(spec->local, model::kLargestOverlayFile);
  if (!content) return forward(content);
  if (!is_text(*content)) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("--file: {} is not text in UTF-8", spec->local),
                          "Put it into the node image, or give it as --secret-file, which may hold anything.");
  }
  struct stat status {};
  if (::stat(spec->local.c_str(), &status) != 0) return fail_errno(errno, "stat " + spec->local);
  return nlohmann::json{{"path", spec->remote},
                        {"content", *content},
                        {"mode", spec->mode.value_or(fmt::format("{:04o}", status.st_mode & 0777U))}};
}

Result<nlohmann::json> secret_file(const std::string& text) {
  const auto spec = parse_overlay_spec("--secret-file", text);
  if (!spec) return forward(spec);
  const auto content = read_file(spec->local, model::kLargestOverlayFile);
  if (!content) return forward(content);
  return nlohmann::json{
      {"path", spec->remote}, {"content", to_base64(*content)}, {"mode", spec->mode.value_or("0600")}};
}

Status put_list(const std::vector<std::string>& given, bool none, const char* field,
                Result<nlohmann::json> (*read)(const std::string&), nlohmann::json& body) {
  if (given.empty() && !none) return {};
  auto all = nlohmann::json::array();
  for (const auto& one : given) {
    auto file = read(one);
    if (!file) return forward(file);
    all.push_back(std::move(*file));
  }
  body[field] = std::move(all);
  return {};
}

}  // namespace

void add_overlay_flags(CLI::App& command, OverlayFlags& flags) {
  auto* file = command.add_option("--file", flags.files,
                                  "LOCAL:REMOTE[:MODE]: a text file laid over the root at boot, ${node}, ${address}, "
                                  "${mac} and ${image} replaced in it (repeatable); all given replace those there are");
  auto* secret = command.add_option(
      "--secret-file", flags.secret_files,
      "LOCAL:REMOTE[:MODE]: a file that goes to nodes over TLS only, once they have joined, at once to those that run "
      "(repeatable; mode 0600); all given replace those there are. It is never shown again");
  file->allow_extra_args(false);
  secret->allow_extra_args(false);
  command.add_flag("--no-files", flags.no_files, "Without files")->excludes(file);
  command.add_flag("--no-secret-files", flags.no_secret_files, "Without secret files")->excludes(secret);
}

Status put_overlay(const OverlayFlags& flags, nlohmann::json& body) {
  if (auto put = put_list(flags.files, flags.no_files, "files", overlay_file, body); !put) return put;
  return put_list(flags.secret_files, flags.no_secret_files, "secret_files", secret_file, body);
}

std::string file_names(const nlohmann::json& object, std::string_view pointer) {
  std::string all;
  const auto* files = find(object, pointer);
  if (files == nullptr || !files->is_array()) return all;
  for (const auto& file : *files) {
    all += fmt::format("{}{} ({}{})", all.empty() ? "" : ", ", text(file, "/path"), text(file, "/mode"),
                       file.contains("size") ? ", " + Bytes(number(file, "/size")).human() : "");
  }
  return all;
}

}  // namespace bridgehead::cli
