#!/usr/bin/env bash
# Bouncy Castle's EST client (BouncyClient.java beside this file) against our server, over TLS 1.2 and 1.3: CA
# certificates, attributes, enrolment with an IDevID and with a password asked for by a 401, requests linked to their TLS
# session, renewal, rekey, and a 202 that it waits out.
. "$(dirname "$0")/common.sh"

needs bouncycastle java javac openssl
[ ! -s "$peers/bouncycastle.missing" ] || skip_all bouncycastle "$(cat "$peers/bouncycastle.missing")"
jars=$(ls "$peers"/bouncycastle/*.jar 2>/dev/null | paste -s -d :)
[ -n "$jars" ] || skip_all bouncycastle "no Bouncy Castle; tests/interop/est/peers.sh brings it"
mkdir "$work/classes"
timeout 120 javac -cp "$jars" -d "$work/classes" "$here/BouncyClient.java" >"$work/javac.log" 2>&1 ||
  { not_ok "BouncyClient.java compiles" "$work/javac.log"; finish; }
make_idevids 6
cat >"$work/imprint.toml" <<'TOML'
[profiles.wishes]
wanted_key = "p384"

[profiles.given]
server_keys = "clear"
TOML
start_imprint --config "$work/imprint.toml"

# bouncy TLS_VERSION OPERATION...: what it says stays in $work/said
bouncy() {
  local version=$1
  shift
  timeout 60 java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true -cp "$work/classes:$jars" BouncyClient \
    "localhost:$port" "$anchors" "$version" "$@" >"$work/said" 2>"$work/said.err"
  local got=$?
  cat "$work/said" "$work/said.err"
  return $got
}

# enrolled NAME CERTIFICATE KEY
enrolled() {
  if same_key "$2" "$3" 2>"$work/diagnosis" && openssl verify -CAfile "$anchors" -untrusted "$work/ca.pem" "$2" >"$work/diagnosis" 2>&1; then
    ok "$1"
  else
    not_ok "$1" "$work/diagnosis"
  fi
}

for version in TLSv1.2 TLSv1.3; do
  runs "cacerts over $version" bouncy "$version" cacerts "$work/ca.pem"
  is "it was $version" "tls $version" "$(grep '^tls' "$work/said")"
  runs "cacerts: the owner's" openssl verify -CAfile "$anchors" "$work/ca.pem"
done
runs "csrattrs: no wishes" bouncy TLSv1.3 csrattrs
is "it reads none" "" "$(grep '^attribute' "$work/said")"
runs "csrattrs: a list" bouncy TLSv1.3 csrattrs --label wishes
is "it reads the list: keys on an elliptic curve" "attribute 1.2.840.10045.2.1" "$(grep '^attribute 1.2.840.10045.2.1$' "$work/said")"

device() {
  id=$(printf 'WIDGET-%04d' "$1")
  cert=$work/$id.pem
  key=$work/$id.key
  client=(--client "$idevids/$id/idevid-chain.pem" "$idevids/$id/idevid-key.pem")
}

device 1
runs "enrol with an IDevID over TLS 1.3" bouncy TLSv1.3 enroll "$cert" "$key" --subject "CN=$id" "${client[@]}"
enrolled "its certificate" "$cert" "$key"
cat "$cert" "$work/ca.pem" >"$work/chain.pem"
runs "renewal over TLS 1.3" bouncy TLSv1.3 enroll "$work/renewed.pem" "$work/renewed.key" --renew --client "$work/chain.pem" "$key"
enrolled "its certificate for the same key" "$work/renewed.pem" "$key"
cat "$work/renewed.pem" "$work/ca.pem" >"$work/chain.pem"
runs "rekey over TLS 1.3" bouncy TLSv1.3 enroll "$work/rekeyed.pem" "$work/rekeyed.key" --rekey --client "$work/chain.pem" "$key"
enrolled "its certificate for the new key" "$work/rekeyed.pem" "$work/rekeyed.key"

device 2
runs "enrol, linked by tls-unique over TLS 1.2" bouncy TLSv1.2 enroll "$cert" "$key" --subject "CN=$id" "${client[@]}" --link tls-unique
is "it was TLS 1.2" "tls TLSv1.2" "$(grep '^tls' "$work/said")"
enrolled "its certificate" "$cert" "$key"
cat "$cert" "$work/ca.pem" >"$work/chain.pem"
runs "renewal, linked" bouncy TLSv1.2 enroll "$work/renewed.pem" "$work/renewed.key" --renew --client "$work/chain.pem" "$key" --link tls-unique
enrolled "its certificate for the same key" "$work/renewed.pem" "$key"

device 3
exits "enrol, linked to no session of ours: refused" 3 bouncy TLSv1.2 enroll "$cert" "$key" --subject "CN=$id" "${client[@]}" --link wrong
is "by a 400, 401 or 403" yes "$(grep -q -E '^status (400|401|403)$' "$work/said" && echo yes)"
runs "and unlinked: not refused" bouncy TLSv1.2 enroll "$cert" "$key" --subject "CN=$id" "${client[@]}"

token=$(add_device BOUNCY-1 --one-time)
runs "enrol with a one-time token, given when asked" bouncy TLSv1.3 enroll "$work/b1.pem" "$work/b1.key" --subject CN=BOUNCY-1 --basic BOUNCY-1 "$token"
enrolled "its certificate" "$work/b1.pem" "$work/b1.key"
exits "the token is spent" 3 bouncy TLSv1.3 enroll "$work/b2.pem" "$work/b2.key" --subject CN=BOUNCY-1 --basic BOUNCY-1 "$token"
token=$(add_device BOUNCY-2 --one-time)
runs "a password and tls-unique: linked anew after the 401" bouncy TLSv1.2 enroll "$work/b2.pem" "$work/b2.key" --subject CN=BOUNCY-2 \
  --basic BOUNCY-2 "$token" --link tls-unique
enrolled "its certificate" "$work/b2.pem" "$work/b2.key"
exits "no credentials: refused" 3 bouncy TLSv1.3 enroll "$work/b3.pem" "$work/b3.key" --subject CN=BOUNCY-3
is "by a 401" "status 401" "$(grep '^status' "$work/said")"

token=$(add_device BOUNCY-5 --one-time --label given)
runs "a key that the server makes" bouncy TLSv1.3 enroll "$work/b5.pem" "$work/b5.key" --subject CN=BOUNCY-5 --basic BOUNCY-5 "$token" \
  --given --label given
enrolled "the certificate is for it" "$work/b5.pem" "$work/b5.key"

token=$(add_device BOUNCY-4 --one-time --manual)
bouncy TLSv1.3 enroll "$work/b4.pem" "$work/b4.key" --subject CN=BOUNCY-4 --basic BOUNCY-4 "$token" >/dev/null &
waiter=$!
started+=("$waiter")
runs "a device that waits for approval gets a 202 with Retry-After" wait_for 20 grep -q '^waiting [0-9]' "$work/said"
runs "the operator approves" imprint device approve --data "$data" BOUNCY-4
wait "$waiter"
is "it asks again and ends well" 0 $?
enrolled "and has its certificate" "$work/b4.pem" "$work/b4.key"
finish
