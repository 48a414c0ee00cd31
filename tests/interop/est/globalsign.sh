#!/usr/bin/env bash
# The Go module github.com/globalsign/est, both ways round: its estclient against our server, and our client against its
# estserver. It insists on a Content-Transfer-Encoding header in both directions and on one certificate in an enrolment's
# answer, and speaks TLS 1.3.
. "$(dirname "$0")/common.sh"

needs globalsign openssl
[ ! -s "$peers/globalsign.missing" ] || skip_all globalsign "$(cat "$peers/globalsign.missing")"
estclient=$peers/bin/estclient
estserver=$peers/bin/estserver
[ -x "$estclient" ] && [ -x "$estserver" ] || skip_all globalsign "no estclient; tests/interop/est/peers.sh brings it"
make_idevids 1
cat >"$work/imprint.toml" <<'TOML'
[profiles.wishes]
wanted_key = "p384"

[profiles.given]
server_keys = "clear"
TOML
start_imprint --config "$work/imprint.toml"

# --- its client, our server --------------------------------------------------------------------------------------------

# its OPERATION OPTION...
its() {
  local operation=$1
  shift
  timeout 30 "$estclient" "$operation" -server "127.0.0.1:$port" -explicit "$anchors" -timeout 20s "$@"
}

runs "estclient cacerts" its cacerts -out "$work/ca.pem"
runs "estclient cacerts: the owner's" openssl verify -CAfile "$anchors" "$work/ca.pem"
runs "estclient cacerts, unverified as in a bootstrap" timeout 30 "$estclient" cacerts -server "127.0.0.1:$port" -insecure \
  -rootout -out "$work/root.pem"
is "its root is the owner's" "$(openssl x509 -in "$anchors" -noout -fingerprint -sha256)" \
  "$(openssl x509 -in "$work/root.pem" -noout -fingerprint -sha256)"
runs "estclient csrattrs: no wishes" its csrattrs
runs "estclient csrattrs: a list" its csrattrs -aps wishes
cp "$work/diagnosis" "$work/list"
is "estclient reads the list: id-ecPublicKey with secp384r1" 2 "$(grep -o -E '1\.2\.840\.10045\.2\.1|1\.3\.132\.0\.34' "$work/list" | sort -u | wc -l)"

# request ID: $work/ID.key and $work/ID.csr
request() {
  make_key "$work/$1.key" && timeout 30 "$estclient" csr -key "$work/$1.key" -cn "$1" -out "$work/$1.csr"
}

# enrolled NAME CERTIFICATE KEY
enrolled() {
  if same_key "$2" "$3" 2>"$work/diagnosis" && openssl verify -CAfile "$anchors" -untrusted "$work/ca.pem" "$2" >"$work/diagnosis" 2>&1; then
    ok "$1"
  else
    not_ok "$1" "$work/diagnosis"
  fi
}

token=$(add_device GO-1 --one-time)
request GO-1
runs "estclient enroll with a one-time token" its enroll -csr "$work/GO-1.csr" -user GO-1 -pass "$token" -out "$work/GO-1.pem"
enrolled "estclient enroll: the certificate" "$work/GO-1.pem" "$work/GO-1.key"
request GO-THIEF
exits "estclient enroll: the token is spent" 1 its enroll -csr "$work/GO-THIEF.csr" -user GO-1 -pass "$token" -out "$work/thief.pem"
exits "estclient enroll without credentials" 1 its enroll -csr "$work/GO-THIEF.csr" -out "$work/thief.pem"

id=WIDGET-0001
request "$id"
runs "estclient enroll with an IDevID" its enroll -csr "$work/$id.csr" -certs "$idevids/$id/idevid-chain.pem" \
  -key "$idevids/$id/idevid-key.pem" -out "$work/$id.pem"
enrolled "estclient enroll with an IDevID: the certificate" "$work/$id.pem" "$work/$id.key"
cat "$work/$id.pem" "$work/ca.pem" >"$work/$id.chain"
runs "estclient reenroll" its reenroll -key "$work/$id.key" -certs "$work/$id.chain" -out "$work/$id.again.pem"
enrolled "estclient reenroll: the certificate" "$work/$id.again.pem" "$work/$id.key"

token=$(add_device GO-3 --one-time --label given)
request GO-3
runs "estclient serverkeygen" its serverkeygen -aps given -csr "$work/GO-3.csr" -user GO-3 -pass "$token" -out "$work/GO-3.pem" \
  -keyout "$work/GO-3.given.key"
