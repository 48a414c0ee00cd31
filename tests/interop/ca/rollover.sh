#!/usr/bin/env bash
# The owner's root is rolled over while devices are out there: `imprint ca rollover`, twice. What the four certificates of RFC 4210
# section 4.4 are worth is openssl's and curl's judgement; the devices are imprint's clients, curl with openssl, and strongSwan's.
. "$(dirname "$0")/../est/common.sh"

needs openssl openssl
needs curl curl

root_of() { imprint ca show --data "$data" --pem; }
# cacerts OUT ANCHORS: what the server shows, as PEM; curl trusts ANCHORS alone.
cacerts() {
  curl -s -m 20 --cacert "$2" "$est/.well-known/est/cacerts" >"$work/cacerts.b64" && certs_only_to_pem "$work/cacerts.b64" "$1"
}
# split PEM PREFIX: each certificate into a file of its own.
split() { awk -v p="$2" '/BEGIN CERT/ { n++ } n > 0 { print > (p "-" n ".pem") }' "$1"; }
# one ISSUER SUBJECT PREFIX: the file with the certificate of this subject that this issuer has signed.
one() {
  local file
  for file in "$3"-*.pem; do
    [ "$(openssl x509 -in "$file" -noout -issuer -subject -nameopt RFC2253 | sed 's/.*=CN=/CN=/' | tr '\n' ' ')" = "CN=$1 CN=$2 " ] && echo "$file" && return
  done
  echo "$work/none"
}
enrol() {  # enrol ID ANCHORS
  add_device "$1" --one-time | tr -d '\n' >"$work/$1.token"
  imprint onboard est --server "$est" --anchors "$2" --user "$1" --password-file "$work/$1.token" --out "$work/$1" --attempts 3
}
renew() { imprint onboard est --server "$est" --out "$work/$1" --renew --attempts 3; }
good() { openssl verify -CAfile "$work/$1/anchors.pem" -untrusted "$work/$1/chain.pem" "$work/$1/cert.pem"; }
signed_by() { [ "$(openssl x509 -in "$work/$1/cert.pem" -noout -issuer -nameopt RFC2253)" = "issuer=CN=$2" ]; }
# The server takes the new root up within some seconds, each of its threads by itself: ten answers in a row come from all of them.
serves() {
  local n
  for n in $(seq 10); do shows "$1" "$2" || return 1; done
}
# The root itself: the links to it are in the folder before it is, and may be shown a moment earlier.
shows() {
  cacerts "$work/served.pem" "$1" || return 1
  rm -f "$work"/served-*.pem
  split "$work/served.pem" "$work/served"
  [ "$(one "$2" "$2" "$work/served")" != "$work/none" ]
}

fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; }
# among PREFIX CERTIFICATE: one of the files that begin so is this certificate.
among() {
  local file wanted
  wanted=$(fingerprint "$2") || return 1
  for file in "$1"*.pem; do
    [ "$(fingerprint "$file")" = "$wanted" ] && return
  done
  return 1
}
swan() { command -v pki >/dev/null 2>&1 && [ ! -s "$peers/strongswan.missing" ]; }
# swan_enrols OUT OPTION...: with the root of before alone.
swan_enrols() {
  timeout 30 pki --est --url "$est" --in "$work/swan.req" --cacert "$work/g1.pem" --outform pem "${@:2}" >"$work/$1.pem" &&
    same_key "$work/$1.pem" "$work/swan.key"
}

start_imprint
root_of >"$work/g1.pem"
for n in 1 2 3 4 5 6; do
  runs "RO-$n enrols" enrol "RO-$n" "$work/g1.pem"
done
make_key "$work/own.key"
make_csr "$work/own.key" "/CN=RO-7" "$work/own.csr"
token=$(add_device RO-7 --one-time)
openssl base64 -in "$work/own.csr" >"$work/own.b64"
curl -s -m 20 --cacert "$work/g1.pem" -u "RO-7:$token" -H 'Content-Type: application/pkcs10' --data-binary "@$work/own.b64" \
  "$est/.well-known/est/simpleenroll" >"$work/own.p7" && certs_only_to_pem "$work/own.p7" "$work/own.pem"
