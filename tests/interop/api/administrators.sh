#!/usr/bin/env bash
# Administrators by client certificate: the openssl command makes their CA, curl and openssl s_client are the peers.
. "$(dirname "$0")/../est/common.sh"

needs curl curl openssl
make_site

# authority NAME: a CA of the openssl command's, in $work/NAME.
authority() {
  mkdir -p "$work/$1"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nserial=%s/serial\ncrlnumber=%s/number\ndefault_md=sha256\n' "$work/$1" "$work/$1" "$work/$1" >"$work/$1/cnf"
  : >"$work/$1/index"
  echo 01 >"$work/$1/number"
  make_key "$work/$1/key.pem"
  openssl req -x509 -new -key "$work/$1/key.pem" -subj "/CN=$1" -days 30 -out "$work/$1/ca.pem" \
    -config <(printf '[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n')
}

# person CA NAME [X509_OPTION...]: a client certificate, in $work/NAME.pem and $work/NAME.key.
person() {
  local ca=$1 name=$2
  shift 2
  make_key "$work/$name.key"
  openssl req -new -key "$work/$name.key" -subj "/O=Site/CN=$name" -out "$work/$name.csr"
  openssl x509 -req -in "$work/$name.csr" -CA "$work/$ca/ca.pem" -CAkey "$work/$ca/key.pem" -CAcreateserial \
    -extfile <(printf 'extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n') -out "$work/$name.pem" "$@" 2>/dev/null
}

# list CA: its revocation list, in $work/CA/list.pem.
list() { openssl ca -gencrl -config "$work/$1/cnf" -keyfile "$work/$1/key.pem" -cert "$work/$1/ca.pem" -crldays 30 -out "$work/$1/list.pem.new" 2>/dev/null && mv "$work/$1/list.pem.new" "$work/$1/list.pem"; }

fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//'; }

# config ADMINISTRATORS PINS: writes the configuration.
config() {
  cat >"$work/imprint.toml" <<TOML
[est]
names = ['localhost', '127.0.0.1']
[api]
tls = true
administrators = [$1]
pins = [$2]
revocation_lists = ['$work/admins/list.pem']
TOML
}

# asks PATH [CURL_OPTION...]: leaves the status in $status and the answer in $work/answer.
asks() {
  local path=$1
  shift
  rm -f "$work/answer"
  status=$(curl -sS -m 20 --cacert "$anchors" -o "$work/answer" -w '%{http_code}' "$@" "$api$path" 2>"$work/curl.log") ||
    status="curl: $(tail -n 1 "$work/curl.log")"
  [ -e "$work/answer" ] || : >"$work/answer"
}

by() { echo --cert "$work/$1.pem" --key "$work/$1.key"; }

# refused NAME STATUS RULE
refused() {
  if [ "$status" = "$2" ] && [ "$(json_text id <"$work/answer")" = "$3" ]; then
    ok "$1"
  else
    { echo "wanted: $2 $3"; echo "got: $status"; cat "$work/answer"; } >"$work/diagnosis"
    not_ok "$1" "$work/diagnosis"
  fi
}

authority admins
authority others
list admins
person admins alice -days 10
person admins bob -days 10
person admins old -days 10
person others mallory -days 10
person others pinned -days 10
openssl x509 -req -in "$work/old.csr" -CA "$work/admins/ca.pem" -CAkey "$work/admins/key.pem" -CAcreateserial -days -1 \
  -extfile <(printf 'extendedKeyUsage=clientAuth\n') -out "$work/old.pem" 2>/dev/null

# --- what is not started ---------------------------------------------------------------------------------------------

exits 'plain HTTP listens on loopback only' 2 env IMPRINT_API_LISTEN=0.0.0.0:0 "$IMPRINT" serve --data "$data"
exits 'and TLS beyond loopback wants administrators' 2 env IMPRINT_API_LISTEN=0.0.0.0:0 IMPRINT_API_TLS=true "$IMPRINT" serve --data "$data"
config "'$data/ca/chain.pem'" ""
sed -i '/revocation_lists/d' "$work/imprint.toml"
bounded "$IMPRINT" --config "$work/imprint.toml" serve --data "$data" >"$work/own.log" 2>&1
grep -q SERVE-ADMINISTRATORS "$work/own.log" && ok "the CA of devices is not that of administrators" || not_ok "the CA of devices is not that of administrators" "$work/own.log"