enrolled "estclient serverkeygen: the certificate is for the key that was sent" "$work/GO-3.pem" "$work/GO-3.given.key"
is "estclient serverkeygen: not for its own" different "$(same_key "$work/GO-3.pem" "$work/GO-3.key" || echo different)"

token=$(add_device GO-2 --one-time --manual)
request GO-2
waiting() {
  ! its enroll -csr "$work/GO-2.csr" -user GO-2 -pass "$token" -out "$work/GO-2.pem" 2>&1 | tee "$work/waiting.log" | grep -q panic &&
    grep -i -E '202|accepted|retry|wait|pending|approv' "$work/waiting.log"
}
runs "estclient enroll: 202 until the operator approves" waiting
runs "the operator approves" imprint device approve --data "$data" GO-2
runs "estclient enroll: then the certificate" its enroll -csr "$work/GO-2.csr" -user GO-2 -pass "$token" -out "$work/GO-2.pem"
enrolled "estclient enroll after approval: the certificate" "$work/GO-2.pem" "$work/GO-2.key"
stop_imprint

# --- our client, its server ----------------------------------------------------------------------------------------------

foreign=$work/foreign
mkdir "$foreign"
# A root and the TLS certificate of the foreign site; the factory's device is known there by its maker's root.
make_key "$foreign/ca.key"
openssl req -x509 -new -key "$foreign/ca.key" -subj "/CN=Foreign Root" -days 2 -out "$foreign/ca.pem" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
make_key "$foreign/tls.key"
openssl req -new -key "$foreign/tls.key" -subj /CN=localhost -out "$foreign/tls.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n' >"$foreign/tls.ext"
openssl x509 -req -in "$foreign/tls.csr" -CA "$foreign/ca.pem" -CAkey "$foreign/ca.key" -CAcreateserial -days 2 \
  -extfile "$foreign/tls.ext" -out "$foreign/tls.pem" 2>/dev/null
cp "$idevids/maker-root.pem" "$foreign/maker.pem"
cat >"$foreign/config.json" <<JSON
{
  "mock_ca": {"certificates": "$foreign/ca.pem", "private_key": "$foreign/ca.key"},
  "tls": {
    "listen_address": "127.0.0.1:0",
    "certificates": "$foreign/tls.pem",
    "private_key": "$foreign/tls.key",
    "client_cas": ["$foreign/ca.pem", "$foreign/maker.pem"]
  }
}
JSON
"$estserver" -config "$foreign/config.json" >"$foreign/log" 2>&1 &
its_pid=$!
started+=("$its_pid")
wait_for 10 listening_port "$its_pid" || { not_ok "estserver starts" "$foreign/log"; finish; }
its_url=https://127.0.0.1:$(listening_port "$its_pid")

# onboard FOLDER OPTION...
onboard() {
  local out=$1
  shift
  timeout 60 "$IMPRINT" onboard est --server "$its_url" --out "$work/$out" "$@" </dev/null
}

# holds NAME FOLDER: key, certificate and anchors that fit together.
holds() {
  local folder=$work/$2
  if same_key "$folder/cert.pem" "$folder/key.pem" 2>"$work/diagnosis" && openssl verify -CAfile "$folder/anchors.pem" "$folder/cert.pem" >"$work/diagnosis" 2>&1 &&
    [ "$(openssl x509 -in "$folder/anchors.pem" -noout -fingerprint -sha256)" = "$(openssl x509 -in "$foreign/ca.pem" -noout -fingerprint -sha256)" ]; then
    ok "$1"
  else
    not_ok "$1" "$work/diagnosis"
  fi
}

echo secret >"$work/password"
chmod 600 "$work/password"
runs "onboard at estserver with a password" onboard new --anchors "$foreign/ca.pem" --user dev-1 --password-file "$work/password" \
  --subject CN=dev-1
holds "onboard: key, certificate and anchors" new
is "onboard: the subject" "subject=CN = dev-1" "$(openssl x509 -in "$work/new/cert.pem" -noout -subject 2>/dev/null)"
is "onboard: the key is nobody else's to read" 600 "$(stat -L -c %a "$work/new/key.pem" 2>/dev/null)"

