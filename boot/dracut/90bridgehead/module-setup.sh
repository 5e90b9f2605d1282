#!/bin/bash
# dracut module: the bridge before the root, and the root, as a Bridgehead manager has them for this machine. The work is
# done by bridgehead-init, a static program that lies beside this file.
# shellcheck disable=SC2154  # moddir and hostonly are dracut's

check() {
    if [[ ! -x $moddir/bridgehead-init ]]; then
        derror "bridgehead: $moddir/bridgehead-init is missing: install the package bridgehead-dracut"
        return 1
    fi
    # Only where it is asked for: --add bridgehead.
    return 255
}

depends() {
    echo kernel-network-modules
}

installkernel() {
    if [[ $hostonly ]]; then
        dwarning "bridgehead: only this machine's NIC drivers go in; for other machines use --no-hostonly"
    fi
    hostonly='' instmods virtio_pci bridge bonding 8021q af_packet nbd squashfs overlay loop nfs nfsv3 nfsv4 crc32c_generic
}

install() {
    local busybox
    inst_simple "$moddir/bridgehead-init" /usr/bin/bridgehead-init
    inst_hook cmdline 20 "$moddir/parse-bridgehead.sh"
    inst_hook mount 20 "$moddir/mount-bridgehead.sh"
    # NICs get the names that the distribution gives them.
    inst_multiple -o /usr/lib/systemd/network/99-default.link
    # Its udhcpc is needed only where neither manager nor boot loader gives the address.
    if busybox=$(find_binary busybox); then
        inst "$busybox" /bin/busybox
    else
        dwarning "bridgehead: no busybox, so no DHCP: machines need bh.address or ip= on their command line"
    fi
}
