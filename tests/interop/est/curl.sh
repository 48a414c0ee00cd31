#!/usr/bin/env bash
# Every EST operation of our server, and every error status, asked for by curl and judged by the openssl command.
. "$(dirname "$0")/common.sh"

needs curl curl openssl
make_idevids 16
cat >"$work/imprint.toml" <<'TOML'
[profiles.p384]
wanted_key = 'p384'
TOML
start_imprint --config "$work/imprint.toml"

# ask OPERATION [CURL_OPTION...]: leaves the status in $status, the response in $work/head and $work/body.
ask() {
  local operation=$1
  shift
  rm -f "$work/head" "$work/body"
  status=$(curl -sS -m 20 --cacert "$anchors" -D "$work/head" -o "$work/body" -w '%{http_code}' "$@" \
    "$est/.well-known/est/$operation" 2>"$work/curl.log") || status="curl: $(tail -n 1 "$work/curl.log")"
  [ -e "$work/body" ] || : >"$work/body"
  [ -e "$work/head" ] || : >"$work/head"
}

# post OPERATION FILE [CURL_OPTION...]: a PKCS#10 request.
post() {
  local operation=$1 file=$2
  shift 2
  ask "$operation" -H 'Content-Type: application/pkcs10' --data-binary "@$file" "$@"
}

# header NAME: its value in the last response.
header() {
  tr -d '\r' <"$work/head" | sed -n "s/^$1: *//Ip" | tail -n 1
}

# answered NAME STATUS...: one of these statuses.
answered() {
  local name=$1 wanted
  shift
  for wanted in "$@"; do
    [ "$status" = "$wanted" ] && { ok "$name"; return; }
  done
  { echo "wanted: $*"; echo "got:    $status"; cat "$work/head" "$work/body"; } >"$work/diagnosis"
  not_ok "$name" "$work/diagnosis"
}

# issued NAME KEY: the last response is a certificate for this key that the owner's CA vouches for; left in $work/issued.pem.
issued() {
  local why=
  if [ "$status" != 200 ]; then
    why="status $status"
  elif ! certs_only_to_pem "$work/body" "$work/issued.pem"; then
    why="no certs-only message"
  elif [ "$(grep -c 'BEGIN CERTIFICATE' "$work/issued.pem")" != 1 ]; then
    why="more than the new certificate (RFC 7030 section 4.2.3)"
  elif ! same_key "$work/issued.pem" "$2"; then
    why="a certificate for another key"
  elif ! openssl verify -CAfile "$anchors" -untrusted "$work/cacerts.pem" "$work/issued.pem" >/dev/null 2>&1; then
    why="no path to the owner's CA"
  else
    ok "$1"
    return
  fi
  { echo "$why"; cat "$work/head" "$work/body"; } >"$work/diagnosis"
  not_ok "$1" "$work/diagnosis"
}

# use_device N [MODEL]: the factory's Nth device is who asks: sets $id, $identity (options for curl) and makes $key and $csr.
use_device() {
  id=$(printf '%s-%04d' "${2:-WIDGET}" "$1")
  local folder=$work/factory-${2:-WIDGET}/$id
  identity=(--cert "$folder/idevid-chain.pem" --key "$folder/idevid-key.pem")
  key=$work/$id.key
  csr=$work/$id.csr
  make_key "$key"
  make_csr "$key" "/CN=$id" "$csr"
  openssl base64 -in "$csr" -out "$csr.b64"
}

# token_device ID [FLAG...]: a device with a one-time token: sets $id, $token, $identity, $key and $csr.
token_device() {
  id=$1
  shift
  token=$(add_device "$id" --one-time "$@")
  identity=(-u "$id:$token")
  key=$work/$id.key
  csr=$work/$id.csr
  make_key "$key"
  make_csr "$key" "/CN=$id" "$csr"
  openssl base64 -in "$csr" -out "$csr.b64"
}

# --- cacerts, csrattrs -------------------------------------------------------------------------------------------------

ask cacerts
answered "cacerts: 200 without credentials" 200
is "cacerts: content type" application/pkcs7-mime "$(header content-type | sed 's/ *;.*//')"
runs "cacerts: a certs-only message in base64" certs_only_to_pem "$work/body" "$work/cacerts.pem"
runs "cacerts: its anchor is the owner's CA" openssl verify -CAfile "$anchors" "$work/cacerts.pem"
is "cacerts: content transfer encoding for old clients" base64 "$(header content-transfer-encoding)"
# strongSwan reads no body with a line break inside, libest none without one at the end.
is "cacerts: one line and its end" 1 "$(wc -l <"$work/body")"
is "cacerts: a Content-Length for simple clients" "$(wc -c <"$work/body")" "$(header content-length)"

