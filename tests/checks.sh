# shellcheck shell=bash
# Counted checks, for scripts that test whole programs. Sourced. What a check says goes to $check_log; $check_logs is a
# directory of logs whose ends are shown when something failed.

check_log=${check_log:-/tmp/check.log}
check_logs=${check_logs:-}
passed=0 failed=0 skipped=0
fine() { # NAME
  echo "ok      $1"
  passed=$((passed + 1))
}
wrong() { # NAME AND WHAT HAPPENED
  echo "FAILED  $1"
  tail -n 20 "$check_log" | sed 's/^/        /'
  failed=$((failed + 1))
}
check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@" >"$check_log" 2>&1; then fine "$name"; else wrong "$name: $*"; fi
}
# Fails in the way that a user should see: with this exit code and this sentence.
refused() { # NAME EXIT-CODE PATTERN COMMAND...
  local name=$1 code=$2 pattern=$3 got=0
  shift 3
  "$@" >"$check_log" 2>&1 </dev/null || got=$?
  if [[ $got == "$code" ]] && grep -Eq -- "$pattern" "$check_log"; then
    fine "$name"
  else
    wrong "$name: $* ended with $got (wanted $code and '$pattern'):"
  fi
}
says_nothing() { # COMMAND...: and doesn't fail
  local said
  said=$("$@") && echo "$said" && [[ -z $said ]]
}
skip() { # NAME WHY
  echo "skipped $1: $2"
  skipped=$((skipped + 1))
}
finish() { # prints the count; fails when a check has
  [[ $failed -eq 0 || -z $check_logs ]] || tail -n 15 "$check_logs"/*.log 2>/dev/null || true
  if [[ $skipped -eq 0 ]]; then echo "$passed passed, $failed failed"; else echo "$passed passed, $failed failed, $skipped skipped"; fi
  [[ $failed -eq 0 ]]
}
# Seldom after the first seconds: what is asked then takes long, and asking takes processor time from it.
eventually() { # SECONDS COMMAND...
  local began=$SECONDS deadline=$((SECONDS + $1))
  shift
  until "$@" >"$check_log.last" 2>&1; do
    if ((SECONDS >= deadline)); then
      cat "$check_log.last" # of the last try
      return 1
    fi
    if ((SECONDS < began + 3)); then sleep 0.1; else sleep 1; fi
  done
}
need() { # SECONDS COMMAND...: without it nothing else makes sense. Not in $( ): the script would go on without a word.
  eventually "$@" >"$check_log" && return
  shift
  wrong "waited in vain for: $*"
  finish
  exit 1
}
# In tests/sandbox /tmp is a directory of the sandbox's own.
require_sandbox() {
  [[ ${BRIDGEHEAD_SANDBOX:-} == /var/tmp/bridgehead-sandbox/?* && /tmp -ef $BRIDGEHEAD_SANDBOX/tmp ]] && return
  echo "$0: would change this machine; run it by tests/sandbox" >&2
  exit 2
}
