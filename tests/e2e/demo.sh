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
check "three devices are of three kinds" sh -c "grep -q ' est certificate  *operational ' '$work/table' && grep -q ' est coaps  *operational ' '$work/table' && grep -q ' brski https  *operational ' '$work/table'"
check "no demo folder is left behind" sh -c "! ls -d ${TMPDIR:-/tmp}/imprint-demo-* 2>/dev/null | grep ."
check "as JSON" sh -c "'$imprint' demo --once --devices 2 --json 2>/dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d[\"operational\"]==2'"
check "five hundred devices of every kind" sh -c "'$imprint' demo --once --devices 500 --quiet >'$work/500' && grep -q '^500 of 500' '$work/500'"
check "a table of what has gone well is short" sh -c "test \$(wc -l <'$work/500') -lt 30 && grep -q '^brski-coaps  coaps, join proxy  50 of 50 ' '$work/500'"
check "a simulated fleet under faults" sh -c "'$imprint' demo --simulate --devices 300 --seed 7 --quiet >'$work/sim' && grep -q '^300 of 300' '$work/sim'"
check "the same seed gives the same trace" sh -c "for i in 1 2; do '$imprint' demo --simulate --devices 30 --seed 9 --faults drawn --json --quiet >'$work/sim'\$i; done; cmp '$work/sim1' '$work/sim2'"
check "without a fleet of BRSKI's: that is refused, and said" sh -c "'$imprint' demo --simulate --protocols brski >'$work/sim' 2>&1; test \$? = 2 && grep -q 'leave out --simulate' '$work/sim'"
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
check "a protocol that is not there is a usage error, with a rule" sh -c "'$imprint' demo --once --protocols sztp >'$work/brski' 2>&1; test \$? = 2 && grep -q CLI-PROTOCOL '$work/brski' && ! grep -q 'no rule of its own' '$work/brski'"

# ---- BRSKI's devices: what they came by, and what their makers know ----
told() {  # what to check of the JSON in $work/brski, as Python with `d`
  python3 -c "import json, sys
d = json.load(open('$work/brski'))
rows = d['devices']
assert $1, d"
}
"$imprint" demo --once --data "$work/fleet" --json --quiet >"$work/brski"
check "without options every device of every kind is operational" test $? = 0
check "all kinds share the devices evenly" told "sorted(len({r['device'] for r in rows if r['kind'] == k}) for k in {r['kind'] for r in rows}) == [4] * 5"
check "BRSKI comes over TLS and over CoAPS, through join proxies and without, and by way of the makers" told "sorted({(r['kind'], r['mode'], r['way']) for r in rows if r['protocol'] == 'brski'}) == [
  ('brski', 'https', ''), ('brski', 'https', 'JWS'), ('brski', 'https', 'join proxy'), ('brski-cloud', 'cloud', 'est-domain'), ('brski-cloud', 'cloud', 'redirected'),
  ('brski-coaps', 'coaps', ''), ('brski-coaps', 'coaps', 'join proxy')]"
