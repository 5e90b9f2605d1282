// The manager's first start: its state directory and the first admin token. Doing it again changes nothing that stands;
// killed at any point, the next start finishes it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "model/token.h"
#include "state/inventory.h"

namespace bridgehead::manager {

// Makes it (0700) if it is missing. permission_denied with what to do when it can't be used.
Status prepare_state_directory(const std::filesystem::path& directory);

// The cluster is its CA: a UUID made from the CA's fingerprint.
std::string cluster_id_of(const std::string& ca_fingerprint);

// When there is no admin token at all, makes one and writes it to <directory>/admin.token (0600). The path, if it did.
Result<std::optional<std::filesystem::path>> ensure_admin_token(state::Inventory& inventory, const Clock& clock,
                                                                RandomSource& random,
                                                                const std::filesystem::path& directory);

// A token as a user would make it, for `bridgehead-manager token create`: the way back in when every token is lost.
// Returns its text.
Result<std::string> create_token(state::Inventory& inventory, const Clock& clock, RandomSource& random,
                                 const std::string& name, model::Role role);

}  // namespace bridgehead::manager
