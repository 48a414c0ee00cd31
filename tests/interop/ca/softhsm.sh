#!/usr/bin/env bash
# Keys behind PKCS#11, in SoftHSM: the owner CA's, and a device's. The openssl command judges what is signed.
. "$(dirname "$0")/../est/common.sh"

module=/usr/lib/softhsm/libsofthsm2.so
for command in openssl curl softhsm2-util pkcs11-tool; do
  command -v "$command" >/dev/null 2>&1 || skip_all softhsm "no $command; './dev test' installs it"
done
[ -e "$module" ] || skip_all softhsm "no $module; Debian's softhsm2 brings it"

export SOFTHSM2_CONF=$work/softhsm.conf
mkdir "$work/tokens"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n' "$work/tokens" >"$SOFTHSM2_CONF"
printf '4321\n' >"$work/pin"
printf '9999\n' >"$work/wrong-pin"
softhsm2-util --init-token --free --label site --so-pin 1234 --pin 4321 >"$work/token.log" 2>&1 || {
  not_ok "a token" "$work/token.log"
  finish
}

make_pair() {  # make_pair LABEL TYPE ID
  timeout 30 pkcs11-tool --module "$module" --token-label site --login --pin 4321 --keypairgen --key-type "$2" --id "$3" --label "$1" \
    >"$work/token.log" 2>&1 || not_ok "the token makes a key pair: $1" "$work/token.log"
}
make_pair ca EC:secp384r1 01
make_pair ed EC:edwards25519 02
make_pair device EC:prime256v1 03
make_pair next EC:secp384r1 04
make_pair rsa rsa:2048 05

uri() {  # uri LABEL [PIN FILE]
  echo "pkcs11:token=site;object=$1?module-path=$module&pin-source=file:${2:-$work/pin}"
}
away() { mv "$work/tokens" "$work/tokens.away" && mkdir "$work/tokens"; }
back() { rmdir "$work/tokens" && mv "$work/tokens.away" "$work/tokens"; }
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
says "a wrong PIN" KEY-PIN imprint init --data "$work/x1" --ca-key "$(uri ca "$work/wrong-pin")"
says "no file with the PIN" KEY-PIN imprint init --data "$work/x1" --ca-key "$(uri ca "$work/no-pin")"
says "no such key" KEY-ABSENT imprint init --data "$work/x2" --ca-key "$(uri nobody)"
says "no such token" KEY-TOKEN imprint init --data "$work/x3" --ca-key "pkcs11:token=other;object=ca?module-path=$module"
says "no module, and the package that brings one" p11-kit-modules \
  imprint init --data "$work/x4" --ca-key "pkcs11:object=ca?module-path=/nowhere/m.so"
says "a PIN in the URI" KEY-PIN-VALUE imprint init --data "$work/x5" --ca-key "pkcs11:object=ca?pin-value=4321"
imprint init --data "$work/x5" --ca-key "pkcs11:object=ca?pin-value=4321" >"$work/out" 2>&1
is "which is not repeated" 0 "$(grep -c 4321 "$work/out")"
is "nothing is left behind" "" "$(ls -d "$work"/x?/ca/chain.pem 2>/dev/null)"

# --- the owner CA's key ------------------------------------------------------------------------------------------------
runs "a site whose CA's key is in a token" imprint init --data "$data" --ca-key "$(uri ca)"
is "the folder holds no key of the CA" "$(uri ca)" "$(head -n 1 "$data/ca/key.uri" 2>/dev/null)$(cat "$data/ca/key.pem" 2>/dev/null)"
runs "the same again" imprint init --data "$data" --ca-key "$(uri ca)"
says "another key needs another way" CA-KEY-FIXED imprint init --data "$data" --ca-key "$(uri next)"
runs "its certificate" openssl verify -check_ss_sig -CAfile "$data/ca/chain.pem" "$data/ca/chain.pem"
is "signed with P-384 and SHA-384" ecdsa-with-SHA384 \
  "$(openssl x509 -in "$data/ca/chain.pem" -noout -text | sed -n 's/^ *Signature Algorithm: //p' | head -n 1)"
start_imprint
is "curl trusts the server" 200 "$(curl -sS -m 20 --cacert "$anchors" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"

enrol() {  # enrol ID [OPTION…]
  local id=$1 token
  shift
  token=$(add_device "$id" --one-time)
  printf '%s' "$token" >"$work/$id.token"
  imprint onboard est --server "$est" --anchors "$anchors" --user "$id" --password-file "$work/$id.token" --subject "CN=$id" \
    --out "$work/$id" --attempts "${attempts:-3}" "$@"
}
runs "a device enrols" enrol HSM-1
runs "openssl verifies its certificate" openssl verify -CAfile "$anchors" "$work/HSM-1/cert.pem"
runs "a revocation list" imprint ca crl --data "$data" --out "$work/crl.pem"
runs "openssl verifies it" openssl crl -in "$work/crl.pem" -CAfile "$anchors" -noout
is "the PIN is in no log" 0 "$(grep -c -w 4321 "$work/serve.log")"

