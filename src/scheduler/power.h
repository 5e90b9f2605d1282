// Power: which hosts sleep and which wake. What is kept on is enough for the forecast's peak until a sleeping host
// could be back, and for the headroom that the policy asks for. Hosts are woken for the demand within their own wake
// latency, and sent to sleep only if nothing calls for them for several times as long; so neither follows from the
// other.
#pragma once

#include "scheduler/state.h"

namespace bridgehead::scheduler {

// Marks hosts of the state as woken: for the forecast, for headroom, and for guests that have no host.
bool wake_hosts(State& state);
// Marks hosts as sent to sleep that no guest is on.
bool send_to_sleep(State& state);
// Hosts in use now, and those that are on without guests where hosts are switched, can carry what is forecast.
bool enough_for_forecast(const State& state);
// By how many hosts what is on falls short of what is forecast until the slowest host could be awake.
double missing_capacity(const State& state);
double watts(const State& state);

}  // namespace bridgehead::scheduler
