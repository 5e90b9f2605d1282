#include "availability_desk/record_text.h"

#include <nlohmann/json.hpp>

#include "availability/lease_text.h"

namespace bridgehead::availability_desk {

using availability::GrantKind;
using availability::Holder;
using nlohmann::json;

namespace {

json write(const Holder& holder) { return {{"node", holder.node.str()}, {"token", holder.token}}; }
Holder read_holder(const json& from) {
  return {.node = model::NodeId(from.at("node").get<std::string>()), .token = from.at("token").get<std::uint64_t>()};
}

json write(const availability::LeaseEntry& entry) {
  json out{{"node", entry.node.str()},
           {"token", entry.token},
           {"after", entry.after},
           {"terms", to_string(entry.terms)},
           {"stamped", entry.stamped},
           {"incoming", entry.kind == GrantKind::incoming},
           {"recalled", entry.recalled},
           {"after_by_time", entry.after_by_time},
           {"by_proof_only", entry.by_proof_only}};
  if (entry.source) out["source"] = write(*entry.source);
  return out;
}

availability::LeaseEntry read_entry(const json& from) {
  availability::LeaseEntry entry{.node = model::NodeId(from.at("node").get<std::string>()),
                                 .token = from.at("token").get<std::uint64_t>(),
                                 .after = from.value("after", std::uint64_t{0}),
                                 .after_by_time = from.value("after_by_time", false),
                                 .terms = availability::terms_from(from.value("terms", std::string())),
                                 .kind = from.value("incoming", false) ? GrantKind::incoming : GrantKind::run,
                                 .source = {},
                                 .stamped = from.value("stamped", true),
                                 .recalled = from.value("recalled", false),
                                 .by_proof_only = from.value("by_proof_only", false)};
  if (from.contains("source")) entry.source = read_holder(from.at("source"));
  return entry;
}

json write(const availability::BookRecord& book) {
  json out{{"next", book.next}, {"guests", json::object()}};
  for (const auto& [vm, leases] : book.guests) {
    json guest{{"over", leases.over},
               {"by_time", leases.by_time.str()},
               {"outstanding", json::array()},
               {"ended", json::array()}};
    for (const auto& entry : leases.outstanding) guest["outstanding"].push_back(write(entry));
    for (const auto& ended : leases.ended) guest["ended"].push_back(write(ended));
    out["guests"][vm.str()] = std::move(guest);
  }
  return out;
}

availability::BookRecord read_book(const json& from) {
  availability::BookRecord book{.next = from.at("next").get<std::uint64_t>(), .guests = {}};
  for (const auto& [vm, guest] : from.at("guests").items()) {
    auto& leases = book.guests[model::VmId(vm)];
    leases.over = guest.value("over", std::uint64_t{0});
    leases.by_time = model::NodeId(guest.value("by_time", std::string()));
    for (const auto& entry : guest.at("outstanding")) leases.outstanding.push_back(read_entry(entry));
    for (const auto& ended : guest.at("ended")) leases.ended.push_back(read_holder(ended));
  }
  return book;
}

}  // namespace

std::string text_of(const availability::AvailabilityRecord& record) {
  json out{{"book", write(record.book)}, {"nodes", json::object()}, {"guests", json::object()}};
  for (const auto& [id, node] : record.nodes) {
    out["nodes"][id.str()] = {{"fencing", node.fencing}, {"down", node.down},   {"distrusted", node.distrusted},
                              {"finding", node.finding}, {"claim", node.claim}, {"dead", node.dead}};
  }
  for (const auto& [id, guest] : record.guests) {
    out["guests"][id.str()] = {{"home", guest.home.str()}, {"deaths", guest.deaths}, {"given_up", guest.given_up}};
  }
  return out.dump();
}

Result<availability::AvailabilityRecord> record_of(const std::string& text) {
  try {
    const auto from = json::parse(text);
    availability::AvailabilityRecord record{.book = read_book(from.at("book")), .nodes = {}, .guests = {}};
    for (const auto& [id, node] : from.at("nodes").items()) {
      record.nodes[model::NodeId(id)] = {.fencing = node.value("fencing", false),
                                         .down = node.value("down", false),
                                         .distrusted = node.value("distrusted", false),
                                         .finding = node.value("finding", std::string()),
                                         .claim = node.value("claim", std::uint64_t{0}),
                                         .dead = node.value("dead", false)};
    }
    for (const auto& [id, guest] : from.at("guests").items()) {
      record.guests[model::VmId(id)] = {.home = model::NodeId(guest.value("home", std::string())),
                                        .deaths = guest.value("deaths", 0U),
                                        .given_up = guest.value("given_up", false)};
    }
    return record;
  } catch (const json::exception& error) {
    return fail(ErrorCode::data_corrupt, "the availability record can't be read: {}", error.what());
  }
}

}  // namespace bridgehead::availability_desk
