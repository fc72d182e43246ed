#!/usr/bin/env bash
# image.sh OUT ROOTFS_TAR IGNITION IGNITION_DRACUT_MODULE CONTAINERD_BIN_DIR OCI_LAYOUT SIZE_GIB VERSION: disk.qcow2, vmlinuz
# and initrd in OUT. As root, in a mount namespace of its own. No loop device is used: partitions are written at their offsets.
set -euo pipefail
out=$1 archive=$2 ignition=$3 ignition_module=$4 containerd=$5 layout=$6 size=$7 version=$8
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "$out.XXXXXX")
store=$(mktemp -d /tmp/firestorm.XXXXXX) # for sockets: the path of one has at most 107 bytes
trap 'rm -rf --one-file-system "$work" "$store"' EXIT
root=$work/root
libraries=usr/lib/x86_64-linux-gnu
mkdir "$root"
say() { echo "image: $*"; }

say "unpacking the system"
tar --extract --file "$archive" --directory "$root" --numeric-owner --xattrs --xattrs-include='*'

say "its programs and settings"
install -m 755 -t "$root/usr/bin" "$containerd"/containerd "$containerd"/containerd-shim-runc-v2 "$containerd"/ctr
cp -r --no-preserve=ownership "$here"/files/usr/. "$root/usr/"
sed -i -e '/^PRETTY_NAME=/d' "$root/usr/lib/os-release"
cat >> "$root/usr/lib/os-release" << EOF
PRETTY_NAME="Firestorm lab stand-in (Debian packages)"
VARIANT_ID=firestorm-lab
IMAGE_ID=firestorm-lab
IMAGE_VERSION=$version
EOF

# Users: nobody can log in, by password or otherwise; there is no SSH server.
sed -i -e 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"

# Ignition writes the host name. An empty machine ID is filled in at the first boot, as "uninitialized" would be, but
# without the five seconds in which an emulated systemd then looks at every unit: see dracut/presets.
rm -f "$root/etc/hostname" "$root/var/lib/dbus/machine-id" "$root/etc/resolv.conf"
: > "$root/etc/machine-id"
ln -s ../run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"
: > "$root/etc/fstab"
touch "$root/boot/ignition.firstboot"

# systemd loads its BPF programs through libbpf when it finds it, which reads the kernel's type information: two to seven
# seconds emulated, at each boot, for restrictions that no unit here asks for. iproute2 keeps the library to itself.
private=$root/usr/lib/iproute2
mkdir "$private"
mv "$root/$libraries"/libbpf.so.* "$private/"
for name in ip ss tc; do
    program=$(find "$root/usr/bin" "$root/usr/sbin" -name "$name" -type f)
    mv "$program" "$private/$name"
    printf '#!/bin/sh\nLD_LIBRARY_PATH=/usr/lib/iproute2 exec /usr/lib/iproute2/%s "$@"\n' "$name" > "$program"
    chmod 755 "$program"
done

# What starts at boot is chosen here, by name; an emulated machine pays a tenth of a second for each unit that it looks at.
units=$root/usr/lib/systemd/system
find "$root/usr/lib/systemd/system-generators" ! -name systemd-fstab-generator -type f -delete
find "$root"/usr/lib/systemd/system/*.wants "$root"/etc/systemd/system/*.wants \( -type l -o -type f \) -path '*/[sltm]*.target.wants/*' \
    ! -name 'systemd-journald*' ! -name 'systemd-udevd*' ! -name systemd-udev-trigger.service ! -name systemd-modules-load.service \
    ! -name systemd-sysctl.service ! -name systemd-tmpfiles-setup.service \
    ! -name 'dbus.*' ! -name systemd-logind.service -delete
rm -rf "$root"/etc/systemd/system/getty.target.wants
# Names are resolved from the multi-user target on: nothing earlier asks for any.
sed -i -e 's/^Before=.*/Before=network.target nss-lookup.target shutdown.target/' -e 's/^WantedBy=.*/WantedBy=multi-user.target/' \
    "$units/systemd-resolved.service"
rm -f "$root"/usr/lib/tmpfiles.d/{credstore,debian,home,journal-nocow,legacy,man-db,portables,provision,sudo,systemd-nologin,x11}.conf
rm -f "$root"/usr/lib/udev/rules.d/{60-autosuspend,60-drm,60-evdev,60-fido-id,60-infiniband,60-input-id,60-persistent-alsa}.rules \
    "$root"/usr/lib/udev/rules.d/{60-persistent-input,60-persistent-storage-tape,60-persistent-v4l,60-sensor,60-serial}.rules \
    "$root"/usr/lib/udev/rules.d/{70-camera,70-joystick,70-mouse,70-power-switch,70-touchpad,75-probe_mtd,78-sound-card}.rules
chroot "$root" systemctl preset-all --quiet
touch "$root/etc/.updated" "$root/var/.updated"

