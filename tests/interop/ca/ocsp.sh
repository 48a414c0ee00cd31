#!/usr/bin/env bash
# The openssl command and curl as relying parties of the owner's CA: certificates that say where their status is to be had,
# OCSP (RFC 6960) by POST and by GET, and the revocation list (RFC 5280) with what openssl's path validation makes of it.
. "$(dirname "$0")/../est/common.sh"

needs openssl openssl
needs curl curl

# The URIs are in the certificates before anybody knows the port: it is chosen here, among those that are free.
free_port() {
  local n
  for n in $(seq 50); do
    local candidate=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || { echo "$candidate"; return; }
  done
}
status_port=$(free_port)
status=http://127.0.0.1:$status_port
export IMPRINT_CA_LISTEN=127.0.0.1:$status_port

# enrol ID OUT.pem: a device gets a certificate by its one-time token.
enrol() {
  add_device "$1" --one-time >"$work/$1.token"
  imprint onboard est --server "https://localhost:$port" --anchors "$anchors" --user "$1" --password-file "$work/$1.token" \
    --subject "CN=$1" --out "$work/$1" >"$work/$1.log" 2>&1 || { not_ok "$1 enrols" "$work/$1.log"; finish; }
  cp "$work/$1/cert.pem" "$2"
}

serial_of() { openssl x509 -in "$1" -noout -serial | sed 's/.*=//' | tr 'A-F' 'a-f'; }

# ask CERTIFICATE [OPTION...]: what openssl makes of the answer, in $work/answer. A digest counts for what comes after it.
ask() {
  local certificate=$1
  shift
  timeout 30 openssl ocsp -issuer "$anchors" "$@" -cert "$certificate" -CAfile "$anchors" -url "$status/ocsp" >"$work/answer" 2>&1
}

# says WORDS...: the answer was believed, and has all of these.
says() {
  local words
  grep -q 'Response verify OK' "$work/answer" || return 1
  for words in "$@"; do grep -q -e "$words" "$work/answer" || return 1; done
}

told() {  # told NAME WORDS...
  local name=$1
  shift
  if says "$@"; then ok "$name"; else not_ok "$name" "$work/answer"; fi
}

# --- certificates of a site without places --------------------------------------------------------------------------

start_imprint
enrol plain "$work/plain.pem"
if openssl x509 -in "$work/plain.pem" -noout -text | grep -q 'Authority Information Access\|CRL Distribution Points'; then
  not_ok "without URIs a certificate names no places"
else
  ok "without URIs a certificate names no places"
fi
stop_imprint

# --- with places ----------------------------------------------------------------------------------------------------

export IMPRINT_CA_OCSP_URI=$status/ocsp IMPRINT_CA_CRL_URI=$status/crl
start_imprint
enrol good "$work/good.pem"
enrol lost "$work/lost.pem"
openssl x509 -in "$work/good.pem" -noout -text >"$work/diagnosis" 2>&1
is "a certificate names OCSP" "$status/ocsp" "$(openssl x509 -in "$work/good.pem" -noout -ocsp_uri)"
if grep -A 3 'CRL Distribution Points' "$work/diagnosis" | grep -q "URI:$status/crl"; then
  ok "a certificate names the revocation list"
else
  not_ok "a certificate names the revocation list" "$work/diagnosis"
fi

# --- OCSP -----------------------------------------------------------------------------------------------------------

ask "$work/good.pem"
told "good, with openssl's nonce" "good.pem: good" "This Update" "Next Update"
if grep -q 'no nonce in response' "$work/answer"; then not_ok "the nonce comes back" "$work/answer"; else ok "the nonce comes back"; fi
ask "$work/good.pem" -no_nonce -sha256
told "good, without a nonce, by SHA-256" "good.pem: good"
ask "$work/plain.pem" -no_nonce
told "a certificate of before the URIs is answered as well" "plain.pem: good"