cp -r "$work/new" "$work/before"
runs "renewal at estserver" onboard new --anchors "$foreign/ca.pem" --renew --same-key
holds "renewal: key, certificate and anchors" new
is "renewal: another certificate" different \
  "$(cmp -s "$work/before/cert.pem" "$work/new/cert.pem" || echo different)"
is "renewal: the same key" same "$(cmp -s "$work/before/key.pem" "$work/new/key.pem" && echo same)"
runs "renewal with a new key" onboard new --anchors "$foreign/ca.pem" --renew --new-key
holds "renewal with a new key: key, certificate and anchors" new
is "renewal with a new key: another key" different "$(cmp -s "$work/before/key.pem" "$work/new/key.pem" || echo different)"
is "estserver saw it renew" yes "$([ "$(grep -c simplereenroll "$foreign/log")" -ge 2 ] && echo yes)"

# It makes RSA keys of 2,048 bits, whatever the request asks for.
exits "onboard at estserver, which makes a weaker key than asked for: refused" 3 onboard weak --anchors "$foreign/ca.pem" --user dev-4 \
  --password-file "$work/password" --subject CN=dev-4 --server-key clear
runs "onboard at estserver with a key that it makes" onboard given --anchors "$foreign/ca.pem" --user dev-4 \
  --password-file "$work/password" --subject CN=dev-4 --server-key clear --key-type rsa2048
holds "onboard with its key: key, certificate and anchors" given
is "estserver made one" yes "$(grep -q serverkeygen "$foreign/log" && echo yes)"

# No password at all: the server knows the device by the root of its maker alone.
runs "onboard at estserver with an IDevID" onboard idevid --anchors "$foreign/ca.pem" --device "$idevids/$id" --subject "CN=$id"
holds "onboard with an IDevID: key, certificate and anchors" idevid
is "onboard with an IDevID: the subject" "subject=CN = $id" "$(openssl x509 -in "$work/idevid/cert.pem" -noout -subject 2>/dev/null)"

fingerprint=$(openssl x509 -in "$foreign/ca.pem" -noout -fingerprint -sha256 | cut -d = -f 2)
runs "onboard by the fingerprint of the CA" onboard printed --fingerprint "$fingerprint" --user dev-2 --password-file "$work/password" \
  --subject CN=dev-2
holds "onboard by fingerprint: key, certificate and anchors" printed

# At this label estserver sends the attributes that RFC 7030 section 4.5.2 prints, one of which RFC 9908 calls wrong.
runs "onboard with the attributes of RFC 7030's example" onboard attributes --anchors "$foreign/ca.pem" --label csrattrs --user dev-3 \
  --password-file "$work/password" --subject CN=dev-3
holds "onboard with attributes: key, certificate and anchors" attributes
is "onboard with attributes: the curve that the server wants" secp384r1 \
  "$(openssl pkey -in "$work/attributes/key.pem" -noout -text 2>/dev/null | sed -n 's/^ASN1 OID: //p')"

# fails NAME STATUS FOLDER OPTION...: with this exit status, and nothing that looks like success
fails() {
  local name=$1 wanted=$2 folder=$3 got=0
  shift 3
  onboard "$folder" "$@" >"$work/diagnosis" 2>&1 || got=$?
  if [ "$got" = "$wanted" ] && [ ! -e "$work/$folder/cert.pem" ]; then
    ok "$name"
  else
    echo "exit $got, wanted $wanted" >>"$work/diagnosis"
    not_ok "$name" "$work/diagnosis"
  fi
}
make_key "$foreign/other.key"
openssl req -x509 -new -key "$foreign/other.key" -subj "/CN=Foreign Root" -days 2 -out "$foreign/other.pem" 2>/dev/null
fails "another CA of the same name" 4 other --anchors "$foreign/other.pem" --user dev-4 --password-file "$work/password"
fails "another fingerprint" 4 misprint --fingerprint "$(echo "$fingerprint" | tr 0-9 1-90)" --user dev-5 --password-file "$work/password"
fails "a server that answers 500" 1 failing --attempts 2 --anchors "$foreign/ca.pem" --label triggererrors --user dev-6 --password-file "$work/password"
is "no request for a certificate came to a server that was not proven" 4 "$(grep -c simpleenroll "$foreign/log")"

stop "$its_pid"
fails "a server that is gone" 1 gone --attempts 2 --anchors "$foreign/ca.pem" --user dev-7 --password-file "$work/password"
finish
