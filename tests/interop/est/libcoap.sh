#!/usr/bin/env bash
# libcoap's command-line client, over OpenSSL and over GnuTLS, as EST client over CoAPS: discovery, CA certificates in
# each form, attributes, enrolment in one datagram and in blocks, renewal, a wait for approval, keys that the server makes,
# a lossy link, a form that we do not have, and who has no certificate. Then libcoap's server as CoAP and DTLS peer of our
# client; it knows no EST, so CA certificates are put there, and enrolment ends with the server's own error.
. "$(dirname "$0")/common.sh"

[ ! -s "$peers/libcoap.missing" ] || skip_all libcoap "$(cat "$peers/libcoap.missing")"
needs libcoap coap-client-openssl coap-client-gnutls coap-server-openssl openssl
make_idevids 8
runs "a factory makes devices for a profile with keys of ours" \
  imprint factory make --data "$data" --model KEYLESS --count 2 --label given --out "$work/factory-KEYLESS"
runs "and the site imports them" imprint device import --data "$data" "$work/factory-KEYLESS/manifest.jsonl"
runs "it makes devices that a person has to let in" imprint factory make --data "$data" --model GUEST --count 2 --out "$work/factory-GUEST"
cat >"$work/imprint.toml" <<'TOML'
[policy]
retry_after_s = 7

[profiles.wishes]
wanted_key = "p384"

[profiles.given]
server_keys = "clear"
TOML
start_imprint --config "$work/imprint.toml"

# asks CLIENT DEVICE OPTION... PATH: as this device; the body stays in $work/body, the messages in $work/coap.log
asks() {
  local client=$1 id=$2 maker=$work/factory-${2%-*}/$2
  shift 2
  rm -f "$work/body"
  timeout 60 "coap-client-$client" -B 30 -v 7 -c "$maker/idevid-chain.pem" -j "$maker/idevid-key.pem" -C "$anchors" \
    -o "$work/body" "${@:1:$#-1}" "$coaps${*: -1}" >"$work/coap.log" 2>&1
  [ -s "$work/body" ] || { tail -n 3 "$work/coap.log"; return 1; }
}

# answered: the last answer's code and options, as libcoap prints them: "2.04 [ Content-Format:281 ]"
answered() {
  sed -n 's/^v:1 t:[A-Z]* c:\([245]\.[0-9][0-9]\) i:[^[]*\(\[[^]]*\]\).*/\1 \2/p' "$work/coap.log" | tail -n 1
}

# Of a request, -b is for its own body alone; option 23 is Block2, 64 for the answer.
blocks=(-b 64 -O 23,0x02)
came_in_blocks() { answered | grep -q 'Block2:[1-9][0-9]*/_/64'; }
both_in_blocks() { grep -q 'c:2\.31 .*Block1:[0-9]*/M/64' "$work/coap.log" && came_in_blocks; }

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
turn=0
for client in openssl gnutls; do
  turn=$((turn + 1))
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
  runs "$client: it came in such blocks" came_in_blocks
  runs "$client: it is our root" cmp "$work/body" "$work/root.der"
  runs "$client: crts as multipart-core" asks "$client" "$id" -m get -A 62 /est/crts
  is "$client: which begins with an array of two and 287" 8219011f "$(head -c 4 "$work/body" | od -An -tx1 | tr -d ' ')"
  exits "$client: att: no wishes" 1 asks "$client" "$id" -m get /est/att
  is "$client: are 4.04" 4.04 "$(answered | cut -d ' ' -f 1)"
  runs "$client: att: the wishes of a profile" asks "$client" "$id" -m get -A 285 /est/wishes/att
  is "$client: in their own format" yes "$(answered | grep -q '^2\.05 .*Content-Format:285' && echo yes)"
  is "$client: a key on secp384r1" yes "$(openssl asn1parse -inform DER -in "$work/body" | grep -q ':secp384r1$' && echo yes)"
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
  runs "$client: enrolment in blocks of 64 both ways" asks "$client" "$id" -m post -t 286 -A 281 "${blocks[@]}" -f "$work/$id.der" /est/sen
  runs "$client: both were in blocks" both_in_blocks
  runs "$client: a certificate for the key" certificate_of "$client" "$id" "$work/$id.key"

  n=$((n + 1))
  id=$(printf 'WIDGET-%04d' "$n")
  make_key "$work/$id.key"
  make_csr "$work/$id.key" "/CN=$id" "$work/$id.der"
  runs "$client: enrolment in blocks, every tenth datagram of the client lost" \
    asks "$client" "$id" -l 10% -m post -t 286 -A 287 -b 128 -f "$work/$id.der" /est/sen
  openssl x509 -inform DER -in "$work/body" -out "$work/$id.pem" 2>/dev/null
  runs "$client: a certificate for the key" same_key "$work/$id.pem" "$work/$id.key"

  guest=GUEST-000$turn
  imprint device add "$guest" --manual --data "$data" --idevid "$work/factory-GUEST/$guest/idevid.pem" >"$work/added.log" 2>&1
  make_key "$work/$guest.key"
  make_csr "$work/$guest.key" "/CN=$guest" "$work/$guest.der"
  for time in first second; do
    exits "$client: a device that waits for approval, the $time time" 1 asks "$client" "$guest" -m post -t 286 -f "$work/$guest.der" /est/sen
    is "$client: 5.03 with the configured Max-Age" "5.03 [ Max-Age:7 ]" "$(answered)"
  done
  runs "$client: the operator approves" imprint device approve --data "$data" "$guest"
  runs "$client: the same request" asks "$client" "$guest" -m post -t 286 -f "$work/$guest.der" /est/sen
  is "$client: is 2.04 now" 2.04 "$(answered | cut -d ' ' -f 1)"
  runs "$client: with a certificate for the key" certificate_of "$client" "$guest" "$work/$guest.key"

  keyless=KEYLESS-000$turn
  make_csr "$work/$id.key" "/CN=$keyless" "$work/$keyless.der"
  exits "$client: a key of ours where the profile has none" 1 asks "$client" "$id" -m post -t 286 -f "$work/$id.der" /est/skg
  is "$client: is 5.01" 5.01 "$(answered | cut -d ' ' -f 1)"
  runs "$client: a key of ours (skg)" asks "$client" "$keyless" -m post -t 286 -A 62 -f "$work/$keyless.der" /est/given/skg
  is "$client: in multipart-core" yes "$(answered | grep -q '^2\.04 .*Content-Format:62' && echo yes)"
  runs "$client: openssl reads the key, and certs-only fits it" pair_in_body 281
  is "$client: it is not the request's key" different "$(same_key "$work/given.pem" "$work/$id.key" || echo different)"
  runs "$client: with the certificate by itself (skc), in blocks of 64 both ways" \
    asks "$client" "$keyless" -m post -t 286 -A 62 "${blocks[@]}" -f "$work/$keyless.der" /est/given/skc
  runs "$client: both were in blocks" both_in_blocks
  runs "$client: which fits its key, too" pair_in_body 287

  exits "$client: a form that we do not have" 1 asks "$client" "$id" -m get -A 50 /est/crts
  is "$client: is 4.06" 4.06 "$(answered | cut -d ' ' -f 1)"
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
