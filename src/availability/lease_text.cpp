#include "availability/lease_text.h"

#include <array>

#include <nlohmann/json.hpp>

namespace bridgehead::availability {

using nlohmann::json;

namespace {

constexpr std::array kTerms = {std::pair(Terms::own, std::string_view("own")),
                               std::pair(Terms::keep, std::string_view("keep")),
                               std::pair(Terms::stop, std::string_view("stop"))};

std::uint64_t number(const json& from, const char* key) { return from.value(key, std::uint64_t{0}); }

json write(const Holder& holder) { return {{"node", holder.node.str()}, {"token", holder.token}}; }
Holder read_holder(const json& from) {
  return {.node = model::NodeId(from.at("node").get<std::string>()), .token = from.at("token").get<Token>()};
}
void write_source(json& out, const std::optional<Holder>& source) {
  if (source) out["source"] = write(*source);
}
std::optional<Holder> read_source(const json& from) {
  return from.contains("source") ? std::optional(read_holder(from.at("source"))) : std::nullopt;
}

void write_terms(json& out, const char* key, const std::optional<model::LeaseTerms>& terms) {
  if (terms) out[key] = *terms == model::LeaseTerms::stop ? "stop" : "keep";
}
std::optional<model::LeaseTerms> read_terms(const json& from, const char* key) {
  if (!from.contains(key)) return {};
  return from.at(key) == "stop" ? model::LeaseTerms::stop : model::LeaseTerms::keep;
}

json write(const GrantName& name) { return {{"vm", name.vm.str()}, {"token", name.token}}; }
GrantName read_name(const json& from) {
  return {.vm = model::VmId(from.at("vm").get<std::string>()), .token = from.at("token").get<Token>()};
}

GrantKind read_kind(const json& from) { return from.value("incoming", false) ? GrantKind::incoming : GrantKind::run; }

json write(const Grant& grant) {
  json out = write(GrantName{grant.vm, grant.token});
  out["after"] = grant.after;
  out["after_by_time"] = grant.after_by_time;
  out["terms"] = to_string(grant.terms);
  out["incoming"] = grant.kind == GrantKind::incoming;
  out["may_start"] = grant.may_start;
  write_source(out, grant.source);
  return out;
}
Grant read_grant(const json& from) {
  const auto name = read_name(from);
  return {.vm = name.vm,
          .token = name.token,
          .after = number(from, "after"),
          .after_by_time = from.value("after_by_time", false),
          .terms = terms_from(from.value("terms", std::string())),
          .kind = read_kind(from),
          .source = read_source(from),
          .may_start = from.value("may_start", false)};
}

json write(const Held& held) {
  json out = write(GrantName{held.vm, held.token});
  out["terms"] = to_string(held.terms);
  out["incoming"] = held.kind == GrantKind::incoming;
  out["stamped"] = held.stamped;
  out["running"] = held.running;
  write_source(out, held.source);
  return out;
}
Held read_held(const json& from) {
  const auto name = read_name(from);
  return {.vm = name.vm,
          .token = name.token,
          .terms = terms_from(from.value("terms", std::string())),
          .kind = read_kind(from),
          .source = read_source(from),
          .stamped = from.value("stamped", false),
          .running = from.value("running", false)};
}

json write(const GrantName& name, const Stamp& found) {
  json out = write(name);
  out["found"] = write(found.holder);
  write_source(out, found.source);
  write_terms(out, "stamped_terms", found.terms);
  write_terms(out, "source_terms", found.source_terms);
  return out;
}
Stamp read_found(const json& from) {
  return {.holder = read_holder(from.at("found")),
          .source = read_source(from),
          .terms = read_terms(from, "stamped_terms"),
          .source_terms = read_terms(from, "source_terms")};
}

template <typename T>
json list(const std::vector<T>& values) {
  auto out = json::array();
  for (const auto& value : values) out.push_back(write(value));
  return out;
}
template <typename Read>
auto read_list(const json& from, const char* key, Read read) {
  std::vector<decltype(read(from))> values;
  if (from.contains(key)) {
    for (const auto& one : from.at(key)) values.push_back(read(one));
  }
  return values;
}

// nlohmann's errors are exceptions; none leaves here.
template <typename Read>
auto parsed(const std::string& text, const char* what, Read read) -> Result<decltype(read(json()))> {
  try {
    return read(json::parse(text));
  } catch (const json::exception& error) {
    return fail(ErrorCode::data_corrupt, "{} can't be read: {}", what, error.what());
  }
}

}  // namespace

std::string_view to_string(Terms terms) {
  for (const auto& [known, name] : kTerms) {
    if (known == terms) return name;
  }
  return "keep";
}

Terms terms_from(std::string_view text) {
  for (const auto& [terms, name] : kTerms) {
    if (name == text) return terms;
  }
  return Terms::keep;
}

std::string text_of(const Renewal& renewal) {
  json out{{"instance", renewal.instance},
           {"sequence", renewal.sequence},
           {"heard", renewal.heard},
           {"watchdog", renewal.watchdog},
           {"storage_well", renewal.storage_well},
           {"claims", renewal.claims},
           {"held", list(renewal.held)},
           {"released", json::array()},
           {"refused", json::array()}};
  for (const auto& release : renewal.released) {
    auto one = write(release.name);
    one["stamped"] = release.stamped;
    out["released"].push_back(std::move(one));
  }
  for (const auto& refusal : renewal.refused) {
    out["refused"].push_back(write(GrantName{refusal.vm, refusal.token}, refusal.found));
  }
  return out.dump();
}

Result<Renewal> renewal_from(const std::string& text) {
  return parsed(text, "a renewal of leases", [](const json& from) {
    return Renewal{
        .instance = number(from, "instance"),
        .sequence = number(from, "sequence"),
        .heard = number(from, "heard"),
        .watchdog = from.value("watchdog", false),
        .storage_well = from.value("storage_well", true),
        .claims = from.value("claims", std::vector<std::uint64_t>()),
        .held = read_list(from, "held", read_held),
        .released = read_list(
            from, "released",
            [](const json& one) { return Release{.name = read_name(one), .stamped = one.value("stamped", false)}; }),
        .refused = read_list(from, "refused", [](const json& one) {
          const auto name = read_name(one);
          return Refusal{.vm = name.vm, .token = name.token, .found = read_found(one)};
        })};
  });
}

std::string text_of(const Answer& answer) {
  return json{{"instance", answer.instance},
              {"sequence", answer.sequence},
              {"grants", list(answer.grants)},
              {"recalled", list(answer.recalled)},
              {"settled", list(answer.settled)}}
      .dump();
}

Result<Answer> answer_from(const std::string& text) {
  return parsed(text, "an answer about leases", [](const json& from) {
    return Answer{.instance = number(from, "instance"),
                  .sequence = number(from, "sequence"),
                  .grants = read_list(from, "grants", read_grant),
                  .recalled = read_list(from, "recalled", read_name),
                  .settled = read_list(from, "settled", read_name)};
  });
}

std::string text_of(const KeeperRecord& record) {
  json out{{"held", json::array()}, {"released", json::array()}, {"refused", json::array()}};
  for (const auto& [vm, entry] : record.held) {
    auto one = write(entry.grant);
    one["stamped"] = entry.stamped;
    write_terms(one, "says", entry.says);
    out["held"].push_back(std::move(one));
  }
  for (const auto& [name, stamped] : record.released) {
    auto one = write(name);
    one["stamped"] = stamped;
    out["released"].push_back(std::move(one));
  }
  for (const auto& [name, found] : record.refused) out["refused"].push_back(write(name, found));
  return out.dump();
}

Result<KeeperRecord> keeper_record_from(const std::string& text) {
  return parsed(text, "what was kept of leases", [](const json& from) {
    KeeperRecord record;
    for (const auto& one : from.at("held")) {
      auto grant = read_grant(one);
      grant.may_start = false;
      record.held[grant.vm] = {.grant = grant, .stamped = one.value("stamped", false), .says = read_terms(one, "says")};
    }
    for (const auto& one : from.at("released")) record.released[read_name(one)] = one.value("stamped", false);
    for (const auto& one : from.at("refused")) record.refused[read_name(one)] = read_found(one);
    return record;
  });
}

std::string text_of(const BootRecord& record, const std::string& boot) {
  json out{{"boot", boot}, {"ends", json::array()}};
  for (const auto& [name, end] : record.ends) {
    auto one = write(name);
    one["end"] = end.time_since_epoch().count();
    out["ends"].push_back(std::move(one));
  }
  return out.dump();
}

Result<BootRecord> boot_record_from(const std::string& text, const std::string& boot) {
  return parsed(text, "until when leases were renewed", [&](const json& from) {
    BootRecord record;
    if (boot.empty() || from.value("boot", std::string()) != boot) return record;
    for (const auto& one : from.at("ends")) {
      record.ends[read_name(one)] = BootTime(Span(one.at("end").get<std::int64_t>()));
    }
    return record;
  });
}

}  // namespace bridgehead::availability