# --- the token is away while the server runs -------------------------------------------------------------------------
make_key "$work/away.key"
make_csr "$work/away.key" CN=HSM-2 "$work/away.csr"
openssl base64 -in "$work/away.csr" -out "$work/away.b64"
token=$(add_device HSM-2 --one-time)
ask() {
  curl -sS -m 20 --cacert "$anchors" -u "HSM-2:$token" -H 'Content-Type: application/pkcs10' --data-binary "@$work/away.b64" \
    -o "$work/body" -D "$work/head" -w '%{http_code}' "$est/.well-known/est/simpleenroll"
}
away
is "the token is away: 503" 503 "$(ask)"
is "with a time to come again" 1 "$(grep -i -c '^retry-after: *[0-9]' "$work/head")"
is "others are served" 200 "$(curl -sS -m 20 --cacert "$anchors" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"
back
is "it is back: the same request is answered" 200 "$(ask)"
certs_only_to_pem "$work/body" "$work/HSM-2.pem"
runs "openssl verifies its certificate" openssl verify -CAfile "$anchors" "$work/HSM-2.pem"
away
says "a revocation list is not signed without it" KEY-TOKEN imprint ca crl --data "$data"
runs "what needs no signature goes on" imprint ca list --data "$data"
back

# --- a device's key ----------------------------------------------------------------------------------------------------
runs "a device enrols with its key in a token" enrol HSM-3 --key "$(uri device)"
is "its folder says where the key is" "$(uri device)" "$(cat "$work/HSM-3/key.uri" 2>/dev/null)"
is "and holds none" "" "$(cat "$work/HSM-3/key.pem" 2>/dev/null)"
runs "openssl verifies its certificate" openssl verify -CAfile "$anchors" "$work/HSM-3/cert.pem"
first=$(openssl x509 -in "$work/HSM-3/cert.pem" -noout -serial)
runs "it renews for the same key, which signs in TLS" imprint onboard est --server "$est" --out "$work/HSM-3" --renew --attempts 3
is "the certificate is another one" different \
  "$([ "$first" = "$(openssl x509 -in "$work/HSM-3/cert.pem" -noout -serial)" ] || echo different)"
is "for the same key" "$(openssl x509 -in "$work/HSM-3/cert.pem" -noout -pubkey)" \
  "$(timeout 20 pkcs11-tool --module "$module" --token-label site --read-object --type pubkey --id 03 2>/dev/null | openssl pkey -pubin -inform DER -pubout)"
says "a new key is not made" "another there" imprint onboard est --server "$est" --out "$work/HSM-3" --renew --new-key
says "Ed25519 does not sign in TLS from there" KEY-KIND enrol HSM-4 --key "$(uri ed)"
away
says "a device whose token is away says so" KEY-TOKEN imprint onboard est --server "$est" --out "$work/HSM-3" --renew --attempts 1
back

# --- a root may be Ed25519 or RSA ---------------------------------------------------------------------------------------
for label in ed rsa; do
  runs "a CA with a key of $label" imprint init --data "$work/of-$label" --ca-key "$(uri $label)"
  runs "openssl verifies it" openssl verify -check_ss_sig -CAfile "$work/of-$label/ca/chain.pem" "$work/of-$label/ca/chain.pem"
  runs "and the server's certificate" openssl verify -CAfile "$work/of-$label/ca/chain.pem" "$work/of-$label/tls/chain.pem"
done

# --- the CA moves to another key in the token, under an offline root ------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout "$work/root.key" -out "$work/root.pem" -days 30 \
  -subj "/CN=Offline Root" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
runs "a request for the key in the token" imprint ca request --data "$data" --key "$(uri next)" --out "$work/ca.csr"
openssl x509 -req -in "$work/ca.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -days 20 -copy_extensions copy -out "$work/issuing.pem" 2>/dev/null
runs "is signed, and installed" imprint ca install --data "$data" --cert "$work/issuing.pem" --chain "$work/root.pem"
is "the folder names the new key" "$(uri next)" "$(head -n 1 "$data/ca/key.uri")"
changed() { [ "$(openssl x509 -in "$data/tls/chain.pem" -noout -issuer_hash)" = "$(openssl x509 -in "$work/issuing.pem" -noout -subject_hash)" ] &&
  openssl verify -CAfile "$work/root.pem" -untrusted "$work/issuing.pem" "$data/tls/chain.pem"; }
runs "the server takes it up" wait_for 20 changed
anchors=$work/root.pem
under_root() { curl -sS -m 20 --cacert "$anchors" -o "$work/body" "$est/.well-known/est/cacerts"; }
runs "curl trusts it by the root alone" wait_for 20 under_root
runs "a device of before renews" imprint onboard est --server "$est" --out "$work/HSM-1" --renew --attempts 3
runs "openssl verifies its certificate up to the root" openssl verify -CAfile "$work/root.pem" -untrusted "$work/issuing.pem" "$work/HSM-1/cert.pem"
finish
