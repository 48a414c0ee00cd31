#!/usr/bin/env bash
# The openssl command as a client that links its request to its TLS session (RFC 7030 section 3.5): tls-unique over TLS 1.2,
# in a full and in a resumed handshake (RFC 5929 section 3.1), and tls-exporter over TLS 1.3 (RFC 9266 section 2). The
# values are read from s_client's own print of the handshake, so no code of ours says what they should be.
. "$(dirname "$0")/common.sh"

needs openssl openssl
make_idevids 5
export IMPRINT_EST_THREADS=1  # a ticket is good at the loop that gave it
start_imprint

# open_tls OPTION...: a connection that waits for what is written to descriptor 5. Its transcript is $work/tls.
open_tls() {
  rm -f "$work/to_tls" "$work/tls" "$work/messages"
  mkfifo "$work/to_tls"
  timeout 30 openssl s_client -connect "127.0.0.1:$port" -servername localhost -CAfile "$anchors" -verify_return_error -nocommands \
    -ign_eof -msg -msgfile "$work/messages" -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32 "$@" <"$work/to_tls" >"$work/tls" 2>&1 &
  tls_pid=$!
  started+=("$tls_pid")
  exec 5>"$work/to_tls"
  wait_for 10 grep -a -q 'Keying material:' "$work/tls"
}

# send_tls FILE [HEADER]: enrols with the request in the file on that connection; sets $status and $work/body.
send_tls() {
  openssl base64 -in "$1" -out "$1.b64"
  {
    printf 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n'
    [ -z "${2:-}" ] || printf '%s\r\n' "$2"
    printf 'Content-Length: %d\r\nConnection: close\r\n\r\n' "$(wc -c <"$1.b64")"
    cat "$1.b64"
  } >&5
  wait_for 15 eval "! kill -0 $tls_pid"
  exec 5>&-
  wait "$tls_pid" 2>/dev/null
  # s_client prints session tickets between, so the response is cut out by its own lengths.
  local start
  start=$(grep -a -b -o 'HTTP/1\.1 [0-9][0-9][0-9] ' "$work/tls" | head -n 1 | cut -d : -f 1)
  tail -c +$((${start:-0} + 1)) "$work/tls" >"$work/response"
  status=$(head -n 1 "$work/response" | sed -n 's/^HTTP\/1\.1 \([0-9]*\).*/\1/p')
  start=$(grep -a -b -m 1 $'^\r$' "$work/response" | cut -d : -f 1)
  tail -c +$((${start:-0} + 3)) "$work/response" |
    head -c "$(tr -d '\r' <"$work/response" | sed -n 's/^content-length: *//Ip' | head -n 1 | grep -x '[0-9]*' || echo 0)" >"$work/body"
  head -n 12 "$work/response" >"$work/diagnosis"
}

tls_exporter() {
  sed -n 's/^ *Keying material: *\([0-9A-F]*\).*/\1/p' "$work/tls" | head -n 1 | unhex | openssl base64 -A
}

# finished N: the verify_data of the Nth Finished message of the handshake
finished() {
  grep -a -A 1 'Handshake.*Finished' "$work/messages" | sed -n 's/^ *14 00 00 0c //p' | sed -n "$1p" | tr -d ' ' | unhex | openssl base64 -A
}

unhex() {
  local hex
  read -r hex
  printf "$(echo "$hex" | sed 's/../\\x&/g')"
}

use_device() {
  id=$(printf 'WIDGET-%04d' "$1")
  client=(-cert "$idevids/$id/idevid.pem" -cert_chain "$idevids/$id/idevid-chain.pem" -key "$idevids/$id/idevid-key.pem")
  key=$work/$id.key
  make_key "$key"
}

issued() {
  if [ "$status" = 200 ] && certs_only_to_pem "$work/body" "$work/issued.pem" && same_key "$work/issued.pem" "$key"; then
    ok "$1"
  else
    not_ok "$1" "$work/diagnosis"
  fi
}

refused() {
  case $status in
    400 | 401 | 403) ok "$1" ;;
    *) not_ok "$1" "$work/diagnosis" ;;
  esac
}

use_device 1
runs "a TLS 1.3 session" open_tls -tls1_3 "${client[@]}"
is "its tls-exporter has 32 bytes" 44 "$(tls_exporter | wc -c)"
make_csr "$key" "/CN=$id" "$work/1.csr" "$(tls_exporter)"
send_tls "$work/1.csr"
issued "a request linked by tls-exporter"

use_device 2
make_csr "$key" "/CN=$id" "$work/2.csr" "$(tls_exporter)"
runs "another TLS 1.3 session" open_tls -tls1_3 "${client[@]}"
send_tls "$work/2.csr"
refused "a request linked to the session before is refused"

runs "a TLS 1.3 session without a certificate" open_tls -tls1_3
token=$(add_device LINK-1 --one-time)
key=$work/LINK-1.key
make_key "$key"
make_csr "$key" /CN=LINK-1 "$work/3.csr" "$(tls_exporter)"
send_tls "$work/3.csr" "Authorization: Basic $(printf 'LINK-1:%s' "$token" | openssl base64 -A)"
issued "a password and tls-exporter"

use_device 3
runs "a TLS 1.2 session" open_tls -tls1_2 "${client[@]}" -sess_out "$work/session"
make_csr "$key" "/CN=$id" "$work/4.csr" "$(finished 1)"
send_tls "$work/4.csr"
issued "a request linked by tls-unique, the client's Finished"

# Only clients without a certificate are resumed (docs/decisions/0001): a token says who this is.
use_token() {
  token=$(add_device "$1" --one-time)
  key=$work/$1.key
  make_key "$key"
  basic="Authorization: Basic $(printf '%s:%s' "$1" "$token" | openssl base64 -A)"
}
use_token LINK-2
runs "a TLS 1.2 session to resume" open_tls -tls1_2 -sess_out "$work/session"
send_tls "$work/2.csr"
runs "a TLS 1.2 session that offers to resume" open_tls -tls1_2 -sess_in "$work/session"
is "is resumed" 1 "$(grep -a -c '^Reused' "$work/tls")"
make_csr "$key" /CN=LINK-2 "$work/5.csr" "$(finished 2)"
send_tls "$work/5.csr" "$basic"
refused "resumed: the client's Finished is the wrong one"
runs "and once more" open_tls -tls1_2 -sess_in "$work/session"
make_csr "$key" /CN=LINK-2 "$work/6.csr" "$(finished 1)"
send_tls "$work/6.csr" "$basic"
issued "resumed: a request linked by tls-unique, the server's Finished"
finish
