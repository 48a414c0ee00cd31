#!/usr/bin/env bash
# The main job as a newcomer sees it: a fleet, its table, the pasted curl line, Ctrl-C.
set -u
cd "$(dirname "$0")/../.."
imprint=${IMPRINT:-build/imprint}
work=$(mktemp -d)
export TMPDIR=$work/tmp  # so that what is left behind is ours
mkdir "$TMPDIR"
n=0
failed=0
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
server=

check() {  # name, command…
  local name=$1
  shift
  n=$((n + 1))
  if "$@" >"$work/out" 2>&1; then echo "ok $n - $name"; else
    echo "not ok $n - $name"
    sed 's/^/# /' "$work/out" | tail -20
    failed=1
  fi
}

"$imprint" demo --once --devices 3 >"$work/table" 2>"$work/progress"
check "demo --once ends with 0 when every device is operational" test $? = 0
check "its table names every device once" test "$(grep -c ' operational ' "$work/table")" = 3
check "and says so" grep -q '^3 of 3 devices are operational$' "$work/table"
check "progress goes to stderr" grep -q 'devices done' "$work/progress"
check "no demo folder is left behind" sh -c "! ls -d ${TMPDIR:-/tmp}/imprint-demo-* 2>/dev/null | grep ."
check "as JSON" sh -c "'$imprint' demo --once --devices 2 --json 2>/dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d[\"operational\"]==2'"
check "five hundred devices" sh -c "'$imprint' demo --once --devices 500 --quiet >'$work/500' && grep -q '^500 of 500' '$work/500'"
check "a simulated fleet under faults" sh -c "'$imprint' demo --simulate --devices 300 --seed 7 --quiet >'$work/sim' && grep -q '^300 of 300' '$work/sim'"
check "the same seed gives the same trace" sh -c "for i in 1 2; do '$imprint' demo --simulate --devices 30 --seed 9 --faults drawn --json --quiet >'$work/sim'\$i; done; cmp '$work/sim1' '$work/sim2'"
only() {  # protocol, modes…: all devices by these modes of EST alone, by the JSON and by the table
  local protocol=$1
  shift
  "$imprint" demo --once --devices 3 --protocols "$protocol" --json --quiet >"$work/only" && python3 - "$work/only" "$@" <<'PYTHON' || return 1
import json, sys
rows, modes = json.load(open(sys.argv[1]))["devices"], sys.argv[2:]
assert len(rows) == 3 and {(r["protocol"], r["mode"]) for r in rows} == {("est", m) for m in modes}, rows
PYTHON
  "$imprint" demo --once --devices 3 --protocols "$protocol" --quiet >"$work/only" && grep -q '^3 of 3 devices' "$work/only" &&
    test "$(grep -cE " est ($(IFS='|' && echo "$*")) +operational " "$work/only")" = 3
}
check "est alone, if asked" only est certificate secret
check "est-coaps alone, if asked: its mode over CoAPS" only est-coaps coaps
check "a protocol that is not there is a usage error, with a rule" sh -c "'$imprint' demo --once --protocols brski >'$work/brski' 2>&1; test \$? = 2 && grep -q CLI-PROTOCOL '$work/brski' && ! grep -q 'no rule of its own' '$work/brski'"

"$imprint" demo --devices 2 --data "$work/data" >"$work/served" 2>"$work/serving" &
server=$!
for _ in $(seq 100); do grep -q 'serving until' "$work/serving" && break; sleep 0.1; done
curl_line=$(grep -o 'curl -s .*' "$work/serving")
check "the curl line ends with its address" sh -c 'printf "%s\n" "$1" | grep -qE " http://127\.0\.0\.1:[0-9]+/v1/devices$"' - "$curl_line"
pasted="${curl_line/curl -s /curl -s --fail } | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)[\"devices\"]) != 2)'"
check "the curl line works as pasted, from another folder" bash -c "cd / && set -o pipefail && $pasted"
check "it goes on serving" kill -0 "$server"
kill -INT "$server"
wait "$server"
check "Ctrl-C ends it with 0" test $? = 0
server=
check "the audit log of the demo holds" "$imprint" audit verify --data "$work/data"
check "compare draws from its runs" sh -c "'$imprint' compare --data '$work/data' | grep -q est"
"$imprint" demo --once --devices 4 --data "$work/modes" >"$work/table" 2>/dev/null
check "four devices show every mode" sh -c "grep -q 'est bootstrap  *operational' '$work/table' && grep -q 'est renewal  *operational' '$work/table' && grep -q '^4 of 4 devices' '$work/table'"
check "and compare has a column of the device's own for each" sh -c "'$imprint' compare --data '$work/modes' --json | python3 -c '
import json, sys
told = {c[\"mode\"]: c[\"run\"][\"told_by\"] for c in json.load(sys.stdin)[\"columns\"] if c[\"run\"]}
assert told == dict.fromkeys([\"bootstrap\", \"certificate\", \"coaps\", \"secret\", \"renewal\"], \"client\"), told'"
echo "1..$n"
exit $failed
