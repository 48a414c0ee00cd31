#!/usr/bin/env bash
# Keys in a TPM 2.0, swtpm's: the owner CA's, by handle and by file, and a device's. The openssl command judges what is
# signed.
. "$(dirname "$0")/../est/common.sh"

for command in openssl curl swtpm tpm2_dictionarylockout tpm2_createprimary tpm2_create tpm2_load tpm2_evictcontrol tpm2_flushcontext; do
  command -v "$command" >/dev/null 2>&1 || skip_all swtpm "no $command; './dev test' installs it"
done
provider=$(openssl version -m | sed -n 's/^MODULESDIR: "\(.*\)"$/\1/p')
[ -e "$provider/tpm2.so" ] || skip_all swtpm "no provider tpm2; Debian's tpm2-openssl brings it"

mkdir "$work/tpm"
tpm_pid=
# start_tpm PORT: a TPM with its state in the folder; fails if the port, or the next one, is taken.
start_tpm() {
  swtpm socket --tpm2 --tpmstate "dir=$work/tpm" --server "type=tcp,port=$1,bindaddr=127.0.0.1" \
    --ctrl "type=tcp,port=$(($1 + 1)),bindaddr=127.0.0.1" --flags startup-clear >"$work/tpm.log" 2>&1 &
  tpm_pid=$!
  wait_for 3 eval "! kill -0 $tpm_pid || grep -q -i ' 0100007F:$(printf '%04X' "$1") .* 0A ' /proc/net/tcp"
  if kill -0 "$tpm_pid" 2>/dev/null; then
    started+=("$tpm_pid")
    return 0
  fi
  return 1
}
for attempt in 1 2 3 4 5 6 7 8; do
  tpm_port=$((20000 + (RANDOM % 10000) * 2))
  start_tpm "$tpm_port" && break
done
kill -0 "$tpm_pid" 2>/dev/null || {
  not_ok "a TPM" "$work/tpm.log"
  finish
}
export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=$tpm_port TPM2OPENSSL_TCTI=swtpm:host=127.0.0.1,port=$tpm_port TSS2_LOG=all+NONE

printf 'secret\n' >"$work/pin"
printf 'wrong\n' >"$work/wrong-pin"
tools() {
  timeout 60 "$@" >"$work/tools.log" 2>&1 || {
    not_ok "$1" "$work/tools.log"
    finish
  }
}
make_tpm_key() {  # make_tpm_key HANDLE TYPE [PASSWORD]
  tools tpm2_create -C "$work/primary.ctx" -G "$2" -u "$work/key.pub" -r "$work/key.priv" ${3:+-p "$3"}
  tools tpm2_flushcontext -t
  tools tpm2_load -C "$work/primary.ctx" -u "$work/key.pub" -r "$work/key.priv" -c "$work/key.ctx"
  tools tpm2_evictcontrol -C o -c "$work/key.ctx" "$1"
  tools tpm2_flushcontext -t
}
# A stop without a farewell counts as a wrong password, and three of them lock a TPM for a quarter of an hour.
tools tpm2_dictionarylockout -s -n 1000 -t 1 -l 1
tools tpm2_createprimary -C o -G ecc -c "$work/primary.ctx"
tools tpm2_flushcontext -t
make_tpm_key 0x81000001 ecc384 secret
make_tpm_key 0x81000002 ecc256
timeout 60 openssl genpkey -provider tpm2 -provider default -propquery '?provider=tpm2' -algorithm EC -pkeyopt group:P-256 -out "$work/ca.tss2" \
  >"$work/tools.log" 2>&1 || not_ok "a key in a file that only the TPM can read" "$work/tools.log"

says() {  # says NAME TEXT COMMAND…: it fails, and says that
  local name=$1 text=$2
  shift 2
  if bounded "$@" >"$work/diagnosis" 2>&1; then
    not_ok "$name"
  elif grep -q -- "$text" "$work/diagnosis"; then
    ok "$name"
  else
    not_ok "$name" "$work/diagnosis"
  fi
}