ask cacerts --tlsv1.2 --tls-max 1.2
answered "cacerts over TLS 1.2" 200
ask cacerts --tlsv1.3
answered "cacerts over TLS 1.3" 200
# The cipher list only lets this client offer the old version at all.
is "TLS 1.1 is refused" refused \
  "$(curl -sS -m 20 --cacert "$anchors" --tlsv1.1 --tls-max 1.1 --ciphers 'DEFAULT@SECLEVEL=0' -o "$work/body" \
    "$est/.well-known/est/cacerts" >"$work/curl.log" 2>&1 && echo accepted || echo refused)"

ask csrattrs
answered "csrattrs: a profile without wishes answers 204" 204
ask p384/csrattrs
answered "csrattrs: a profile with wishes answers 200" 200
is "csrattrs: content type" application/csrattrs "$(header content-type | sed 's/ *;.*//')"
tr -d '\r\n' <"$work/body" | openssl base64 -d -A >"$work/csrattrs.der"
runs "csrattrs: one DER value" openssl asn1parse -inform DER -in "$work/csrattrs.der"
is "csrattrs: asks for P-384" 1 "$(openssl asn1parse -inform DER -in "$work/csrattrs.der" | grep -c secp384r1)"

# --- who is it? --------------------------------------------------------------------------------------------------------

make_key "$work/nobody.key"
make_csr "$work/nobody.key" /CN=nobody "$work/nobody.csr"
openssl base64 -in "$work/nobody.csr" -out "$work/nobody.b64"

post simpleenroll "$work/nobody.b64"
answered "enrol without credentials: 401" 401
is "enrol without credentials: Basic is offered" Basic "$(header www-authenticate | cut -d ' ' -f 1)"
# Bouncy Castle fails on a challenge with a body.
is "enrol without credentials: no body" 0 "$(wc -c <"$work/body")"
post simpleenroll "$work/nobody.b64" -u nobody:guess
answered "enrol as a device that nobody registered: 401" 401

use_device 1
post simpleenroll "$csr.b64" "${identity[@]}"
answered "enrol with an IDevID: 200" 200
issued "enrol with an IDevID: the certificate" "$key"
is "enrol: content type" "application/pkcs7-mime; smime-type=certs-only" "$(header content-type | sed 's/ *; */; /')"
cp "$work/issued.pem" "$work/ldevid.pem"
cp "$key" "$work/ldevid.key"
cp "$csr" "$work/ldevid.csr"

use_device 2
post simpleenroll "$csr.b64" "${identity[@]}" --tlsv1.2 --tls-max 1.2
issued "enrol over TLS 1.2" "$key"
use_device 3
post simpleenroll "$csr.b64" "${identity[@]}" --tlsv1.3
issued "enrol over TLS 1.3" "$key"

token_device TOKEN-1
post simpleenroll "$csr.b64" "${identity[@]}"
issued "enrol with a one-time token" "$key"
make_key "$work/thief.key"
make_csr "$work/thief.key" /CN=TOKEN-1 "$work/thief.csr"
openssl base64 -in "$work/thief.csr" -out "$work/thief.b64"
post simpleenroll "$work/thief.b64" "${identity[@]}"
answered "a token used again, for another key: 401 or 403" 401 403

token_device TOKEN-2
post simpleenroll "$csr.b64" -u "$id:not-$token"
answered "a wrong token: 401" 401
post simpleenroll "$csr.b64" -u "TOKEN-1:$token"
answered "a token of another device: 401" 401
post simpleenroll "$csr.b64" "${identity[@]}"
issued "a wrong token does not spend the right one" "$key"

# A certificate of somebody else's CA: TLS may refuse it, or the answer is 401 or 403.
make_key "$work/stranger.key"
openssl req -x509 -new -key "$work/stranger.key" -subj /CN=WIDGET-0001 -days 1 -out "$work/stranger.pem" 2>/dev/null
post simpleenroll "$work/nobody.b64" --cert "$work/stranger.pem" --key "$work/stranger.key"
case $status in
  401 | 403 | curl:*) ok "a certificate that no known maker signed is refused" ;;
  *) answered "a certificate that no known maker signed is refused" 401 403 ;;
esac

# --- forms of the body ---------------------------------------------------------------------------------------------------

use_device 4
openssl base64 -A -in "$csr" -out "$csr.body"
post simpleenroll "$csr.body" "${identity[@]}"
issued "a body of one unbroken line (RFC 8951 section 3.1)" "$key"

