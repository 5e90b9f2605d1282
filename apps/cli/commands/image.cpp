#include <fcntl.h>
#include <unistd.h>

#include <set>

#include "base/file.h"
#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/progress.h"

namespace bridgehead::cli {
namespace {

// Lists tell whose disk an image is; who was cloned from a golden one is in its own answer.
std::string users(const nlohmann::json& image) {
  std::string found;
  if (!image.contains("users")) return text(image, "/vm_name");
  for (const auto& user : image.value("users", nlohmann::json::array())) {
    found += (found.empty() ? "" : ", ") + text(user, "/name");
  }
  return found;
}

struct ImportOptions {
  std::string source, name, pool, layout, sha256, nodes;
  bool on_node = false, from_image = false;
  ChangeFlags flags;
};

bool is_url(const std::string& source) { return source.starts_with("http://") || source.starts_with("https://"); }

Result<nlohmann::json> source_of(const ImportOptions& options) {
  nlohmann::json source;
  if (is_url(options.source)) {
    source = {{"kind", "url"}, {"location", options.source}};
  } else if (options.from_image) {
    source = {{"kind", "image"}, {"image", options.source}};
  } else if (options.on_node) {
    source = {{"kind", "path"}, {"location", options.source}};
  } else {
    std::error_code error;
    const auto size = std::filesystem::file_size(options.source, error);
    if (error || !std::filesystem::is_regular_file(options.source)) {
      return fail_with_hint(ErrorCode::not_found, fmt::format("there is no file {}", options.source),
                            "Give a file of this machine, a URL, --on-node with a path of the node, or --from-image.");
    }
    source = {
        {"kind", "upload"}, {"location", std::filesystem::path(options.source).filename().string()}, {"size", size}};
  }
  if (!options.sha256.empty()) source["sha256"] = options.sha256;
  return source;
}

// "3": so many at most; "n1,n2": these.
Status ask_nodes(const std::string& text, nlohmann::json& body) {
  if (text.empty()) return {};
  if (text.find_first_not_of("0123456789") == std::string::npos) {
    if (text.size() > 4) return fail(ErrorCode::invalid_argument, "--nodes: {} are too many", text);
    body["most_nodes"] = std::stoul(text);
    return {};
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    if (end == begin) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("--nodes: '{}' has an empty name", text),
                            "Give a number, or names with commas between: --nodes node1,node2");
    }
    body["nodes"].push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return {};
}

// Often enough for a manager that is being restarted, which may be why the upload was cut off.
void cancel_import(ApiClient& api, const std::string& operation) {
  for (int tries = 0; tries < 30; ++tries) {
    const auto asked = api.post(fmt::format("/operations/{}/cancel", path_segment(operation)));
    if (asked || asked.error().code != ErrorCode::unavailable) return;
    ::sleep(1);
  }
}

Status import_image(Context& context, ApiClient& api, const ImportOptions& options) {
  const auto source = source_of(options);
  if (!source) return forward(source);
  nlohmann::json body = {{"name", options.name}, {"source", *source}};
  if (!options.pool.empty()) body["pool"] = options.pool;
  if (!options.layout.empty()) body["layout"] = options.layout;
  if (auto asked = ask_nodes(options.nodes, body); !asked) return asked;
  const auto answer = api.post("/images" + options.flags.query(), body);
  if (!answer) return forward(answer);
  if (text(*source, "/kind") == "upload" && !options.flags.dry_run) {
    ProgressLine line("upload " + options.name, context.quiet);
    const auto size = number(*source, "/size");
    const auto sent = api.upload("/uploads/" + path_segment(text(*answer, "/operation/id")), options.source,
                                 [&](std::uint64_t done) { line.update("sending", done, size); });
    if (!sent) {
      // The operation may know better why the node stopped listening than the broken connection does; one that still
      // waits for bytes would wait in vain.
      const auto id = text(*answer, "/operation/id");
      cancel_import(api, id);
      const auto followed = context.follow_operation(id, "image.import " + options.name);
      return followed || followed.error().code == ErrorCode::cancelled ? forward(sent) : followed;
    }
    line.finish("sent");
  }
  return context.follow(*answer, options.flags.wait);
}

void add_import(CLI::App& image, Context& context) {
  const auto options = std::make_shared<ImportOptions>();
  auto* command =
      image.add_subcommand("import", "Import a golden image: raw, qcow2, vmdk, vdi or vhdx, bare or in gz, xz or zst");
  command->add_option("source", options->source, "File of this machine, or URL")->required();
  command->add_option("--name", options->name, "Its name")->required();
  command->add_option("--pool", options->pool, "Into which pool (default: the only one)");
  command->add_option("--layout", options->layout,
                      "How it is spread over the pool's targets: narrow, wide or automatic; see docs/storage.md");
  command->add_option("--nodes", options->nodes,
                      "From one shared pool to another: how many nodes copy it together at most, or their names with "
                      "commas between (default: as many as pays); see docs/storage.md");
  command->add_option("--sha256", options->sha256, "Expected checksum of the file");
  command->add_flag("--on-node", options->on_node, "The source is a path on the node, below its import directories");
  command->add_flag("--from-image", options->from_image, "The source is a golden image of another pool");
  add_change_flags(*command, options->flags);
  on_chosen(*command, context, [&context, options](ApiClient& api) { return import_image(context, api, *options); });
}

void add_migrate(CLI::App& image, Context& context) {
  struct Options {
    std::string name, pool;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* command =
      image.add_subcommand("migrate", "Bring a guest's disk into another pool, while the guest runs or not");
  command->add_option("image", options->name, "Name or id of the disk: bh image list")->required();
  command->add_option("--pool", options->pool, "Into which pool")->required();
  add_change_flags(*command, options->flags);
  on_chosen(*command, context, [&context, options](ApiClient& api) -> Status {
    const auto path = fmt::format("/images/{}/migrate{}", path_segment(options->name), options->flags.query());
    const auto answer = api.post(path, {{"pool", options->pool}});
    return answer ? context.follow(*answer, options->flags.wait) : forward(answer);
  });
}

void add_flatten(CLI::App& image, Context& context) {
  struct Options {
    std::string name;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* command = image.add_subcommand(
      "flatten", "Make a guest's disk independent of its golden image, while the guest runs or not");
  command->add_option("image", options->name, "Name or id of the disk: bh image list")->required();
  add_change_flags(*command, options->flags);
  on_chosen(*command, context, [&context, options](ApiClient& api) -> Status {
    const auto answer =
        api.post(fmt::format("/images/{}/flatten{}", path_segment(options->name), options->flags.query()));
    return answer ? context.follow(*answer, options->flags.wait) : forward(answer);
  });
}

void add_export(CLI::App& image, Context& context) {
  struct Options {
    std::string name, file, format = "qcow2";
  };
  const auto options = std::make_shared<Options>();
  auto* command = image.add_subcommand("export", "Write an image to a file of this machine");
  command->add_option("image", options->name, "Name or id")->required();
  command->add_option("file", options->file, "Must not exist yet")->required();
  command->add_option("--format", options->format, "qcow2 (default) or raw")->check(CLI::IsMember({"qcow2", "raw"}));
  on_chosen(*command, context, [&context, options](ApiClient& api) -> Status {
    const auto partial = options->file + ".part";
    if (std::filesystem::exists(options->file))
      return fail(ErrorCode::already_exists, "{} exists already", options->file);
    auto fd = open_file(partial, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!fd) return forward(fd);
    ProgressLine line("export " + options->name, context.quiet);
    std::uint64_t done = 0;
    Status written;
    const auto path = fmt::format("/images/{}/export?format={}", path_segment(options->name), options->format);
    auto outcome = api.download(path, [&](std::string_view bytes) {
      written = write_all(fd->get(), bytes, partial);
      done += bytes.size();
      line.update(fmt::format("receiving {}", Bytes(done).human()), 0, 0);
      return written.has_value();
    });
    if (outcome && !written) outcome = written;
    if (outcome && ::rename(partial.c_str(), options->file.c_str()) != 0)
      outcome = fail_errno(errno, "rename " + partial);
    if (!outcome) {
      (void)remove_file(partial);
      return outcome;
    }
    line.finish("written " + Bytes(done).human());
    return {};
  });
}

// "4 stripes of 1 MiB on 0, 2"
std::string layout_of(const nlohmann::json& answer) {
  const auto* layout = find(answer, "/layout");
  if (layout == nullptr || layout->is_null()) return "the pool's file system doesn't tell";
  return text(*layout, "/description");
}

// "0 is OST0000, 2 is OST0002", of those that it lies on.
std::string targets_of(const nlohmann::json& answer) {
  std::set<std::uint64_t> used;
  const auto* parts = find(answer, "/layout/parts");
  for (const auto& part : parts == nullptr ? nlohmann::json::array() : *parts) {
    for (const auto& target : part.value("targets", std::vector<std::uint64_t>())) used.insert(target);
  }
  std::string all;
  for (const auto index : used) {
    all += fmt::format("{}{} is {}", all.empty() ? "" : ", ", index, text(answer, fmt::format("/targets/{}", index)));
  }
  return all;
}

void add_layout(CLI::App& image, Context& context) {
  auto* command = image.add_subcommand("layout", "Over which of the pool's storage targets an image is spread");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*command, "image", name);
  on_chosen(*command, context, [&context, name](ApiClient& api) -> Status {
    const auto answer = api.get(fmt::format("/images/{}/layout", path_segment(*name)));
    if (!answer) return forward(answer);
    return context.print_object(*answer, {column("IMAGE", "/image_name"),
                                          column("POOL", "/pool_name"),
                                          bytes_column("ALLOCATED", "/allocated"),
                                          column("ASKED", "/wish"),
                                          {"LAYOUT", layout_of},
                                          {"TARGETS", targets_of}});
  });
}

}  // namespace

void add_image_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "image",
                   .collection = "/images",
                   .columns = {column("NAME", "/name"),
                               column("ROLE", "/role"),
                               column("STATE", "/state"),
                               column("FORMAT", "/format"),
                               bytes_column("SIZE", "/virtual_size"),
                               bytes_column("ALLOCATED", "/allocated"),
                               column("POOL", "/pool_name"),
                               {"USERS", users},
                               column("MESSAGE", "/message")},
                   .details = {column("SOURCE", "/source"), column("SHA256", "/sha256"), column("PARENT", "/parent"),
                               column("CREATED", "/created"), column("ID", "/id")}};
  auto& image = add_noun(root, "image", "Disk images: golden ones and guests' disks");
  add_list(image, context, words);
  add_show(image, context, words);
  add_import(image, context);
  add_migrate(image, context);
  add_flatten(image, context);
  add_export(image, context);
  add_layout(image, context);
  add_delete(image, context, words, "delete", "Delete images that nothing uses", "");
}

}  // namespace bridgehead::cli
