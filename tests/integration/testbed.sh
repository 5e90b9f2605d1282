# shellcheck shell=bash disable=SC2034
# For scripts that run inside tests/sandbox: the real libvirtd, manager and agent, and counted checks. Sourced.
# Needs $bin: the directory of bh, bridgehead-manager and bridgehead-agent.

export HOME=/tmp/home PATH=${bin:?}:$PATH
readonly testbed_state=/var/lib/bridgehead testbed_logs=/tmp/logs
mkdir -p $HOME $testbed_logs $testbed_state/agent
install -d -m 700 $testbed_state/manager
chmod 711 $testbed_state $testbed_state/agent

passed=0 failed=0
check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@" >/tmp/check.log 2>&1; then
    echo "ok      $name"
    passed=$((passed + 1))
  else
    echo "FAILED  $name: $*"
    tail -n 15 /tmp/check.log | sed 's/^/        /'
    failed=$((failed + 1))
  fi
}
# Fails in the way that a user should see: with this exit code and this sentence.
refused() { # NAME EXIT-CODE PATTERN COMMAND...
  local name=$1 code=$2 pattern=$3 got=0
  shift 3
  "$@" >/tmp/check.log 2>&1 </dev/null || got=$?
  if [[ $got == "$code" ]] && grep -Eq -- "$pattern" /tmp/check.log; then
    echo "ok      $name"
    passed=$((passed + 1))
  else
    echo "FAILED  $name: $* ended with $got (wanted $code and '$pattern'):"
    tail -n 15 /tmp/check.log | sed 's/^/        /'
    failed=$((failed + 1))
  fi
}
finish() { # prints the count; the logs' ends when something failed
  [[ $failed -eq 0 ]] || tail -n 15 $testbed_logs/*.log
  echo "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
}
eventually() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    (( SECONDS < deadline )) || return 1
    sleep 0.1
  done
}
need() { # SECONDS COMMAND...: without it nothing else makes sense
  eventually "$@" && return
  shift
  echo "FAILED  waited in vain for: $*"
  failed=$((failed + 1))
  finish
  exit 1
}

# No control groups, name spaces or virtlogd here; root, or libvirt would probe QEMU anew at each call where /dev/kvm is
# root's alone. The filter: docs/decisions/0013, as in node images.
start_libvirt() {
  cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
remember_owner = 0
capability_filters = [ "cpu-unavailable-features" ]
CONF
  libvirtd >>$testbed_logs/libvirtd.log 2>&1 &
  libvirtd_pid=$!
  need 180 virsh -q -c qemu:///system domcapabilities
}

start_manager() { # [LINE OF manager.toml...]
  printf '%s\n' "state_dir = \"$testbed_state/manager\"" 'listen = "127.0.0.1:7443"' 'agent_listen = "127.0.0.1:7444"' "$@" \
    >/etc/bridgehead/manager.toml
  bridgehead-manager --config /etc/bridgehead/manager.toml 2>>$testbed_logs/manager.log &
  manager_pid=$!
  need 60 test -s $testbed_state/manager/admin.token
  need 60 bh login --server https://127.0.0.1:7443 --ca $testbed_state/manager/ca/ca.pem \
    --token-file $testbed_state/manager/admin.token
}

# Joins with TOKEN, or with a fresh one.
start_agent() { # [LINE OF agent.toml...]
  printf '%s\n' "state_dir = \"$testbed_state/agent\"" "$@" >/etc/bridgehead/agent.toml
  [[ -e $testbed_state/agent/identity.json ]] ||
    bridgehead-agent --config /etc/bridgehead/agent.toml join "${TOKEN:-$(bh node join-token --address 127.0.0.1:7444 -o name)}"
  bridgehead-agent --config /etc/bridgehead/agent.toml 2>>$testbed_logs/agent.log &
  agent_pid=$!
}
