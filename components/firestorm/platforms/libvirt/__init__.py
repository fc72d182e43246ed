"""The libvirt platform: machines as libvirt domains, on a system libvirt or on a private one."""