# --- what is wrong is told -------------------------------------------------------------------------------------------
says "a wrong PIN" KEY-PIN imprint init --data "$work/x1" --ca-key "tpm2:0x81000001?pin-source=file:$work/wrong-pin"
says "no PIN" KEY-PIN imprint init --data "$work/x1" --ca-key "tpm2:0x81000001"
says "nothing at the handle" KEY-ABSENT imprint init --data "$work/x2" --ca-key "tpm2:0x81000009"
says "a handle that is none" KEY-URI imprint init --data "$work/x2" --ca-key "tpm2:0x17"
make_key "$work/plain.key"
says "a key in clear is no key in a TPM" KEY-ABSENT imprint init --data "$work/x3" --ca-key "tpm2:$work/plain.key"
says "no provider, and the package that brings it" tpm2-openssl \
  env OPENSSL_MODULES="$work" "$IMPRINT" init --data "$work/x4" --ca-key "tpm2:0x81000001?pin-source=file:$work/pin"

# --- the owner CA's key ------------------------------------------------------------------------------------------------
ca_key="tpm2:0x81000001?pin-source=file:$work/pin"
runs "a site whose CA's key is in the TPM" imprint init --data "$data" --ca-key "$ca_key"
is "the folder holds no key of the CA" "$ca_key" "$(head -n 1 "$data/ca/key.uri" 2>/dev/null)$(cat "$data/ca/key.pem" 2>/dev/null)"
runs "its certificate" openssl verify -check_ss_sig -CAfile "$data/ca/chain.pem" "$data/ca/chain.pem"
runs "a site whose CA's key is in a file for the TPM" imprint init --data "$work/by-file" --ca-key "tpm2:$work/ca.tss2"
runs "its certificate" openssl verify -check_ss_sig -CAfile "$work/by-file/ca/chain.pem" "$work/by-file/ca/chain.pem"
serve_from_tpm() {
  start_imprint
  is "curl trusts the server" 200 "$(curl -sS -m 20 --cacert "$anchors" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"
  make_key "$work/dev.key"
  make_csr "$work/dev.key" CN=TPM-1 "$work/dev.csr"
  openssl base64 -in "$work/dev.csr" -out "$work/dev.b64"
  token=$(add_device TPM-1 --one-time)
  stop "$tpm_pid"
  is "the TPM is away: 503" 503 "$(ask)"
  is "others are served" 200 "$(curl -sS -m 20 --cacert "$anchors" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"
  start_tpm "$tpm_port" || not_ok "the TPM comes back" "$work/tpm.log"
  is "it is back: the same request is answered" 200 "$(ask)"
  certs_only_to_pem "$work/body" "$work/TPM-1.pem"
  runs "openssl verifies its certificate" openssl verify -CAfile "$anchors" "$work/TPM-1.pem"
  is "the PIN is in no log" 0 "$(grep -c -w secret "$work/serve.log")"
}
ask() {
  curl -sS -m 20 --cacert "$anchors" -u "TPM-1:$token" -H 'Content-Type: application/pkcs10' --data-binary "@$work/dev.b64" \
    -o "$work/body" -w '%{http_code}' "$est/.well-known/est/simpleenroll"
}
serve_from_tpm

# --- a device's key, with the CA's in a file: a TPM without a resource manager has one user at a time ----------------------
stop_imprint
data=$work/plain-site
start_imprint
token=$(add_device TPM-2 --one-time)
printf '%s' "$token" >"$work/token"
runs "a device enrols with its key in the TPM" imprint onboard est --server "$est" --anchors "$anchors" --user TPM-2 --password-file "$work/token" \
  --subject CN=TPM-2 --out "$work/TPM-2" --key tpm2:0x81000002 --attempts 3
is "its folder says where the key is" tpm2:0x81000002 "$(cat "$work/TPM-2/key.uri" 2>/dev/null)"
runs "openssl verifies its certificate" openssl verify -CAfile "$anchors" "$work/TPM-2/cert.pem"
runs "it renews for the same key, which signs in TLS" imprint onboard est --server "$est" --out "$work/TPM-2" --renew --attempts 3
finish