runs "a certificate is revoked" imprint ca revoke "$(serial_of "$work/lost.pem")" --reason key_compromise --data "$data"
ask "$work/lost.pem" -no_nonce
told "revoked, with the reason and the time, at once" "lost.pem: revoked" "Reason: keyCompromise" "Revocation Time"
ask "$work/good.pem" -cert "$work/lost.pem"
told "two certificates in one question" "good.pem: good" "lost.pem: revoked"

timeout 30 openssl ocsp -issuer "$anchors" -serial 0x1234567890 -CAfile "$anchors" -url "$status/ocsp" >"$work/answer" 2>&1
told "a serial number that was never given is unknown" "0x1234567890: unknown"

make_key "$work/other.key"
openssl req -x509 -new -key "$work/other.key" -subj "/CN=Imprint Owner CA" -days 2 -out "$work/other-ca.pem" 2>/dev/null
timeout 30 openssl ocsp -issuer "$work/other-ca.pem" -cert "$work/good.pem" -CAfile "$anchors" -url "$status/ocsp" >"$work/answer" 2>&1
if grep -q 'unauthorized (6)' "$work/answer"; then
  ok "another CA of the same name is not answered for"
else
  not_ok "another CA of the same name is not answered for" "$work/answer"
fi

# The delegate: no key of the CA's at work.
ask "$work/good.pem" -no_nonce -resp_text -respout "$work/response.der"
if grep -q 'OCSP Signing' "$work/answer" && grep -q 'OCSP No Check' "$work/answer" &&
  grep -q 'Subject: CN *= *Imprint OCSP responder' "$work/answer"; then
  ok "a delegate signs, with id-kp-OCSPSigning and id-pkix-ocsp-nocheck"
else
  not_ok "a delegate signs, with id-kp-OCSPSigning and id-pkix-ocsp-nocheck" "$work/answer"
fi
imprint ca list --device '(server)' --data "$data" >"$work/diagnosis" 2>&1
if grep -q 'CN=Imprint OCSP responder.*good' "$work/diagnosis"; then
  ok "the delegate's certificate is on record"
else
  not_ok "the delegate's certificate is on record" "$work/diagnosis"
fi

# --- by GET ---------------------------------------------------------------------------------------------------------

openssl ocsp -issuer "$anchors" -cert "$work/good.pem" -no_nonce -reqout "$work/ask.der" >"$work/diagnosis" 2>&1
encoded=$(openssl base64 -A -in "$work/ask.der" | sed 's/+/%2B/g; s:/:%2F:g; s/=/%3D/g')
curl -s -D "$work/head" -o "$work/got.der" "$status/ocsp/$encoded"
timeout 30 openssl ocsp -issuer "$anchors" -cert "$work/good.pem" -CAfile "$anchors" -respin "$work/got.der" -no_nonce >"$work/answer" 2>&1
told "good, by GET" "good.pem: good"
if cmp -s "$work/got.der" "$work/response.der"; then ok "GET and POST get the same signed answer"; else not_ok "GET and POST get the same signed answer"; fi
tr -d '\r' <"$work/head" >"$work/diagnosis"
if grep -qi '^content-type: application/ocsp-response$' "$work/diagnosis" && grep -qi '^cache-control: max-age=[0-9]*, public, no-transform, must-revalidate$' "$work/diagnosis" &&
  grep -qi '^expires: ' "$work/diagnosis" && grep -qi '^last-modified: ' "$work/diagnosis"; then
  ok "caches are told how long the answer lasts (RFC 5019 section 6.2)"
else
  not_ok "caches are told how long the answer lasts (RFC 5019 section 6.2)" "$work/diagnosis"
fi
etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: //p' "$work/diagnosis")
is "who has the answer already is told so" 304 "$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" "$status/ocsp/$encoded")"

# --- bad questions --------------------------------------------------------------------------------------------------

