// The conformance suite on both stores.
#include "base/file.h"
#include "state/memory_store.h"
#include "state/sqlite_store.h"
#include "state/testing/store_conformance.h"

namespace bridgehead::state::testing {

struct MemoryBackend {
  std::unique_ptr<StateStore> open() { return make_memory_store(); }
};

struct SqliteBackend {
  TemporaryDirectory directory = TemporaryDirectory::create("state-test").value();
  std::unique_ptr<StateStore> open() { return open_sqlite_store(directory.path() / "state.db").value(); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreConformance, MemoryBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreConformance, SqliteBackend);

}  // namespace bridgehead::state::testing
