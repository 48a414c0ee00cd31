#!/usr/bin/env bash
# DTLS 1.2 against OpenSSL's and GnuTLS's own programs, both ways round: certificates with CCM8, and a pre-shared key.
# shellcheck source=../est/common.sh
. "$(dirname "$0")/../est/common.sh"

echo_program=${DTLS_ECHO:-$root/build/tests/dtls_echo}
[ -x "$echo_program" ] || skip_all "DTLS" "$echo_program is not built: ninja -C build dtls_echo"
needs "OpenSSL's DTLS" openssl

psk_identity=device-1  # GnuTLS's file of keys splits at colons
psk=30313233343536373839616263646566

# identity NAME SUBJECT USAGE: a key and a certificate below the CA.
identity() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key" &&
    openssl req -new -key "$work/$1.key" -subj "/CN=$2" -out "$work/$1.csr" &&
    openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
      -extfile <(printf 'keyUsage=digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n' "$3") \
      -out "$work/$1.pem"
}

make_pki() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.key" &&
    openssl req -x509 -new -key "$work/ca.key" -subj "/CN=Test CA" -days 3 -addext keyUsage=critical,keyCertSign \
      -out "$work/ca.pem" &&
    identity server server serverAuth && identity client client clientAuth
}
make_pki >"$work/pki.log" 2>&1 || { not_ok "certificates" "$work/pki.log"; finish; }

# start_echo NAME ARGUMENT...: our server; sets port.
start_echo() {
  local log=$work/$1.log
  shift
  "$echo_program" "$@" >"$log" 2>&1 &
  server_pid=$!
  started+=("$server_pid")
  wait_for 10 grep -q '^port ' "$log"
  port=$(sed -n 's/^port //p' "$log")
}

# says COMMAND...: a peer's client says one line, waits for its echo and ends.
says() {
  { sleep 1; echo "a line for us"; sleep 2; } | timeout 20 "$@"
}

# echoes NAME PATTERN COMMAND...: the peer's client gets its line back and says what the pattern wants.
echoes() {
  local name=$1 pattern=$2
  shift 2
  says "$@" >"$work/peer.log" 2>&1
  if grep -aq "$pattern" "$work/peer.log" && [ "$(grep -ac 'a line for us' "$work/peer.log")" -ge 1 ]; then
    ok "$name"
  else
    not_ok "$name" "$work/peer.log"
  fi
}

# free_port: a UDP port that nobody has now, below the kernel's own range.
free_port() {
  local n
  for n in $(seq 50); do
    local p=$((20000 + RANDOM % 10000))
    grep -qi ":$(printf '%04X' "$p") " /proc/net/udp /proc/net/udp6 || { echo "$p"; return; }
  done
}

udp_bound() {
  grep -qi ":$(printf '%04X' "$1") " /proc/net/udp /proc/net/udp6
}

# start_peer COMMAND...: a peer's server on UDP port $peer_port, whose standard input stays open.
start_peer() {
  mkfifo "$work/input.$peer_port"
  "$@" <>"$work/input.$peer_port" >"$work/peer-server.log" 2>&1 &
  peer_pid=$!
  started+=("$peer_pid")
  wait_for 10 udp_bound "$peer_port"
}

# answers: writes lines to a peer's server that does not echo, until our client has had one.
answers() {
  local n
  for n in $(seq 40); do
    echo "a line for us" >"$work/input.$peer_port"
    sleep 0.25
  done
}

# reached NAME PATTERN ARGUMENT...: our client opens an association with the peer's server and gets a line.
reached() {
  local name=$1 pattern=$2 answering
  shift 2
  answers & answering=$!
  timeout 30 "$echo_program" "$@" >"$work/client.log" 2>&1
  kill "$answering" 2>/dev/null
  wait "$answering" 2>/dev/null
  if grep -aq "$pattern" "$work/client.log" && grep -aq 'line for' "$work/client.log"; then
    ok "$name"
  else
    cat "$work/peer-server.log" >>"$work/client.log"
    not_ok "$name" "$work/client.log"
  fi
  stop "$peer_pid"
}

# ---- OpenSSL's clients, our server ----

own=("$work/server.pem" "$work/server.key" "$work/ca.pem")
start_echo certificates server "${own[@]}"
openssl_client=(openssl s_client -dtls1_2 -connect "127.0.0.1:$port" -CAfile "$work/ca.pem" -verify_return_error)
openssl_cert=(-cert "$work/client.pem" -key "$work/client.key")
echoes "openssl s_client with CCM8 and a certificate" "ECDHE-ECDSA-AES128-CCM8" "${openssl_client[@]}" "${openssl_cert[@]}" \
  -cipher ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0
