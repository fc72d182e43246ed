#!/bin/bash
# The stand-in's part of the initramfs: the disk's drivers, the first-boot flag, the network on demand, plain failures.

check() {
    return 255
}

depends() {
    echo systemd-initrd ignition
}

installkernel() {
    instmods virtio_pci virtio_blk virtio_net qemu_fw_cfg ext4 erofs af_packet
}

# Only what the root disk, the network card and Ignition's own partitions need.
rules() {
    local path
    inst_rules 60-block.rules 60-persistent-storage.rules 75-net-description.rules 80-net-setup-link.rules
    for path in "$initdir"/usr/lib/udev/rules.d/*.rules; do
        case "${path##*/}" in
        50-udev-default.rules | 60-block.rules | 60-persistent-storage.rules | 75-net-description.rules | 80-drivers.rules | \
            80-net-setup-link.rules | 99-systemd.rules) ;;
        *) rm -f "$path" ;;
        esac
    done
}

install() {
    local name wants=$initdir/usr/lib/systemd/system/sysinit.target.wants
    inst_multiple bash cat journalctl ln mkdir modprobe mount rm sed sleep systemctl touch udevadm umount
    inst_simple "$moddir/busybox" /usr/bin/busybox
    inst_simple /usr/lib/systemd/network/99-default.link
    inst_simple "$moddir/journald.conf" /usr/lib/systemd/journald.conf.d/10-console.conf
    rules
    for name in firstboot network network-lease presets processors failed; do
        inst_script "$moddir/$name" "/usr/lib/firestorm/$name"
    done
    for name in firestorm-firstboot.service firestorm-network.service firestorm-presets.service; do
        inst_simple "$moddir/$name" "$systemdsystemunitdir/$name"
        $SYSTEMCTL -q --root "$initdir" add-requires ignition-complete.target "$name"
    done
    for name in firestorm-drivers.service firestorm-processors.service; do
        inst_simple "$moddir/$name" "$systemdsystemunitdir/$name"
        $SYSTEMCTL -q --root "$initdir" add-wants sysinit.target "$name"
    done
    inst_multiple "$systemdsystemunitdir/emergency.target" "$systemdsystemunitdir/systemd-udev-settle.service"
    inst_simple "$moddir/emergency.service" "$systemdsystemunitdir/emergency.service"
    for name in fetch-offline fetch kargs disks mount files; do
        inst_simple "$moddir/stage.conf" "$systemdsystemunitdir/ignition-$name.service.d/10-firstboot.conf"
    done
    # The drivers are loaded by name; there is nothing to find out, and the booted system does the rest.
    rm -f "$wants"/{kmod-static-nodes,systemd-modules-load,systemd-sysctl,systemd-udev-trigger}.service \
        "$wants"/systemd-tmpfiles-setup*.service
    # The loader's cache spares each program its search for libraries.
    ldconfig -r "$initdir"
}