response_status() {  # of what curl gets for the body on its standard input
  curl -s -H 'Content-Type: application/ocsp-request' --data-binary @- "$status/ocsp" | od -An -tx1 | tr -d ' \n'
}
is "no DER is a malformed request" 30030a0101 "$(printf 'hello' | response_status)"
is "half a question is a malformed request" 30030a0101 "$(head -c 40 "$work/ask.der" | response_status)"
is "no base64 is a malformed request" 30030a0101 "$(curl -s "$status/ocsp/..%2f..%2fetc" | od -An -tx1 | tr -d ' \n')"
is "a body over the limit is turned away" 413 "$(head -c 100000 /dev/zero | curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/ocsp-request' --data-binary @- "$status/ocsp")"
is "another content type is refused" 415 "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: text/plain' --data-binary "@$work/ask.der" "$status/ocsp")"
is "another path is not found" 404 "$(curl -s -o /dev/null -w '%{http_code}' "$status/v1/certificates")"
# A nonce of 33 octets (RFC 8954 section 2.1): the certID of before, and the extension put together by hand.
{
  printf 'asn1=SEQUENCE:question\n[question]\ntbs=SEQUENCE:tbs\n[tbs]\nlist=SEQUENCE:list\nextensions=EXPLICIT:2,SEQUENCE:extensions\n'
  printf '[list]\none=SEQUENCE:one\n[one]\nid=SEQUENCE:id\n[id]\nhash=SEQUENCE:hash\nname=FORMAT:HEX,OCTETSTRING:%040d\nkey=FORMAT:HEX,OCTETSTRING:%040d\nserial=INTEGER:1\n' 0 0
  printf '[hash]\noid=OID:1.3.14.3.2.26\n[extensions]\nnonce=SEQUENCE:nonce\n[nonce]\noid=OID:1.3.6.1.5.5.7.48.1.2\nvalue=OCTWRAP,FORMAT:HEX,OCTETSTRING:%066d\n' 0
} >"$work/nonce.cnf"
openssl asn1parse -genconf "$work/nonce.cnf" -noout -out "$work/nonce.der" 2>/dev/null
is "a nonce of 33 octets is a malformed request" 30030a0101 "$(response_status <"$work/nonce.der")"
sed -i 's/OCTETSTRING:0\{66\}/OCTETSTRING:'"$(printf '%064d' 0)"'/' "$work/nonce.cnf"
openssl asn1parse -genconf "$work/nonce.cnf" -noout -out "$work/nonce.der" 2>/dev/null
is "one of 32 is not: the question is about another issuer" 30030a0106 "$(response_status <"$work/nonce.der")"

# --- the revocation list --------------------------------------------------------------------------------------------

list_has() { curl -s -o "$work/crl.der" "$status/crl" && openssl crl -inform DER -in "$work/crl.der" -noout -text >"$work/crl.txt" 2>&1 && grep -qi "Serial Number: $1" "$work/crl.txt"; }
if wait_for 10 list_has "$(serial_of "$work/lost.pem")"; then ok "the list is signed anew after a revocation"; else not_ok "the list is signed anew after a revocation" "$work/crl.txt"; fi
openssl crl -inform DER -in "$work/crl.der" -CAfile "$anchors" -noout -verify >"$work/diagnosis" 2>&1
if grep -q 'verify OK' "$work/diagnosis"; then ok "openssl crl takes its signature"; else not_ok "openssl crl takes its signature" "$work/diagnosis"; fi
cp "$work/crl.txt" "$work/diagnosis"
if grep -q 'X509v3 Authority Key Identifier' "$work/crl.txt" && grep -A 2 'Issuing Distribution Point: critical' "$work/crl.txt" | grep -q 'Full Name' &&
  grep -q "URI:$status/crl" "$work/crl.txt" && grep -q 'X509v3 CRL Number' "$work/crl.txt" && grep -q 'Next Update: ' "$work/crl.txt" && grep -q 'Key Compromise' "$work/crl.txt"; then
  ok "it has authority key identifier, issuing distribution point, number, next update and reason"
else
  not_ok "it has authority key identifier, issuing distribution point, number, next update and reason" "$work/diagnosis"
