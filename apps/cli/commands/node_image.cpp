// node-image: what machines boot over the network.
#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/rollout.h"
#include "cli/netboot_words.h"

namespace bridgehead::cli {
namespace {

void add_role(CLI::App& command, std::string& role) {
  command.add_option("--role", role, "compute (default) or storage")->check(CLI::IsMember({"compute", "storage"}));
}

void add_nic_drivers(CLI::App& command, std::string& drivers) {
  command.add_option("--nic-drivers", drivers,
                     "In the initramfs: servers (default), all, or names as lsmod has them; servers,ice is both");
}

Status make_image(Context& context, ApiClient& api, const nlohmann::json& body, const ChangeFlags& flags) {
  const auto answer = api.post("/node-images" + flags.query(), body);
  if (!answer) return forward(answer);
  if (auto followed = context.follow(*answer, flags.wait); !followed) return followed;
  if (flags.wait && !flags.dry_run) {
    context.say(
        fmt::format("{0} is ready. Next: bh node assign NODE... --image {0}", text(*answer, "/node_image/name")));
  }
  return {};
}

void add_build(CLI::App& image, Context& context) {
  struct Options {
    std::string base, role = "compute", nic_drivers = "servers";
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* build = image.add_subcommand("build", "Build the next version by a recipe, on the manager's machine");
  build->add_option("recipe", options->base, "Its name, such as debian-12")->required();
  add_role(*build, options->role);
  add_nic_drivers(*build, options->nic_drivers);
  add_change_flags(*build, options->flags);
  on_chosen(*build, context, [&context, options](ApiClient& api) {
    const nlohmann::json body = {
        {"base", options->base}, {"role", options->role}, {"nic_drivers", options->nic_drivers}};
    return make_image(context, api, body, options->flags);
  });
}

void add_node_image_import(CLI::App& image, Context& context) {
  struct Options {
    std::string path, name, role = "compute", initramfs, nic_drivers = "servers";
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* import =
      image.add_subcommand("import", "Make the next version from a root tree, a tar of one or an OCI layout");
  import->add_option("path", options->path, "Directory or tar on the manager's machine")->required();
  import->add_option("--name", options->name, "Its name, such as rocky-9 (default: the file's)");
  add_role(*import, options->role);
  import->add_option("--initramfs", options->initramfs,
                     "A file in it, made by dracut with our module, instead of our own initramfs");
  add_nic_drivers(*import, options->nic_drivers);
  add_change_flags(*import, options->flags);
  on_chosen(*import, context, [&context, options](ApiClient& api) -> Status {
    std::error_code error;
    const auto path = std::filesystem::absolute(options->path, error);
    if (error) return fail(ErrorCode::invalid_argument, "{}: {}", options->path, error.message());
    const auto base = options->name.empty() ? image_base_of(path.lexically_normal()) : options->name;
    nlohmann::json body = {{"base", base},
                           {"path", path.lexically_normal().string()},
                           {"role", options->role},
                           {"nic_drivers", options->nic_drivers}};
    if (!options->initramfs.empty()) body["initramfs"] = options->initramfs;
    return make_image(context, api, body, options->flags);
  });
}

void add_diff(CLI::App& image, Context& context) {
  struct Options {
    std::string from, to;
  };
  const auto options = std::make_shared<Options>();
  auto* diff = image.add_subcommand("diff", "What the second has that the first has not: packages, then files");
  diff->add_option("from", options->from, "debian-12:2")->required();
  diff->add_option("to", options->to, "debian-12:3")->required();
  on_chosen(*diff, context, [&context, options](ApiClient& api) -> Status {
    const auto answer =
        api.get(fmt::format("/node-images/{}/diff?from={}", path_segment(options->to), path_segment(options->from)));
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) return context.print_object(*answer, {});
    bool same = true;
    for (const char* part : {"packages", "files"}) {
      const auto lines = answer->value(part, nlohmann::json::array());
      if (lines.empty()) continue;
      fmt::print("{}{}:\n", same ? "" : "\n", part);
      for (const auto& line : lines) fmt::print("  {}\n", printable(text(line, "")));
      same = false;
    }
    if (same) context.say("They don't differ.");
    return {};
  });
}

void add_gc(CLI::App& image, Context& context) {
  struct Options {
    std::size_t keep = 2;
    bool yes = false;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* gc = image.add_subcommand("gc", "Delete versions that no node is assigned to or runs, but the newest ones");
  gc->add_option("--keep", options->keep, "So many of each name stay in any case (default 2)");
  gc->add_flag("-y,--yes", options->yes, "Don't ask");
  add_change_flags(*gc, options->flags);
  on_chosen(*gc, context, [&context, options](ApiClient& api) -> Status {
    const auto images = api.get("/node-images");
    if (!images) return forward(images);
    const auto nodes = api.get("/nodes");
    if (!nodes) return forward(nodes);
    const auto names = superfluous_images(*images, *nodes, options->keep);
    if (names.empty()) {
      context.say("There is nothing to delete.");
      return {};
    }
    const auto all = fmt::format("{}", fmt::join(names, ", "));
    if (options->flags.dry_run) {
      fmt::print("Nothing was changed. This would be deleted: {}\n", printable(all));
      return {};
    }
    if (auto sure = context.confirm(fmt::format("Delete the node images {}?", all), options->yes); !sure) return sure;
    Status outcome;
    for (const auto& name : names) {
      const auto answer = api.remove("/node-images/" + path_segment(name));
      const Status one = answer ? context.follow(*answer, options->flags.wait) : forward(answer);
      if (!one && outcome) outcome = one;
    }
    return outcome;
  });
}

}  // namespace

void add_node_image_commands(CLI::App& root, Context& context) {
  const Noun words{
      .singular = "node image",
      .collection = "/node-images",
      .columns = {column("NAME", "/name"), column("ROLE", "/role"), column("STATE", "/state"), column("OS", "/os"),
                  column("KERNEL", "/kernel_version"), bytes_column("ROOT", "/root_size"),
                  column("TRANSPORTS", "/transports"), age_column("AGE", "/created"), column("MESSAGE", "/message")},
      .details = {bytes_column("VMLINUZ", "/kernel_size"), bytes_column("INITRAMFS", "/initramfs_size"),
                  column("NIC DRIVERS", "/nic_drivers"), column("SOURCE", "/source"), column("SHA256", "/root_sha256"),
                  column("CREATED", "/created"), column("ID", "/id")}};
  auto& image = add_noun(root, "node-image", "Kernel, initramfs and root that machines boot over the network");
  add_list(image, context, words);
  add_show(image, context, words);
  add_build(image, context);
  add_node_image_import(image, context);
  add_diff(image, context);
  add_rollout(image, context);
  add_gc(image, context);
  add_delete(image, context, words, "delete", "Delete versions that no node is assigned to or runs", "");
}

}  // namespace bridgehead::cli
