// ha: what becomes of guests whose node is dead.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

void add_status(CLI::App& ha, Context& context) {
  auto* status =
      ha.add_subcommand("status", "Nodes as they are heard, guests that are to run elsewhere, open questions");
  on_chosen(*status, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/ha");
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) return context.print_object(*answer, {});
    context.print_list(
        answer->at("nodes"),
        {column("NODE", "/node_name"), column("STATE", "/state"), column("SILENT-S", "/silent_seconds"),
         column("POWER-CONTROL", "/power_control"), column("WATCHDOG", "/watchdog"), column("MESSAGE", "/message")});
    if (!answer->at("guests").empty()) {
      context.say("");
      context.print_list(answer->at("guests"),
                         {column("GUEST", "/vm_name"), column("NODE", "/node_name"), column("HA", "/ha"),
                          column("PRIORITY", "/priority"), column("LEASE", "/lease"), column("TERMS", "/terms"),
                          column("NOT-PROTECTED", "/not_protected"), column("NOT-STOPPED", "/not_stopped"),
                          column("WAITS-FOR", "/waits_for")});
    }
    const auto paragraph = [&context](const std::string& line) {
      context.say("");
      context.say(line);
    };
    if (answer->value("learning", false)) paragraph("The manager has just started and learns who runs what.");
    if (const auto question = text(*answer, "/question"); !question.empty()) {
      paragraph(fmt::format("{}: bh ha go-on", question));
    }
    for (const auto& node : answer->at("nodes")) {
      const auto question = text(node, "/question");
      if (question.empty()) continue;
      const auto name = text(node, "/node_name");
      paragraph(fmt::format("{}: {}", name, question));
      context.say(fmt::format("Once it is off: bh ha confirm-off {}", name));
    }
    return {};
  });
}

struct Answer {
  std::string about;  // a node, or a guest
  bool yes = false;
};

CLI::App& add_answer(CLI::App& ha, const char* verb, const char* help, const std::shared_ptr<Answer>& answer,
                     const char* about) {
  auto* command = ha.add_subcommand(verb, help);
  if (about != nullptr) command->add_option(about, answer->about, "Name or id")->required();
  command->add_flag("-y,--yes", answer->yes, "Don't ask");
  return *command;
}

}  // namespace

void add_ha_commands(CLI::App& root, Context& context) {
  auto& ha = add_noun(root, "ha", "High availability: guests of dead nodes, and what the manager asks about those");
  add_status(ha, context);

  const auto off = std::make_shared<Answer>();
  on_chosen(add_answer(ha, "confirm-off", "Answer that a node is off, so that its guests start elsewhere", off, "node"),
            context, [&context, off](ApiClient& api) -> Status {
              const auto question = fmt::format(
                  "Have you seen that {0} is off, and will it stay so until you switch it on? If it runs, its guests' "
                  "disks are written twice and destroyed.",
                  off->about);
              if (auto sure = context.confirm(question, off->yes); !sure) return sure;
              const auto answer = api.post(fmt::format("/nodes/{}/confirm-off", path_segment(off->about)));
              if (!answer) return forward(answer);
              context.say("Its guests start elsewhere: bh ha status");
              return {};
            });

  const auto stopped = std::make_shared<Answer>();
  on_chosen(add_answer(ha, "confirm-stopped",
                       "Answer that a guest runs nowhere, though a node may do so by a lease that isn't known", stopped,
                       "vm"),
            context, [&context, stopped](ApiClient& api) -> Status {
              const auto question = fmt::format(
                  "Have you seen that {0} runs on no node, and that none will start it? If one runs it, its disks are "
                  "written twice and destroyed.",
                  stopped->about);
              if (auto sure = context.confirm(question, stopped->yes); !sure) return sure;
              const auto answer = api.post(fmt::format("/vms/{}/confirm-stopped", path_segment(stopped->about)));
              if (!answer) return forward(answer);
              context.say(fmt::format("It may be started: bh vm start {}", stopped->about));
              return {};
            });

  const auto trust = std::make_shared<Answer>();
  on_chosen(
      add_answer(ha, "trust-power",
                 "Believe a node's power control again, which said that the node was off while it ran", trust, "node"),
      context, [&context, trust](ApiClient& api) -> Status {
        const auto question =
            fmt::format("Is the power control of {} mended? It said that the node was off while it ran.", trust->about);
        if (auto sure = context.confirm(question, trust->yes); !sure) return sure;
        const auto answer = api.post(fmt::format("/nodes/{}/bmc/trust", path_segment(trust->about)));
        if (!answer) return forward(answer);
        context.say(fmt::format("Try it: bh node bmc check {}", trust->about));
        return {};
      });

  const auto go_on = std::make_shared<Answer>();
  on_chosen(add_answer(ha, "go-on", "Have dead nodes dealt with although many fell silent at once", go_on, nullptr),
            context, [&context, go_on](ApiClient& api) -> Status {
              const auto question =
                  "Are the silent nodes dead, rather than the network between? They will be switched off.";
              if (auto sure = context.confirm(question, go_on->yes); !sure) return sure;
              const auto answer = api.post("/ha/go-on");
              if (!answer) return forward(answer);
              context.say("The silent nodes are dealt with: bh ha status");
              return {};
            });
}

}  // namespace bridgehead::cli
