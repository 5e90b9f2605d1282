// Words about leases as JSON: what manager and agent send each other, and what an agent keeps. Pure functions. Errors:
// data_corrupt. Missing fields keep their defaults, so that versions one apart understand each other.
#pragma once

#include <string>

#include "availability/lease_keeper.h"

namespace bridgehead::availability {

std::string text_of(const Renewal& renewal);
Result<Renewal> renewal_from(const std::string& text);
std::string text_of(const Answer& answer);
Result<Answer> answer_from(const std::string& text);

std::string text_of(const KeeperRecord& record);
Result<KeeperRecord> keeper_record_from(const std::string& text);
// `boot`: of which boot of the machine; one of another boot reads as empty, since its times mean nothing.
std::string text_of(const BootRecord& record, const std::string& boot);
Result<BootRecord> boot_record_from(const std::string& text, const std::string& boot);

std::string_view to_string(Terms terms);
// Unknown ones are `keep`, which needs the most proof.
Terms terms_from(std::string_view text);

}  // namespace bridgehead::availability
