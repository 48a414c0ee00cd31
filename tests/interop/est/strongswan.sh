#!/usr/bin/env bash
# strongSwan's pki as the client of our server: CA certificates, enrolment with a one-time token, renewal, and polling
# until an operator approves. It speaks TLS 1.2 from a stack of its own and sends its requests as one unbroken line.
. "$(dirname "$0")/common.sh"

needs strongswan pki openssl
[ ! -s "$peers/strongswan.missing" ] || skip_all strongswan "$(cat "$peers/strongswan.missing")"
start_imprint

# The file names of pki's options may not be in a folder that it creates, so everything is under $work.
runs "pki --estca: the CA certificates" pki --estca --url "$est" --cacert "$anchors" --caout "$work/ca.pem" --outform pem --force
runs "pki --estca: they are the owner's" openssl verify -CAfile "$anchors" "$work/ca.pem"

# request ID: a key and a request of pki's own, $work/ID.key and $work/ID.req
request() {
  pki --gen --type ecdsa --size 256 --outform pem >"$work/$1.key" 2>/dev/null &&
    pki --req --in "$work/$1.key" --type ecdsa --dn "CN=$1" >"$work/$1.req" 2>/dev/null
}

# est_enrol OUT ID OPTION...: pki prints the certificate on standard output
est_enrol() {
  local out=$1 id=$2
  shift 2
  timeout 40 pki --est --url "$est" --in "$work/$id.req" --cacert "$anchors" --outform pem "$@" >"$out"
}

token=$(add_device SWAN-1 --one-time)
request SWAN-1
runs "pki --est: enrolment with a one-time token" est_enrol "$work/swan.pem" SWAN-1 --userpass "SWAN-1:$token"
runs "the certificate is for its key" same_key "$work/swan.pem" "$work/SWAN-1.key"
runs "the certificate has a path to the owner's CA" openssl verify -CAfile "$anchors" -untrusted "$work/ca.pem" "$work/swan.pem"

request THIEF-1
pki --req --in "$work/THIEF-1.key" --type ecdsa --dn CN=SWAN-1 >"$work/THIEF-1.req" 2>/dev/null
exits "the token is spent" 1 est_enrol "$work/thief.pem" THIEF-1 --userpass "SWAN-1:$token"
request NOBODY-1
exits "no credentials: refused" 1 est_enrol "$work/nobody.pem" NOBODY-1

runs "pki --est: renewal with the certificate" est_enrol "$work/renewed.pem" SWAN-1 --cert "$work/swan.pem" --key "$work/SWAN-1.key"
runs "the new certificate is for the same key" same_key "$work/renewed.pem" "$work/SWAN-1.key"
is "the new certificate has another serial number" different \
  "$([ "$(openssl x509 -in "$work/swan.pem" -noout -serial)" = "$(openssl x509 -in "$work/renewed.pem" -noout -serial)" ] || echo different)"

pki --gen --type ecdsa --size 256 --outform pem >"$work/rekeyed.key" 2>/dev/null
pki --req --in "$work/rekeyed.key" --type ecdsa --dn CN=SWAN-1 >"$work/rekeyed.req" 2>/dev/null
runs "pki --est: rekey with the certificate" est_enrol "$work/rekeyed.pem" rekeyed --cert "$work/renewed.pem" --key "$work/SWAN-1.key"
runs "the new certificate is for the new key" same_key "$work/rekeyed.pem" "$work/rekeyed.key"

token=$(add_device SWAN-2 --one-time --manual)
request SWAN-2
timeout 60 pki --est --url "$est" --in "$work/SWAN-2.req" --cacert "$anchors" --outform pem --userpass "SWAN-2:$token" \
  --interval 1 --maxpolltime 40 >"$work/polled.pem" 2>"$work/polled.log" &
polling=$!
started+=("$polling")
waits() {
  imprint device show --data "$data" SWAN-2 --json | grep -q -i -E '"(pending|waiting)|"state": *"[a-z]*(pending|wait)'
}
runs "pki --est: our server says 202, the device waits" wait_for 15 waits
runs "the operator approves" imprint device approve --data "$data" SWAN-2
polled() {
  local n
  for n in $(seq 450); do
    kill -0 "$polling" 2>/dev/null || break
    sleep 0.1
  done
  wait "$polling" || { cat "$work/polled.log"; return 1; }
}
runs "pki --est: polling ends with the certificate" polled
runs "the polled certificate is for its key" same_key "$work/polled.pem" "$work/SWAN-2.key"

finish