fi
openssl crl -inform DER -in "$work/crl.der" -out "$work/crl.pem"
runs "openssl verify -crl_check takes a good certificate" openssl verify -crl_check -CAfile "$anchors" -CRLfile "$work/crl.pem" "$work/good.pem"
exits "and refuses the revoked one" 2 openssl verify -crl_check -CAfile "$anchors" -CRLfile "$work/crl.pem" "$work/lost.pem"
if grep -q 'certificate revoked' "$work/diagnosis"; then ok "because it is revoked"; else not_ok "because it is revoked" "$work/diagnosis"; fi
# A certificate from before the URIs names no place: only the list without one is its own.
curl -s --cacert "$anchors" "https://localhost:$port/.well-known/imprint/crl" | openssl crl -inform DER -out "$work/whole.pem" 2>/dev/null
runs "a certificate without a place is checked with the list at the EST port" \
  openssl verify -crl_check -CAfile "$anchors" -CRLfile "$work/whole.pem" "$work/plain.pem"
exits "the list of the place is not its own" 2 openssl verify -crl_check -CAfile "$anchors" -CRLfile "$work/crl.pem" "$work/plain.pem"

# --- a restart, a kill ----------------------------------------------------------------------------------------------

number() { curl -s "$status/crl" | openssl crl -inform DER -noout -crlnumber | sed 's/.*0x//'; }
first=$(number)
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null
start_imprint
second=$(number)
stop_imprint
start_imprint
third=$(number)
if [ -n "$first" ] && [[ $(printf '%20s' "$first") < $(printf '%20s' "$second") ]] && [[ $(printf '%20s' "$second") < $(printf '%20s' "$third") ]]; then
  ok "the list's number rises over a kill and a restart"
else
  printf '%s\n' "$first" "$second" "$third" >"$work/diagnosis"
  not_ok "the list's number rises over a kill and a restart" "$work/diagnosis"
fi
ask "$work/lost.pem" -no_nonce
told "a revocation is remembered" "lost.pem: revoked"
ask "$work/good.pem" -no_nonce
told "and the new program's delegate is believed" "good.pem: good"

# --- a CA of before -------------------------------------------------------------------------------------------------

stop_imprint
export IMPRINT_CA_CRL_URI="$status/crl/{issuer}"
start_imprint
cp "$anchors" "$work/before-ca.pem"
before=$(imprint ca show --json --data "$data" | json_text id)
enrol stays "$work/stays.pem"
enrol goes "$work/goes.pem"
place=$(openssl x509 -in "$work/stays.pem" -noout -ext crlDistributionPoints | sed -n 's/.*URI://p')
is "a certificate names the place of its issuer's list" "$status/crl/$before" "$place"
runs "another root takes its place" imprint ca rollover --data "$data"
after=$(imprint ca show --json --data "$data" | json_text id)
new_list_is_there() { [ "$(curl -s -o /dev/null -w '%{http_code}' "$status/crl/$after")" = 200 ]; }
if wait_for 15 new_list_is_there; then ok "the new root has a list at a place of its own"; else not_ok "the new root has a list at a place of its own"; fi
imprint ca show --data "$data" >"$work/diagnosis" 2>&1
if grep -q "^before  *$before  CN=Imprint Owner CA, until .*: signs lists and OCSP answers" "$work/diagnosis"; then
  ok "ca show says that the one of before goes on"
else
  not_ok "ca show says that the one of before goes on" "$work/diagnosis"
fi

