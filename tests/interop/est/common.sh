# shellcheck shell=bash disable=SC2034,SC2012
# Shared by the EST interop scripts: TAP output, our server's life, keys and requests. Sourced, not run.
#
#   IMPRINT   the command under test (default: build/imprint of this project)
#   KEEP=1    keep the scratch folder and say where it is
#
# Every peer is bound to loopback, every server takes port 0 and is asked for its port, every wait has an end.
set -u -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
peers=$root/.peers
IMPRINT=${IMPRINT:-$root/build/imprint}
work=$(mktemp -d)
data=$work/site
started=()
server_pid=

cleanup() {
  local pid
  for pid in ${started[@]+"${started[@]}"}; do
    stop "$pid"
  done
  if [ -n "${KEEP:-}" ]; then
    echo "# kept: $work"
  else
    rm -rf "$work"
  fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- TAP ------------------------------------------------------------------------------------------------------------

count=0
failed=0

ok() {
  count=$((count + 1))
  echo "ok $count - $1"
}

# not_ok NAME [FILE]: the file is printed as a diagnosis.
not_ok() {
  count=$((count + 1))
  failed=$((failed + 1))
  echo "not ok $count - $1"
  if [ -n "${2:-}" ] && [ -s "$2" ]; then
    tail -n 20 "$2" | tr -d '\000\r' | cut -c 1-200 | sed 's/^/#   /'
  fi
}

skip() {
  count=$((count + 1))
  echo "ok $count - $1 # SKIP $2"
}

# is NAME WANTED GOT
is() {
  if [ "$2" = "$3" ]; then
    ok "$1"
  else
    printf 'wanted: %s\ngot:    %s\n' "$2" "$3" >"$work/diagnosis"
    not_ok "$1" "$work/diagnosis"
  fi
}

# runs NAME COMMAND...: the command must succeed, within 30 seconds.
runs() {
  local name=$1
  shift
  if bounded "$@" >"$work/diagnosis" 2>&1; then
    ok "$name"
  else
    echo "exit $?: $*" >>"$work/diagnosis"
    not_ok "$name" "$work/diagnosis"
  fi
}

# exits NAME STATUS COMMAND...: the command must end with this exit status.
exits() {
  local name=$1 wanted=$2 got=0
  shift 2
  bounded "$@" >"$work/diagnosis" 2>&1 || got=$?
  if [ "$got" = "$wanted" ]; then
    ok "$name"
  else
    echo "exit $got, wanted $wanted: $*" >>"$work/diagnosis"
    not_ok "$name" "$work/diagnosis"
  fi
}

bounded() {
  if [ "$(type -t "$1")" = function ]; then
    "$@"
  else
    timeout 30 "$@"
  fi
}

# The last line of every script. The exit status says whether all went well.
finish() {
  echo "1..$count"
  [ "$failed" -eq 0 ]
  exit
}

# A peer that is not there is one skipped test, with its reason, and no failure.
skip_all() {
  skip "$1" "$2"
  finish
}

# needs NAME COMMAND...: all of these commands, or the script ends here.
needs() {
  local name=$1 command
  shift
  for command in "$@"; do
    command -v "$command" >/dev/null 2>&1 || skip_all "$name" "no $command; tests/interop/est/peers.sh brings it"
  done
}

# --- processes ------------------------------------------------------------------------------------------------------

stop() {
  local n
  kill "$1" 2>/dev/null || return 0
  for n in $(seq 50); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$1" 2>/dev/null
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local n
  for n in $(seq $(($1 * 10))); do
    "${@:2}" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}

# listening_port PID: the TCP port that a process of ours bound by itself.
listening_port() {
  local inode
  for inode in $(ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p'); do
    printf '%d\n' "0x$(awk -v inode="$inode" '$4 == "0A" && $10 == inode { sub(/.*:/, "", $2); print $2; exit }' \
      "/proc/$1/net/tcp" "/proc/$1/net/tcp6")"
  done | grep -v -x -m 1 0
}

# --- our server -----------------------------------------------------------------------------------------------------

json_text() {  # json_text KEY <JSON: the value of a string member
  sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' | head -n 1
}

imprint() {
  timeout 60 "$IMPRINT" "$@"
}

# make_site: an owner's site in $data, at first use.
make_site() {
  [ -x "$IMPRINT" ] || skip_all "our server" "$IMPRINT is not built"
  [ -d "$data" ] || imprint init --data "$data" >"$work/init.log" 2>&1 || { not_ok "imprint init" "$work/init.log"; finish; }
}

# start_imprint [OPTION...]: starts the site's server, sets est, port, coaps, anchors and server_pid.
start_imprint() {
  make_site
  rm -f "$data/endpoints.json"
  IMPRINT_EST_LISTEN=127.0.0.1:0 IMPRINT_EST_COAPS=127.0.0.1:0 IMPRINT_API_LISTEN=127.0.0.1:0 "$IMPRINT" serve --data "$data" "$@" >>"$work/serve.log" 2>&1 &
  server_pid=$!
  started+=("$server_pid")
  wait_for 20 eval '[ -s "$data/endpoints.json" ] || ! kill -0 "$server_pid"'
  [ -s "$data/endpoints.json" ] || { not_ok "imprint serve" "$work/serve.log"; finish; }
  est=$(json_text est <"$data/endpoints.json")
  port=${est##*:}
  coaps=$(json_text coaps <"$data/endpoints.json")
  anchors=$work/anchors.pem
  imprint ca show --data "$data" --pem >"$anchors" 2>"$work/ca.log" || { not_ok "imprint ca show" "$work/ca.log"; finish; }
}

stop_imprint() {
  [ -z "$server_pid" ] || stop "$server_pid"
  server_pid=
}

# add_device ID [FLAG...]: pre-registers a device and prints its one-time token, if --one-time asked for one.
add_device() {
  imprint device add --data "$data" "$@" --json | json_text token
}

# make_idevids COUNT [MODEL]: devices of a factory, with IDevIDs, known to the site: $idevids/MODEL-0001 and so on.
make_idevids() {
  make_site
  idevids=$work/factory-${2:-WIDGET}
  imprint factory make --data "$data" --model "${2:-WIDGET}" --count "$1" --out "$idevids" >"$work/factory.log" 2>&1 &&
    imprint device import --data "$data" "$idevids/manifest.jsonl" >>"$work/factory.log" 2>&1 ||
    { not_ok "a factory makes devices and the site imports them" "$work/factory.log"; finish; }
}

# --- keys, requests and certificates, with the openssl command --------------------------------------------------------

make_key() {
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
}

# make_csr KEY SUBJECT OUT.der [CHALLENGE_PASSWORD]
make_csr() {
  {
    printf '[req]\nprompt=no\nutf8=yes\nstring_mask=utf8only\ndistinguished_name=dn\n'
    [ -z "${4:-}" ] || printf 'attributes=attributes\n'
    printf '[dn]\n%s\n' "${2#/}"
    [ -z "${4:-}" ] || printf '[attributes]\nchallengePassword=%s\n' "$4"
  } >"$3.cnf"
  openssl req -new -batch -key "$1" -config "$3.cnf" -outform DER -out "$3"
}

# make_renewal CERTIFICATE.pem KEY.pem OUT.der: a request with the certificate's names and extensions for this key.
make_renewal() {
  openssl pkey -in "$2" -pubout -out "$3.pub"
  openssl x509 -x509toreq -in "$1" -signkey "$2" -force_pubkey "$3.pub" -copy_extensions copyall 2>/dev/null |
    openssl req -outform DER -out "$3"
}

# same_key CERTIFICATE.pem KEY.pem
same_key() {
  local of_certificate
  of_certificate=$(openssl x509 -in "$1" -noout -pubkey) && [ "$of_certificate" = "$(openssl pkey -in "$2" -pubout)" ]
}

# certs_only_to_pem BODY.b64 OUT.pem: a certs-only message as EST sends it.
certs_only_to_pem() {
  tr -d ' \t\r\n' <"$1" | openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs 2>/dev/null >"$2" &&
    grep -q 'BEGIN CERTIFICATE' "$2"
}

# pair_in_body FORMAT: $work/body is a CBOR array of a key (284) and of certificates in this Content-Format that fit together:
# $work/given.key and $work/given.pem.
pair_in_body() {
  python3 "$here/multipart_core.py" "$work/body" 284 "$work/given-key.der" "$1" "$work/given-certificate.der" || return 1
  openssl pkey -inform DER -in "$work/given-key.der" -out "$work/given.key" || return 1
  if [ "$1" = 287 ]; then
    openssl x509 -inform DER -in "$work/given-certificate.der" -out "$work/given.pem"
  else
    openssl pkcs7 -inform DER -in "$work/given-certificate.der" -print_certs -out "$work/given.pem"
  fi
  same_key "$work/given.pem" "$work/given.key" && openssl verify -CAfile "$anchors" "$work/given.pem"
}
