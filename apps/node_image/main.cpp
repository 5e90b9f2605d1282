// bridgehead-node-image: makes, imports and compares node images without a manager; see --help.
#include <CLI/CLI.hpp>

#include <csignal>
#include <thread>

#include "base/log.h"
#include "options.h"

namespace {

using namespace bridgehead;
using node_image::Options;

void add_output(CLI::App& command, Options& options) {
  command
      .add_option("-o,--output", options.output, "Directory to make, with vmlinuz, initramfs.img, root.squashfs, ...")
      ->required()
      ->type_name("DIR");
  command.add_option("--init", options.init, "Static program that becomes the initramfs' /init (bridgehead-init)")
      ->type_name("FILE");
  command.add_option("--busybox", options.busybox, "Static busybox")->capture_default_str()->type_name("FILE");
  command.add_option("--nics", options.nics, "NIC drivers of the initramfs: 'servers', 'all', or names")
      ->capture_default_str()
      ->type_name("LIST");
  command.add_option("--role", options.role, "What the nodes are for: compute (default), storage")->type_name("NAME");
  command.add_flag("--keep-tree", options.keep_tree, "Keep the root as a tree, too, for NFS");
  command.add_flag("--json", options.json, "Tell the result as JSON");
}

void add_build(CLI::App& app, Options& options) {
  auto* build = app.add_subcommand("build", "Make an image from a recipe and Debian's packages; needs root");
  build->add_option("recipe", options.recipe, "A name (see: recipes) or a .toml file")->required()->type_name("RECIPE");
  build->add_option("--deb", options.debs, "Package file to install, too (the agent's); may be repeated")
      ->type_name("FILE");
  build->add_option("--recipes", options.recipe_directories, "Directory with recipes; may be repeated")
      ->type_name("DIR");
  build->add_option("--cache", options.cache, "Default: $XDG_CACHE_HOME/bridgehead/node-images")->type_name("DIR");
  build->add_flag("--refresh", options.refresh, "Build anew, whatever the cache has");
  add_output(*build, options);
}

void add_others(CLI::App& app, Options& options) {
  auto* import = app.add_subcommand("import", "Make an image from a root tree, a tar or an OCI image; needs root");
  import->add_option("source", options.source, "Directory, .tar[.gz|.xz|.zst], OCI layout or archive")
      ->required()
      ->type_name("PATH");
  import->add_option("--ref", options.reference, "Which image of an OCI layout that has several")->type_name("NAME");
  import->add_option("--sha256", options.sha256, "What the tar must hash to")->type_name("HEX");
  import->add_option("--initramfs", options.initramfs, "A file in it, made by dracut with our module, instead of ours")
      ->type_name("PATH");
  add_output(*import, options);
  auto* diff = app.add_subcommand("diff", "What differs between two images: packages, files");
  diff->add_option("from", options.first)->required()->type_name("DIR");
  diff->add_option("to", options.second)->required()->type_name("DIR");
  diff->add_flag("--json", options.json, "As JSON");
  auto* verify = app.add_subcommand("verify", "Check that an image's files are as they were made");
  verify->add_option("image", options.first)->required()->type_name("DIR");
  auto* recipes = app.add_subcommand("recipes", "List the recipes");
  recipes->add_option("--recipes", options.recipe_directories, "Directory with recipes; may be repeated")
      ->type_name("DIR");
  recipes->add_flag("--json", options.json, "As JSON");
}

// Turns SIGINT and SIGTERM into a stop request, so that nothing half made is left.
class StopOnSignal {
 public:
  StopOnSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::jthread([this](const std::stop_token& ended) {
      const timespec wait{0, 100'000'000};
      while (!ended.stop_requested()) {
        if (sigtimedwait(&signals_, nullptr, &wait) > 0) source_.request_stop();
      }
    });
  }
  std::stop_token token() const { return source_.get_token(); }

 private:
  sigset_t signals_{};
  std::stop_source source_;
  std::jthread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Makes node images: kernel, initramfs and root that machines without disks boot."};
  app.set_version_flag("--version", std::string("bridgehead-node-image ") + BRIDGEHEAD_VERSION);
  app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage or recipe.");
  app.require_subcommand(1);
  Options options;
  add_build(app, options);
  add_others(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  log::configure(log::Level::warning, log::Format::text, "bridgehead-node-image");
  const StopOnSignal signals;
  if (app.got_subcommand("build")) return node_image::build(options, signals.token());
  if (app.got_subcommand("import")) return node_image::import(options, signals.token());
  if (app.got_subcommand("diff")) return node_image::diff(options);
  if (app.got_subcommand("verify")) return node_image::verify(options, signals.token());
  return node_image::recipes(options);
}
