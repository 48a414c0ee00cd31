#!/usr/bin/env bash
# libcoap's command-line client, over OpenSSL and over GnuTLS, as EST client over CoAPS: discovery, CA certificates in
# each form, attributes, enrolment in one datagram and in blocks, renewal, a lossy link, and those whom we refuse. Then
# libcoap's server as CoAP and DTLS peer of our client; it knows no EST, so CA certificates are put there, and enrolment
# ends with the server's own error.
. "$(dirname "$0")/common.sh"

[ ! -s "$peers/libcoap.missing" ] || skip_all libcoap "$(cat "$peers/libcoap.missing")"
needs libcoap coap-client-openssl coap-client-gnutls coap-server-openssl openssl
make_idevids 8
start_imprint

# asks CLIENT DEVICE OPTION... PATH: as this device; the body stays in $work/body
asks() {
  local client=$1 id=$2
  shift 2
  rm -f "$work/body"
  timeout 60 "coap-client-$client" -B 30 -v 4 -c "$idevids/$id/idevid-chain.pem" -j "$idevids/$id/idevid-key.pem" -C "$anchors" \
    -o "$work/body" "${@:1:$#-1}" "$coaps${*: -1}" >"$work/coap.log" 2>&1
  [ -s "$work/body" ] || { tail -n 3 "$work/coap.log"; return 1; }
}

asks_as_nobody() {
  rm -f "$work/none"
  timeout 20 "coap-client-$1" -B 5 -R "$anchors" -o "$work/none" -m get "$coaps$2" >"$work/coap.log" 2>&1
  [ -s "$work/none" ]
}

# certificate_of CLIENT NAME KEY: the certs-only body holds a certificate for this key below our anchors.
certificate_of() {
  openssl pkcs7 -inform DER -in "$work/body" -print_certs -out "$work/$2.pem" 2>"$work/diagnosis" && same_key "$work/$2.pem" "$3" &&
    openssl verify -CAfile "$anchors" "$work/$2.pem" >"$work/diagnosis" 2>&1
}

openssl x509 -in "$anchors" -outform DER -out "$work/root.der"
n=0
for client in openssl gnutls; do
  n=$((n + 1))
  id=$(printf 'WIDGET-%04d' "$n")
  make_key "$work/$id.key"
  make_csr "$work/$id.key" "/CN=$id" "$work/$id.der"
  runs "$client: discovery" asks "$client" "$id" -m get "/.well-known/core?rt=ace.est*"
  is "$client: it names the resources" yes "$(grep -q '</est/sen>;rt="ace.est.sen"' "$work/body" && echo yes)"
  runs "$client: crts" asks "$client" "$id" -m get -A 281 /.well-known/est/crts
  openssl pkcs7 -inform DER -in "$work/body" -print_certs 2>/dev/null | openssl x509 -outform DER -out "$work/crts.der"
  runs "$client: crts holds our root" cmp "$work/crts.der" "$work/root.der"
  runs "$client: crts as one certificate, in blocks of 64" asks "$client" "$id" -m get -A 287 -b 64 /est/crts
  runs "$client: it is our root" cmp "$work/body" "$work/root.der"
  runs "$client: crts as multipart-core" asks "$client" "$id" -m get -A 62 /est/crts
  is "$client: which begins with an array of two and 287" 8219011f "$(head -c 4 "$work/body" | od -An -tx1 | tr -d ' ')"
  runs "$client: enrolment" asks "$client" "$id" -m post -t 286 -A 281 -f "$work/$id.der" /.well-known/est/sen
  runs "$client: a certificate for the key" certificate_of "$client" "$id" "$work/$id.key"
  cat "$work/$id.pem" >"$work/$id-chain.pem"
  make_renewal "$work/$id.pem" "$work/$id.key" "$work/$id-renewal.der"
  runs "$client: renewal, with the certificate to be renewed" timeout 60 "coap-client-$client" -B 30 -c "$work/$id.pem" -j "$work/$id.key" \
    -C "$anchors" -o "$work/body" -m post -t 286 -f "$work/$id-renewal.der" "$coaps/est/sren"
  runs "$client: a new certificate for the key" certificate_of "$client" "$id-new" "$work/$id.key"
  is "$client: another one" different "$(cmp -s "$work/$id.pem" "$work/$id-new.pem" && echo same || echo different)"

  n=$((n + 1))
  id=$(printf 'WIDGET-%04d' "$n")
  make_key "$work/$id.key"
  make_csr "$work/$id.key" "/CN=$id" "$work/$id.der"
  runs "$client: enrolment in blocks of 64 both ways" asks "$client" "$id" -m post -t 286 -A 281 -b 64 -f "$work/$id.der" /est/sen
  runs "$client: a certificate for the key" certificate_of "$client" "$id" "$work/$id.key"

  n=$((n + 1))
  id=$(printf 'WIDGET-%04d' "$n")
  make_key "$work/$id.key"
  make_csr "$work/$id.key" "/CN=$id" "$work/$id.der"
  runs "$client: enrolment in blocks, every tenth datagram of the client lost" \
    asks "$client" "$id" -l 10% -m post -t 286 -A 287 -b 128 -f "$work/$id.der" /est/sen
  openssl x509 -inform DER -in "$work/body" -out "$work/$id.pem" 2>/dev/null
  runs "$client: a certificate for the key" same_key "$work/$id.pem" "$work/$id.key"

  exits "$client: a form that we do not have: 4.06" 1 asks "$client" "$id" -m get -A 50 /est/crts
  is "$client: it is told so" yes "$(grep -q '4\.06' "$work/coap.log" && echo yes)"
  exits "$client: no certificate: no connection" 1 asks_as_nobody "$client" /est/crts
