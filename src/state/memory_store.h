// The in-memory twin of the SQLite store: for tests and simulation. Thread-safe; never fails except with conflict.
#pragma once

#include <memory>

#include "state/state_store.h"

namespace bridgehead::state {

std::unique_ptr<StateStore> make_memory_store();

}  // namespace bridgehead::state
