#!/usr/bin/env bash
# Our server as a gateway: devices on one side (curl with openssl, our client over HTTPS and CoAPS), an EST server upstream on the
# other: another `imprint serve`, and estserver of github.com/globalsign/est. Certificates are judged by the openssl command.
. "$(dirname "$0")/common.sh"

needs gateway curl openssl python3
far=$work/far
gate=$data

# --- the site upstream, with a place for gateways and one for their devices ---------------------------------------------

cat >"$work/far.toml" <<'TOML'
[profiles.gateway]
extended_key_usage = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.28"]
alt_names = ["dns:localhost", "ip:127.0.0.1"]

[profiles.devices]
handed_on = true
common_names = ["*"]
alt_names = []
lifetime_hours = 8000
TOML

# start_far: the site upstream; sets far_est, far_port, far_pid and far_anchors
start_far() {
  data=$far
  start_imprint --config "$work/far.toml"
  far_est=$est far_port=$port far_pid=$server_pid far_anchors=$work/far-anchors.pem
  cp "$anchors" "$far_anchors"
  echo "$far_port" >"$work/far.port"
  data=$gate
}

# start_gate [OPTION...]: the gateway; sets est, coaps and gate_pid. Devices know the CA upstream alone.
start_gate() {
  data=$gate
  start_imprint --config "$work/gate.toml" "$@"
  gate_pid=$server_pid
  anchors=$upstream_anchors
}

# certificates_of FOLDER SUBJECT: how many are on record there
certificates_of() {
  imprint ca list --data "$1" --json | python3 -c 'import json, sys
print(sum(1 for c in json.load(sys.stdin)["certificates"] if c["subject"] == sys.argv[1]))' "$2"
}

# post OPERATION FILE [CURL_OPTION...]: leaves the status in $status, the response in $work/head and $work/body
post() {
  local operation=$1 file=$2
  shift 2
  rm -f "$work/head" "$work/body"
  status=$(curl -sS -m 40 --cacert "$anchors" -D "$work/head" -o "$work/body" -w '%{http_code}' \
    -H 'Content-Type: application/pkcs10' --data-binary "@$file" "$@" "$est/.well-known/est/$operation" 2>"$work/curl.log") ||
    status="curl: $(tail -n 1 "$work/curl.log")"
}

# request ID: $work/ID.key and $work/ID.csr, for the name that the device is to have
request() {
  [ -s "$work/$1.key" ] || make_key "$work/$1.key"
  make_csr "$work/$1.key" "/CN=$1" "$work/$1.der" && openssl base64 -in "$work/$1.der" -out "$work/$1.csr"
}

# idevid ID: the curl options of a device with its maker's certificate
idevid() {
  echo "--cert $idevids/$1/idevid-chain.pem --key $idevids/$1/idevid-key.pem"
}

# issued NAME KEY: the last response is a certificate for this key by the CA upstream, left in $work/issued.pem
issued() {
  echo "status $status" >"$work/diagnosis"
  if [ "$status" = 200 ] && certs_only_to_pem "$work/body" "$work/issued.pem" && same_key "$work/issued.pem" "$2" &&
    openssl verify -CAfile "$upstream_anchors" "$work/issued.pem" >>"$work/diagnosis" 2>&1; then
    ok "$1"
  else
    cat "$work/body" "$work/head" >>"$work/diagnosis" 2>/dev/null
    not_ok "$1" "$work/diagnosis"
  fi
}

# held_by FOLDER NAME: key, certificate and anchors fit together
held_by() {
  if same_key "$1/cert.pem" "$1/key.pem" && openssl verify -CAfile "$upstream_anchors" "$1/cert.pem" >"$work/diagnosis" 2>&1; then
    ok "$2"
  else
    not_ok "$2" "$work/diagnosis"
  fi
}

# told RULE NAME: the operator of the gateway finds this rule in its audit log
told() {
  if imprint audit list --data "$gate" --json 2>"$work/diagnosis" | grep -q "$1"; then
    ok "$2"
  else
    imprint audit list --data "$gate" >>"$work/diagnosis" 2>&1
    not_ok "$2" "$work/diagnosis"
  fi
}

start_far
upstream_anchors=$far_anchors
data=$far
add_device gateway-1 --one-time --label gateway >"$work/ra.token"
chmod 600 "$work/ra.token"
data=$gate
runs "the gateway gets its own certificate upstream" imprint onboard est --server "$far_est" --anchors "$far_anchors" --user gateway-1 \
  --password-file "$work/ra.token" --label gateway --subject CN=gateway-1 --san dns:localhost --san ip:127.0.0.1 --out "$work/ra"
