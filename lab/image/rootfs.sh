#!/usr/bin/env bash
# rootfs.sh OUT SUITE MIRROR PACKAGE...: a Debian system as a tar archive at OUT. As root, in a mount namespace of its own.
set -euo pipefail
out=$1 suite=$2 mirror=$3
shift 3
work=$(mktemp -d "$(dirname "$out")/rootfs.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

base=systemd,systemd-sysv,udev,dbus,libpam-systemd,systemd-resolved
debootstrap --variant=minbase --include="$base" "$suite" "$work" "$mirror"
mount --bind /proc "$work/proc"
mount --bind /sys "$work/sys"
# In a second run, because the kernel package settles on dracut only where dracut is already there.
export DEBIAN_FRONTEND=noninteractive INITRD=No LC_ALL=C.UTF-8
for set in "dracut" "linux-image-cloud-amd64 $*"; do
    # shellcheck disable=SC2086
    chroot "$work" apt-get -o Dpkg::Use-Pty=0 install -y -q --no-install-recommends $set < /dev/null
done
umount "$work/proc" "$work/sys"
chroot "$work" dpkg-query --show > "$(dirname "$out")/packages.txt"
rm -rf "$work"/var/cache/apt/* "$work"/var/lib/apt/lists/* "$work"/var/log/*
tar --create --file "$out" --directory "$work" --numeric-owner --one-file-system --xattrs .