echoes "openssl s_client is given GCM before CCM8" "ECDHE-ECDSA-AES128-GCM-SHA256" "${openssl_client[@]}" "${openssl_cert[@]}" \
  -cipher ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0
is "our server has verified both certificates" 2 "$(grep -c '^opened certificate' "$work/certificates.log")"
says "${openssl_client[@]}" >"$work/peer.log" 2>&1
if grep -q '^failed unauthentic' "$work/certificates.log" && ! grep -aq 'a line for us' "$work/peer.log"; then
  ok "openssl s_client without a certificate is refused"
else
  not_ok "openssl s_client without a certificate is refused" "$work/certificates.log"
fi

# ---- GnuTLS's clients, our server ----

gnutls_name="gnutls-cli with CCM8 and a certificate"
if command -v gnutls-cli >/dev/null; then
  echoes "$gnutls_name" "AES-128-CCM-8" gnutls-cli --udp --port "$port" --x509cafile "$work/ca.pem" \
    --x509certfile "$work/client.pem" --x509keyfile "$work/client.key" \
    --priority 'NONE:+VERS-DTLS1.2:+ECDHE-ECDSA:+AES-128-CCM-8:+AEAD:+SIGN-ALL:+GROUP-SECP256R1:+COMP-NULL' 127.0.0.1
else
  skip "$gnutls_name" "no gnutls-cli: Debian's gnutls-bin"
fi
stop "$server_pid"

start_echo keys server-psk "$psk_identity" "$psk"
echoes "openssl s_client with a pre-shared key" "PSK-AES128-CCM8" openssl s_client -dtls1_2 -connect "127.0.0.1:$port" \
  -psk_identity "$psk_identity" -psk "$psk" -cipher PSK-AES128-CCM8:@SECLEVEL=0
if command -v gnutls-cli >/dev/null; then
  echoes "gnutls-cli with a pre-shared key" "AES-128-CCM" gnutls-cli --udp --port "$port" --pskusername "$psk_identity" \
    --pskkey "$psk" --priority 'NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-CCM' 127.0.0.1
else
  skip "gnutls-cli with a pre-shared key" "no gnutls-cli: Debian's gnutls-bin"
fi
is "our server has opened by the identity" "$(grep -c '^opened' "$work/keys.log")" "$(grep -c "^opened key $psk_identity" "$work/keys.log")"
stop "$server_pid"

# ---- OpenSSL's and GnuTLS's servers, our client ----

own=("$work/client.pem" "$work/client.key" "$work/ca.pem")
for listen in "" "-listen"; do
  peer_port=$(free_port)
  start_peer openssl s_server -dtls1_2 $listen -accept "127.0.0.1:$peer_port" -cert "$work/server.pem" \
    -key "$work/server.key" -CAfile "$work/ca.pem" -Verify 3 -verify_return_error \
    -cipher ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0
  reached "openssl s_server ${listen:-without -listen}, CCM8 and a certificate" "^opened certificate" \
    client "$peer_port" "${own[@]}"
done
peer_port=$(free_port)
start_peer openssl s_server -dtls1_2 -listen -accept "127.0.0.1:$peer_port" -nocert -psk_identity "$psk_identity" \
  -psk "$psk" -cipher PSK-AES128-CCM8:@SECLEVEL=0
reached "openssl s_server with a pre-shared key" "^opened key" client-psk "$peer_port" "$psk_identity" "$psk"

if command -v gnutls-serv >/dev/null; then
  peer_port=$(free_port)
  start_peer gnutls-serv --udp --echo --port "$peer_port" --x509cafile "$work/ca.pem" --x509certfile "$work/server.pem" \
    --x509keyfile "$work/server.key" --require-client-cert \
    --priority 'NONE:+VERS-DTLS1.2:+ECDHE-ECDSA:+AES-128-CCM-8:+AEAD:+SIGN-ALL:+GROUP-SECP256R1:+COMP-NULL'
  reached "gnutls-serv with CCM8 and a certificate" "^opened certificate" client "$peer_port" "${own[@]}"
  peer_port=$(free_port)
  printf '%s:%s\n' "$psk_identity" "$psk" >"$work/psk.txt"
  start_peer gnutls-serv --udp --echo --port "$peer_port" --pskpasswd "$work/psk.txt" \
    --priority 'NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-CCM-8'
  reached "gnutls-serv with a pre-shared key" "^opened key" client-psk "$peer_port" "$psk_identity" "$psk"
else
  skip "gnutls-serv with CCM8 and a certificate" "no gnutls-serv: Debian's gnutls-bin"
  skip "gnutls-serv with a pre-shared key" "no gnutls-serv: Debian's gnutls-bin"
fi

finish