use_device 5
sed 's/$/\r/' "$csr.b64" >"$csr.body"
post simpleenroll "$csr.body" "${identity[@]}"
issued "a body with CRLF line ends" "$key"

use_device 6
openssl base64 -A -in "$csr" | sed 's/..../& \t\n/g' >"$csr.body"
post simpleenroll "$csr.body" "${identity[@]}"
issued "a body full of white space" "$key"

use_device 7
openssl req -inform DER -in "$csr" -out "$csr.body"
post simpleenroll "$csr.body" "${identity[@]}"
issued "a body in PEM armour" "$key"

use_device 8
post simpleenroll "$csr" "${identity[@]}"
issued "a body of raw DER" "$key"

use_device 9
post simpleenroll "$csr.b64" "${identity[@]}" -H 'Transfer-Encoding: chunked'
issued "a chunked body" "$key"

use_device 10
post simpleenroll "$csr.b64" "${identity[@]}" -H 'Content-Transfer-Encoding: binary'
issued "a Content-Transfer-Encoding is ignored (RFC 8951 section 3)" "$key"

use_device 11
post simpleenroll "$csr.b64" "${identity[@]}" -H 'Expect: 100-continue'
issued "a client that waits for 100 Continue" "$key"

# --- what is refused -------------------------------------------------------------------------------------------------------

use_device 12
ask simpleenroll "${identity[@]}" -H 'Content-Type: text/plain' --data-binary "@$csr.b64"
answered "another content type: 415" 415
ask simpleenroll "${identity[@]}"
answered "GET simpleenroll: 405" 405
is "405 names the method that is allowed" POST "$(header allow)"
ask cacerts -X POST -d ''
answered "POST cacerts: 405" 405
ask simpleenroll -X DELETE "${identity[@]}"
answered "DELETE simpleenroll: 405" 405
ask no-such-label/cacerts
answered "cacerts of an unknown label: 404" 404
post no-such-label/simpleenroll "$csr.b64" "${identity[@]}"
answered "enrol at an unknown label: 404" 404
ask no-such-operation
answered "an unknown operation: 404" 404
ask no-such-label/no-such-operation
answered "an unknown operation of an unknown label: 404" 404
post fullcmc "$csr.b64" "${identity[@]}"
answered "fullcmc has a content type of its own: 415" 415
post serverkeygen "$csr.b64" "${identity[@]}"
answered "serverkeygen is off: 404 or 501" 404 501

head -c 200000 /dev/zero | tr '\0' A >"$work/large"
post simpleenroll "$work/large" "${identity[@]}" -H 'Expect:'
answered "a body over the limit: 413" 413
post simpleenroll "$work/large" "${identity[@]}" -H 'Expect:' -H 'Transfer-Encoding: chunked'
answered "a chunked body over the limit: 413" 413
: >"$work/empty"
post simpleenroll "$work/empty" "${identity[@]}"
answered "an empty body: 400" 400
echo '!!!! this is not base64 !!!!' >"$work/garbage"
post simpleenroll "$work/garbage" "${identity[@]}"
answered "a body that is no base64: 400" 400
openssl rand 300 | openssl base64 >"$work/noise"
post simpleenroll "$work/noise" "${identity[@]}"
answered "base64 of noise: 400" 400
openssl x509 -in "$work/factory-WIDGET/$id/idevid.pem" -outform DER | openssl base64 >"$work/certificate"
post simpleenroll "$work/certificate" "${identity[@]}"
answered "a certificate in place of a request: 400" 400
head -c $(($(wc -c <"$csr") - 5)) "$csr" | openssl base64 >"$work/truncated"
post simpleenroll "$work/truncated" "${identity[@]}"
answered "a truncated request: 400" 400
# The last byte of the signature turned over: proof of possession fails.
{ head -c $(($(wc -c <"$csr") - 1)) "$csr"; tail -c 1 "$csr" | tr '\000-\377' '\001-\377\000'; } | openssl base64 >"$work/forged"
post simpleenroll "$work/forged" "${identity[@]}"
answered "a request with a bad signature: 400" 400
make_csr "$key" "/CN=$id" "$work/linked.csr" AAAAAAAAAAAAAAAA
openssl base64 -in "$work/linked.csr" -out "$work/linked.b64"
post simpleenroll "$work/linked.b64" "${identity[@]}"
answered "linked to another TLS session: refused (RFC 7030 section 3.5)" 400 401 403
post simpleenroll "$work/linked.b64" "${identity[@]}" --tlsv1.2 --tls-max 1.2
answered "the same over TLS 1.2" 400 401 403
case $(header content-type | sed 's/ *;.*//') in
  '' | text/plain | application/pkcs7-mime) ok "an error is text or a CMC response (RFC 8951 section 5)" ;;
  *) is "an error is text or a CMC response (RFC 8951 section 5)" text/plain "$(header content-type)" ;;
