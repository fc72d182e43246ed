"""Private libvirts, for real: started, used, killed, ended; and the host as it was before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firestorm.errors import PlatformError
from firestorm.platforms.libvirt import private, private_cli, supervision
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import Place, domain_xml, host_network, network_xml

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

MAC = "52:54:00:4d:00:0a"
COMPONENTS = Path(private.__file__).parents[3]


def define(virsh: Virsh, directory: Path, kind: str, xml: str) -> None:
    file = directory / "definition.xml"
    file.write_text(xml)
    virsh.run({"domain": "define", "network": "net-define"}[kind], str(file))


def run_guest(place: Place, tmp_path: Path) -> Virsh:
    """A NAT network with a reservation, and a guest in it that runs."""
    virsh = Virsh(uri=place.start().uri)
    define(virsh, tmp_path, "network", network_xml("nodes", bridge="fsbr0", reservations={MAC: "10.77.0.10"}))
    virsh.run("net-start", "nodes")
    define(virsh, tmp_path, "domain", domain_xml("guest", network="nodes", mac=MAC))
    virsh.run("start", "guest")
    return virsh


def cli(place: Place, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", private.__name__, command, place.name, "--state-dir", str(place.state_dir)],
        env={**os.environ, "PYTHONPATH": str(COMPONENTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert supervision.wait(lambda: supervision.start_time(pid) is None, 5)


def test_a_guest_gets_its_reserved_address_and_the_host_stays_as_it_was(place: Place, tmp_path: Path) -> None:
    before = host_network()
    virsh = run_guest(place, tmp_path)

    assert supervision.wait(lambda: "10.77.0.10/24" in virsh.run("net-dhcp-leases", "nodes"), 60, interval=1)
    assert [(domain.name, domain.state) for domain in virsh.domains()] == [("guest", "running")]
    assert [(n.name, n.active, n.bridge, n.addresses) for n in virsh.networks()] == [
        ("nodes", True, "fsbr0", ("10.77.0.1",))
    ]
    assert host_network() == before

    removed = place.stop()

    kinds = sorted(line.rpartition(" (")[0] for line in removed if line.startswith("process "))
    assert kinds == [
        "process dnsmasq",
        "process dnsmasq",
        "process libvirtd",
        "process qemu-system-x86",
        "process virtlogd",
    ]
    assert f"network namespace {place.namespace}" in removed
    assert f"directory {place.directory}" in removed
    assert place.traces() == []
    assert host_network() == before


def test_only_root_gets_to_the_socket(place: Place) -> None:
    place.start()
    for path in (place.directory, place.directory / "sock"):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (place.directory / "sock" / "libvirt-sock").stat().st_mode & 0o777 == 0o700


def test_starting_again_changes_nothing(place: Place) -> None:
    first = place.start()
    states = private.status(place.name, place.state_dir).processes
    assert place.start() == first
    assert private.status(place.name, place.state_dir).processes == states


def test_two_runs_at_once_start_one(place: Place) -> None:
    runs = [cli(place, "start"), cli(place, "start")]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] == f"{place.start().uri}\n"
    daemons = [line for line in place.traces() if line.startswith("process ")]
    assert sorted(daemons) == ["process libvirtd", "process virtlogd"]


def test_a_guest_outlives_a_killed_libvirtd(place: Place, tmp_path: Path) -> None:
    run_guest(place, tmp_path)
    killed = place.start().pid
    kill(killed)
    assert not private.status(place.name, place.state_dir).running

    again = place.start()

    assert again.pid != killed
    assert [(domain.name, domain.state) for domain in Virsh(uri=again.uri).domains()] == [("guest", "running")]


def test_all_is_ended_after_a_killed_libvirtd(place: Place, tmp_path: Path) -> None:
    run_guest(place, tmp_path)
    for label, pid, _ in private.status(place.name, place.state_dir).processes:
        assert label in ("libvirtd", "virtlogd")
        kill(pid)
    assert "process qemu-system-x86" in place.traces()
    place.stop()
    assert place.traces() == []


@pytest.mark.parametrize("seconds", [0.15, 0.25, 0.4, 0.8])
def test_a_start_that_was_killed_is_undone(place: Place, seconds: float) -> None:
    run = cli(place, "start")
    time.sleep(seconds)
    run.kill()
    run.communicate(timeout=10)
    place.stop()
    assert place.traces() == []


def test_a_start_that_was_killed_is_finished(place: Place) -> None:
    run = cli(place, "start")
    assert supervision.wait(lambda: "process libvirtd" in place.traces(), 60, interval=0.02)
    run.kill()
    run.communicate(timeout=10)
    # as if the kill had come between starting the daemon and writing it down
    record = json.loads((place.directory / "record.json").read_text())
    record["processes"].pop("libvirtd", None)
    (place.directory / "record.json").write_text(json.dumps(record))

    assert Virsh(uri=place.start().uri).domains() == ()
    assert sorted(line for line in place.traces() if line.startswith("process ")) == [
        "process libvirtd",
        "process virtlogd",
    ]


def test_a_namespace_deleted_by_hand_is_made_anew(place: Place) -> None:
    killed = place.start().pid
    subprocess.run(["ip", "netns", "delete", place.namespace], check=True, timeout=10)
    again = place.start()
    assert again.pid != killed
    assert supervision.start_time(killed) is None
    assert Virsh(uri=again.uri).networks() == ()


def test_the_record_of_an_earlier_boot_is_not_believed(place: Place) -> None:
    before = place.start()
    path = place.directory / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "an earlier one"}))
    assert not private.status(place.name, place.state_dir).running
    after = place.start()
    assert (after.uri, after.pid != before.pid) == (before.uri, True)


def test_a_namespace_of_somebody_else_is_left_alone(place: Place) -> None:
    subprocess.run(["ip", "netns", "add", place.namespace], check=True, timeout=10)
    try:
        with pytest.raises(PlatformError) as caught:
            place.start()
        assert place.stop() == ()
        assert Path("/run/netns", place.namespace).exists()
    finally:
        subprocess.run(["ip", "netns", "delete", place.namespace], check=True, timeout=10)
    assert str(caught.value) == (
        f"a network namespace {place.namespace} exists that was not made for {place.directory}: choose another name, "
        f"or remove it (`ip netns delete {place.namespace}`) if nobody needs it"
    )


def test_a_process_of_somebody_else_is_left_alone(place: Place) -> None:
    place.start()
    argv = ["nsenter", f"--net=/run/netns/{place.namespace}", "sleep", "60"]
    with subprocess.Popen(argv) as stranger:
        try:
            assert supervision.wait(lambda: supervision.command(stranger.pid) == "sleep", 5)
            removed = place.stop()
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert f"nothing of process sleep ({stranger.pid}): it lives in the namespace, but was not started here" in removed


def test_one_ends_and_the_other_stays(place: Place, shared: Place) -> None:
    place.start()
    before = private.status(shared.name, shared.state_dir)
    place.stop()
    assert before.running
    assert private.status(shared.name, shared.state_dir) == before
    assert Virsh(uri=before.uri).pools() == ()


def test_a_server_inside_is_kept_or_replaced_with_its_children(place: Place) -> None:
    place.start()

    def serve(seconds: int) -> supervision.Process:
        # The inner sleep has no environment at all, as a server's child may.
        script = f"env -i sleep {seconds} & wait"
        return private.run_inside(place.name, ["sh", "-c", script], label="server", state_dir=place.state_dir)

    first = serve(100)
    assert serve(100) == first
    second = serve(200)
    assert not supervision.alive(first)
    assert supervision.alive(second)
    inside = supervision.identity(Path("/run/netns", place.namespace))
    assert inside is not None
    assert supervision.wait(lambda: supervision.namespace_of(second.pid) == inside, 5)  # it goes in after its start

    def sleepers() -> list[str]:
        found = (Path(f"/proc/{p}/cmdline") for p in supervision.pids() if supervision.namespace_of(p) == inside)
        return [text for text in (path.read_text() for path in found if path.exists()) if text.startswith("sleep")]

    assert supervision.wait(lambda: sleepers() == ["sleep\x00200\x00"], 5)


def test_the_service_address_is_inside_and_can_change(place: Place) -> None:
    def addresses() -> list[str]:
        argv = ["ip", "-n", place.namespace, "-json", "address", "show", "lo"]
        links = json.loads(subprocess.run(argv, capture_output=True, timeout=10, check=True).stdout)
        return [item["local"] for item in links[0]["addr_info"] if item["family"] == "inet"]

    assert place.start().service_address == "10.255.255.1"
    assert addresses() == ["127.0.0.1", "10.255.255.1"]
    private.start(place.name, place.state_dir, service_address="10.255.255.2")
    assert addresses() == ["127.0.0.1", "10.255.255.2"]


def test_the_command_line(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    where = [place.name, "--state-dir", str(place.state_dir)]

    assert private_cli.main(["status", *where]) == private_cli.NOT_RUNNING
    assert capsys.readouterr().out == f"{place.name} does not run\n"
    assert private_cli.main(["start", *where]) == 0
    uri = f"qemu+unix:///system?socket={place.directory}/sock/libvirt-sock"
    assert capsys.readouterr().out == f"{uri}\n"
    assert private_cli.main(["status", *where]) == 0
    pids = {label: pid for label, pid, _ in private.status(place.name, place.state_dir).processes}
    assert capsys.readouterr().out == (
        f"{place.name} runs\n  uri        {uri}\n  namespace  {place.namespace}\n"
        f"  process    virtlogd ({pids['virtlogd']})\n  process    libvirtd ({pids['libvirtd']})\n"
    )
    assert private_cli.main(["stop", *where]) == 0
    assert f"network namespace {place.namespace}\n" in capsys.readouterr().out
    assert private_cli.main(["stop", *where]) == 0
    assert capsys.readouterr().out == f"nothing of {place.name} was there\n"
    assert private_cli.main(["start", *where, "--service-address", "ten"]) == 1
    assert capsys.readouterr().err == "error: 'ten' is not an IPv4 address: give one such as 10.255.255.1\n"


def test_a_libvirtd_that_fails_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from firestorm.platforms.libvirt import daemons

    monkeypatch.setitem(daemons._FILES, "libvirtd.conf", "listen_tls = maybe\n")
    with pytest.raises(PlatformError) as caught:
        place.start()
    message = str(caught.value)
    assert message.startswith(f"libvirtd ended at once; the end of its log {place.directory}/log/libvirtd.log:\n    ")
    assert "libvirtd.conf:1" in message


def test_directories_made_for_the_mounts_go_with_the_last(new_place: Callable[[], Place]) -> None:
    place = new_place()
    place.start()
    made = json.loads((place.directory / "record.json").read_text())["made"]
    assert str(place.state_dir / "private") in made
    place.stop()
    assert not (place.state_dir / "private").exists()
    if not Path("/run/firestorm/host.json").exists():  # no other private libvirt on this machine
        assert [path for path in made if Path(path).exists()] == []