# --- on loopback: token or certificate --------------------------------------------------------------------------------

config "'$work/admins/ca.pem'" "'$(fingerprint "$work/pinned.pem")'"
start_imprint --config "$work/imprint.toml"
api=$(json_text api <"$data/endpoints.json")
token=$(cat "$data/admin.token")

asks /v1/devices -H "Authorization: Bearer $token"
is "on loopback the token still counts" 200 "$status"
asks /v1/devices
refused "nobody gets nothing" 401 API-TOKEN
# shellcheck disable=SC2046
asks /v1/devices $(by alice)
is "a certificate of the administrators' CA counts as well" 200 "$status"
# shellcheck disable=SC2046
asks /v1/devices $(by alice) -H 'Content-Type: application/json' -d '{"id":"lamp-1"}'
is "its holder changes things" 201 "$status"
wanted="admin $(openssl x509 -in "$work/alice.pem" -noout -subject -nameopt RFC2253 | sed 's/^subject=//') sha256:$(fingerprint "$work/alice.pem" | tr -d : | tr 'A-F' 'a-f')"
# shellcheck disable=SC2046
asks /v1/audit $(by alice)
got=$(grep -o '"actor":"admin [^"]*"' "$work/answer" | tail -n 1 | sed 's/^"actor":"//; s/"$//')
is "and the audit log says who it was" "$wanted" "$got"
# shellcheck disable=SC2046
asks /v1/devices $(by pinned)
is "a pinned certificate needs no CA" 200 "$status"
# shellcheck disable=SC2046
asks /v1/devices $(by mallory)
refused "one of another CA does not count" 403 API-CERTIFICATE
# shellcheck disable=SC2046
asks /v1/devices $(by old)
refused "one that is over does not count" 403 API-CERTIFICATE-TIME
# shellcheck disable=SC2046
asks /v1/devices/lamp-1/retire $(by alice) -X POST -H 'Origin: https://evil.example'
refused "a page of another origin does not get a browser's certificate used" 403 API-ORIGIN
# shellcheck disable=SC2046
asks /v1/devices $(by alice) -H "Origin: $api"
is "a page of our own does" 200 "$status"
# shellcheck disable=SC2046
asks /v1/devices $(by alice) -H 'Host: evil.example:1'
refused "nor a name that was made to point here" 403 API-HOST

# --- openssl s_client: a certificate without its key is none -----------------------------------------------------------

