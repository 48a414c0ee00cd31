#!/usr/bin/env bash
# HTTP Digest (RFC 7616, SHA-256): curl asks our server, and our client asks lighttpd, which has its own implementation.
. "$(dirname "$0")/common.sh"

PATH=$PATH:/usr/sbin  # where Debian has lighttpd; an ordinary user's path ends before
needs curl curl openssl
make_site

# with_auth BASIC DIGEST: writes the configuration.
with_auth() { printf '[est]\nbasic = %s\ndigest = %s\n' "$1" "$2" >"$work/imprint.toml"; }

# device ID: registers it; $token, $csr and $key are its own.
device() {
  id=$1
  token=$(add_device "$id" --one-time)
  printf '%s' "$token" >"$work/$id.token"
  key=$work/$id.key
  csr=$work/$id.csr
  make_key "$key"
  make_csr "$key" "/CN=$id" "$csr"
  openssl base64 -in "$csr" -out "$csr.b64"
}

# post [CURL_OPTION...]: leaves the last status in $status, all heads in $work/head, what was sent in $work/trace.
post() {
  rm -f "$work/head" "$work/body" "$work/trace"
  status=$(curl -sS -v -m 20 --cacert "$anchors" -D "$work/head" -o "$work/body" -w '%{http_code}' \
    -H 'Content-Type: application/pkcs10' --data-binary "@$csr.b64" "$@" "$est/.well-known/est/simpleenroll" 2>"$work/trace") ||
    status="curl: $(tail -n 1 "$work/trace")"
}

issued() {  # issued NAME: the last answer is a certificate for $key
  if [ "$status" = 200 ] && certs_only_to_pem "$work/body" "$work/issued.pem" && same_key "$work/issued.pem" "$key"; then
    ok "$1"
  else
    cat "$work/head" "$work/body" >"$work/diagnosis" 2>/dev/null
    not_ok "$1 ($status)" "$work/diagnosis"
  fi
}

has() { if grep -q -i -e "$2" "$3"; then ok "$1"; else not_ok "$1" "$3"; fi; }
has_not() { if grep -q -i -e "$2" "$3"; then not_ok "$1" "$3"; else ok "$1"; fi; }
sent_authorization() { tr -d '\r' <"$work/trace" | sed -n 's/^> \(Authorization: Digest .*\)/\1/p' | tail -n 1; }

# --- our server offers Digest alone -----------------------------------------------------------------------------------

with_auth false true
start_imprint --config "$work/imprint.toml"

device dev-1
post
is "a stranger is challenged" 401 "$status"
has "by Digest with SHA-256 and qop=auth" 'WWW-Authenticate: Digest realm="imprint", qop="auth", algorithm=SHA-256, nonce="' "$work/head"
has_not "and by nothing else" 'WWW-Authenticate: Basic' "$work/head"
post --basic -u "dev-1:$token"
is "a password in Basic is not taken" 401 "$status"
post --digest -u "dev-1:not-$token"
is "another password is refused" 401 "$status"
has_not "and not called stale" 'stale=true' "$work/head"
post --digest -u "dev-2:$token"
is "another user is refused" 401 "$status"
post --digest -u "dev-1:$token"
issued "curl --digest enrols with a one-time token"
answer=$(sent_authorization)
post -H "$answer"
is "the same answer again is refused" 401 "$status"
has "its nonce is stale" 'stale=true' "$work/head"
post -H "${answer/nc=00000001/nc=00000002}"
is "and it does not hold for another count" 401 "$status"
has_not "which is not stale, but wrong" 'stale=true' "$work/head"

# The answer is for its own path: the same one elsewhere.
device dev-3
post --digest -u "dev-3:not-the-token"
status=$(curl -sS -m 20 --cacert "$anchors" -o /dev/null -w '%{http_code}' -H 'Content-Type: application/pkcs10' --data-binary "@$csr.b64" \
  -H "$(sent_authorization)" "$est/.well-known/est/default/simpleenroll" 2>"$work/trace")
is "an answer of another path is refused" 401 "$status"
post --digest -u "dev-3:$token"
issued "and the token still serves"

device dev-4
imprint onboard est --server "https://localhost:$port" --anchors "$anchors" --user dev-4 --password-file "$work/dev-4.token" \
  --out "$work/dev-4" >"$work/dev-4.log" 2>&1
is "our client answers the challenge of our server" 0 $?
device dev-5
imprint onboard est --server "https://localhost:$port" --anchors "$anchors" --user dev-5 --password-file "$work/dev-5.token" \
  --digest --out "$work/dev-5" >"$work/dev-5.log" 2>&1
is "also when it is told to answer no other" 0 $?
stop_imprint

# --- after a restart, and with Basic beside it ------------------------------------------------------------------------

with_auth true true
start_imprint --config "$work/imprint.toml"
device dev-6
post --anyauth -u "dev-6:$token"
issued "with both on offer curl takes Digest"
[ -n "$(sent_authorization)" ] && ok "and does not send the password" || not_ok "and does not send the password" "$work/trace"
device dev-7
post -u "dev-7:$token"
issued "Basic is taken, too"
stop_imprint

