# shellcheck shell=bash disable=SC2154
# Part of init_test: what is done to br0 and to the NFS server under a running node, and what becomes of a root that was
# mounted before the bridge was made. Sourced.

install_guest_tools() { # TREE: what the root needs for it
  local tree=$1 place=$kernel/lib/modules/$release/kernel
  cp "$here"/guest/{join_and_leave,old_order} "$place/drivers/net/tun.ko" "$place"/net/{llc/llc,802/stp,bridge/bridge}.ko "$tree/data/"
}

# As bridgehead-manager writes it, with a directory that nodes may write beside the root.
start_ganesha() {
  [[ -z $ganesha ]] || return 0
  mkdir -p "$work"/nfs/{state,run,data} /var/lib/nfs /run/ganesha
  mountpoint -q /var/lib/nfs || mount --bind "$work/nfs/state" /var/lib/nfs
  cat >"$work/nfs/ganesha.conf" <<CONF
NFS_CORE_PARAM { Protocols = 4; Bind_addr = $server; Enable_NLM = false; Enable_RQUOTA = false; }
NFSV4 { Minor_Versions = 0, 1, 2; Graceless = true; RecoveryBackend = fs; Only_Numeric_Owners = true; }
LOG { Default_Log_Level = EVENT; }
EXPORT_DEFAULTS { Protocols = 4; Transports = TCP; SecType = sys; Squash = No_Root_Squash; Access_Type = None; }
EXPORT { Export_Id = 1; Path = "$work/tree"; Pseudo = "/tree"; Access_Type = RO; FSAL { Name = VFS; } }
EXPORT { Export_Id = 2; Path = "$work/nfs/data"; Pseudo = "/data"; Access_Type = RW; FSAL { Name = VFS; } }
CONF
  ganesha.nfsd -F -f "$work/nfs/ganesha.conf" -L "$work/nfs/log" -p "$work/nfs/run/ganesha.pid" &
  ganesha=$!
}
kill_ganesha() {
  kill -9 "$ganesha"
  wait "$ganesha" 2>/dev/null || true
  ganesha=''
}
ganesha_away() { # for ten seconds, which no request outlasts unnoticed
  kill_ganesha
  sleep 10
  start_ganesha
}

# A tap joins and leaves a hundred times under load.
stays_alive() { # NAME [DIRECTORY OF THE GUEST]...: that are written, too
  local name=$1 line
  shift
  guest "sh /data/join_and_leave $name $*"
  expect "$name: a tap joins and leaves a hundred times under load" 540 "^ALIVE $name joins" || return 0
  line=$(grep -a "^ALIVE $name" "$work/console")
  echo "        $line"
  check "$name: MAC, MTU and address of br0 never change" grep -q ' changes 0 ' <<<"$line"
  check "$name: what was read and written meanwhile is right" grep -Eq ' reads [0-9]+ 0 writes [0-9]+ 0 errors 0 ' <<<"$line"
  check "$name: a hundred joins, three reads, three writes or more" \
    grep -Eq ' joins [0-9]{3,} .* reads ([3-9]|[0-9]{2,}) 0 writes ([3-9]|[0-9]{2,}) 0 ' <<<"$line"
}

test_nfs() {
  start_ganesha
  plan root=nfs nfs.source="$server:/tree" nfs.options=vers=4.1 overlay=30% join=token
  boot "$work/initramfs.img" "bh.mac=$mac bh.hostname=rack1-n7"
  expect "it boots by NFS" 180 'GUEST READY' || return 0
  fact "over NFS, read-only" "lower $server:/tree nfs4? ro"
  fact "its address is a lease" "link br0 $mac mtu 1500 assigned 3 10.77.0.15[0-9]/24"
  guest "mkdir /mnt; mount -t nfs4 -o vers=4.1,addr=$server $server:/data /mnt; echo MOUNTED \$?"
  expect "a directory to write into" 60 '^MOUNTED 0' || return 0
  stays_alive nfs /tmp /mnt
  check "the lease is still the NIC's" test "$(awk '{print $2}' "$work/leases" | xargs)" = "$mac"
  survives "an NFS server that is killed, away for 10 s" 60 ganesha_away
  power_off
}

# The control: the same root by the same NIC, with the bridge made after it.
test_order() {
  start_ganesha
  plan root=nfs nfs.source="$server:/tree" nfs.options=vers=4.1,timeo=30,retrans=1 overlay=30% join=token
  boot "$work/no-bridge.img" "bh.mac=$mac bh.wait=4 loglevel=7"
  expect "a machine without a bridge has its root by NFS over its NIC" 180 'GUEST READY' || return 0
  fact "the NIC has the address" "link eth0 $mac mtu 1500 assigned [0-9]+ 10.77.0.15[0-9]/24"
  guest "sh /data/old_order"
  expect "it makes a bridge, and the NIC its port" 90 '^OLD ORDER eth0 is a port' || return 0
  expect "its root is gone" 180 "nfs: server $server not responding" || return 0
  check "for the program that would move the address lies on it" stays_away 10 says '^OLD ORDER the script is through'
  guest go
  expect "a helper in RAM moves the address" 90 '^OLD ORDER the helper moved' || return 0
  expect "then the script goes on" 360 '^OLD ORDER the script is through' || return 0
  expect "and the root is there again" 180 '^OLD ORDER reads end with 0' || return 0
  expect "such a bridge has the NIC's MAC" 60 "^OLD ORDER before the tap $mac" || true
  expect "until a tap with a lower one joins" 60 '^OLD ORDER after the tap 02:00:00:00:00:01' || true
  power_off
}
stays_away() { ! wait_for "$@"; }