is "it is a registration authority's" yes \
  "$(openssl x509 -in "$work/ra/cert.pem" -noout -text | grep -q -E 'CMC Registration Authority|1\.3\.6\.1\.5\.5\.7\.3\.28' && echo yes)"

python3 "$here/holding_proxy.py" "$work/far.port" "$work/hold" "$work/proxy.port" 2>"$work/proxy.log" &
started+=("$!")
wait_for 10 [ -s "$work/proxy.port" ] || { not_ok "the proxy starts" "$work/proxy.log"; finish; }
cat >"$work/gate.toml" <<TOML
[upstream]
uri = "https://127.0.0.1:$(cat "$work/proxy.port")"
label = "devices"
anchors = "$work/ra/anchors.pem"
certificate = "$work/ra/chain.pem"
key = "$work/ra/key.pem"
timeout_s = 10
TOML
make_idevids 8
start_gate

# --- devices ------------------------------------------------------------------------------------------------------------

curl -sS -m 20 --cacert "$anchors" "$est/.well-known/est/cacerts" -o "$work/body" 2>"$work/curl.log"
certs_only_to_pem "$work/body" "$work/cacerts.pem"
is "cacerts of the gateway: the root upstream" "$(openssl x509 -in "$far_anchors" -noout -fingerprint -sha256)" \
  "$(openssl x509 -in "$work/cacerts.pem" -noout -fingerprint -sha256)"

id=WIDGET-0001
request "$id"
post simpleenroll "$work/$id.csr" $(idevid "$id")
issued "curl with an IDevID: a certificate of the CA upstream" "$work/$id.key"
is "its name is the device's" "subject=CN = $id" "$(openssl x509 -in "$work/issued.pem" -noout -subject)"
is "its uses are those of the profile upstream" no \
  "$(openssl x509 -in "$work/issued.pem" -noout -text | grep -q -E 'CMC Registration|1\.3\.6\.1\.5\.5\.7\.3\.28|TLS Web Server' && echo yes || echo no)"
cp "$work/issued.pem" "$work/$id.pem"
is "it is on record upstream, once" 1 "$(certificates_of "$far" "CN=$id")"
is "and here" 1 "$(certificates_of "$gate" "CN=$id")"
post simpleenroll "$work/$id.csr" $(idevid "$id")
is "asked again: the same certificate" "$(openssl x509 -in "$work/$id.pem" -noout -serial)" \
  "$(certs_only_to_pem "$work/body" "$work/again.pem" && openssl x509 -in "$work/again.pem" -noout -serial)"
is "and nobody upstream was asked" 1 "$(certificates_of "$far" "CN=$id")"

request STRANGER
post simpleenroll "$work/STRANGER.csr"
is "a stranger: 401 of the gateway's own" 401 "$status"
post serverkeygen "$work/STRANGER.csr" $(idevid "$id")
is "a key from the server: there is none at a gateway" 501 "$status"

# onboard FOLDER OPTION...: our client
onboard() {
  local out=$1
  shift
  timeout 60 "$IMPRINT" onboard est --out "$work/$out" "$@" </dev/null
}
id=WIDGET-0002
runs "our client with an IDevID" onboard two --server "$est" --anchors "$anchors" --device "$idevids/$id"
held_by "$work/two" "our client: key, certificate and anchors"
runs "our client renews through the gateway" onboard two --server "$est" --renew
held_by "$work/two" "renewed: key, certificate and anchors"
is "renewed: two certificates upstream" 2 "$(certificates_of "$far" "CN=$id")"
runs "and over CoAPS" onboard three --server "$coaps" --anchors "$anchors" --device "$idevids/WIDGET-0003"
held_by "$work/three" "over CoAPS: key, certificate and anchors"
runs "and by a signed request (fullcmc)" onboard four --server "$est" --anchors "$anchors" --device "$idevids/WIDGET-0004" --fullcmc
held_by "$work/four" "fullcmc: key, certificate and anchors"

# --- revoked here ---------------------------------------------------------------------------------------------------------

serial=$(openssl x509 -in "$work/two/cert.pem" -noout -serial | cut -d = -f 2)
runs "ca revoke" imprint ca revoke --data "$gate" "$serial"
is "it says who has to revoke it, too" yes "$(grep -q "signed by CN=Imprint Owner CA" "$work/diagnosis" && echo yes)"
exits "the device is refused here from then on" 3 onboard two --server "$est" --renew
is "our own list does not have it" no \
  "$(imprint ca crl --data "$gate" 2>/dev/null | openssl crl -noout -text | grep -q -i "$serial" && echo yes || echo no)"

# --- upstream is slow, away, back --------------------------------------------------------------------------------------------