with_auth true false
start_imprint --config "$work/imprint.toml"
device dev-8
post --digest -u "dev-8:$token"
is "Digest is off unless it is configured" 401 "$status"
has_not "and not offered" 'WWW-Authenticate: Digest' "$work/head"
imprint onboard est --server "https://localhost:$port" --anchors "$anchors" --user dev-8 --password-file "$work/dev-8.token" \
  --digest --out "$work/dev-8" >"$work/dev-8.log" 2>&1
is "our client, told so, does not send the password to a server that wants it in clear" 3 $?
has "and says why" EST-NO-DIGEST "$work/dev-8.log"

# --- our client and lighttpd -------------------------------------------------------------------------------------------

command -v lighttpd >/dev/null 2>&1 || { stop_imprint; skip "lighttpd" "not installed"; finish; }

# What lighttpd has to answer with: our server's CA certificates, and a certificate for the key that the client will use.
# The client makes its key first, so the answer is made by a program that lighttpd runs: the openssl command signs.
make_key "$work/lighttpd.key"
openssl req -x509 -new -key "$work/lighttpd.key" -subj '/CN=localhost' -days 2 -addext 'subjectAltName=DNS:localhost' \
  -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,digitalSignature' -out "$work/lighttpd.pem" 2>"$work/diagnosis"
mkdir -p "$work/www/.well-known/est"
openssl crl2pkcs7 -nocrl -certfile "$work/lighttpd.pem" -outform DER | openssl base64 >"$work/www/.well-known/est/cacerts"
cat >"$work/www/.well-known/est/simpleenroll" <<SH
#!/bin/sh
# Who is asked by HTTP Digest is in REMOTE_USER.
echo "\$REMOTE_USER \$HTTP_AUTHORIZATION" >>'$work/lighttpd.asked'
base64 -d | openssl req -inform DER -out '$work/asked.pem' &&
  openssl x509 -req -in '$work/asked.pem' -CA '$work/lighttpd.pem' -CAkey '$work/lighttpd.key' -set_serial 7 -days 1 -copy_extensions copy -out '$work/made.pem' 2>/dev/null
printf 'Status: 200\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n\r\n'
openssl crl2pkcs7 -nocrl -certfile '$work/made.pem' -outform DER | openssl base64
SH
chmod +x "$work/www/.well-known/est/simpleenroll"
printf 'lamp:est:%s\n' "$(printf 'lamp:est:a password of lamp' | openssl dgst -sha256 -r | cut -d' ' -f1)" >"$work/users"

# lighttpd METHOD ALGORITHM: starts it on a port of its own, in $web.
start_lighttpd() {
  local n
  for n in $(seq 20); do
    web=$((20000 + RANDOM % 20000))
    cat >"$work/lighttpd.conf" <<CONF
server.modules = ( "mod_auth", "mod_authn_file", "mod_cgi", "mod_openssl" )
server.document-root = "$work/www"
server.port = $web
server.bind = "127.0.0.1"
server.errorlog = "$work/lighttpd.log"
ssl.engine = "enable"
ssl.pemfile = "$work/lighttpd.pem"
ssl.privkey = "$work/lighttpd.key"
mimetype.assign = ( "" => "application/pkcs7-mime; smime-type=certs-only" )
\$HTTP["url"] =~ "/simpleenroll$" {
  cgi.assign = ( "" => "/bin/sh" )
  auth.backend = "htdigest"
  auth.backend.htdigest.userfile = "$work/users"
  auth.require = ( "" => ( "method" => "$1", "realm" => "est", "require" => "valid-user", "algorithm" => "$2" ) )
}
CONF
    : >"$work/lighttpd.log"
    lighttpd -D -f "$work/lighttpd.conf" >"$work/lighttpd.out" 2>&1 &
    web_pid=$!
    started+=("$web_pid")
    wait_for 5 eval '[ -n "$(listening_port $web_pid)" ] || ! kill -0 $web_pid'
    kill -0 "$web_pid" 2>/dev/null && return
  done
  not_ok "lighttpd starts" "$work/lighttpd.out"
  finish
}

# lamp OUT [OPTION...]
lamp() {
  local out=$1
  shift
  printf '%s' "$password" >"$work/lamp.password"
  : >"$work/lighttpd.asked"
  imprint onboard est --server "https://localhost:$web" --anchors "$work/lighttpd.pem" --user lamp --password-file "$work/lamp.password" \
    --subject CN=lamp --out "$work/$out" "$@" >"$work/$out.log" 2>&1
}

password='a password of lamp'
start_lighttpd digest SHA-256
lamp lamp-1
is "our client answers lighttpd's challenge" 0 $?
has "lighttpd knows who it is" '^lamp Digest username="lamp"' "$work/lighttpd.asked"
lamp lamp-2 --digest
is "told to, it sends no password before" 0 $?
has "and proves it" '^lamp Digest' "$work/lighttpd.asked"
password='another password'
lamp lamp-3 --digest
is "with another password lighttpd refuses it" 3 $?
has "once and for all" EST-UNAUTHORIZED "$work/lamp-3.log"
stop "$web_pid"
password='a password of lamp'
start_lighttpd digest MD5
lamp lamp-4 --digest
is "MD5 is not answered" 3 $?
has "and it says so" EST-NO-DIGEST "$work/lamp-4.log"
stop "$web_pid"
stop_imprint
finish