# ask_before CERTIFICATE: as ask, of one who knows the CA of before alone.
ask_before() {
  timeout 30 openssl ocsp -issuer "$work/before-ca.pem" -cert "$1" -CAfile "$work/before-ca.pem" -no_nonce -url "$status/ocsp" >"$work/answer" 2>&1
}
ask_before "$work/stays.pem"
told "a certificate of before is good, in the words of its own issuer" "stays.pem: good"
runs "one of before is revoked" imprint ca revoke "$(serial_of "$work/goes.pem")" --reason superseded --data "$data"
ask_before "$work/goes.pem"
told "and told so" "goes.pem: revoked" "Reason: superseded"
old_list_has() {
  curl -s -o "$work/before.der" "$place" && openssl crl -inform DER -in "$work/before.der" -out "$work/before.pem" 2>/dev/null &&
    openssl crl -in "$work/before.pem" -noout -text | grep -qi "Serial Number: $(serial_of "$work/goes.pem")"
}
if wait_for 10 old_list_has; then ok "it is on the list of its issuer"; else not_ok "it is on the list of its issuer"; fi
runs "whoever knows the CA of before alone takes the good one" openssl verify -crl_check -CAfile "$work/before-ca.pem" -CRLfile "$work/before.pem" "$work/stays.pem"
exits "and not the revoked one" 2 openssl verify -crl_check -CAfile "$work/before-ca.pem" -CRLfile "$work/before.pem" "$work/goes.pem"
if grep -q 'certificate revoked' "$work/diagnosis"; then ok "for that reason"; else not_ok "for that reason" "$work/diagnosis"; fi
curl -s "$status/crl/$after" | openssl crl -inform DER -noout -text >"$work/diagnosis" 2>&1
if grep -q 'No Revoked Certificates' "$work/diagnosis"; then ok "the new root's list has nothing of it"; else not_ok "the new root's list has nothing of it" "$work/diagnosis"; fi
openssl x509 -in "$data/ca/chain.pem" -out "$work/after-ca.pem"
enrol fresh "$work/fresh.pem"
timeout 30 openssl ocsp -issuer "$work/after-ca.pem" -cert "$work/fresh.pem" -CAfile "$work/after-ca.pem" -url "$status/ocsp" >"$work/answer" 2>&1
told "a certificate of the new root is good, in the new root's words" "fresh.pem: good"
curl -s "$status/crl/$after" | openssl crl -inform DER -out "$work/after.pem" 2>/dev/null
runs "and passes with its list" openssl verify -crl_check -CAfile "$work/after-ca.pem" -CRLfile "$work/after.pem" "$work/fresh.pem"
imprint ca crl --issuer "$before" --distributed --data "$data" >"$work/printed.pem" 2>"$work/diagnosis"
runs "ca crl prints the list of before" openssl verify -crl_check -CAfile "$work/before-ca.pem" -CRLfile "$work/printed.pem" "$work/stays.pem"
exits "an id of nobody is not found" 6 imprint ca crl --issuer 0123456789abcdef --data "$data"

kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null
start_imprint
ask_before "$work/goes.pem"
told "a kill changes nothing of that" "goes.pem: revoked"
rm "$data"/ca/former/*-key.pem
nobody_answers() {
  ask_before "$work/stays.pem"
  grep -q 'unauthorized (6)' "$work/answer" && [ "$(curl -s -o /dev/null -w '%{http_code}' "$place")" = 404 ]
}
if wait_for 10 nobody_answers; then ok "a key of before that is removed signs no more"; else not_ok "a key of before that is removed signs no more" "$work/answer"; fi

# --- traces ---------------------------------------------------------------------------------------------------------

imprint ca show "$(serial_of "$work/lost.pem")" --data "$data" >"$work/diagnosis" 2>&1
if grep -q '^state  *revoked' "$work/diagnosis" && grep -q '^evidence  *token:lost' "$work/diagnosis" && grep -q '^decision  *inventory: ' "$work/diagnosis" &&
  grep -q 'device.added by cli' "$work/diagnosis" && grep -q '^run  *[0-9a-f]\{16\}, est secret' "$work/diagnosis" && grep -q 'certificate.revoked by cli' "$work/diagnosis"; then
  ok "ca show leads to run, evidence, decision and audit entries"
else
  not_ok "ca show leads to run, evidence, decision and audit entries" "$work/diagnosis"
fi
imprint ca export --format pem --device good --data "$data" >"$work/export.pem" 2>"$work/diagnosis"
is "openssl reads what ca export writes" "$(serial_of "$work/good.pem")" "$(serial_of "$work/export.pem")"
is "ca search finds by another name" "$(serial_of "$work/good.pem")" \
  "$(imprint ca search CN=good --state good --data "$data" --json | json_text serial)"

finish
