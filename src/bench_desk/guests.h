// The guests that measure in their nodes' place: made for one benchmark, known by their label, so that they are removed
// whoever was killed. Blocking; thread-safe.
#pragma once

#include <map>
#include <stop_token>

#include "model/benchmark.h"
#include "reconcile/commands/commands.h"

namespace bridgehead::bench_desk {

// One on each node of the benchmark, running, by the nodes' names: its first disk is a clone of the image, the others
// are blank, one in each pool in their order. Errors: those of creating guests, timeout, cancelled; some may be there.
Result<std::map<std::string, model::VmId>> make_guests(reconcile::Commander& commander,
                                                       const model::Benchmark& benchmark, const std::stop_token& stop);
// The serial number of the disk that is in the pool of that place in the settings.
std::string disk_in_pool(std::size_t place);
// Has all of them removed that nobody has had removed yet. True: none is left. Errors: why one can't be now; the others
// were asked for.
Result<bool> remove_guests(reconcile::Commander& commander, const model::Benchmark& benchmark);

}  // namespace bridgehead::bench_desk
