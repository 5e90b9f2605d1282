// Log messages of this module.
#pragma once

#include "base/log.h"

namespace bridgehead::reconcile::message {

inline constexpr log::Message operation_ended{"RECONCILE_OPERATION_ENDED", "An operation has come to its end."};
inline constexpr log::Message operation_sent{"RECONCILE_OPERATION_SENT", "An assignment went to a node's agent."};
inline constexpr log::Message commit_failed{
    "RECONCILE_COMMIT_FAILED",
    "A decision could not be written to the store; it is tried again. If it stays, look at the store's disk."};
inline constexpr log::Message unknown_node{
    "RECONCILE_UNKNOWN_NODE", "A node that has no record reported something; it was ignored. It was probably deleted."};
inline constexpr log::Message orphan_guest{"RECONCILE_ORPHAN_GUEST",
                                           "A node has a guest that this cluster has no record of, or that belongs to "
                                           "another node. It is left alone; look at it and "
                                           "remove it by hand if nobody needs it."};
inline constexpr log::Message node_unreachable{"RECONCILE_NODE_UNREACHABLE",
                                               "Nothing was heard of a node for too long."};

}  // namespace bridgehead::reconcile::message