stop "$far_pid"
id=WIDGET-0005
request "$id"
post simpleenroll "$work/$id.csr" $(idevid "$id")
is "upstream is away: 503" 503 "$status"
is "with Retry-After" yes "$(grep -q -i '^retry-after: [0-9]' "$work/head" && echo yes)"
stop "$gate_pid"
start_gate
ok "the gateway starts while upstream is away"
start_far
est=$(json_text est <"$gate/endpoints.json")
anchors=$upstream_anchors
kill -STOP "$far_pid"
post simpleenroll "$work/$id.csr" $(idevid "$id")
is "upstream hangs: 503 when our patience ends" 503 "$status"
kill -CONT "$far_pid"
post simpleenroll "$work/$id.csr" $(idevid "$id")
issued "upstream is back: the certificate" "$work/$id.key"
is "one certificate, though it was asked for three times" 1 "$(certificates_of "$gate" "CN=$id")"
is "and one upstream" 1 "$(certificates_of "$far" "CN=$id")"

# --- kill -9 between the answer upstream and ours ------------------------------------------------------------------------------

id=WIDGET-0006
request "$id"
touch "$work/hold"
(post simpleenroll "$work/$id.csr" $(idevid "$id")) &
recorded() {
  [ "$(certificates_of "$far" "CN=$id")" = 1 ]
}
wait_for 10 recorded
is "upstream has signed and answered" 1 "$(certificates_of "$far" "CN=$id")"
kill -9 "$gate_pid"
wait "$!" "$gate_pid" 2>/dev/null
rm "$work/hold"
is "the gateway knows nothing of it" 0 "$(certificates_of "$gate" "CN=$id")"
start_gate
post simpleenroll "$work/$id.csr" $(idevid "$id")
issued "the device comes again: its certificate" "$work/$id.key"
is "it is the one that was signed before" 1 "$(certificates_of "$far" "CN=$id")"
is "and it is on record" 1 "$(certificates_of "$gate" "CN=$id")"
runs "the audit log is whole" imprint audit verify --data "$gate"

# --- a new root upstream: devices know the old one ----------------------------------------------------------------------------------

runs "a new root upstream" imprint ca rollover --data "$far"
imprint ca show --data "$far" --pem >"$work/far-new.pem" 2>"$work/ca.log"
shows_both() {
  curl -sS -m 20 --cacert "$far_anchors" "$far_est/.well-known/est/cacerts" -o "$work/both" && certs_only_to_pem "$work/both" "$work/both.pem" &&
    [ "$(grep -c BEGIN "$work/both.pem")" -gt 1 ]
}
# Each thread of the server takes the new root up by itself: ten answers in a row come from all of them.
all_show_both() {
  local n
  for n in $(seq 10); do shows_both || return 1; done
}
wait_for 20 all_show_both && ok "it shows both" || not_ok "it shows both" "$work/serve.log"
id=WIDGET-0008
request "$id"
comes_again() {
  post simpleenroll "$work/$id.csr" $(idevid "$id")
  [ "$status" = 200 ]
}
comes_again
is "a certificate of a CA that the gateway has not met: 503" 503 "$status"
wait_for 60 comes_again
upstream_anchors=$work/far-new.pem
issued "the device comes again: its certificate" "$work/$id.key"
is "it was never refused" 0 "$(imprint audit list --data "$gate" --json | grep -c EST-UPSTREAM-CHAIN)"
runs "a device of before renews" onboard three --server "$est" --renew
held_by "$work/three" "renewed below the new root: key, certificate and anchors"

runs "the gateway renews its own certificate" imprint onboard est --server "$far_est" --label gateway --renew --out "$work/ra"
below_new() {
  openssl s_client -connect "${est#https://}" -showcerts </dev/null 2>/dev/null | openssl x509 >"$work/gate.pem" 2>/dev/null &&
    openssl verify -CAfile "$work/far-new.pem" "$work/gate.pem"
}
wait_for 20 below_new && ok "and serves with it" || not_ok "and serves with it" "$work/serve.log"
is "who knows the old root alone verifies it" 200 \
  "$(curl -sS -m 20 --cacert "$far_anchors" "$est/.well-known/est/cacerts" -o "$work/body" -w '%{http_code}' 2>"$work/curl.log")"
runs "a device that does renews" onboard four --server "$est" --renew
held_by "$work/four" "renewed from the old root: key, certificate and anchors"

# --- upstream refuses us -----------------------------------------------------------------------------------------------------

runs "the gateway is not wanted upstream any more" imprint device retire --data "$far" gateway-1
id=WIDGET-0007
request "$id"
post simpleenroll "$work/$id.csr" $(idevid "$id")
is "its devices are refused" 403 "$status"
told EST-UPSTREAM-REFUSED "and the operator is told why"
stop "$gate_pid"
stop "$far_pid"

