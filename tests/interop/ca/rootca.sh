#!/usr/bin/env bash
# The owner CA under an offline root that the openssl command keeps: request, install, what is refused, and who still
# trusts whom; and the hierarchies of P-384 and Ed25519, as openssl, curl and GnuTLS see them.
. "$(dirname "$0")/../est/common.sh"

for command in openssl curl certtool gnutls-cli; do
  command -v "$command" >/dev/null 2>&1 || skip_all rootca "no $command; './dev test' installs it"
done

make_root_ca() {  # make_root_ca NAME TYPE [BASIC CONSTRAINTS]
  if [ "$2" = ed25519 ]; then
    openssl genpkey -algorithm ED25519 -out "$work/$1.key" 2>/dev/null
  else
    openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$2" -out "$work/$1.key" 2>/dev/null
  fi
  openssl req -x509 -key "$work/$1.key" -out "$work/$1.pem" -days 30 -subj "/CN=Offline $1" \
    -addext "basicConstraints=critical,${3:-CA:TRUE}" -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
sign_ca() {  # sign_ca ROOT CSR OUT [EXTENSIONS]
  local extensions=${4:-basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign}
  printf '%s\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' "$extensions" >"$work/ext"
  openssl x509 -req -in "$2" -CA "$work/$1.pem" -CAkey "$work/$1.key" -days "${days:-20}" -extfile "$work/ext" -out "$3" 2>"$work/sign.log"
}
refused() {  # refused NAME RULE TEXT CERTIFICATE CHAIN: and nothing has changed
  local before
  before=$(cat "$data/ca/chain.pem" "$data/ca/key.pem" | openssl sha256)
  if imprint ca install --data "$data" --cert "$4" --chain "$5" >"$work/diagnosis" 2>&1; then
    not_ok "$1"
  elif grep -q "$2" "$work/diagnosis" && grep -q "$3" "$work/diagnosis" &&
    [ "$before" = "$(cat "$data/ca/chain.pem" "$data/ca/key.pem" | openssl sha256)" ]; then
    ok "$1"
  else
    not_ok "$1" "$work/diagnosis"
  fi
}
enrol() {  # enrol ID
  add_device "$1" --one-time | tr -d '\n' >"$work/$1.token"
  imprint onboard est --server "$est" --anchors "$anchors" --user "$1" --password-file "$work/$1.token" --subject "CN=$1" --out "$work/$1" --attempts 3
}
gnutls_verifies() { certtool --verify --load-ca-certificate "$1" --infile "$2"; }

make_root_ca root P-384
make_root_ca narrow P-384 CA:TRUE,pathlen:0
make_root_ca other P-384
start_imprint
runs "a device enrols before" enrol RC-1
runs "and another" enrol RC-4
cp "$anchors" "$work/old-anchors.pem"

# --- request -----------------------------------------------------------------------------------------------------------
runs "a request for the CA's own key" imprint ca request --data "$data" --out "$work/ca.csr"
runs "which openssl verifies" openssl req -in "$work/ca.csr" -verify -noout
is "it asks to be a CA that issues" "CA:TRUE, pathlen:0" \
  "$(openssl req -in "$work/ca.csr" -noout -text | grep -A 1 'Basic Constraints' | tail -n 1 | sed 's/^ *//')"
runs "it is for the CA's key" [ "$(openssl req -in "$work/ca.csr" -noout -pubkey)" = "$(openssl x509 -in "$anchors" -noout -pubkey)" ]

# --- install: what is refused ---------------------------------------------------------------------------------------------
sign_ca root "$work/ca.csr" "$work/issuing.pem"
sign_ca root "$work/ca.csr" "$work/leaf.pem" "basicConstraints=critical,CA:FALSE
keyUsage=critical,keyCertSign,cRLSign"
refused "no CA's certificate" CA-CERTIFICATE CA:TRUE "$work/leaf.pem" "$work/root.pem"
sign_ca root "$work/ca.csr" "$work/no-crl.pem" "basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign"
refused "one that may not sign revocation lists" CA-CERTIFICATE cRLSign "$work/no-crl.pem" "$work/root.pem"
days=-1 sign_ca root "$work/ca.csr" "$work/over.pem"
[ -s "$work/over.pem" ] && refused "one whose time is over" CA-CERTIFICATE "no longer valid" "$work/over.pem" "$work/root.pem"
make_key "$work/stranger.key"
openssl req -new -key "$work/stranger.key" -subj "/CN=Imprint Owner CA" -out "$work/stranger.csr" 2>/dev/null
sign_ca root "$work/stranger.csr" "$work/stranger.pem"
refused "one for another key" CA-CERTIFICATE "another key" "$work/stranger.pem" "$work/root.pem"
sign_ca narrow "$work/ca.csr" "$work/too-deep.pem"
refused "one below a root that allows none" CA-PATH path "$work/too-deep.pem" "$work/narrow.pem"
refused "another root" CA-PATH path "$work/issuing.pem" "$work/other.pem"
refused "no root" CA-PATH root "$work/issuing.pem" "$work/issuing.pem"
refused "a file with nothing in it" PEM "" "$work/ext" "$work/root.pem"

# --- install -------------------------------------------------------------------------------------------------------------
key_before=$(openssl sha256 <"$data/ca/key.pem")
runs "the certificate is installed" imprint ca install --data "$data" --cert "$work/issuing.pem" --chain "$work/root.pem"
is "the key is where it was" "$key_before" "$(openssl sha256 <"$data/ca/key.pem")"
runs "once more" imprint ca install --data "$data" --cert "$work/issuing.pem" --chain "$work/root.pem"
is "the audit log has it" 2 "$(imprint audit list --data "$data" --json 2>/dev/null | grep -c ca.installed)"
by_root() { curl -sS -m 20 --cacert "$work/root.pem" -o "$work/body" "$est/.well-known/est/cacerts"; }
runs "the server takes it up: curl trusts it by the root alone" wait_for 20 by_root
certs_only_to_pem "$work/body" "$work/cacerts.pem"
is "cacerts holds the CA, its root, and the root as the CA of before vouches for it" 3 "$(grep -c 'BEGIN CERTIFICATE' "$work/cacerts.pem")"
runs "a device that knows only the CA of before renews" imprint onboard est --server "$est" --out "$work/RC-1" --renew --attempts 3
runs "its certificate leads to the root" openssl verify -CAfile "$work/root.pem" -untrusted "$work/issuing.pem" "$work/RC-1/cert.pem"
anchors=$work/root.pem
runs "a device that knows only the root enrols" enrol RC-2
anchors=$data/ca/chain.pem
runs "so does one that knows the CA and its root" enrol RC-3
runs "a revocation list" imprint ca crl --data "$data" --out "$work/crl.pem"
runs "of the CA" openssl crl -in "$work/crl.pem" -CAfile "$work/issuing.pem" -noout

# --- another key ----------------------------------------------------------------------------------------------------------
runs "a request for a new key" imprint ca request --data "$data" --new-key --key-type p384 --out "$work/next.csr"
is "of the type that was asked for" secp384r1 "$(openssl req -in "$work/next.csr" -noout -text | sed -n 's/^ *ASN1 OID: //p')"
runs "the same again, for the key that waits" imprint ca request --data "$data" --out "$work/again.csr"
is "it is the same key" "$(openssl req -in "$work/next.csr" -noout -pubkey)" "$(openssl req -in "$work/again.csr" -noout -pubkey)"
exits "one more key is refused" 7 imprint ca request --data "$data" --new-key --out "$work/third.csr"
sign_ca root "$work/next.csr" "$work/second.pem"
runs "it is installed" imprint ca install --data "$data" --cert "$work/second.pem" --chain "$work/root.pem"
is "no key waits any more" "" "$(ls "$data/ca/next" 2>/dev/null)"
second() { openssl s_client -connect "127.0.0.1:$port" -servername localhost -showcerts </dev/null 2>/dev/null |
  openssl x509 -noout -text | grep -q 'Signature Algorithm: ecdsa-with-SHA384'; }
runs "the server's certificate is of the new key" wait_for 20 second
for id in RC-2 RC-4; do  # RC-4 has seen nothing since the self-signed CA
  runs "$id renews with what it knows" imprint onboard est --server "$est" --out "$work/$id" --renew --attempts 3
  runs "its certificate is of the new CA" openssl verify -CAfile "$work/root.pem" -untrusted "$work/second.pem" "$work/$id/cert.pem"
done
is "curl trusts the server by the self-signed CA of before" 200 \
  "$(curl -sS -m 20 --cacert "$work/old-anchors.pem" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"
is "and by the root" 200 "$(curl -sS -m 20 --cacert "$work/root.pem" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"
gnutls_trusts() { gnutls-cli --x509cafile "$work/root.pem" -p "$port" localhost </dev/null | grep -q 'certificate is trusted'; }
runs "GnuTLS, too" gnutls_trusts
stop_imprint

# --- hierarchies -----------------------------------------------------------------------------------------------------------
for type in P-384 ed25519; do
  data=$work/site-$type
  name=$(echo "$type" | tr -d - | tr P p)
  make_root_ca "root-$name" "$type"
  runs "$type: a site" imprint init --data "$data" --ca-key-type "$name"
  runs "$type: openssl verifies its root" openssl verify -check_ss_sig -x509_strict -CAfile "$data/ca/chain.pem" "$data/ca/chain.pem"
  runs "$type: GnuTLS verifies the server's certificate" gnutls_verifies "$data/ca/chain.pem" "$data/tls/chain.pem"
  imprint ca request --data "$data" --out "$work/$name.csr" >"$work/diagnosis" 2>&1
  sign_ca "root-$name" "$work/$name.csr" "$work/$name.pem"
  runs "$type: it comes under a root of its kind" imprint ca install --data "$data" --cert "$work/$name.pem" --chain "$work/root-$name.pem"
  start_imprint
  anchors=$work/root-$name.pem
  is "$type: curl trusts the server" 200 "$(curl -sS -m 20 --cacert "$anchors" -o "$work/body" -w '%{http_code}' "$est/.well-known/est/cacerts")"
  runs "$type: a device enrols" enrol "KIND-$name"
  runs "$type: openssl verifies its certificate" openssl verify -x509_strict -CAfile "$anchors" -untrusted "$work/$name.pem" "$work/KIND-$name/cert.pem"
  cat "$work/KIND-$name/cert.pem" "$work/$name.pem" "$anchors" >"$work/path.pem"
  runs "$type: GnuTLS verifies it" gnutls_verifies "$anchors" "$work/path.pem"
  stop_imprint
done
finish
