// The log messages of the manager's main program, each with what it means for the operator.
#pragma once

#include "base/log.h"

namespace bridgehead::manager {

inline constexpr log::Message manager_ready{"MANAGER_READY", "The manager serves; what it listens at and its version."};
inline constexpr log::Message manager_stopping{"MANAGER_STOPPING", "The manager was asked to stop; guests run on."};
inline constexpr log::Message manager_stopped{"MANAGER_STOPPED", "The manager has ended in order."};
inline constexpr log::Message manager_failed{"MANAGER_FAILED", "The manager can't start; the text says what to do."};
inline constexpr log::Message first_start{
    "FIRST_START", "A new cluster was made here. The named file holds the first admin token: keep it safe."};
inline constexpr log::Message netboot_unavailable{
    "NETBOOT_UNAVAILABLE", "This manager can't boot machines over the network; it does all its other work."};
inline constexpr log::Message history_not_trimmed{
    "HISTORY_NOT_TRIMMED",
    "Old operations, events and plans could not be removed; tried again later. The store grows meanwhile."};
inline constexpr log::Message plan_not_applied{
    "PLAN_NOT_APPLIED", "What the policy lets be done without asking could not be begun; looked at again soon."};
inline constexpr log::Message certificate_reissued{"CERTIFICATE_REISSUED",
                                                   "The manager's own TLS certificate was made anew before its end."};
inline constexpr log::Message certificate_not_reissued{
    "CERTIFICATE_NOT_REISSUED",
    "The manager's own TLS certificate could not be made anew; tried again in an hour. When it "
    "ends, no client and no agent can connect."};
inline constexpr log::Message grpc_says{"GRPC", "What the gRPC library itself reports, mostly failed TLS handshakes."};

}  // namespace bridgehead::manager
