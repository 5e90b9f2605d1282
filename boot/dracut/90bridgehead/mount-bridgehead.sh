#!/bin/sh
# Hook mount, sourced by dracut: comes back when the root is mounted; what goes wrong until then is told, and tried again
# or answered with a restart, as bh.failure= wants it.
# shellcheck disable=SC2154
if [ "$root" = bridgehead ] && ! ismounted "$NEWROOT"; then
    /usr/bin/bridgehead-init mount-root
fi
