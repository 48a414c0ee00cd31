#!/usr/bin/env bash
# Keys that the server makes (RFC 7030 section 4.4): curl asks, and the openssl command reads what comes in clear.
# Our client asks as well.
. "$(dirname "$0")/common.sh"

needs serverkeygen curl openssl
make_idevids 1
cat >"$work/imprint.toml" <<'TOML'
[profiles.default]
server_keys = "clear"

[profiles.careful]
server_keys = "wrapped"
key_usage = ["digitalSignature", "keyAgreement"]
TOML
start_imprint --config "$work/imprint.toml"

# parts FILE: the bodies of a multipart answer, decoded, as $work/key.der and $work/certificate.p7
parts() {
  tr -d '\r' <"$1" | awk -v key="$work/key.b64" -v certificate="$work/certificate.b64" '
    /^--/ { out = ""; next }
    tolower($0) ~ /^content-type:/ { out = /certs-only/ ? certificate : key; next }
    /:/ || out == "" { next }
    { print > out }'
  openssl base64 -d -in "$work/key.b64" -out "$work/key.der" &&
    openssl base64 -d -in "$work/certificate.b64" -out "$work/certificate.p7" &&
    openssl pkcs7 -inform DER -in "$work/certificate.p7" -print_certs -out "$work/certificate.pem"
}

# ask USER TOKEN CSR [LABEL/]
ask() {
  rm -f "$work"/key.* "$work"/certificate.* "$work/body"
  openssl base64 -in "$3" -out "$3.b64"
  status=$(curl -sS -m 20 --cacert "$anchors" -u "$1:$2" -H 'Content-Type: application/pkcs10' --data-binary "@$3.b64" \
    -o "$work/body" -w '%{http_code}' "$est/.well-known/est/${4:-}serverkeygen" 2>"$work/curl.log")
}

token=$(add_device SK-1 --one-time)
make_key "$work/sk.key"
make_csr "$work/sk.key" "CN=SK-1" "$work/sk.csr"
ask SK-1 "$token" "$work/sk.csr"
is "in clear: 200" 200 "$status"
runs "its parts" parts "$work/body"
openssl pkey -inform DER -in "$work/key.der" -out "$work/given.pem" 2>/dev/null
runs "the key fits the certificate" same_key "$work/certificate.pem" "$work/given.pem"
runs "the owner's CA vouches for it" openssl verify -CAfile "$anchors" "$work/certificate.pem"
is "it is not the request's key" different "$(same_key "$work/certificate.pem" "$work/sk.key" || echo different)"
first=$(openssl x509 -in "$work/certificate.pem" -noout -serial)
ask SK-1 "$token" "$work/sk.csr"
runs "a retry" parts "$work/body"
is "gets another certificate" different "$([ "$first" = "$(openssl x509 -in "$work/certificate.pem" -noout -serial)" ] || echo different)"

token=$(add_device SK-2 --one-time --label careful)
make_csr "$work/sk.key" "CN=SK-2" "$work/sk2.csr"
ask SK-2 "$token" "$work/sk2.csr" careful/
is "in clear where the profile wants it wrapped: 403" 403 "$status"

token=$(add_device SK-3 --one-time)
printf '%s' "$token" >"$work/token"
chmod 600 "$work/token"
runs "our client asks" imprint onboard est --server "$est" --anchors "$anchors" --user SK-3 --password-file "$work/token" \
  --server-key clear --out "$work/SK-3"
runs "its key fits its certificate" same_key "$work/SK-3/cert.pem" "$work/SK-3/key.pem"

# Wrapped for the key of the certificate that the client presents, where its usage allows that.
token=$(add_device SK-4 --one-time --label careful)
printf '%s' "$token" >"$work/token"
runs "our client with a key of its own" imprint onboard est --server "$est" --anchors "$anchors" --label careful --user SK-4 \
  --password-file "$work/token" --out "$work/SK-4"
cp "$work/SK-4/key.pem" "$work/own.pem"
runs "renews by a wrapped key of the server's" imprint onboard est --server "$est" --label careful --renew --server-key wrapped \
  --out "$work/SK-4"
runs "that key fits its certificate" same_key "$work/SK-4/cert.pem" "$work/SK-4/key.pem"
is "and is another one" different "$(same_key "$work/SK-4/cert.pem" "$work/own.pem" || echo different)"
imprint onboard est --server "$est" --anchors "$anchors" --device "$idevids/WIDGET-0001" --server-key wrapped \
  --out "$work/widget" >"$work/refused.log" 2>&1
runs "an IDevID for signatures alone unwraps nothing" grep -q SITE-SERVER-KEYS-USAGE "$work/refused.log"
imprint factory make --data "$data" --model AGREE --key-agreement --label careful --out "$work/agree" >/dev/null
imprint device import "$work/agree/manifest.jsonl" --data "$data" >/dev/null
runs "one that is for key agreement, too, does" imprint onboard est --server "$est" --anchors "$anchors" --device "$work/agree/AGREE-0001" \
  --server-key wrapped --out "$work/agreed"
runs "the key that it unwraps fits its certificate" same_key "$work/agreed/cert.pem" "$work/agreed/key.pem"
finish
