"""What is found out about the host before anything is made."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import host, packages, private
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import Place, require_lab

BEFORE_13 = {"libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients"}
SINCE_13 = BEFORE_13 | {"libvirt-daemon-log", "libvirt-daemon-driver-network", "libvirt-daemon-driver-storage"}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("qemu+unix:///system?socket=/a/b", "/a/b"),
        ("qemu:///system?socket=/a/b", "/a/b"),
        ("qemu+ssh://root@host/system", None),
        ("qemu+tcp://127.0.0.1/system", None),
        ("qemu:///session", None),
        ("test:///default", None),
    ],
)
def test_which_socket_a_uri_leads_to(uri: str, expected: str | None) -> None:
    assert host.socket_of(uri) == (Path(expected) if expected else None)


def test_a_directory_that_qemu_cannot_reach(tmp_path: Path) -> None:
    closed = tmp_path / "home" / "volumes"
    closed.mkdir(parents=True)
    for directory, mode in ((tmp_path, 0o711), (closed.parent, 0o700)):
        directory.chmod(mode)
    above = [parent for parent in tmp_path.parents if not parent.stat().st_mode & 0o001]
    found = host.access_problems(closed, {"dac": "+64055:+64055"})
    assert found == [
        f"{parent} lets no other user pass, so QEMU (user 64055) cannot reach {closed}: `chmod o+x {parent}`, or set "
        "the platform's state directory to another place"
        for parent in (closed.parent, *above)
    ]
    assert host.access_problems(closed, {"dac": "+0:+0"}) == []
    assert host.access_problems(closed, {}) == []


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (None, True),
        ("", True),
        ("  # {path}/** r,\n", True),
        ("  {path}/** r,\n", False),
        ("{parent}/** rwk,\n", False),
        ("{path}-other/** r,\n", True),
    ],
)
def test_a_directory_that_apparmor_closes(tmp_path: Path, rules: str | None, problem: bool) -> None:
    path, file = tmp_path / "volumes", tmp_path / "rules"
    if rules is not None:
        file.write_text(rules.format(path=path, parent=path.parent))
    expected = f"AppArmor keeps QEMU from reading Ignition configs in {path}: add the line\n    {path}/** r,\nto {file}"
    assert host.access_problems(path, {"apparmor": ""}, rules=file) == ([expected] if problem else [])


def test_memory_and_disk(tmp_path: Path) -> None:
    assert host._memory_problems(1) == []
    assert host._disk_problems(tmp_path / "not" / "yet", 1) == []
    [memory] = host._memory_problems(2**30)
    assert memory.startswith(f"the machines need {2**30} MiB of memory and ")
    assert memory.endswith(" MiB are available: give them less, have fewer, or end something")
    [disk] = host._disk_problems(tmp_path / "volumes", 2**60)
    assert disk.startswith(f"the volumes need 1073741824.0 GiB in {tmp_path}/volumes and ")
    assert disk.endswith(" GiB are free: free some, or set the platform's state directory to another disk")


@pytest.mark.parametrize(
    ("lacking", "known", "expected"),
    [
        (set(), BEFORE_13, ()),
        ({"libvirtd", "virtlogd", "network", "storage"}, BEFORE_13, ("libvirt-daemon",)),
        ({"qemu"}, BEFORE_13, ("libvirt-daemon-driver-qemu",)),
        (
            {"libvirtd", "virtlogd", "qemu", "network", "storage", "virsh"},
            SINCE_13,
            (
                "libvirt-daemon",
                "libvirt-daemon-log",
                "libvirt-daemon-driver-qemu",
                "libvirt-daemon-driver-network",
                "libvirt-daemon-driver-storage",
                "libvirt-clients",
            ),
        ),
        (
            {"qemu-system-x86_64", "qemu-img", "xsltproc", "dnsmasq", "ip", "iptables", "nsenter", "unshare", "mount"},
            SINCE_13,
            (
                "qemu-system-x86",
                "qemu-utils",
                "xsltproc",
                "dnsmasq-base",
                "iproute2",
                "iptables",
                "util-linux",
                "mount",
            ),
        ),
    ],
    ids=["nothing", "Debian 12: one package", "Debian 12: QEMU driver", "Debian 13: one each", "the rest"],
)
def test_missing_packages(lacking: set[str], known: set[str], expected: tuple[str, ...]) -> None:
    assert packages.resolve(lambda name, driver: name not in lacking, known.__contains__) == expected


@pytest.mark.lab
def test_a_host_with_a_running_libvirt_is_ready(shared: Place, virsh: Virsh, tmp_path: Path) -> None:
    assert host.preflight(virsh.uri, memory=64, pool_path=str(tmp_path / "volumes"), disk=2**20) == []
    assert set(virsh.confinement()) <= {"none", "dac"}


@pytest.mark.lab
def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    require_lab()
    absent = tmp_path / "libvirt-sock"
    found = host.preflight(f"qemu+unix:///system?socket={absent}", memory=2**30, pool_path=str(tmp_path), disk=2**60)
    assert found[0] == (
        f"{absent} does not exist: no libvirt runs there; start it (`systemctl start libvirtd`), or let Firestorm "
        "start a private one (`python -m firestorm.platforms.libvirt.private start NAME`)"
    )
    assert [line.partition(" need ")[0] for line in found[1:]] == ["the machines", "the volumes"]


@pytest.mark.lab
def test_a_libvirt_that_is_not_there(tmp_path: Path) -> None:
    require_lab()
    path = tmp_path / "libvirt-sock"
    uri = f"qemu+unix:///system?socket={path}"
    expected = (
        f"libvirt at {uri} cannot be reached: Failed to connect socket to '{path}': {{}}; start libvirtd, check the "
        "URI and that this user may use its socket (group libvirt), or let Firestorm start a private libvirt"
    )
    with pytest.raises(PlatformError) as caught:
        Virsh(uri=uri).domains()
    assert str(caught.value) == expected.format("No such file or directory")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert host.preflight(uri) == [expected.format("Connection refused")]


@pytest.mark.lab
def test_a_libvirt_that_hangs(tmp_path: Path) -> None:
    require_lab()
    path = tmp_path / "libvirt-sock"
    uri = f"qemu+unix:///system?socket={path}"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(PlatformError) as caught:
            Virsh(uri=uri, timeout=0.5).run("list")
    assert str(caught.value) == (
        f"libvirt at {uri} did not finish `virsh list` within 0.5 s: see what libvirtd is busy with (its log), or "
        "restart it"
    )


@pytest.mark.lab
def test_a_refusal_in_libvirts_own_words(virsh: Virsh) -> None:
    with pytest.raises(PlatformError) as caught:
        virsh.destroy_network("absent")
    assert str(caught.value) == (
        f"libvirt at {virsh.uri} refused `virsh net-destroy --network absent`: failed to get network 'absent'; "
        "Network not found: no network with matching name 'absent'"
    )


@pytest.mark.lab
def test_the_programs_that_are_there_are_found() -> None:
    require_lab()
    assert private.missing() == ()
    done = subprocess.run(["apt-cache", "show", "libvirt-daemon"], capture_output=True, timeout=60, check=False)
    if done.returncode == 0:  # a Debian with package lists: the names are real ones
        assert packages._known_to_apt("libvirt-daemon")
        assert not packages._known_to_apt("firestorm-no-such-package")
