#!/usr/bin/env bash
# Californium with Scandium (CaliforniumPeer.java beside this file) over CoAPS, in each direction. As client of our server:
# discovery, CA certificates and whether those that it holds are still good (ETag), attributes, enrolment in blocks, renewal,
# keys that the server makes, refusals, CA certificates after a rollover. As EST server of
# our client, its CA being the openssl command: enrolment in one answer, in blocks, after a while (separate response), after
# 5.03, below a path that has to be discovered, with a key of the server's, and renewal.
. "$(dirname "$0")/common.sh"

needs californium java javac openssl curl
[ ! -s "$peers/californium.missing" ] || skip_all californium "$(cat "$peers/californium.missing")"
jars=$(ls "$peers"/californium/*.jar 2>/dev/null | paste -s -d :)
[ -n "$jars" ] || skip_all californium "no Californium; tests/interop/est/peers.sh brings it"
mkdir "$work/classes"
timeout 120 javac -cp "$jars" -d "$work/classes" "$here/CaliforniumPeer.java" >"$work/javac.log" 2>&1 ||
  { not_ok "CaliforniumPeer.java compiles" "$work/javac.log"; finish; }
make_idevids 8
runs "a factory makes a device for a profile with keys of ours" imprint factory make --data "$data" --model KEYLESS --count 1 --label given --out "$work/keyless"
runs "and the site imports it" imprint device import --data "$data" "$work/keyless/manifest.jsonl"
cat >"$work/imprint.toml" <<'TOML'
[profiles.wishes]
wanted_key = "p384"

[profiles.given]
server_keys = "clear"
TOML
start_imprint --config "$work/imprint.toml"

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

etag() { sed -n 's/^etag //p' "$work/said"; }
# The body came in blocks of 64; more than it has are some sent twice.
in_blocks() { [ "$(sed -n 's/^blocks //p' "$work/said")" -ge $((($(wc -c <"$work/body") + 63) / 64)) ]; }

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
held=$(etag)
cp "$work/body" "$work/held"
runs "crts, with the ETag of what it holds" asks /est/crts GET "${own[@]}" --etag "$held"
is "is 2.03, without a body" "code 2.03 0 bytes" "$(grep '^code' "$work/said") $(wc -c <"$work/body") bytes"
is "and with that ETag" "$held" "$(etag)"
runs "crts, with another ETag" asks /est/crts GET "${own[@]}" --etag 0123456789abcdef
is "is 2.05" "code 2.05" "$(grep '^code' "$work/said")"
runs "with the body" cmp "$work/held" "$work/body"
exits "att: no wishes" 3 asks /est/att GET "${own[@]}"
is "are 4.04" "code 4.04" "$(grep '^code' "$work/said")"
runs "att: the wishes of a profile" asks /est/wishes/att GET "${own[@]}" --accept 285
curl -s --cacert "$anchors" "$est/.well-known/est/wishes/csrattrs" | openssl base64 -d -A >"$work/attributes.der"
runs "the same as over HTTPS" cmp "$work/attributes.der" "$work/body"
is "in their own format" "format 285" "$(grep '^format' "$work/said")"
make_key "$work/1.key"
make_csr "$work/1.key" /CN=WIDGET-0001 "$work/1.der"
runs "enrolment in blocks of 64" asks /est/sen POST "${own[@]}" --accept 281 --body "$work/1.der" --block 64
runs "the answer is in blocks, too" in_blocks
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

own=("$idevids/WIDGET-0006/idevid-chain.pem" "$idevids/WIDGET-0006/idevid-key.pem")
make_csr "$work/1.key" /CN=WIDGET-0006 "$work/6.der"
exits "a key of ours where the profile has none" 3 asks /est/skg POST "${own[@]}" --body "$work/6.der"
is "is 5.01" "code 5.01" "$(grep '^code' "$work/said")"
own=("$work/keyless/KEYLESS-0001/idevid-chain.pem" "$work/keyless/KEYLESS-0001/idevid-key.pem")
make_csr "$work/1.key" /CN=KEYLESS-0001 "$work/keyless.der"
runs "a key of ours (skg), in blocks of 64" asks /est/given/skg POST "${own[@]}" --accept 62 --body "$work/keyless.der" --block 64
is "in multipart-core" "format 62" "$(grep '^format' "$work/said")"
runs "the answer is in blocks, too" in_blocks
runs "key and certs-only fit together" pair_in_body 281
runs "and with the certificate by itself (skc)" asks /est/given/skc POST "${own[@]}" --body "$work/keyless.der"
runs "key and certificate fit together" pair_in_body 287

runs "the owner's root is rolled over" imprint ca rollover --data "$data"
rolled_over() { asks /est/crts GET "${own[@]}" --etag "$held" && grep -q '^code 2.05' "$work/said"; }
runs "crts, with the ETag of before, is an answer in full" wait_for 3 rolled_over # 30 times; a JVM starts for each
is "with one other ETag" 1 "$(etag | grep -c -v -x "$held")"
root=$(imprint ca show --data "$data" --pem | openssl x509)
is "the new root is in it" yes "$([[ -n $root && $(openssl pkcs7 -inform DER -in "$work/body" -print_certs) == *"$root"* ]] && echo yes)"
runs "crts, with the ETag of now" asks /est/crts GET "${own[@]}" --etag "$(etag)"
is "is 2.03 again" "code 2.03" "$(grep '^code' "$work/said")"

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
  rm -f "$work/server.log"
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
  onboards "$1" --anchors "$ca/ca.pem" --cert "$idevids/$1/idevid-chain.pem" --key "$idevids/$1/idevid-key.pem" --subject "CN=$1" "${@:2}"
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
printf '\x30\x14\x30\x12\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x31\x07\x06\x05\x2b\x81\x04\x00\x22' >"$ca/att.der" # EC, secp384r1
serves
runs "our client enrols where a key on secp384r1 is wished for" first WIDGET-0005
runs "and has its certificate" installed WIDGET-0005
is "for such a key" yes "$(openssl pkey -in "$work/WIDGET-0005/key.pem" -noout -text | grep -q secp384r1 && echo yes)"
rm "$ca/att.der"
serves --block 64
runs "our client enrols where blocks are of 64 bytes" first WIDGET-0002
runs "and has its certificate" installed WIDGET-0002
serves --root e
runs "our client enrols where EST is below /e, which it has to discover" first WIDGET-0006
runs "and has its certificate" installed WIDGET-0006
is "it asked where" yes "$(grep -q '"Finding"' "$work/WIDGET-0006/run.json" && echo yes)"
runs "our client takes a key that the server made, from there" first WIDGET-0007 --server-key clear
runs "and has its certificate" installed WIDGET-0007
is "by skg" yes "$(grep -q '^skg [0-9]* 286' "$work/server.log" && echo yes)"
serves --slow 3500
runs "our client enrols where the answer comes after an acknowledgement" first WIDGET-0003
runs "and has its certificate" installed WIDGET-0003
is "having asked once" 1 "$(grep -c '^sen' "$work/server.log")"
serves --busy 1
runs "our client enrols where the CA is slow (5.03 and Max-Age)" first WIDGET-0004
runs "and has its certificate" installed WIDGET-0004
is "having asked twice" 2 "$(grep -c '^sen' "$work/server.log")"
finish
