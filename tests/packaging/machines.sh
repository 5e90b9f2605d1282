# shellcheck shell=bash
# Machines for tests of the Debian packages: clean Debian roots, booted by systemd in containers. Sourced, after `work`
# was set to the directory that has them all and checks.sh was sourced; machine NAME is $work/NAME.
# The clean root is made once from Debian packages and kept under $XDG_CACHE_HOME/bridgehead.

: "${work:?the directory of all machines}"
machines_cache=${XDG_CACHE_HOME:-$HOME/.cache}/bridgehead/clean-root
declare -A leaders=() nspawns=() # of machines that run, by name

debian_sources() {
  # shellcheck disable=SC2016  # apt's own placeholders
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN)' 'Created-By: Packages' |
    awk '$3 == "Debian" && $2 ~ /^bookworm/ && !seen[$1 $2]++ {
           print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " $1 " " $2 " main"}'
}
make_clean_root() { # NAME
  local key lock root=$work/$1
  mkdir -p "$machines_cache"
  exec {lock}>"$machines_cache/lock"
  flock "$lock" # one test makes it, others wait for it
  key=$({ debian_sources; cat "${BASH_SOURCE[0]}"; date +%Y-%m; } | sha256sum | cut -c1-16)
  if [[ ! -e $machines_cache/$key.tar ]]; then
    find "$machines_cache" -name '*.tar' -delete
    debian_sources >"$work/sources.list"
    local options=() option
    while IFS= read -r option; do options+=("--aptopt=$option"); done \
      < <(apt-config dump 2>/dev/null | grep -E '^Acquire::(http::Proxy|https::Proxy|Check-Valid-Until|Check-Date) ' || true)
    mmdebstrap --quiet --mode=root --variant=minbase --include=debian-archive-keyring,systemd-sysv,dbus,procps "${options[@]}" \
      --aptopt='Acquire::Languages "none"' --aptopt='APT::Sandbox::User "root"' --dpkgopt=force-unsafe-io \
      --skip=cleanup/apt/lists bookworm "$machines_cache/$key.tar.new" "$work/sources.list" --format=tar </dev/null
    mv "$machines_cache/$key.tar.new" "$machines_cache/$key.tar"
  fi
  mkdir "$root"
  tar -C "$root" -xf "$machines_cache/$key.tar"
  exec {lock}>&-
  # Nothing starts while packages are installed into a root that isn't booted.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
}
# A container can't give its guests control groups of their own.
let_guests_run_in() { # NAME
  printf 'cgroup_controllers = []\nnamespaces = []\nsecurity_driver = "none"\n' >>"$work/$1/etc/libvirt/qemu.conf"
}

boot_machine() { # NAME: with a network of its own
  local name=$1 leader=''
  systemd-nspawn --quiet --register=no --keep-unit --directory="$work/$name" --private-network --boot \
    --console=read-only >"$work/boot-$name.log" 2>&1 &
  nspawns[$name]=$!
  for _ in $(seq 900); do
    leader=$(pgrep -P "${nspawns[$name]}" -x systemd | head -n 1) || true
    leaders[$name]=$leader
    # Degraded: some mount of other packages can't be had in a container.
    [[ -n $leader && $(on "$name" systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]] && return 0
    kill -0 "${nspawns[$name]}" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 20 "$work/boot-$name.log"
  return 1
}
on() { # NAME COMMAND...
  local leader=${leaders[$1]}
  shift
  nsenter -t "$leader" -a /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root "$@"
}
halt_machine() { # NAME
  kill -s SIGRTMIN+4 "${leaders[$1]}"
  wait "${nspawns[$1]}" || true
  unset "leaders[$1]" "nspawns[$1]"
}
# Also when the test is ended: the first process of each with all that runs in it, or its root stays busy.
kill_machines() {
  local name
  for name in "${!nspawns[@]}"; do
    pgrep -P "${nspawns[$name]}" | xargs -r kill -KILL || true
    wait "${nspawns[$name]}" 2>/dev/null || true
  done
}
active_on() { # NAME UNIT
  for _ in $(seq 300); do
    on "$1" systemctl is-active --quiet "$2" && return 0
    on "$1" systemctl is-failed --quiet "$2" && break
    sleep 0.2
  done
  on "$1" journalctl --no-pager -n 20 -u "$2"
  return 1
}
main_process_on() { on "$1" systemctl show --property MainPID --value "$2"; } # NAME UNIT
# A unit is active until systemd notices that its process is dead: wait for another process.
another_runs_on() { # NAME UNIT PROCESS
  local now
  for _ in $(seq 300); do
    now=$(main_process_on "$1" "$2")
    [[ $now != 0 && $now != "$3" ]] && on "$1" systemctl is-active --quiet "$2" && return 0
    sleep 0.2
  done
  on "$1" journalctl --no-pager -n 20 -u "$2"
  return 1
}