runs "and one that is curl and openssl" openssl verify -CAfile "$work/g1.pem" "$work/own.pem"
if swan; then
  pki --gen --type ecdsa --size 256 --outform pem >"$work/swan.key" 2>/dev/null
  pki --req --in "$work/swan.key" --type ecdsa --dn CN=RO-9 >"$work/swan.req" 2>/dev/null
  runs "and one that is strongSwan" swan_enrols swan-before --userpass "RO-9:$(add_device RO-9 --one-time)"
  runs "which has the first root's certificate" openssl verify -CAfile "$work/g1.pem" "$work/swan-before.pem"
else
  skip "strongSwan enrols before the rollover and renews after it" "no pki; tests/interop/est/peers.sh brings it"
fi

# --- the first rollover ---------------------------------------------------------------------------------------------------
exits "a root of the same name is refused" 3 imprint ca rollover --data "$data" --name "CN=Imprint Owner CA"
runs "the root is rolled over" imprint ca rollover --data "$data" --key-type p384
root_of >"$work/g2.pem"
is "its name says so" "subject=CN=Imprint Owner CA G2" "$(openssl x509 -in "$work/g2.pem" -noout -subject -nameopt RFC2253)"
runs "the running server takes it up" wait_for 20 serves "$work/g1.pem" "Imprint Owner CA G2"
runs "curl with the root of before alone verifies the server" cacerts "$work/all.pem" "$work/g1.pem"
runs "and with the new root alone" cacerts "$work/all.pem" "$work/g2.pem"
split "$work/all.pem" "$work/all"
is "four certificates are shown" 4 "$(grep -c BEGIN "$work/all.pem")"
runs "NewWithNew is the root" openssl verify -CAfile "$work/g2.pem" "$(one 'Imprint Owner CA G2' 'Imprint Owner CA G2' "$work/all")"
runs "OldWithOld is the one of before" openssl verify -CAfile "$work/g1.pem" "$(one 'Imprint Owner CA' 'Imprint Owner CA' "$work/all")"
runs "NewWithOld verifies with the one of before" openssl verify -CAfile "$work/g1.pem" "$(one 'Imprint Owner CA' 'Imprint Owner CA G2' "$work/all")"
runs "OldWithNew verifies with the new one" openssl verify -CAfile "$work/g2.pem" "$(one 'Imprint Owner CA G2' 'Imprint Owner CA' "$work/all")"
runs "who has the new root alone verifies a device of before" openssl verify -CAfile "$work/g2.pem" \
  -untrusted "$(one 'Imprint Owner CA G2' 'Imprint Owner CA' "$work/all")" "$work/RO-1/cert.pem"

for n in 1 2 3; do
  runs "RO-$n renews with the certificate and the root of before" renew "RO-$n"
  runs "and has the new root's certificate" signed_by "RO-$n" "Imprint Owner CA G2"
  runs "which verifies with the anchors that it holds now" good "RO-$n"
done
is "the new root is an anchor, and the one of before, which it vouches for" 2 "$(grep -c BEGIN "$work/RO-1/anchors.pem")"
runs "a device that comes now holds them, too" enrol RO-8 "$work/g2.pem"
openssl x509 -x509toreq -in "$work/own.pem" -signkey "$work/own.key" 2>/dev/null | openssl req -outform DER | openssl base64 >"$work/own.b64"
curl -s -m 20 --cacert "$work/g1.pem" --cert "$work/own.pem" --key "$work/own.key" -H 'Content-Type: application/pkcs10' \
  --data-binary "@$work/own.b64" "$est/.well-known/est/simplereenroll" >"$work/own.p7" && certs_only_to_pem "$work/own.p7" "$work/own2.pem"
