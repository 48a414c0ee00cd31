#!/bin/bash
# The command line as a user meets it: help, configuration, inventory, CA, audit log, exit codes. Prints TAP.
# Needs: the built command ($IMPRINT, default build/imprint), python3, openssl.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
imprint=$(realpath "${IMPRINT:-$root/build/imprint}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset "${!IMPRINT_@}"  # nothing of the caller's environment configures what is tested

count=0
failed=0
out=$work/stdout
err=$work/stderr

# ok NAME: the command before it decides.
ok() {
  local status=$? name=$1
  count=$((count + 1))
  if [ "$status" -eq 0 ]; then
    echo "ok $count - $name"
  else
    failed=$((failed + 1))
    echo "not ok $count - $name"
    sed 's/^/#   stdout: /' "$out"
    sed 's/^/#   stderr: /' "$err"
  fi
}

# All that was complained of, to be looked at in the end.
complaints=$work/complaints
: >"$complaints"

# exits CODE ARGUMENTS…: runs the command, keeps what it prints, and compares its exit code.
exits() {
  local want=$1
  shift
  "$imprint" "$@" >"$out" 2>"$err" </dev/null
  local got=$?
  cat "$err" >>"$complaints"
  [ "$got" -eq "$want" ] || { echo "# exit $got, not $want: imprint $*"; return 1; }
}

said() { grep -qF -- "$1" "$out"; }
complained() { grep -qF -- "$1" "$err"; }
is_json() { python3 -m json.tool <"$1" >/dev/null; }
# member FILE EXPRESSION: a value of the JSON in the file, as python writes it.
member() { python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }
sql() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$1" "$2"; }

# ---- help ----
# below [COMMAND...]: the commands that this one's help lists, each with those below it.
below() {
  local word
  for word in $("$imprint" "$@" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'); do
    echo "$* $word" | sed 's/^ //'
    below "$@" "$word"
  done
}
below | sort >commands
exits 0 completion fish && grep '^set -g __imprint_commands ' "$out" | grep -o "'imprint [^']*'" | sed "s/^'imprint //; s/'\$//" | sort >completed \
  && diff completed commands >"$err" && grep -qx 'device add' commands
ok "help lists every command that completion knows"
while read -r -a command; do
  exits 0 "${command[@]}" --help && sed -n '/^Examples:/,/^Global options/p' "$out" | grep -qE "^ .*imprint$(printf '( .*)? %s' "${command[@]}")( |\$)" \
    && said "--data FOLDER" && said "--config FILE"
  ok "help of '${command[*]}' has an example of it and names the global options"
done <commands
exits 0 --help && said "Examples:"
ok "help of the whole has an example"
exits 2
ok "no command is a usage error"
exits 2 device add
ok "a missing argument is a usage error"
exits 2 frobnicate --json && is_json "$err"
ok "a usage error is JSON with --json"
exits 2 frobnicate && complained 'has no command `frobnicate`' && exits 2 device adx && complained '`imprint device` has no command `adx`'
ok "a word that is no command is named"
exits 2 device lst && complained 'did you mean list?' && exits 2 onbord && complained 'did you mean onboard?' && exits 2 frobnicate && ! complained "did you mean"
ok "and so is the command that was probably meant"
exits 0 version && said "imprint "
ok "version"
exits 0 --json version && is_json "$out" && exits 0 version --json && is_json "$out"
ok "global options stand before and after the command"

# ---- configuration ----
exits 0 config defaults && cp "$out" defaults.toml && exits 0 --config defaults.toml config check
ok "the printed defaults are a good configuration"
exits 0 config show && cp "$out" shown.toml && exits 0 --config shown.toml config show && cmp -s "$out" shown.toml
ok "the configuration shown reads back the same"
printf '[est]\n\nlsten = "127.0.0.1:1"\n' >bad.toml
exits 2 --config bad.toml config check && complained "bad.toml:3: est.lsten: unknown key; did you mean est.listen?"
ok "an unknown key is refused with its line and the nearest name"
exits 2 --config bad.toml init && [ ! -e data ]
ok "nothing is done with a wrong configuration"
printf '[est]\nthreads = 100000\n' >bad.toml
exits 2 --config bad.toml config check && complained "est.threads: must be 0 to 256"
ok "a value out of range is refused"
exits 2 --config none.toml config check
ok "a configuration that is not there is refused"
IMPRINT_EST_LISTEN=127.0.0.1:9999 exits 0 config show && grep -qF '127.0.0.1:9999' "$out"
ok "the environment goes over the file"
IMPRINT_EST_LSTEN=x exits 2 config show && complained "IMPRINT_EST_LISTEN"
ok "a variable with a slip is refused"

# ---- init ----
exits 6 device list && complained "imprint init" && complained CLI-NO-DATA
ok "without a data folder the way to make one is told"
exits 0 init && said "fingerprint" && cp "$out" first
ok "init makes the data folder"
find data -type f -printf '%p %T@ %s\n' | grep -v imprint.db | sort >before
exits 0 init && cmp -s "$out" first && find data -type f -printf '%p %T@ %s\n' | grep -v imprint.db | sort | cmp -s - before
ok "init a second time changes nothing"
[ -z "$(find data -type f ! -perm 600 ! -name '*.pem')" ] && [ "$(stat -c %a data/ca/key.pem)" = 600 ] && [ "$(stat -c %a data)" = 700 ]
ok "private files are for their owner only"
exits 0 init --json && is_json "$out"
ok "init --json parses"
exits 0 ca show --pem && openssl x509 -in "$out" -noout -fingerprint -sha256 | cut -d= -f2 >fingerprint && exits 0 ca show --fingerprint && cmp -s "$out" fingerprint
ok "ca show's fingerprint is what openssl says"
exits 0 ca show --json && is_json "$out" && exits 0 ca show && said "SHA-256"
ok "ca show"

mv data/ca/chain.pem chain.away && sha256sum data/ca/key.pem >key.sum
exits 1 init && complained "ca/chain.pem is missing" && complained DATA-PART && exits 1 device list && complained DATA-PART
ok "a CA whose certificate is missing is not made anew"
[ ! -e data/ca/chain.pem ] && sha256sum -c --status key.sum && mv chain.away data/ca/chain.pem && exits 0 init
ok "and its key stays"
exits 3 demo --once --devices 1 --data data && complained DEMO-FOLDER && [ -z "$(ls data/makers)" ] && [ ! -e data/imprint-demo ]
ok "demo keeps off a folder that is not its own"
exits 0 demo --once --devices 1 --data demo-data --quiet && exits 0 demo --simulate --devices 2 --data demo-data --quiet
ok "demo works in a new folder, and in its own"
head -c 100 data/ca/chain.pem >data/makers/cut.pem
exits 0 device list && complained makers/cut.pem && rm data/makers/cut.pem
ok "a maker's file that cannot be read is named, and stops nothing"

# ---- words ----
exits 0 explain Enrolment && said "enrollment: the client asks for its first certificate"
ok "explain: a word, spelled otherwise"
exits 0 explain enrollment --json && [ "$(member "$out" 'j["word"], "est" in {u["protocol"] for u in j["uses"]}')" = "('enrollment', True)" ]
ok "explain --json"
exits 0 explain est-refused && said "EST-REFUSED, a rule (EST)" && said "next" && exits 0 explain BRSKI --json && [ "$(member "$out" 'j["protocol"]')" = brski ]
ok "explain: the id of a rule, and a protocol"
exits 0 --version && said "imprint " && exits 2 && grep -q "Subcommands:" "$err"
ok "--version, and the list of commands where none is given"
exits 6 explain vuocher && complained CLI-WORD && complained "try: voucher" && [ ! -s "$out" ]
ok "explain: a word that is none: not found, with the one that was probably meant"
exits 6 explain vuocher --json && [ "$(member "$err" 'j["exit_code"], "voucher" in str(j)')" = "(6, True)" ] && exits 6 explain xyzzy && ! complained "try:"
ok "also as JSON; and none is made up"

# ---- the inventory ----
exits 0 device add dev-1 --one-time --model pump --json && is_json "$out" && cp "$out" added.json
ok "device add"
[ "$(member added.json 'len(j["token"]) >= 40 and j["user"] == "dev-1"')" = True ] && ! grep -rqaF "$(member added.json 'j["token"]')" data
ok "the token is shown and not stored"
exits 0 device add dev-f --token-file dev-f.token --json && is_json "$out" && [ "$(member "$out" '"token" in j, j["token_file"]')" = "(False, 'dev-f.token')" ] \
  && [ "$(stat -c %a dev-f.token)" = 600 ] && [ "$(wc -c <dev-f.token)" -ge 41 ] && ! grep -qF "$(cat dev-f.token)" "$out"
ok "device add --token-file writes a token for its reader alone, and shows none"
cp dev-f.token kept && exits 7 device add dev-g --token-file dev-f.token && complained "there already" && cmp -s kept dev-f.token && exits 6 device show dev-g
ok "a token file that is there is not replaced, and no device is added"
exits 7 device add dev-1 --token-file none.token && [ ! -e none.token ]
ok "a device that is not added leaves no token file"
exits 0 device token dev-f --token-file again.token && [ "$(stat -c %a again.token)" = 600 ] && ! cmp -s again.token dev-f.token && ! said "$(cat again.token)"
ok "device token --token-file"
exits 7 device add dev-1 && complained "DEVICE-EXISTS"
ok "the same id twice is a conflict"
exits 2 device add ../up && complained "DEVICE-ID"
ok "a bad id is a usage error"
exits 0 device add dev-2 --manual --label pumps --json && [ "$(member "$out" 'j["admission"], j["label"]')" = "('waiting', 'pumps')" ]
ok "device add --manual waits"
exits 0 device list && said dev-1 && said dev-2 && exits 0 device list --json && is_json "$out"
ok "device list"
exits 0 device list --admission waiting && said dev-2 && ! said dev-1
ok "device list filters"
exits 0 device show dev-1 && said pump && exits 0 device show dev-1 --json && is_json "$out"
ok "device show"
exits 6 device show nobody && complained DEVICE-UNKNOWN && [ "$(wc -l <"$err")" -eq 3 ]
ok "a device that is not there: exit 6, three lines"
exits 6 device show nobody --json && is_json "$err" && [ "$(member "$err" 'j["exit_code"]')" = 6 ] && [ ! -s "$out" ]
ok "an error is one JSON object on stderr with --json"
exits 0 device approve dev-2 && said approved && exits 0 device show dev-2 && said approved
ok "device approve"
exits 0 device refuse dev-2 --json && [ "$(member "$out" 'j["admission"]')" = refused ]
ok "device refuse"
exits 0 device token dev-2 --json && is_json "$out" && [ "$(member "$out" 'len(j["token"]) >= 40')" = True ]
ok "device token"
exits 0 device retire dev-2 --json && [ "$(member "$out" 'j["admission"], j["lifecycle"]')" = "('retired', 'decommissioned')" ]
ok "device retire"
exits 7 device retire dev-2 && complained DEVICE-RETIRED
ok "a device is retired once"
exits 7 device approve dev-2 && complained DEVICE-RETIRED
ok "a retired device is not approved again"
for verb in approve refuse retire token; do
  exits 6 device $verb nobody
  ok "device $verb of nobody is not found"
done
exits 0 device pending && exits 0 device pending --json && is_json "$out"
ok "device pending"

# ---- the factory and its manifest ----
exits 0 factory make --model acme --count 3 --out acme --with-anchors --server https://localhost:8443 && [ "$(wc -l <acme/manifest.jsonl)" -eq 3 ]
ok "factory make"
openssl verify -CAfile acme/maker-root.pem acme/acme-0002/idevid.pem >"$out" 2>"$err"
ok "openssl takes the IDevID"
exits 7 factory make --model acme --out acme && complained FACTORY-FOLDER
ok "a folder that is there is a conflict"
exits 0 device import acme/manifest.jsonl --dry-run --json && is_json "$out" && exits 6 device show acme-0001
ok "a dry run takes nothing"
exits 0 device import acme/manifest.jsonl && said "3 added" && exits 0 device show acme-0003
ok "device import"
exits 0 device import acme/manifest.jsonl --json && [ "$(member "$out" 'j["added"]')" = 0 ]
ok "the same manifest again changes nothing"
exits 0 device retire acme-0002 && exits 7 device import acme/manifest.jsonl && complained acme-0002 && complained DEVICE-RETIRED
ok "a manifest with a retired device says so"
openssl x509 -in acme/maker-root.pem -noout -subject | grep -qE 'CN ?= ?Imprint Maker Root CA [0-9a-f]{8}$'
ok "a maker that nobody named has a name of its own"
exits 0 device add rlo --one-time --label "$(printf 'a\342\200\256b')" && exits 0 device list && said 'a\u{202e}b'
ok "a character that turns the text is shown by its number"
exits 0 factory make --model more --count 2 --one-time --out more --quiet && [ ! -s "$err" ] && [ "$(stat -c %a more/more-0001/token)" = 600 ]
ok "factory make --one-time, quietly"
{ head -1 more/manifest.jsonl; echo '{"id":"broken"'; } >bad.jsonl
exits 1 device import bad.jsonl && complained "line 2" && exits 6 device show more-0001
ok "a bad line refuses the whole manifest"
{ head -1 more/manifest.jsonl; echo '{"id":"weak","token":"changeme"}'; } >weak.jsonl
exits 3 device import weak.jsonl --json && is_json "$out" && is_json "$err" && exits 6 device show more-0001
ok "a weak token refuses the whole manifest, by policy"
cat more/manifest.jsonl more/manifest.jsonl >twice.jsonl
exits 7 device import twice.jsonl && exits 6 device show more-0001
ok "an id twice in a manifest is a conflict"
{ head -1 more/manifest.jsonl; sed -n 1p acme/manifest.jsonl | sed 's/acme-0001/thief/'; } >stolen.jsonl
exits 7 device import stolen.jsonl && complained thief && exits 6 device show more-0001
ok "an identity that another device has is a conflict"
"$imprint" device import - <more/manifest.jsonl >"$out" 2>"$err" && exits 0 device show more-0002
ok "device import from standard input"
exits 6 device import none.jsonl && complained CLI-FILE && exits 6 onboard est --server https://127.0.0.1:1 --out none --anchors none.pem && complained CLI-FILE
ok "a manifest or anchors that are not there: not found"

# ---- the CA ----
exits 0 ca list && said "(server)" && exits 0 ca list --json && is_json "$out"
ok "ca list, with the server's own certificate"
exits 0 ca list --device "(server)" --json && serial=$(member "$out" 'j["certificates"][0]["serial"]') \
  && exits 0 ca revoke "$serial" --reason key_compromise && cp data/tls/key.pem stolen.pem && exits 0 init --data data \
  && ! cmp -s data/tls/key.pem stolen.pem && exits 0 audit list && said certificate.revoked
ok "a server's certificate that is revoked gives way to a fresh pair"
exits 6 ca revoke 0102 && complained CERTIFICATE-UNKNOWN
ok "revoking what is not there: not found"
exits 2 ca revoke xyz && exits 2 ca revoke 0102 --reason whim && complained key_compromise
ok "a serial number that is none, a reason that is none"

# ---- onboard, as far as it needs no server ----
exits 2 onboard est --server https://127.0.0.1:1 --out dev && complained --anchors
ok "without anchors and without a terminal: what to do"
exits 2 onboard est --server http://127.0.0.1:1 --out dev --anchors data/ca/chain.pem && complained "give it as https://"
ok "onboard wants https"
exits 2 onboard est --server https://127.0.0.1:1 --out dev --anchors data/ca/chain.pem --fingerprint AA && complained "excludes"
ok "anchors or a fingerprint, not both"
exits 2 onboard est --server https://127.0.0.1:1 --out dev --fingerprint AA:BB && complained SHA-256
ok "half a fingerprint"
exits 2 onboard est --server https://127.0.0.1:1 --out dev --anchors data/ca/chain.pem --renew && complained "nothing is installed"
ok "nothing to renew"
exits 1 onboard est --server https://127.0.0.1:1 --out dev --anchors data/ca/chain.pem --attempts 1 && complained EST-SERVER-UNREACHABLE
ok "nobody there"
exits 2 onboard est --device /does/not/exist --server https://127.0.0.1:1 --out none && complained "no such folder" && [ ! -e none ]
ok "a device folder that is not there"
mkdir mine && echo precious >mine/key.pem
exits 7 onboard est --server https://127.0.0.1:1 --out mine --anchors data/ca/chain.pem --attempts 1 && complained DEVICE-FOLDER-FILE \
  && complained mine/key.pem && [ "$(cat mine/key.pem)" = precious ]
ok "a key of somebody else is named and stays"
exits 5 onboard est --server https://127.0.0.1:1 --out dev --anchors data/ca/chain.pem --attempts 100 --timeout 1 && complained CLI-TIMEOUT
ok "too long"

# ---- onboard against our own server ----
IMPRINT_EST_LISTEN=127.0.0.1:0 IMPRINT_API_LISTEN=127.0.0.1:0 IMPRINT_LOG_LEVEL=off IMPRINT_POLICY_RETRY_AFTER_S=1 \
  "$imprint" serve --json >serve.json 2>serve.err &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do is_json serve.json 2>/dev/null && break; sleep 0.1; done
url=$(member serve.json 'j["est"]' | sed 's|/.well-known/est$||')
ca=data/ca/chain.pem
devices=$("$imprint" device list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["devices"]))')
pasted() { (cd / && bash -c "$(member "$work/serve.json" "j['try'][$1].replace('curl -s ', 'curl -s --fail ')")") >"$out" 2>"$err"; }
pasted 0 && base64 -d "$out" 2>"$err" | openssl pkcs7 -inform DER -print_certs 2>"$err" | grep -q "BEGIN CERTIFICATE"
ok "the EST curl line that serve prints works as pasted"
pasted 1 && [ "$devices" -gt 3 ] && [ "$(member "$out" 'len(j["devices"])')" = "$devices" ] && member serve.json 'j["try"][1]' | grep -qE '/v1/devices$'
ok "the API curl line that serve prints works as pasted, and ends with its address"
member added.json 'j["token"]' >token
exits 0 onboard est --server "$url" --out dev-1 --anchors $ca --user dev-1 --password-file token --json --beliefs && is_json "$out" \
  && [ "$(member "$out" 'j["certificate"]["subject"], j["result"], len(j["beliefs"]) > 2')" = "('CN=dev-1', 'operational', True)" ]
ok "a token gets a certificate"
openssl verify -CAfile $ca dev-1/cert.pem >"$out" 2>"$err" && [ "$(stat -Lc %a dev-1/key.pem)" = 600 ]
ok "openssl takes the certificate"
exits 3 onboard est --server "$url" --out again --anchors $ca --user dev-1 --password-file token && complained EST-UNAUTHORIZED
ok "a token works once"
sha256sum dev-1/key.pem >key
exits 0 onboard est --server "$url" --out dev-1 --renew --same-key && sha256sum -c key >/dev/null 2>&1
ok "renewal with the same key"
exits 0 onboard est --server "$url" --out dev-1 --renew --json && is_json "$out" && ! sha256sum -c key >/dev/null 2>&1
ok "renewal with a new key"
exits 0 onboard est --server "$url" --device acme/acme-0001 --out acme-1 --json --beliefs && said CN=acme-0001
ok "a factory device finds its owner by its own anchors"
[ "$(member "$out" '{b["id"].split(":")[0]: b["ground"] for b in j["beliefs"] if b["ground"] != "check"}')" = "{'endpoint': 'person', 'anchor': 'factory', 'identity': 'factory'}" ]
ok "the factory is credited with what it put in, and not with the server of the command line"
exits 0 onboard est --server "$url" --device more/more-0001 --out more-1 --fingerprint "$(cat fingerprint)" --json --beliefs && said CN=more-0001
ok "a fingerprint takes the place of anchors"
[ "$(member "$out" 'sorted({b["strength"] for b in j["beliefs"] if b["ground"] == "check"})')" = "['confirmed']" ] \
  && [ "$(member "$out" '[b["check"] for b in j["beliefs"] if b["topic"] == "anchor"]')" = "['the fingerprint was given on the command line (RFC 7030 section 4.1.1)']" ] \
  && [ "$(member "$out" 'j["counts"]["persons_acts"]')" = 0 ]
ok "no belief is stronger than the fingerprint that it stands on, and nobody compared it"
run=$(member "$out" 'j["run"]')
[ "$(stat -c %a more-1/run.json)" = 600 ] && exits 0 compare --run more-1/run.json --json && [ "$(member "$out" 'j["run"]["id"] if isinstance(j["run"], dict) else j["run"]')" = "$run" ] \
  && exits 0 compare --run more-1 && said "the check alone would give: proved" && ! grep -qF "$(cat more/more-0001/token)" more-1/run.json
ok "a device's run is on record in its folder, and compare reads it"
exits 6 compare --run 0123456789abcdef && complained RUN-UNKNOWN && exits 6 compare --run nothing/run.json && complained CLI-FILE && exits 1 compare --run data/ca/chain.pem
ok "a run that is not there, a file that is none"
exits 0 compare --protocol est --json && [ "$(member "$out" 'sorted({c["protocol"] for c in j["columns"]})')" = "['est']" ] && exits 2 compare --protocol eest && complained "did you mean est?" \
  && exits 0 compare && [ "$(grep -n '^Measured: ' "$out" | cut -d: -f1)" -lt "$(grep -n '^Sources' "$out" | cut -d: -f1)" ]
ok "compare shows what was measured first, and one protocol if asked"
exits 4 onboard est --server "$url" --out wrong --fingerprint "$(printf 'AB%.0s' $(seq 32))" && complained EST-FINGERPRINT
ok "another fingerprint than the CA's"
echo not-the-token >wrong.token
exits 3 onboard est --server "$url" --out bound --fingerprint "$(cat fingerprint)" --user dev-f --password-file wrong.token \
  && sha256sum <bound/pending/key.pem >bound.key \
  && exits 4 onboard est --server "$url" --out bound --fingerprint "$(printf '00%.0s' $(seq 32))" --user dev-f --password-file dev-f.token \
  && complained EST-FINGERPRINT
ok "an earlier attempt does not answer for another fingerprint"
exits 3 onboard est --server "$url" --out replaced --anchors $ca --user dev-f --password-file dev-f.token && complained EST-UNAUTHORIZED
ok "a token that a fresh one has replaced is of no use"
exits 0 onboard est --server "$url" --out bound --fingerprint "$(cat fingerprint)" --user dev-f --password-file again.token \
  && sha256sum <bound/key.pem | cmp -s - bound.key
ok "the same command again goes on with the key of the attempt before"
exits 4 onboard est --server "$url" --out wrong --anchors acme/maker-root.pem && complained EST-SERVER-UNTRUSTED
ok "anchors that are not the server's"
exits 0 factory make --model late --out late --with-anchors
exits 5 onboard est --server "$url" --device late/late-0001 --out late-1 --timeout 2 \
  && complained "202: the owner has to approve; asks again in 1 s" && complained '`imprint device pending`' && complained "reaches the anchor" && exits 0 device list && said "waiting for approval"
ok "a device that nobody knows waits"
exits 0 device pending --json && key=$(member "$out" 'j["pending"][0]["key"]') && exits 0 device approve "${key:0:12}" && said late-0001-
ok "a request is approved by the start of its key, while the server runs"
exits 0 onboard est --server "$url" --device late/late-0001 --out late-1 && said CN=late-0001-
ok "the approved device gets its certificate"
exits 0 ca list --device dev-1 --json && serial=$(member "$out" 'j["certificates"][-1]["serial"]') \
  && exits 0 ca revoke "$serial" --reason key_compromise && exits 7 ca revoke "$serial"
ok "a certificate is revoked once"
exits 0 ca crl --out crl.pem && said " revoked" && openssl crl -in crl.pem -CAfile $ca -noout -text >"$out" 2>"$err" \
  && grep -qi "Serial Number: $serial" "$out" && grep -q "verify OK" "$err" && exits 0 ca crl --format der && openssl crl -inform DER -in "$out" -noout \
  && exits 0 ca crl && said "BEGIN X509 CRL"
ok "ca crl has it, in PEM and in DER, and openssl takes its signature"
curl -s --fail --cacert $ca "$url/.well-known/imprint/crl" >"$out" 2>"$err" && openssl crl -inform DER -in "$out" -CAfile $ca -noout 2>"$err"
ok "who relies on the certificates gets the list without a token"
exits 0 device retire dev-1 && exits 3 onboard est --server "$url" --out dev-1 --renew
ok "a retired device is refused"
for what in "ca list" "ca export" "ca crl" "device list"; do
  # shellcheck disable=SC2086  # a command is two words
  [ -w /dev/full ] && ! "$imprint" $what --data data >/dev/full 2>"$err" && grep -q "standard output" "$err"
  ok "$what to a full disk fails"
done
kill -TERM "$server" && wait "$server"
ok "serve ends well on SIGTERM"

# ---- the audit log ----
exits 0 audit list && said device.added && exits 0 audit list --limit 2 --json && is_json "$out" && [ "$(member "$out" 'len(j["audit"])')" = 2 ]
ok "audit list"
exits 0 audit verify && said "ok:" && exits 0 audit verify --json && [ "$(member "$out" 'j["good"], j["first_bad"], j["entries"] > 9, len(j["head"])')" = "(True, None, True, 64)" ]
ok "audit verify"
sql data/imprint.db "UPDATE audit SET detail = replace(detail, 'pump', 'pomp') WHERE sequence = (SELECT min(sequence) FROM audit WHERE detail LIKE '%pump%')"
exits 1 audit verify && complained AUDIT-CHAIN && exits 1 audit verify --json && [ "$(member "$out" 'j["good"], j["first_bad"] > 0')" = "(False, True)" ]
ok "a changed entry breaks the chain"

# ---- all of it ----
grep -q "^why: " "$complaints" && ! grep -F -e "no rule of its own" -e "see \`imprint --help\`" "$complaints" >"$out" && ! grep -E "^why:   *(\(|$)" "$complaints" >"$out"
ok "every complaint names its rule"

echo "1..$count"
[ "$failed" -eq 0 ]
