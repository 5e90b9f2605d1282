// Events: reading back, and the stream of what happens.
#include <charconv>
#include <limits>

#include "control_api/events/event_hub.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"

namespace bridgehead::control_api {

Result<http::Response> list_events(Services& services, const Call& call) {
  const auto& inventory = services.inventory();
  const auto limit = query_number(call, "limit", 100, 100'000);
  if (!limit) return forward(limit);
  const auto since = query_number(call, "since", 0, std::numeric_limits<std::uint64_t>::max());
  if (!since) return forward(since);
  const auto revision = inventory.revision();
  auto events = inventory.events_since(*since, std::numeric_limits<std::size_t>::max());
  if (events.size() > *limit && !call.request().query("since")) {
    events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(*limit));  // the newest
  } else if (events.size() > *limit && *limit > 0) {
    // A page ends with a whole revision, or who goes on from its last event would miss the rest of that.
    std::size_t end = *limit;
    while (end < events.size() && events[end].revision == events[end - 1].revision) ++end;
    events.resize(end);
  } else if (*limit == 0) {
    events.clear();
  }
  return list_answer(revision, events, [](std::string& out, const model::Event& event) {
    out += to_json_text(event);
    return true;
  });
}

void stream_events(Services& services, const std::shared_ptr<Call>& call) {
  // Last-Event-ID is what a browser sends when it connects again; ?since= is for whoever can't set headers.
  std::string text(call->request().header("last-event-id"));
  if (text.empty()) text = call->request().query("since").value_or("");
  std::optional<state::Revision> since;
  if (!text.empty()) {
    state::Revision revision = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (error != std::errc() || end != text.data() + text.size()) {
      return call->exchange->respond(problem(
          {ErrorCode::invalid_argument, "Last-Event-ID must be the id of an event", {}}, call->request().target.path));
    }
    since = revision;
  }
  services.events.subscribe(call->exchange, since, [&authenticator = services.authenticator, actor = call->actor] {
    return authenticator.still_valid(actor);
  });
}

}  // namespace bridgehead::control_api
