#!/bin/sh
# Hook cmdline, sourced by dracut: with bh.server= the root comes from there. Without it the initramfs boots as it would
# without this module.
if getarg bh.server= > /dev/null; then
    # shellcheck disable=SC2034
    root=bridgehead rootok=1
    # Where dracut has put systemd-networkd in, it keeps off; bridgehead-init narrows this to what carries the root.
    mkdir -p /run/systemd/network
    printf '[Match]\nName=*\n\n[Link]\nUnmanaged=yes\n' > /run/systemd/network/00-bridgehead.network
fi