done

is "each enrolled once, and one of each client's renewed" 8 "$(imprint ca list --data "$data" --json | grep -c '"device": "WIDGET-')"

# ---- our client at libcoap's server ----

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -out "$work/other.pem" -days 2 -subj "/CN=Other Root" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign 2>/dev/null
make_key "$work/coap-server.key"
openssl req -new -key "$work/coap-server.key" -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost |
  openssl x509 -req -CA "$work/other.pem" -CAkey "$work/other.key" -days 2 -copy_extensions copyall -out "$work/coap-server.pem" 2>/dev/null
free_port=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat "$work/other.pem" "$data"/makers/*.pem >"$work/trusted.pem"
coap-server-openssl -A 127.0.0.1 -p $((free_port - 1)) -d 10 -c "$work/coap-server.pem" -j "$work/coap-server.key" -R "$work/trusted.pem" \
  >"$work/coap-server.log" 2>&1 &
started+=("$!")
sleep 0.5
openssl crl2pkcs7 -nocrl -certfile "$work/other.pem" -outform DER -out "$work/other-crts.der"
coaps=coaps://127.0.0.1:$free_port
asks_there() {
  timeout 20 coap-client-openssl -B 10 -c "$work/coap-server.pem" -j "$work/coap-server.key" -R "$work/other.pem" "$@" >"$work/coap.log" 2>&1
}
runs "CA certificates are put at libcoap's server" asks_there -m put -t 281 -f "$work/other-crts.der" "$coaps/.well-known/est/crts"
imprint onboard est --server "$coaps" --anchors "$work/other.pem" --cert "$idevids/WIDGET-0008/idevid-chain.pem" \
  --key "$idevids/WIDGET-0008/idevid-key.pem" --subject CN=WIDGET-0008 --out "$work/device" --attempts 1 --json >"$work/onboard.json" 2>&1
is "our client ends as the server refuses to enrol" yes "$(grep -q 'EST-REFUSED' "$work/onboard.json" && echo yes || { cat "$work/onboard.json" >"$work/diagnosis"; echo no; })"
is "after it has read the CA certificates there" yes "$(grep -q 'Wishing' "$work/device/run.json" && echo yes)"
finish
