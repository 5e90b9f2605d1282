// The table of `bh vm list`, made straight from the bytes of the manager's answer: of 20,000 guests a JSON document in
// memory took twice as long as the manager's work. Everything smaller goes through Context::print_list.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/output.h"

namespace bridgehead::cli {

// `answer`: the body of GET /vms?summary=true. Errors: internal when it isn't that.
Result<Table> vm_table(std::string answer);

}  // namespace bridgehead::cli