# --- estserver of github.com/globalsign/est upstream ---------------------------------------------------------------------------------

estserver=$peers/bin/estserver
if [ ! -x "$estserver" ]; then
  skip "globalsign upstream" "no estserver; tests/interop/est/peers.sh brings it"
  finish
fi
foreign=$work/foreign
mkdir "$foreign"
make_key "$foreign/ca.key"
openssl req -x509 -new -key "$foreign/ca.key" -subj "/CN=Foreign Root" -days 2 -out "$foreign/ca.pem" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
# certify NAME USES: a key and a certificate of the foreign CA for this machine
certify() {
  make_key "$foreign/$1.key"
  openssl req -new -key "$foreign/$1.key" -subj "/CN=$1" -out "$foreign/$1.csr" 2>/dev/null
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature\nextendedKeyUsage=%s\n' "$2" >"$foreign/$1.ext"
  openssl x509 -req -in "$foreign/$1.csr" -CA "$foreign/ca.pem" -CAkey "$foreign/ca.key" -CAcreateserial -days 2 \
    -extfile "$foreign/$1.ext" -out "$foreign/$1.pem" 2>/dev/null
}
certify tls serverAuth
certify ra serverAuth,clientAuth,1.3.6.1.5.5.7.3.28
cat >"$foreign/config.json" <<JSON
{
  "mock_ca": {"certificates": "$foreign/ca.pem", "private_key": "$foreign/ca.key"},
  "tls": {
    "listen_address": "127.0.0.1:0",
    "certificates": "$foreign/tls.pem",
    "private_key": "$foreign/tls.key",
    "client_cas": ["$foreign/ca.pem"]
  }
}
JSON
"$estserver" -config "$foreign/config.json" >"$foreign/log" 2>&1 &
its_pid=$!
started+=("$its_pid")
wait_for 10 listening_port "$its_pid" || { not_ok "estserver starts" "$foreign/log"; finish; }
upstream_anchors=$foreign/ca.pem

# configure LABEL USES...: a gateway to estserver whose profile gives these uses
configure() {
  cat >"$work/gate.toml" <<TOML
[upstream]
uri = "https://localhost:$(listening_port "$its_pid")"
label = "$1"
anchors = "$foreign/ca.pem"
certificate = "$foreign/ra.pem"
key = "$foreign/ra.key"

[profiles.default]
extended_key_usage = [$2]
common_names = ["{id}", "Trigger Error Deferred", "Trigger Error Forbidden"]
TOML
}
gate=$work/second
data=$gate
make_idevids 4 GADGET
configure "" '"1.3.6.1.5.5.7.3.2"'
start_gate
id=GADGET-0001
request "$id"
post simpleenroll "$work/$id.csr" $(idevid "$id")
is "globalsign upstream: it signs for TLS servers too, which the profile does not give" 403 "$status"
told EST-UPSTREAM-USAGES "and the operator is told"
is "nothing is on record" 0 "$(certificates_of "$gate" "CN=$id")"
stop "$gate_pid"

configure "" '"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"'
start_gate
request "$id"
post simpleenroll "$work/$id.csr" $(idevid "$id")
issued "globalsign upstream: curl with an IDevID" "$work/$id.key"
runs "globalsign upstream: our client" onboard gadget --server "$est" --anchors "$anchors" --device "$idevids/GADGET-0002"
held_by "$work/gadget" "globalsign upstream: key, certificate and anchors"
runs "globalsign upstream: our client renews" onboard gadget --server "$est" --renew
held_by "$work/gadget" "globalsign upstream, renewed: key, certificate and anchors"
stop "$gate_pid"

# At this label estserver answers by the common name, and has no CA certificates: those are known from before.
configure triggererrors '"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"'
start_gate
make_key "$work/trigger.key"
make_csr "$work/trigger.key" "/CN=Trigger Error Deferred" "$work/trigger.der" && openssl base64 -in "$work/trigger.der" -out "$work/trigger.csr"
post simpleenroll "$work/trigger.csr" $(idevid GADGET-0003)
is "globalsign upstream: 202" 202 "$status"
is "its Retry-After comes through" "600" "$(tr -d '\r' <"$work/head" | sed -n 's/^retry-after: *//Ip')"
make_csr "$work/trigger.key" "/CN=Trigger Error Forbidden" "$work/trigger.der" && openssl base64 -in "$work/trigger.der" -out "$work/trigger.csr"
post simpleenroll "$work/trigger.csr" $(idevid GADGET-0003)
is "globalsign upstream: 403" 403 "$status"
stop "$gate_pid"
finish