say "the initramfs"
modules=$root/usr/lib/dracut/modules.d
cp -r --no-preserve=mode "$ignition_module" "$modules/30ignition"
install -m 755 "$ignition" "$modules/30ignition/ignition"
# Upstream's module asks for dracut's own network scripts; the stand-in brings the network up by itself, on demand.
cat >> "$modules/30ignition/module-setup.sh" << 'EOF'
depends() { echo systemd-initrd; }
installkernel() { :; }
EOF
cp -r "$here/dracut" "$modules/45firestorm"
cp "$root/bin/busybox" "$modules/45firestorm/busybox"
chmod 755 "$modules"/*/module-setup.sh "$modules/30ignition"/ignition-{generator,kargs-helper.sh}
kernel=$(basename "$root"/usr/lib/modules/*)
mount --bind /proc "$root/proc"
mount --bind /sys "$root/sys"
mount --bind /dev "$root/dev"
chroot "$root" depmod "$kernel"
chroot "$root" dracut --quiet --force --no-hostonly --no-hostonly-cmdline --no-early-microcode --no-compress --strip \
    --reproducible --modules "systemd-initrd ignition firestorm" --kver "$kernel" /boot/initrd
umount "$root/proc" "$root/sys" "$root/dev"
rm -rf "$modules/30ignition" "$modules/45firestorm"
install -m 644 "$root/boot/initrd" "$out/initrd"
install -m 644 "$root/boot/vmlinuz-$kernel" "$out/vmlinuz"
find "$root/boot" -mindepth 1 ! -name ignition.firstboot -delete

say "its container images"
# As in a golden image: pulled and unpacked here, once, and not by every node's emulated processor. The containerd of the
# image puts them where it will look for them; the one that tests pull is left out.
cat > "$store/config.toml" << EOF
version = 3
root = "$root/var/lib/containerd"
state = "$store/state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
[grpc]
  address = "$store/socket"
[ttrpc]
  address = "$store/socket.ttrpc"
EOF
"$containerd/containerd" --config "$store/config.toml" --log-level warn &
daemon=$!
ctr() { "$containerd/ctr" --address "$store/socket" --namespace k8s.io "$@"; }
for _ in $(seq 300); do
    if ctr version > /dev/null 2>&1; then break; fi
    sleep 0.1
done
tar --create --directory "$layout" . | ctr images import --label io.cri-containerd.image=managed --snapshotter overlayfs -
ctr images rm --sync $(ctr images ls --quiet | grep '^firestorm\.test/')
ctr images ls --quiet
kill "$daemon"
wait "$daemon" || true
rm -r "$root/var/lib/containerd/io.containerd.grpc.v1.introspection" # an identity that every node makes for itself

say "what a node never reads"
rm -rf "$units"/dracut-* "$units"/initrd* "$units"/systemd-{pcr,tpm2,hibernate,hybrid,suspend,battery,bsod,quota,storagetm,boot-check}* \
    "$units"/systemd-{backlight,rfkill,firstboot,hwdb,journal-catalog,update-done,sysusers,volatile,machine-id,random-seed}* \
    "$units"/systemd-{network-generator,networkd-persistent,udev-load,journal-flush,pstore,binfmt,initctl,ask-password,creds,fsck}* \
    "$units"/{apt-,dpkg-,e2scrub,cryptdisks,getty,serial-getty,console-getty,container-getty,autovt,fstrim,hwclock,rc-local,quotaon}* \
    "$units"/{runlevel,hibernate,hybrid,suspend,sleep,bluetooth,printer,smartcard,sound,usb-gadget,storage-target,x11,nftables,procps}* \
    "$units"/{proc-sys-fs-binfmt,sys-kernel-,sys-fs-fuse,dev-hugepages,dev-mqueue,debug-shell,ssh-access,tpm2,factory,capsule}* \
    "$units"/{run-lock,tmp}.mount "$units"/{kmod-static-nodes,modprobe@,systemd-remount-fs}.service "$units"/systemd-tmpfiles-setup-dev*
ln -s /dev/null "$units/systemd-firstboot.service"
ln -sf multi-user.target "$units/default.target"
rm -rf "$root"/usr/share/{doc,man,locale,info,lintian,bash-completion,zsh,common-licenses,i18n} "$root"/usr/lib/dracut \
    "$root"/usr/include "$root"/usr/lib/{apt,dpkg} "$root"/var/lib/{apt,dpkg} "$root"/var/cache/* "$root"/usr/share/{perl,zoneinfo}
rm -f "$root"/usr/bin/{apt,apt-*,dpkg,dpkg-*,perl,perl5*}
find "$root/usr/lib/modules/$kernel/kernel" -type d \( -path '*/drivers/gpu' -o -path '*/drivers/net/ethernet' -o -path '*/sound' \) \
    -prune -exec rm -rf {} +
chroot "$root" depmod "$kernel"
if [ -n "$(find "$root/usr" -name sshd -type f)" ]; then
    echo "image: an SSH server came with the packages" >&2
    exit 1
fi

say "the disk"
mkdir "$work/usr"
mv "$root/usr" "$work/usr/usr"
mkdir "$root/usr"
mkfs.erofs --quiet "$work/usr.erofs" "$work/usr/usr"
disk=$work/disk.raw
truncate -s "${size}G" "$disk"
usr_sectors=$((($(stat -c %s "$work/usr.erofs") + 1048575) / 1048576 * 2048))
root_start=$((2048 + usr_sectors))
root_sectors=$(((size * 2097152 - root_start - 2048) / 2048 * 2048))
sfdisk --quiet "$disk" << EOF
label: gpt
start=2048, size=$usr_sectors, type=8484680C-9521-48C6-9C11-B0720656F69E, name=usr, attrs=GUID:60
start=$root_start, size=$root_sectors, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
EOF
dd if="$work/usr.erofs" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
mke2fs -q -t ext4 -L root -m 0 -d "$root" -E "offset=$((root_start * 512)),assume_storage_prezeroed=1,nodiscard" "$disk" \
    "$((root_sectors / 2))k"
qemu-img convert -f raw -O qcow2 "$disk" "$out/disk.qcow2"
say "done"
