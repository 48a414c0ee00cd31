#!/usr/bin/env bash
# Californium with Scandium (CaliforniumPeer.java beside this file) over CoAPS, in each direction. As client of our server:
# discovery, CA certificates, enrolment in blocks, renewal, refusals. As EST server of our client, its CA being
# the openssl command: enrolment in one answer, in blocks, after a while (separate response), after 5.03, and renewal.
. "$(dirname "$0")/common.sh"

needs californium java javac openssl
[ ! -s "$peers/californium.missing" ] || skip_all californium "$(cat "$peers/californium.missing")"
jars=$(ls "$peers"/californium/*.jar 2>/dev/null | paste -s -d :)
[ -n "$jars" ] || skip_all californium "no Californium; tests/interop/est/peers.sh brings it"
mkdir "$work/classes"
timeout 120 javac -cp "$jars" -d "$work/classes" "$here/CaliforniumPeer.java" >"$work/javac.log" 2>&1 ||
  { not_ok "CaliforniumPeer.java compiles" "$work/javac.log"; finish; }
make_idevids 4
start_imprint

peer() {
  timeout 60 java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true -cp "$work/classes:$jars" CaliforniumPeer "$@"
}

# asks PATH METHOD CHAIN KEY OPTION...: what it says stays in $work/said, the body in $work/body
asks() {
  rm -f "$work/body"
  peer ask "$coaps$1" "$2" "$anchors" "$3" "$4" --out "$work/body" "${@:5}" >"$work/said" 2>&1
  local got=$?
  cat "$work/said"
  return $got
}

# certificate_for KEY OUT.pem: the body is a certs-only message with a certificate for this key below our anchors.
certificate_for() {
  openssl pkcs7 -inform DER -in "$work/body" -print_certs -out "$2" && same_key "$2" "$1" && openssl verify -CAfile "$anchors" "$2"
}

# ---- at our server ----

own=("$idevids/WIDGET-0001/idevid-chain.pem" "$idevids/WIDGET-0001/idevid-key.pem")
runs "discovery" asks "/.well-known/core?rt=ace.est*" GET "${own[@]}"
is "it names the resources" yes "$(grep -q '</est/sren>;rt="ace.est.sren"' "$work/body" && echo yes)"
runs "crts" asks /.well-known/est/crts GET "${own[@]}"
is "in the form of default, with an ETag" "format 281 etag 16" \
  "$(awk '/^format/ { f = $2 } /^etag/ { e = length($2) } END { print "format", f, "etag", e }' "$work/said")"
make_key "$work/1.key"
make_csr "$work/1.key" /CN=WIDGET-0001 "$work/1.der"
runs "enrolment in blocks of 64" asks /est/sen POST "${own[@]}" --accept 281 --body "$work/1.der" --block 64
runs "a certificate for the key" certificate_for "$work/1.key" "$work/1.pem"
make_renewal "$work/1.pem" "$work/1.key" "$work/1-renewal.der"
runs "renewal with it" asks /est/sren POST "$work/1.pem" "$work/1.key" --body "$work/1-renewal.der"
runs "a certificate for the key" certificate_for "$work/1.key" "$work/1-renewed.pem"
make_csr "$work/1.key" /CN=WIDGET-0002 "$work/wrong.der"
exits "another device's name is refused" 3 asks /est/sen POST "${own[@]}" --body "$work/wrong.der"
is "by 4.03" "code 4.03" "$(grep '^code' "$work/said")"
exits "no EST at this path" 3 asks /est/none GET "${own[@]}"
is "is 4.04" "code 4.04" "$(grep '^code' "$work/said")"
exits "another Content-Format" 3 asks /est/sen POST "${own[@]}" --content 50 --body "$work/1.der"
is "is 4.15" "code 4.15" "$(grep '^code' "$work/said")"

# ---- our client at its server ----

ca=$work/ca
mkdir "$ca"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$ca/ca.key" -out "$ca/ca.pem" -days 3 -subj "/CN=Other CA" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign 2>/dev/null
openssl crl2pkcs7 -nocrl -certfile "$ca/ca.pem" -outform DER -out "$ca/crts.der"
make_key "$ca/server.key"
openssl req -new -key "$ca/server.key" -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost |
  openssl x509 -req -CA "$ca/ca.pem" -CAkey "$ca/ca.key" -days 3 -copy_extensions copyall -out "$ca/server.pem" 2>/dev/null
cat "$ca/ca.pem" "$data"/makers/*.pem >"$ca/trusted.pem"

# serves OPTION...: starts its server; sets there
serves() {
  peer serve "$ca/trusted.pem" "$ca/server.pem" "$ca/server.key" "$ca" "$@" >"$work/server.log" 2>&1 &
  started+=("$!")
  wait_for 20 grep -q '^port' "$work/server.log" || { not_ok "Californium's server starts" "$work/server.log"; finish; }
  there=coaps://127.0.0.1:$(sed -n 's/^port //p' "$work/server.log")
}

# onboards DEVICE OPTION...: by our client, into $work/DEVICE
onboards() {
  imprint onboard est --server "$there" --out "$work/$1" --attempts 1 --timeout 40 "${@:2}"
}
first() {
  onboards "$1" --anchors "$ca/ca.pem" --cert "$idevids/$1/idevid-chain.pem" --key "$idevids/$1/idevid-key.pem" --subject "CN=$1"
}
installed() {
  same_key "$work/$1/cert.pem" "$work/$1/key.pem" && openssl verify -CAfile "$ca/ca.pem" "$work/$1/cert.pem"
}

serves
runs "our client enrols there" first WIDGET-0001
runs "and has its certificate" installed WIDGET-0001
is "it asked for crts as certs-only" "crts 281" "$(grep '^crts' "$work/server.log")"
runs "it renews there" onboards WIDGET-0001 --renew
is "by sren" yes "$(grep -q '^sren [0-9]* 286' "$work/server.log" && echo yes)"
runs "and has its certificate" installed WIDGET-0001
serves --block 64
runs "our client enrols where blocks are of 64 bytes" first WIDGET-0002
runs "and has its certificate" installed WIDGET-0002
serves --slow 3500
runs "our client enrols where the answer comes after an acknowledgement" first WIDGET-0003
runs "and has its certificate" installed WIDGET-0003
is "having asked once" 1 "$(grep -c '^sen' "$work/server.log")"
serves --busy 1
runs "our client enrols where the CA is slow (5.03 and Max-Age)" first WIDGET-0004
runs "and has its certificate" installed WIDGET-0004
is "having asked twice" 2 "$(grep -c '^sen' "$work/server.log")"
finish