runs "curl and openssl renew, too" openssl verify -CAfile "$work/g2.pem" "$work/own2.pem"
if swan; then
  runs "strongSwan takes the CA certificates with the root of before" \
    pki --estca --url "$est" --cacert "$work/g1.pem" --caout "$work/swan-ca.pem" --outform pem --force
  runs "and finds the new root among them" among "$work/swan-ca" "$work/g2.pem"
  runs "it renews with the root of before" swan_enrols swan-after --cert "$work/swan-before.pem" --key "$work/swan.key"
  runs "and its certificate verifies with the new one" openssl verify -CAfile "$work/g2.pem" "$work/swan-after.pem"
fi

# --- the second: some slept through the first ------------------------------------------------------------------------------
runs "another rollover" imprint ca rollover --data "$data"
root_of >"$work/g3.pem"
runs "the running server takes it up, too" wait_for 20 serves "$work/g2.pem" "Imprint Owner CA G3"
runs "who slept through a root verifies the server" cacerts "$work/all.pem" "$work/g1.pem"
for n in 4 5; do
  runs "RO-$n, which slept, renews" renew "RO-$n"
  runs "and has the latest root's certificate" signed_by "RO-$n" "Imprint Owner CA G3"
  runs "which verifies" good "RO-$n"
done
runs "one that did not sleep renews" renew RO-1
runs "and has it as well" signed_by RO-1 "Imprint Owner CA G3"

# --- after a restart, and without a way ------------------------------------------------------------------------------------
stop_imprint
start_imprint
runs "after a restart the one that is left renews" renew RO-6
runs "and its certificate verifies" good RO-6
serial=$(openssl x509 -in "$work/RO-8/cert.pem" -noout -serial | sed 's/.*=//')
runs "a certificate of the root before is revoked" imprint ca revoke "$serial" --data "$data"
exits "and its device refused" 3 renew RO-8
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' >"$work/ext"
make_key "$work/away.key"
openssl req -x509 -new -key "$work/away.key" -subj "/CN=Away" -days 30 -out "$work/away.pem" 2>/dev/null
runs "the CA comes below an offline root" imprint ca request --data "$data" --out "$work/ca.csr"
openssl x509 -req -in "$work/ca.csr" -CA "$work/away.pem" -CAkey "$work/away.key" -days 20 -extfile "$work/ext" -out "$work/issuing.pem" 2>/dev/null
runs "which the one of now vouches for" imprint ca install --data "$data" --cert "$work/issuing.pem" --chain "$work/away.pem"
runs "the running server takes it up" wait_for 20 serves "$work/g3.pem" Away
runs "a device of the second root, two changes behind, renews" renew RO-3
runs "and its certificate verifies below the offline root" openssl verify -CAfile "$work/away.pem" -untrusted "$work/RO-3/chain.pem" "$work/RO-3/cert.pem"
exits "there a rollover is the root's business" 3 imprint ca rollover --data "$data"
make_key "$work/far.key"
openssl req -x509 -new -key "$work/far.key" -subj "/CN=Far" -days 30 -out "$work/far.pem" 2>/dev/null
openssl x509 -req -in "$work/ca.csr" -CA "$work/far.pem" -CAkey "$work/far.key" -days 20 -extfile "$work/ext" -out "$work/issuing2.pem" 2>/dev/null
exits "another offline root, which nobody vouches for, is refused" 3 \
  imprint ca install --data "$data" --cert "$work/issuing2.pem" --chain "$work/far.pem"
openssl req -new -key "$work/far.key" -subj "/CN=Far" -out "$work/far.csr" 2>/dev/null
openssl x509 -req -in "$work/far.csr" -CA "$work/away.pem" -CAkey "$work/away.key" -days 20 -extfile "$work/ext" -out "$work/link.pem" 2>/dev/null
runs "with the first one's word for it, it is taken" \
  imprint ca install --data "$data" --cert "$work/issuing2.pem" --chain "$work/far.pem" --link "$work/link.pem"
runs "the server takes it up" wait_for 20 serves "$work/away.pem" Far
runs "a device of the third root renews" renew RO-5
runs "and its certificate verifies below the last root" openssl verify -CAfile "$work/far.pem" -untrusted "$work/RO-5/chain.pem" "$work/RO-5/cert.pem"
runs "as does one of the second root, three changes behind" renew RO-2
runs "the audit log holds" imprint audit verify --data "$data"
finish
