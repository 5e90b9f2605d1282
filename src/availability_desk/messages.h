// Log messages of this module.
#pragma once

#include "base/log.h"

namespace bridgehead::availability_desk {

inline constexpr log::Message said{"AVAILABILITY_SAID", "What was decided about a silent node or its guests, and why."};
inline constexpr log::Message asked{"AVAILABILITY_ASKED",
                                    "A person is asked about a node. Look at it, then answer: bh ha status"};
inline constexpr log::Message locks_freed{"DEAD_NODE_LOCKS_FREED",
                                          "Another node removed what a dead one still held on a pool's servers."};
inline constexpr log::Message not_kept{"AVAILABILITY_NOT_KEPT",
                                       "What was decided could not be written to the store, so it isn't done; all is "
                                       "looked at anew. If it stays, look at the store's disk."};
inline constexpr log::Message record_unreadable{"AVAILABILITY_RECORD_UNREADABLE",
                                                "What was kept about leases can't be read; it is learned anew from the "
                                                "guests' records. Nothing of a dead node starts elsewhere before it "
                                                "was verified off again."};
inline constexpr log::Message renewal_unreadable{"LEASE_RENEWAL_UNREADABLE",
                                                 "What an agent says of its leases can't be read, so they aren't "
                                                 "renewed. Is its version more than one apart?"};
inline constexpr log::Message order_failed{"AVAILABILITY_ORDER_FAILED",
                                           "A power control didn't take an order; its state is read all the same."};

}  // namespace bridgehead::availability_desk
