// Log messages of the storage module, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::storage {

inline constexpr log::Message pool_attached{"POOL_ATTACHED",
                                            "A pool's directory is usable; says what its file system can do."};
inline constexpr log::Message image_published{"IMAGE_PUBLISHED",
                                              "An import ended; its golden image can be cloned from."};
inline constexpr log::Message garbage_removed{
    "GARBAGE_REMOVED", "A file was removed that an operation had left unfinished, after a crash."};

}  // namespace bridgehead::storage