esac
post simpleenroll "$csr.b64" "${identity[@]}"
issued "after all these refusals the device enrols" "$key"

# --- renewal ---------------------------------------------------------------------------------------------------------------

renewing=(--cert "$work/ldevid.pem" --key "$work/ldevid.key")
make_renewal "$work/ldevid.pem" "$work/ldevid.key" "$work/renew.csr"
openssl base64 -in "$work/renew.csr" -out "$work/renew.b64"
post simplereenroll "$work/renew.b64"
answered "renewal without a certificate: 401 or 403" 401 403
post simplereenroll "$work/renew.b64" "${renewing[@]}"
issued "renewal with the same key" "$work/ldevid.key"
is "renewal: the same subject" "$(openssl x509 -in "$work/ldevid.pem" -noout -subject)" \
  "$(openssl x509 -in "$work/issued.pem" -noout -subject)"
is "renewal: another serial number" different \
  "$([ "$(openssl x509 -in "$work/ldevid.pem" -noout -serial)" = "$(openssl x509 -in "$work/issued.pem" -noout -serial)" ] || echo different)"
cp "$work/issued.pem" "$work/renewed.pem"
renewing=(--cert "$work/renewed.pem" --key "$work/ldevid.key")
make_csr "$work/ldevid.key" /CN=WIDGET-0002 "$work/takeover.csr"
openssl base64 -in "$work/takeover.csr" -out "$work/takeover.b64"
post simplereenroll "$work/takeover.b64" "${renewing[@]}"
answered "renewal under another subject: refused (RFC 7030 section 4.2.2)" 400 403
make_key "$work/new.key"
make_renewal "$work/renewed.pem" "$work/new.key" "$work/rekey.csr"
openssl base64 -in "$work/rekey.csr" -out "$work/rekey.b64"
post simplereenroll "$work/rekey.b64" "${renewing[@]}"
issued "rekey: the same subject, a new key" "$work/new.key"

# --- a device that waits for approval --------------------------------------------------------------------------------------------

token_device WAITING-1 --manual
post simpleenroll "$csr.b64" "${identity[@]}"
answered "a device that waits for approval: 202" 202
is "202 comes with a Retry-After (RFC 7030 section 4.2.3)" number \
  "$(header retry-after | grep -q -x '[0-9][0-9]*' && echo number)"
post simpleenroll "$csr.b64" "${identity[@]}"
answered "asked again before approval: 202" 202
runs "the operator approves" imprint device approve --data "$data" WAITING-1
post simpleenroll "$csr.b64" "${identity[@]}"
issued "approved: the certificate" "$key"
cp "$work/issued.pem" "$work/first.pem"
make_csr "$key" "/CN=$id" "$csr"
openssl base64 -in "$csr" -out "$csr.b64"
post simpleenroll "$csr.b64" "${identity[@]}"
issued "the answer was lost, the device asks again with another request for this key" "$key"
is "and gets the same certificate" "$(openssl x509 -in "$work/first.pem" -noout -serial)" \
  "$(openssl x509 -in "$work/issued.pem" -noout -serial)"

token_device WAITING-2 --manual
post simpleenroll "$csr.b64" "${identity[@]}"
answered "another device waits: 202" 202
runs "the operator refuses it" imprint device refuse --data "$data" WAITING-2
post simpleenroll "$csr.b64" "${identity[@]}"
answered "refused: 403" 401 403

token_device WAITING-3 --manual
post simpleenroll "$csr.b64" "${identity[@]}"
answered "a third device waits: 202" 202
stop_imprint
start_imprint
post simpleenroll "$csr.b64" "${identity[@]}"
answered "after a restart it waits still: 202" 202
runs "approved after the restart" imprint device approve --data "$data" WAITING-3
post simpleenroll "$csr.b64" "${identity[@]}"
issued "and enrolled" "$key"

# --- a second factory, while the server runs ----------------------------------------------------------------------------------------

make_idevids 1 GADGET
use_device 1 GADGET
post simpleenroll "$csr.b64" "${identity[@]}"
issued "a device that was imported while the server runs enrols with its IDevID" "$key"

# --- the end of a device -----------------------------------------------------------------------------------------------------------

runs "the operator retires a device" imprint device retire --data "$data" WIDGET-0003
use_device 3
post simpleenroll "$csr.b64" "${identity[@]}"
answered "a retired device enrols no more: 401 or 403" 401 403

runs "the audit log verifies" imprint audit verify --data "$data"
finish
