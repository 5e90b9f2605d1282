# shellcheck shell=bash disable=SC2154
# init_test's group "dracut": the same boot by dracut's initramfs with our module in it (boot/dracut). Sourced.

# Prints the path of an image with these modules of dracut, of this machine's programs and of $kernel, whichever runs here.
# Kept by what goes into it, as it takes a minute.
dracut_image() { # MODULE-LIST DRACUT-ARGUMENT...
  local modules=$1 place key image fresh content=("$init" "$here"/../../boot/dracut/90bridgehead/*) argument
  shift
  [[ $modules == *bridgehead* ]] || content=()
  for argument in "$@"; do
    [[ ! -f $argument ]] || content+=("$argument")
  done
  place=${XDG_CACHE_HOME:-$HOME/.cache}/bridgehead/dracut
  key=$({ dracut --version; dpkg-query -W systemd udev libc6 busybox-static nfs-common iproute2 2>/dev/null || true
          echo "$kernel $modules ${*//"$work"/}"; cat /dev/null "${content[@]}"; } | sha256sum | cut -c1-16)
  image=$place/$key.img
  if [[ ! -e $image ]]; then
    local base=$work/dracut
    rm -rf "$base"
    mkdir -p "$base/modules.d" "$base/no-configuration" "$place"
    ln -s /usr/lib/dracut/[!m]* "$base/"
    ln -s /usr/lib/dracut/modules.d/* "$base/modules.d/"
    cp -r "$here/../../boot/dracut/90bridgehead" "$base/modules.d/"
    install -m 755 "$init" "$base/modules.d/90bridgehead/bridgehead-init"
    dracutbasedir=$base dracut --force --quiet --conf /dev/null --confdir "$base/no-configuration" --no-hostonly --zstd \
      --modules "$modules" --kver "$release" --kmoddir "$kernel/lib/modules/$release" \
      --kernel-image "$kernel/boot/vmlinuz-$release" "$@" "$work/dracut.img" >&2
    find "$place" -mindepth 1 -mtime +30 -delete
    fresh=$(mktemp "$image.XXXXXX") # $work may be another file system: another test would meet half a copy
    cp "$work/dracut.img" "$fresh"
    mv "$fresh" "$image"
  fi
  echo "$image"
}

test_dracut() {
  local image nic_name
  image=$(dracut_image "base bash systemd-initrd dracut-systemd udev-rules bridgehead")
  echo "        dracut's initramfs: $(stat -c %s "$image") bytes"
  mkdir -p "$work/os/etc"
  echo 'ID=test' >"$work/os/etc/os-release" # without it systemd takes a directory for no system
  tar --format=ustar --owner=0 --group=0 -C "$work/os" -cf "$web/files/os.tar" .
  nbd_plan bundle.url=/boot/files/os.tar "bundle.sha256=$(sha256sum "$web/files/os.tar" | cut -d' ' -f1)"
  boot "$image" "bh.mac=$mac bh.hostname=rack1-n7" -m 1024
  expect "dracut's initramfs with our module boots by NBD" 540 'GUEST READY' || return 0
  has_steps "the steps come in their order" "kernel bridge root handover"
  cat "$web/steps"
  nic_name=$(grep -a '^FACT ports' "$work/console" | tr -d '\r' | cut -d' ' -f3)
  fact "/ is an overlay" 'root bridgehead overlay'
  fact "over squashfs on NBD, read-only" 'lower /dev/loop0 squashfs ro'
  fact "the bridge has the address of DHCP and the NIC's MAC, set for good" \
    "link br0 $mac mtu 1500 assigned 3 10.77.0.15[0-9]/24"
  fact "the NIC, as udev has named it, is its port" "ports e(n[a-z0-9]+)"
  fact "and has no address" "link ${nic_name:-none} $mac mtu 1500 assigned [0-9]+ .?$"
  fact "the host name is the plan's" 'host rack1-n7 rack1-n7'
  fact "the NBD client outlives dracut" 'processes .*@bridgehead-nbd 0 '
  fact "network services are told to keep off" "unmanaged Name=br0 ${nic_name:-none}"
  survives "a server that is killed" 9 kill_first
  start_nbd 1
  power_off
}
