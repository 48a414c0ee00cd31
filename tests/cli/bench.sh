#!/bin/bash
# `imprint bench est` and `imprint bench brski` do what they say: every enrolment that it counts is on record, its figures are there, and nothing
# of it stays behind. No time is judged here. Prints TAP. Needs: the built command ($IMPRINT, default build/imprint), python3.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
imprint=$(realpath "${IMPRINT:-$root/build/imprint}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
cd "$work" || exit 1
unset "${!IMPRINT_@}"

count=0
failed=0
ok() {
  local status=$? name=$1
  count=$((count + 1))
  if [ "$status" -eq 0 ]; then
    echo "ok $count - $name"
  else
    failed=$((failed + 1))
    echo "not ok $count - $name"
    tail -c 2000 "$work/stdout" "$work/stderr" | sed 's/^/#   /'
  fi
}

# holds EXPRESSION: of the printed JSON `j`.
holds() { python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); sys.exit(0 if eval(sys.argv[2]) else 1)' "$work/stdout" "$1"; }
# Nothing of the measurement is left: its folders are gone, and so are its servers, whose command lines name them.
nothing_left() { ! ls "$work" | grep -q imprint-bench && ! pgrep -f -- "$work/imprint-bench" >/dev/null; }

"$imprint" bench est --seconds 1 --idle 50 --devices 16 --at-once 16 --json >"$work/stdout" 2>"$work/stderr" </dev/null
ok "ends with exit code 0"
holds 'isinstance(j["ratio"], (int, float)) and j["ratio"] > 0'
ok "the ratio is a positive number"
holds 'j["failed"] == 0 and j["first_failure"] == ""'
ok "no enrolment failed"
holds 'all(j[run]["count"] > 0 for run in ("enrolments", "half_rate", "password", "password_resumed", "all_cores", "bare_handshakes"))'
ok "every kind of run has enrolments"
holds 'j["on_record"] == j["enrolled"] > 0'
ok "every certificate that a client got is on record, and no other"
holds 'all(j["floor"][part] > 0 for part in ("handshake_us", "request_us", "certificate_us"))'
ok "the floor has its three parts"
holds '0 < j["password_resumed"]["resumed_handshakes"] <= j["password_resumed"]["count"]'
ok "connections are resumed where that is offered"
holds 'j["idle"]["connections"] == 50 and j["idle"]["kib_each"] > 0'
ok "the memory of idle connections is measured"
holds 'set(j["aims"]) == {"ratio", "idle_kib", "half_rate_p99_ms"} and all(isinstance(a["met"], bool) for a in j["aims"].values())'
ok "each aim is met or not"
nothing_left
ok "nothing is left behind"
"$imprint" bench est --coaps --seconds 1 --idle 3000 --devices 16 --at-once 16 --json >"$work/stdout" 2>"$work/stderr" </dev/null
ok "over CoAPS: ends with exit code 0"
holds 'j["protocol"] == "est-coaps" and j["ratio"] > 0 and j["floor"]["handshake_us"] > 0'
ok "over CoAPS: the ratio to a floor over DTLS"
holds 'j["failed"] == 0 and j["on_record"] == j["enrolled"] > 0 and j["handshakes"]["count"] > 0'
ok "over CoAPS: every enrolment is on record, and handshakes alone are counted"
holds 'j["idle"]["associations"] == 3000 and j["idle"]["kib_each"] > 0'
ok "over CoAPS: the memory of open associations"
nothing_left
ok "over CoAPS: nothing is left behind"

# `imprint bench brski`: whole onboardings and vouchers in bulk, each on record.
"$imprint" bench brski --seconds 1 --devices 8 --at-once 4 --bulk 40 --json >"$work/stdout" 2>"$work/stderr" </dev/null
ok "brski: ends with exit code 0"
holds 'j["protocol"] == "brski" and j["onboardings"]["count"] > 0 and j["onboardings"]["per_second"] > 0'
ok "brski: onboardings are counted"
holds 'j["failed"] == 0 and j["first_failure"] == "" and j["on_record"]["certificates"] == j["onboardings"]["count"]'
ok "brski: every onboarding has its certificate on record, and no other"
holds 'j["bulk"]["vouchers"] == 40 and j["on_record"]["vouchers"] == j["onboardings"]["count"] + 40'
ok "brski: every voucher is on the MASA's record, those of the bulk call too"
holds 'set(j["players"]) == {"pledge", "registrar", "masa"} and all(p["us"] > 0 and p["ratio"] > 0 for p in j["players"].values())'
ok "brski: each player has its processor time and its ratio"
holds 'all(abs(sum(o["count"] * o["us"] for o in p["operations"]) - p["floor_us"]) < 1 and all(o["count"] > 0 and o["us"] > 0 for o in p["operations"]) for p in j["players"].values())'
ok "brski: a floor is the sum of its operations"
holds 'j["bulk"]["sign_us"] > 0 and j["bulk"]["verify_us"] > 0 and j["bulk"]["ratio"] > 0 and j["bulk"]["cpu_ratio"] > 0'
ok "brski: the bulk call stands beside one signature and one verification"
holds 'set(j["aims"]) == {"pledge", "registrar", "masa", "bulk"} and all(isinstance(a["met"], bool) for a in j["aims"].values())'
ok "brski: each aim is met or not"
nothing_left
ok "brski: nothing is left behind"
"$imprint" bench brski --seconds 0.4 --devices 4 --at-once 2 --bulk 0 >"$work/stdout" 2>"$work/stderr" </dev/null && grep -q '^registrar ' "$work/stdout" && ! grep -q bulk "$work/stdout"
ok "brski: as text, without a bulk call"

: >"$work/stderr"  # what the one before said must not be taken for this one's word
"$imprint" bench est --seconds 30 >"$work/stdout" 2>"$work/stderr" </dev/null &
bench=$!
for _ in $(seq 1200); do
  grep -q "warming up" "$work/stderr" && break
  sleep 0.1
done
kill -INT "$bench"
wait "$bench"
[ $? -ne 0 ] && nothing_left
ok "an interrupted measurement fails and leaves nothing behind"
: >"$work/stderr"  # what the one before said must not be taken for this one's word
"$imprint" bench est --seconds 30 >"$work/stdout" 2>"$work/stderr" </dev/null &
bench=$!
for _ in $(seq 1200); do
  grep -q "warming up" "$work/stderr" && break
  sleep 0.1
done
kill -KILL "$(pgrep -P "$bench" | head -1)"
wait "$bench"
[ $? -eq 1 ] && grep -q '^why:   BENCH (ours: docs/guide.md, speed), the server' "$work/stderr" && ! grep -q "no rule of its own" "$work/stderr"
ok "a server that dies ends the measurement with a rule"
python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(600)' >"$work/port" &
holder=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.1; done
IMPRINT_API_LISTEN=127.0.0.1:$(cat "$work/port") "$imprint" bench est --seconds 1 --idle 50 --devices 16 --at-once 16 --json >"$work/stdout" 2>"$work/stderr" </dev/null
status=$?
kill "$holder"
[ "$status" -eq 0 ]
ok "the caller's IMPRINT_ variables do not reach the server under measurement"
"$imprint" bench est --seconds 0 >"$work/stdout" 2>"$work/stderr" </dev/null
[ $? -eq 2 ]
ok "no time is a usage error"

echo "1..$count"
[ "$failed" -eq 0 ]
