// Log messages of the storage module, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::storage {

inline constexpr log::Message pool_attached{"POOL_ATTACHED",
                                            "A pool's directory is usable; says what its file system can do."};
inline constexpr log::Message image_published{"IMAGE_PUBLISHED",
                                              "An import ended; its golden image can be cloned from."};
inline constexpr log::Message import_resumed{
    "IMPORT_RESUMED", "An import that was cut off by a crash goes on with the parts of the image that were done."};
inline constexpr log::Message garbage_removed{
    "GARBAGE_REMOVED", "A file was removed that an operation had left unfinished, after a crash."};
inline constexpr log::Message mount_made{"MOUNT_MADE", "A pool's file system was mounted."};
inline constexpr log::Message mount_renewed{
    "MOUNT_RENEWED",
    "A mounted file system was dead for good (its client process had ended, or its server no longer knows it) and is "
    "mounted anew. Guests that had images open in it have lost them and must be started again."};
inline constexpr log::Message locks_freed{"LOCKS_FREED", "What a dead node's client still held in a pool was freed."};
inline constexpr log::Message own_locks_not_freed{
    "OWN_LOCKS_NOT_FREED",
    "Whether this node's client from before its restart still holds locks in a pool could not be seen. Where it does, "
    "guests whose disks were open then can't be started until the servers forget it (MooseFS: a day)."};
inline constexpr log::Message mount_released{"MOUNT_RELEASED", "A pool's file system was unmounted: it was removed."};

}  // namespace bridgehead::storage