check "over TLS from two makers" told "{r['maker'] for r in rows if r['kind'] == 'brski'} == {'acme', 'bolt'}"
check "each of three makers has a MASA of its own" told "len({m['masa'] for m in d['makers']}) == len(d['makers']) == 3"
check "and each device had a voucher of its maker's" told "all(m['vouchers'] == m['devices'] == sum(r['maker'] == m['name'] for r in rows) for m in d['makers'])"
check "the table of modes adds up" told "sum(p['runs'] for p in d['protocols']) == sum(p['operational'] for p in d['protocols']) == len(rows)"
check "a MASA's log has its devices, and those of no other maker" sh -c "'$imprint' masa log --folder '$work/fleet/demo/acme/masa' --json | grep -q acme-lamp-0001 && ! '$imprint' masa log --folder '$work/fleet/demo/acme/masa' --json | grep -q bolt"
check "the second maker knows to whom it has sold" sh -c "'$imprint' masa device list --folder '$work/fleet/demo/bolt/masa' --customer demo-owner --state claimed --json | grep -q bolt-meter-0001"
check "makers are known to the owner by their files" sh -c "'$imprint' maker list --data '$work/fleet' | grep -q '^cell/tags '"
manners() {  # what the registrar has asked each maker: in its form, and of its content type
  python3 - "$1" <<'PYTHON'
import sqlite3, sys
VOUCHER, DATA = bytes.fromhex("060b2a864886f70d0109100128"), bytes.fromhex("06092a864886f70d010701")
asked = {device: (form, VOUCHER in request, DATA in request) for device, form, request in
         sqlite3.connect(sys.argv[1]).execute("SELECT device, form, request FROM pledges")}
assert asked["acme-lamp-0001"] == ("cms", True, False) and asked["bolt-meter-0001"] == ("cms", False, True), asked
assert asked["bolt-gauge-0001"][0] == "jws" and asked["cell-mote-0001"][0] == "cose" and asked["acme-cam-0001"][0] == "cms", asked
assert "cell-tag-0001" not in asked and len(asked) == 10, asked
PYTHON
}
check "the registrar speaks to each maker in its manner, and not for whom the maker answers itself" manners "$work/fleet/imprint.db"
check "compare draws from BRSKI's runs, as the devices told them" sh -c "'$imprint' compare --data '$work/fleet' --json | python3 -c '
import json, sys
told = {(c[\"protocol\"], c[\"mode\"]): c[\"run\"][\"told_by\"] for c in json.load(sys.stdin)[\"columns\"] if c[\"run\"]}
assert {told.get((\"brski\", m)) for m in (\"https\", \"coaps\", \"cloud\")} == {\"pledge\"}, told'"
check "explain finds a word in its runs" sh -c "'$imprint' explain voucher --data '$work/fleet' >'$work/word' && for m in https coaps cloud; do grep -q \"^brski \$m  *run .* Telling \" '$work/word' || exit 1; done"

IMPRINT_BRSKI_REGISTRAR=false "$imprint" demo --once --devices 5 --data "$work/refused" >"$work/table" 2>"$work/progress"
check "where the owner has no registrar the demo fails" test $? = 1
check "its table names the rule" grep -q 'brski https  *refused BRSKI-REFUSED ' "$work/table"
check "and EST's devices are operational all the same" grep -q '^2 of 5 devices are operational$' "$work/table"

# ---- the power goes ----
"$imprint" demo --devices 200 --data "$work/cut" --quiet >"$work/table" 2>&1 &
server=$!
count() { "$imprint" ca list --data "$work/cut" --limit 1000 --json 2>/dev/null | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["certificates"]))' 2>/dev/null || echo 0; }
for _ in $(seq 600); do test "$(count)" -gt 40 && break; sleep 0.1; done
kill -KILL "$server"
wait "$server" 2>/dev/null
server=
before=$(count)
check "some devices were through by then" test "$before" -gt 40
check "killed in the midst, the demo begins again in its folder, with the makers of before" sh -c "'$imprint' demo --once --devices 20 --data '$work/cut' --quiet >'$work/table' && grep -q '^20 of 20' '$work/table'"
check "and nothing that was on record is lost" test "$(count)" -ge $((before + 20))
check "the owner's audit log holds" "$imprint" audit verify --data "$work/cut"
check "and those of the makers" sh -c "for m in acme bolt cell; do '$imprint' masa log --verify --folder '$work/cut/demo/'\$m/masa || exit 1; done"

"$imprint" demo --devices 2 --data "$work/data" >"$work/served" 2>"$work/serving" &
server=$!
for _ in $(seq 100); do grep -q 'serving until' "$work/serving" && break; sleep 0.1; done
curl_line=$(grep -o 'curl -s .*' "$work/serving")
check "the curl line ends with its address" sh -c 'printf "%s\n" "$1" | grep -qE " http://127\.0\.0\.1:[0-9]+/v1/devices$"' - "$curl_line"
pasted="${curl_line/curl -s /curl -s --fail } | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)[\"devices\"]) != 2)'"
check "the curl line works as pasted, from another folder" bash -c "cd / && set -o pipefail && $pasted"
runs=${curl_line/curl -s /curl -s --fail }
runs="${runs%/v1/devices}/v1/runs | python3 -c 'import json, sys; told = {(r[\"protocol\"], r[\"role\"]) for r in json.load(sys.stdin)[\"runs\"]}; sys.exit(not {(\"brski\", \"pledge\"), (\"brski\", \"registrar\"), (\"est\", \"client\")} <= told)'"
check "and the runs of both devices, BRSKI's with its registrar's, are there to be asked for" bash -c "set -o pipefail; for _ in \$(seq 100); do $runs && exit 0; sleep 0.1; done; exit 1"
check "it says where the MASA is, and a command that shows what it knows" bash -c 'masa=$(grep -o "masa log --folder .*" "$1") && "$2" $masa | grep -q acme-lamp-0001' - "$work/serving" "$imprint"
check "it goes on serving" kill -0 "$server"
kill -INT "$server"
wait "$server"
check "Ctrl-C ends it with 0" test $? = 0
server=
check "the audit log of the demo holds" "$imprint" audit verify --data "$work/data"
check "compare draws from its runs" sh -c "'$imprint' compare --data '$work/data' | grep -q est"
"$imprint" demo --once --devices 8 --protocols est,est-coaps --data "$work/modes" >"$work/table" 2>/dev/null
check "four devices show every mode of EST over HTTPS" sh -c "grep -q 'est bootstrap  *operational' '$work/table' && grep -q 'est renewal  *operational' '$work/table' && grep -q '^8 of 8 devices' '$work/table'"
check "and compare has a column of the device's own for each" sh -c "'$imprint' compare --data '$work/modes' --json | python3 -c '
import json, sys
told = {c[\"mode\"]: c[\"run\"][\"told_by\"] for c in json.load(sys.stdin)[\"columns\"] if c[\"run\"]}
assert told == dict.fromkeys([\"bootstrap\", \"certificate\", \"coaps\", \"secret\", \"renewal\"], \"client\"), told'"
echo "1..$n"
exit $failed
