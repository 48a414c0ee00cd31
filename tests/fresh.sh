#!/usr/bin/env bash
# A bare Debian 12 in a folder (.fresh/), a clone of what is committed, and README's two commands in it. By hand, at the
# end of a piece of work: it takes about half an hour and 6 GB. Needs root, debootstrap and Debian's archive.
#
#   ./dev fresh [--sudo] [--keep] [COMMAND…]     default: ./run --once --devices 3, then ./test --all
#
# --sudo  the commands run as an ordinary user who may use sudo, not as root
# --keep  the folder stays for a look around; the next run starts from it
set -euo pipefail
cd "$(dirname "$0")/.."

as=root keep=
while [ $# -gt 0 ]; do
  case $1 in
    --sudo) as=newcomer ;;
    --keep) keep=1 ;;
    *) break ;;
  esac
  shift
done
if [ "$(id -u)" != 0 ]; then
  echo "./dev fresh needs root: it makes a root file system and mounts /proc in it; try sudo ./dev fresh" >&2
  exit 1
fi
[ -z "$(git status --porcelain)" ] || echo "note: what is not committed is not in the clone" >&2

root=$PWD/.fresh/root
mkdir -p .fresh

unmount() { for m in dev/pts dev proc; do ! mountpoint -q "$root/$m" || umount -l "$root/$m"; done; }
clean() {
  local code=$?
  unmount
  [ -n "$keep" ] || rm -rf --one-file-system .fresh
  exit $code
}
trap clean EXIT

command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap
if [ ! -e "$root/etc/debian_version" ]; then
  # From the archive that this machine takes its own packages from.
  archive=$(apt-get indextargets --format '$(SITE) $(SUITE)' 'Created-By: Packages' | awk '$2 == "bookworm" {print $1; exit}')
  echo "fresh: debootstrap" >&2
  debootstrap --variant=minbase --include=ca-certificates,sudo,git bookworm "$root" ${archive:+"$archive"} >.fresh/debootstrap.log 2>&1 || {
    tail -5 .fresh/debootstrap.log >&2
    exit 1
  }
fi
# How this machine reaches archives and registries: settings, not software.
for f in /etc/resolv.conf /etc/hosts /etc/pip.conf; do [ ! -e $f ] || cp -L $f "$root$f"; done
rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d
cp -rL /etc/apt/sources.list* "$root/etc/apt/" 2>/dev/null || true
for f in /etc/apt/apt.conf.d/*; do grep -qi 'acquire' "$f" && cp "$f" "$root/etc/apt/apt.conf.d/" || true; done
cp -rL /usr/local/share/ca-certificates "$root/usr/local/share/" 2>/dev/null || true
chroot "$root" update-ca-certificates >/dev/null 2>&1  # Java's key store is filled from the list that this writes
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
chroot "$root" id newcomer >/dev/null 2>&1 || chroot "$root" useradd --create-home --shell /bin/bash newcomer
echo 'newcomer ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/newcomer"
home=$root/root
[ $as = root ] || home=$root/home/newcomer
for f in .config/pip .config/go .npmrc .m2/settings.xml .cargo/config.toml; do
  [ ! -e ~/$f ] || { mkdir -p "$home/$(dirname $f)" && cp -rL ~/$f "$home/$(dirname $f)/"; }
done

rm -rf "$home/imprint"
git clone -q . "$home/imprint"
chroot "$root" chown -R "$as:" "${home#"$root"}"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
mount -t proc proc "$root/proc"

[ $# -gt 0 ] || set -- "./run --once --devices 3" "./test --all"
for command in "$@"; do
  echo "fresh: $command, as $as" >&2
  start=$SECONDS
  chroot "$root" su - "$as" -c "cd imprint && $command"
  echo "fresh: $command: ok after $((SECONDS - start)) s" >&2
done
