# shellcheck shell=bash disable=SC2034
# For scripts that run inside tests/sandbox: the real libvirtd, manager and agent, and tests/checks.sh. Sourced.
# Needs $bin: the directory of bh, bridgehead-manager and bridgehead-agent.

readonly testbed_state=/var/lib/bridgehead testbed_logs=/tmp/logs
check_logs=$testbed_logs
# shellcheck source=tests/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/../checks.sh"
require_sandbox

export HOME=/tmp/home PATH=${bin:?}:$PATH
mkdir -p $HOME $testbed_logs $testbed_state/agent
install -d -m 700 $testbed_state/manager
chmod 711 $testbed_state $testbed_state/agent

# No control groups, name spaces or virtlogd here; root, or libvirt would probe QEMU anew at each call where /dev/kvm is
# root's alone. The filter: docs/decisions/0013, as in node images.
qemu_configuration() {
  cat <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
remember_owner = 0
capability_filters = [ "cpu-unavailable-features" ]
CONF
}
start_libvirt() {
  qemu_configuration >/etc/libvirt/qemu.conf
  libvirtd >>$testbed_logs/libvirtd.log 2>&1 &
  libvirtd_pid=$!
  need 540 virsh -q -c qemu:///system domcapabilities
}

# A file system whose servers have just come tells its space a moment later.
has_room() { bh pool show "$1" -o json | jq -e '[.nodes[].available] | length > 0 and min > 0'; } # POOL

start_manager() { # [LINE OF manager.toml...]
  printf '%s\n' "state_dir = \"$testbed_state/manager\"" 'listen = "127.0.0.1:7443"' 'agent_listen = "127.0.0.1:7444"' "$@" \
    >/etc/bridgehead/manager.toml
  bridgehead-manager --config /etc/bridgehead/manager.toml 2>>$testbed_logs/manager.log &
  manager_pid=$!
  need 180 test -s $testbed_state/manager/admin.token
  need 180 bh login --server https://127.0.0.1:7443 --ca $testbed_state/manager/ca/ca.pem \
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
