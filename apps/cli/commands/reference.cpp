// completion and man: both made from the command tree, so that they can't differ from it.
#include <algorithm>
#include <array>
#include <functional>

#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/version.h"

namespace bridgehead::cli {
namespace {

const CLI::App& root_of(const CLI::App& app) { return app.get_parent() == nullptr ? app : root_of(*app.get_parent()); }

std::vector<const CLI::App*> children(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* child) { return !child->get_group().empty(); });
}

std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '-') escaped += '\\';
    escaped += c;
  }
  return escaped.starts_with('.') || escaped.starts_with('\'') ? "\\&" + escaped : escaped;
}

std::string man_command(const CLI::App& app, const std::string& path) {
  std::string page = fmt::format(".SS {}\n{}\n", roff(path), roff(app.get_description()));
  for (const auto* option : app.get_options()) {
    if (option->get_name(false, true) == "--help,-h" || option->check_lname("help")) continue;
    page += fmt::format(".TP\n.B {}\n{}\n", roff(option->get_name(true, true)), roff(option->get_description()));
  }
  return page;
}

std::string man_page(const CLI::App& root) {
  std::string page = fmt::format(
      ".TH BH 1 \"\" \"Bridgehead {}\" \"User Commands\"\n.SH NAME\nbh \\- {}\n.SH SYNOPSIS\n.B bh\nNOUN VERB "
      "[OPTIONS]\n"
      ".SH GLOBAL OPTIONS\n",
      kVersion, roff(root.get_description()));
  for (const auto* option : root.get_options()) {
    page += fmt::format(".TP\n.B {}\n{}\n", roff(option->get_name(true, true)), roff(option->get_description()));
  }
  page += ".SH COMMANDS\n";
  const std::function<void(const CLI::App&, const std::string&)> walk = [&](const CLI::App& app,
                                                                            const std::string& path) {
    const auto below = children(app);
    if (below.empty()) page += man_command(app, path);
    for (const auto* child : below) walk(*child, path + " " + child->get_name());
  };
  walk(root, "bh");
  page +=
      ".SH EXIT STATUS\n0 done; 1 refused or failed; 2 wrong usage; 3 not found; 4 not permitted; 5 the manager "
      "doesn't answer; "
      "6 timed out.\n.SH FILES\n.TP\n.I ~/.config/bridgehead/cli.toml\nserver, token and ca; written by bh login.\n"
      ".SH ENVIRONMENT\nBH_SERVER, BH_TOKEN and BH_CA override the file.\n";
  return page;
}

// What may follow the words typed so far: verbs, flags, or names asked from the manager.
std::vector<std::string> candidates(const CLI::App& root, Context& context, const std::vector<std::string>& words) {
  const CLI::App* at = &root;
  std::string noun;
  for (const auto& word : words) {
    const auto below = children(*at);
    const auto found =
        std::find_if(below.begin(), below.end(), [&](const auto* child) { return child->check_name(word); });
    if (found == below.end()) continue;
    if (at == &root) noun = word;
    at = *found;
  }
  std::vector<std::string> all;
  for (const auto* child : children(*at)) all.push_back(child->get_name());
  for (const auto* option : at->get_options()) {
    for (const auto& name : option->get_lnames()) all.push_back("--" + name);
  }
  const bool names_follow =
      children(*at).empty() && !at->get_options([](const CLI::Option* o) { return o->get_positional(); }).empty();
  static constexpr std::array<std::string_view, 4> kMakers{"create", "add", "import", "build"};  // of new names
  const bool makes = std::find(kMakers.begin(), kMakers.end(), at->get_name()) != kMakers.end();
  if (names_follow && !noun.empty() && !makes) {
    auto api = context.client();
    const auto answer = api ? api->get().get(fmt::format("/{}s{}", noun, noun == "vm" ? "?summary=true" : ""))
                            : Result<nlohmann::json>(forward(api));
    if (answer && answer->contains("items")) {
      for (const auto& item : answer->at("items")) all.push_back(text(item, item.contains("name") ? "/name" : "/id"));
    }
  }
  return all;
}

constexpr char kBash[] = R"sh(_bh() {
  local words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  mapfile -t COMPREPLY < <(compgen -W "$(bh __complete -- "${words[@]}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _bh bh
)sh";
constexpr char kZsh[] = R"sh(#compdef bh
_bh() { compadd -- ${(f)"$(bh __complete -- ${words[2,CURRENT-1]} 2>/dev/null)"} }
compdef _bh bh
)sh";
constexpr char kFish[] = R"sh(complete -c bh -f -a '(bh __complete -- (commandline -opc)[2..-1] 2>/dev/null)'
)sh";

}  // namespace

void add_reference_commands(CLI::App& root, Context& context) {
  auto* completion =
      root.add_subcommand("completion", "Completion script: bh completion bash > /etc/bash_completion.d/bh");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&context, shell] {
    context.chosen = [shell]() -> Status {
      fmt::print("{}", *shell == "bash" ? kBash : *shell == "zsh" ? kZsh : kFish);
      return {};
    };
  });

  auto* man = root.add_subcommand("man", "This program's manual page (roff)");
  man->callback([&context, &root] {
    context.chosen = [&root]() -> Status {
      fmt::print("{}", man_page(root));
      return {};
    };
  });

  auto* complete = root.add_subcommand("__complete", "")->group("");
  const auto words = std::make_shared<std::vector<std::string>>();
  complete->add_option("words", *words);
  complete->prefix_command();
  complete->callback([&context, &root, words, complete] {
    context.chosen = [&context, &root, words, complete]() -> Status {
      auto typed = *words;
      for (const auto& word : complete->remaining()) typed.push_back(word);
      for (const auto& candidate : candidates(root_of(root), context, typed)) fmt::print("{}\n", printable(candidate));
      return {};
    };
  });
}

}  // namespace bridgehead::cli