host=${api#https://}
say() { printf 'GET /v1/devices HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$host"; }
say | timeout 20 openssl s_client -quiet -connect "$host" -CAfile "$anchors" -verify_return_error -cert "$work/bob.pem" -key "$work/bob.key" >"$work/s_client" 2>&1
grep -q '^HTTP/1.1 200' "$work/s_client" && ok "openssl s_client with a certificate is answered" || not_ok "openssl s_client with a certificate is answered" "$work/s_client"
say | timeout 20 openssl s_client -quiet -tls1_2 -connect "$host" -CAfile "$anchors" -verify_return_error -cert "$work/bob.pem" -key "$work/bob.key" >"$work/s_client" 2>&1
grep -q '^HTTP/1.1 200' "$work/s_client" && ok "over TLS 1.2 as well" || not_ok "over TLS 1.2 as well" "$work/s_client"
say | timeout 20 openssl s_client -quiet -connect "$host" -CAfile "$anchors" >"$work/s_client" 2>&1
grep -q '^HTTP/1.1 401' "$work/s_client" && ok "and without one asked for the token" || not_ok "and without one asked for the token" "$work/s_client"

# --- revoked, and no administrator any more ----------------------------------------------------------------------------

# shellcheck disable=SC2046
curl -sS -m 30 -N --cacert "$anchors" $(by bob) "$api/v1/events" >"$work/events" 2>&1 &
listener=$!
started+=("$listener")
wait_for 10 grep -q imprint "$work/events" || not_ok "the stream of events begins" "$work/events"
openssl ca -config "$work/admins/cnf" -keyfile "$work/admins/key.pem" -cert "$work/admins/ca.pem" -revoke "$work/bob.pem" 2>"$work/revoke.log"
list admins
now_is() {  # now_is STATUS CURL_OPTION...
  local wanted=$1
  shift
  asks /v1/devices "$@"
  [ "$status" = "$wanted" ]
}
# shellcheck disable=SC2046
wait_for 20 now_is 403 $(by bob)
refused "a fresh list is taken by itself: who is on it is refused" 403 API-CERTIFICATE-REVOKED
wait_for 10 eval '! kill -0 $listener' && ok "and loses the stream of events" || not_ok "and loses the stream of events" "$work/events"
# shellcheck disable=SC2046
asks /v1/devices $(by alice)
is "the others stay" 200 "$status"

config "'$work/others/ca.pem'" ""
sed -i '/revocation_lists/d' "$work/imprint.toml"
kill -HUP "$server_pid"
# shellcheck disable=SC2046
wait_for 20 now_is 200 $(by mallory)
is "SIGHUP takes other administrators" 200 "$status"
# shellcheck disable=SC2046
asks /v1/devices $(by alice)
refused "those of before are none any more" 403 API-CERTIFICATE
echo text >"$work/text.pem"
config "'$work/text.pem'" ""
kill -HUP "$server_pid"
wait_for 10 grep -q administrators.unusable "$work/serve.log" && ok "a file that cannot be used is told" || not_ok "a file that cannot be used is told" "$work/serve.log"
# shellcheck disable=SC2046
asks /v1/devices $(by mallory)
is "and what was there stays in force" 200 "$status"
stop_imprint

# --- beyond loopback: certificates only --------------------------------------------------------------------------------

config "'$work/admins/ca.pem'" ""
rm -f "$data/endpoints.json"
IMPRINT_EST_LISTEN=127.0.0.1:0 IMPRINT_EST_COAPS='' IMPRINT_API_LISTEN=0.0.0.0:0 "$IMPRINT" --config "$work/imprint.toml" serve --data "$data" >>"$work/serve.log" 2>&1 &
server_pid=$!
started+=("$server_pid")
wait_for 20 test -s "$data/endpoints.json"
api=https://127.0.0.1:$(json_text api <"$data/endpoints.json" | sed 's/.*://')
asks /v1/devices -H "Authorization: Bearer $token"
refused "beyond loopback the token does not count" 403 API-CERTIFICATE
asks /metrics
refused "and nothing is open" 403 API-CERTIFICATE
# shellcheck disable=SC2046
asks /metrics $(by alice)
is "to an administrator it is" 200 "$status"
status=$(curl -s -m 10 -o /dev/null -w '%{http_code}' "http://${api#https://}/v1/devices" 2>/dev/null) || true
is "plain HTTP gets no answer" 000 "$status"
stop_imprint

# --- our CA comes below a root of administrators: its devices are none --------------------------------------------------

config "'$work/admins/ca.pem', '$work/others/ca.pem'" ""
sed -i '/revocation_lists/d' "$work/imprint.toml"
start_imprint --config "$work/imprint.toml"
api=$(json_text api <"$data/endpoints.json")
cat "$work/others/ca.pem" >>"$anchors"
# shellcheck disable=SC2046
asks /v1/devices $(by mallory)
is "two CAs of administrators" 200 "$status"
imprint ca request --data "$data" --out "$work/ours.csr" >"$work/install.log" 2>&1
openssl x509 -req -in "$work/ours.csr" -CA "$work/others/ca.pem" -CAkey "$work/others/key.pem" -CAcreateserial -days 20 \
  -copy_extensions copy -out "$work/ours.pem" 2>/dev/null
runs "while the server runs, our CA comes below one of them" imprint ca install --data "$data" --cert "$work/ours.pem" --chain "$work/others/ca.pem"
# shellcheck disable=SC2046
wait_for 20 now_is 403 $(by mallory)
refused "which is none of administrators any more" 403 API-CERTIFICATE
# shellcheck disable=SC2046
asks /v1/devices $(by alice)
is "the other one stays" 200 "$status"
add_device lamp-2 --one-time >"$work/lamp-2.token"
chmod 600 "$work/lamp-2.token"
runs "a device gets a certificate below that root" imprint onboard est --server "$est" --anchors "$work/others/ca.pem" --user lamp-2 \
  --password-file "$work/lamp-2.token" --out "$work/lamp-2"
asks /v1/devices --cert "$work/lamp-2/chain.pem" --key "$work/lamp-2/key.pem"
refused "and is no administrator" 403 API-CERTIFICATE
stop_imprint
exits "the next start wants another configuration" 4 "$IMPRINT" --config "$work/imprint.toml" serve --data "$data"
finish
