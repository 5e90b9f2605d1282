#!/usr/bin/env python3
"""A switch for one test: frames of QEMU's NICs, tagged with a VLAN, pass untagged to a tap device of the host and back.

vlan_switch.py TAP VLAN LOCAL:REMOTE...   (UDP ports on 127.0.0.1, one pair per NIC: -netdev socket,udp=...:LOCAL,localaddr=...:REMOTE)

For kernels without the module 8021q. Frames with another tag, or none, are dropped.
"""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 2, 0x1000


def main():
    name, vlan = sys.argv[1], int(sys.argv[2])
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    tag = struct.pack("!HH", 0x8100, vlan)
    ports = {}
    for pair in sys.argv[3:]:
        local, remote = map(int, pair.split(":"))
        port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        port.bind(("127.0.0.1", local))
        ports[port] = ("127.0.0.1", remote)
    seen = {}  # MAC -> the port behind which it was last
    while True:
        for ready in select.select([tap, *ports], [], [])[0]:
            if ready == tap:
                frame = os.read(tap, 65536)
                target = seen.get(frame[:6])
                for port in [target] if target else ports:
                    port.sendto(frame[:12] + tag + frame[12:], ports[port])
                continue
            frame = ready.recv(65536)
            if frame[12:14] == tag[:2] and struct.unpack("!H", frame[14:16])[0] & 0xFFF == vlan:
                seen[frame[6:12]] = ready
                os.write(tap, frame[:12] + frame[16:])


if __name__ == "__main__":
    main()
