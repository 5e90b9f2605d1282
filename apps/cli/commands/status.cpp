// status, version, whoami, login.
#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/version.h"

namespace bridgehead::cli {
namespace {

void add_login(CLI::App& root, Context& context) {
  struct Options {
    std::string server, ca, token_file;
  };
  const auto options = std::make_shared<Options>();
  auto* login = root.add_subcommand("login", "Keep the manager's address, CA and token for later commands");
  login->add_option("--server", options->server, "https://HOST:7443")->required();
  login->add_option("--ca", options->ca, "File with the cluster's CA certificate")->required();
  login->add_option("--token-file", options->token_file, "File with the token ('-': standard input)")->required();
  login->callback([&context, options] {
    context.chosen = [&context, options]() -> Status {
      auto token = read_file(options->token_file == "-" ? "/dev/stdin" : options->token_file, 4_KiB);
      if (!token) return forward(token);
      token->erase(token->find_last_not_of(" \t\r\n") + 1);
      // The CA is kept beside the configuration: the file named now may go away, and users can't read the manager's
      // folder.
      const auto ca = read_file(options->ca, 1_MiB);
      if (!ca) return forward(ca);
      Connection connection{.server = options->server, .token = *token, .ca = options->ca};
      ApiClient api(connection);
      const auto who = api.get("/whoami");
      if (!who) return forward(who);
      const auto directory = context.config_file.parent_path();
      connection.ca = std::filesystem::absolute(directory / "ca.pem");
      if (auto made = make_directories(directory, 0700); !made) return made;
      if (auto kept = write_file_atomic(connection.ca, *ca, 0644); !kept) return kept;
      if (auto saved = connection.save(context.config_file); !saved) return saved;
      context.say(
          fmt::format("Logged in to {} as {} ({}).", options->server, text(*who, "/name"), text(*who, "/role")));
      return {};
    };
  });
}

void print_power(const nlohmann::json& status) {
  const auto power = status.value("power", nlohmann::json::object());
  const auto watts = [&](const char* name) { return power.value(name, 0.0); };
  if (watts("watts") <= 0) return;
  const auto off = number(status, "/power/hosts_off");
  fmt::print("Nodes take {:.0f} W, {:.0f} of it measured{}.\n", watts("watts"), watts("watts_measured"),
             off == 0 ? "" : fmt::format("; {} off, which saves {:.0f} W", off, watts("watts_saved")));
}

void print_problems(const nlohmann::json& status) {
  const auto problems = status.value("problems", nlohmann::json::array());
  if (problems.empty()) {
    fmt::print("No problems.\n");
    return;
  }
  fmt::print("\nNeeds a person:\n");
  for (const auto& problem : problems) {
    const auto message = text(problem, "/message");
    fmt::print("  {} {}: {}{} {}\n", printable(text(problem, "/object_kind")), printable(text(problem, "/object")),
               printable(message), message.ends_with('.') ? "" : ".", printable(text(problem, "/action")));
  }
}

}  // namespace

void add_status_commands(CLI::App& root, Context& context) {
  auto* status = root.add_subcommand("status", "Health at a glance, and what needs a person");
  on_chosen(*status, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/status");
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) return context.print_object(*answer, {});
    const auto waiting = number(*answer, "/nodes/waiting");
    fmt::print("Nodes {}/{} ready{}, guests {}/{} running, operations {} open, {} failed lately. Manager {}.\n",
               number(*answer, "/nodes/ready"), number(*answer, "/nodes/total"),
               waiting == 0 ? "" : fmt::format(" ({} waiting for approval)", waiting), number(*answer, "/vms/running"),
               number(*answer, "/vms/total"), number(*answer, "/operations/open"),
               number(*answer, "/operations/failed"), printable(text(*answer, "/version")));
    print_power(*answer);
    print_problems(*answer);
    return {};
  });

  auto* who = root.add_subcommand("whoami", "The token in use and its role");
  on_chosen(*who, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/whoami");
    if (!answer) return forward(answer);
    return context.print_object(*answer,
                                {column("NAME", "/name"), column("ROLE", "/role"), column("EXPIRES", "/expires")});
  });

  auto* version = root.add_subcommand("version", "Version of this program, and of the manager if it answers");
  version->callback([&context] {
    context.chosen = [&context]() -> Status {
      fmt::print("bh {}\n", kVersion);
      auto api = context.client();
      if (!api) return {};
      const auto answer = api->get().get("/version");
      if (answer)
        fmt::print("manager {} at {}\n", printable(text(*answer, "/version")), api->get().connection().server);
      return {};
    };
  });
  add_login(root, context);
}

}  // namespace bridgehead::cli
