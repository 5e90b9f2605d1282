#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {

void add_token_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "token",
                   .collection = "/tokens",
                   .columns = {column("NAME", "/name"), column("ROLE", "/role"), column("EXPIRES", "/expires"),
                               column("LAST USED", "/last_used"), age_column("AGE", "/created")},
                   .details = {}};
  auto& token = add_noun(root, "token", "Who may use the API");
  add_list(token, context, words);

  struct Options {
    std::string name, role;
    std::uint64_t expires_in_seconds = 0;
  };
  const auto options = std::make_shared<Options>();
  auto* create = token.add_subcommand("create", "A new token; its secret is shown once");
  create->add_option("name", options->name, "For whom")->required();
  create->add_option("--role", options->role, "viewer, operator or admin")->required();
  create->add_option("--expires-in", options->expires_in_seconds, "Seconds (default: never)");
  on_chosen(*create, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"name", options->name}, {"role", options->role}};
    if (options->expires_in_seconds != 0) body["expires_in_seconds"] = options->expires_in_seconds;
    auto answer = api.post("/tokens", body);
    if (!answer) return forward(answer);
    (*answer)["name"] = text(*answer, "/secret");  // -o name gives the bare secret to scripts
    return context.print_object(
        *answer, {column("SECRET", "/secret"), column("ROLE", "/token/role"), column("EXPIRES", "/token/expires")});
  });

  struct Delete {
    std::string name;
    bool yes = false;
  };
  const auto gone = std::make_shared<Delete>();
  auto* remove = token.add_subcommand("delete", "A token stops working at once");
  remove->add_option("token", gone->name, "Name or id")->required();
  remove->add_flag("-y,--yes", gone->yes, "Don't ask");
  on_chosen(*remove, context, [&context, gone](ApiClient& api) -> Status {
    if (auto sure = context.confirm(fmt::format("Delete the token {}?", gone->name), gone->yes); !sure) return sure;
    const auto answer = api.remove("/tokens/" + path_segment(gone->name));
    if (!answer) return forward(answer);
    return {};
  });
}

}  // namespace bridgehead::cli
