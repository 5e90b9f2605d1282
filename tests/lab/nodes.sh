# shellcheck shell=bash
# For tests in tests/sandbox that boot the lab's machines into nodes. Sourced after testbed.sh; the manager is the lab's.

lab() { bridgehead-lab --silent "$@"; }
inside() { bridgehead-lab run -- "$@"; }

mac_of() { lab status -o json | jq -r ".machines[] | select(.name == \"$1\") | .mac"; }
node_of() { # MACHINE
  local mac
  mac=$(mac_of "$1")
  echo "node-${mac//:/}"
}
# MACHINE PATTERN: on its console since it was switched on. Reads to the end: grep -q would end the lab by SIGPIPE, a failure.
console_says() { lab log "$1" --last | grep -aE -- "$2"; }
ask() { bh node show "$(node_of "$1")" -o json | jq -er "$2"; } # MACHINE JQ-EXPRESSION: fails where there is none
steps() { ask "$1" '.boot.events | map(.step) | join(" ")'; }   # MACHINE: of its newest boot
is() { # MACHINE JQ-EXPRESSION WANTED
  local got
  got=$(ask "$1" "$2") || return 1
  echo "got: $got"
  [[ -n $got && $got == "$3" ]]
}
is_ready() { [[ $(steps "$1") == *ready ]]; }
are_ready() { for machine in "$@"; do is_ready "$machine" || return 1; done; }
at_step() { is "$1" '.boot.events[-1].step' "$2"; }
readonly whole_story="dhcp bootstrap kernel bridge root handover agent ready"
# MACHINE: it booted as it should, and its address is the bridge's.
check_node() {
  local machine=$1 address
  check "$machine: the story of its boot" is "$machine" '.boot.events | map(.step) | join(" ")' "$whole_story"
  address=$(ask "$machine" .netboot.address || true)
  check "$machine: br0 has the address" is "$machine" \
    '.facts.interfaces[] | select(.name == "br0") | .addresses[0] | split("/")[0]' "$address"
  check "$machine: br0 has the NIC's MAC" is "$machine" '.facts.interfaces[] | select(.name == "br0") | .mac' \
    "$(mac_of "$machine")"
  check "$machine: the NIC is br0's port" is "$machine" '[.facts.interfaces[] | select(.bridge == "br0")] | length' 1
  check "$machine: guests can run there" eventually 120 is "$machine" \
    '.facts.libvirt_version != "" and .facts.hypervisor_message == ""' true
  check "$machine: it answers at its address" inside busybox ping -c 3 "$address"
}
