"""Clusters that cannot come up: each fails with its node, its step and its cause, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from firestorm.clusters import runs
from firestorm.clusters.stack import UP
from firestorm.errors import ClusterError
from firestorm_lab.development import Development
from firestorm_lab.standin import RELEASE_PORT
from tests.end_to_end.running import assert_nothing_left, eventually, start

pytestmark = [pytest.mark.lab, pytest.mark.machine, pytest.mark.timeout(900)]
GOLDEN = Path(__file__).parent / "golden"


def failed_up(development: Development) -> str:
    """What `pulumi up` prints of a cluster that fails."""
    status, output = development.try_up()
    assert status != 0
    assert "Traceback" not in output
    return output


def assert_golden(output: str, name: str) -> None:
    """The message as in golden/NAME.txt; addresses, times, hashes and kernel clocks are masked on both sides."""
    expected = (GOLDEN / f"{name}.txt").read_text()
    assert expected.strip(), f"golden/{name}.txt is empty; printed:\n{output}"
    assert masked(expected).strip() in masked(output), f"expected:\n{expected}\nprinted:\n{output}"


def masked(text: str) -> str:
    text = re.sub(r"\[ *\d+\.\d+\]", "[T]", text)
    text = re.sub(r"ignition\[\d+\]", "ignition[N]", text)
    text = re.sub(r"[0-9a-f]{64,128}", "HASH", text)
    text = re.sub(r"/tmp(\d+|N)\b", "/tmpN", text)  # Ignition's name for a file that it is writing
    text = re.sub(r"/\S+/disk\.qcow2", "IMAGE", text)
    text = re.sub(r"\d+\.\d+\.\d+\.\d+(:\d+)?", "ADDRESS", text)
    return re.sub(r"[ \t]+", " ", text)


def test_an_ignition_config_that_the_node_refuses(broken: Development, tmp_path: Path) -> None:
    snippet = tmp_path / "readonly.bu"
    snippet.write_text(
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n"
        "    - {path: /usr/share/firestorm, mode: 0644, contents: {inline: no}}\n"
    )
    start(broken, {"controllers": {"snippets": [str(snippet)]}, "workers": []})
    assert_golden(failed_up(broken), "ignition-refuses")


def test_an_image_whose_checksum_does_not_match(broken: Development) -> None:
    running = start(broken, {"workers": []})
    config = broken.stack_config.read_text()
    digest = re.search(r"sha256: ([0-9a-f]{64})", config[config.index("firestorm:os") :])
    assert digest is not None
    broken.stack_config.write_text(config.replace(digest.group(1), "f" * 64))
    assert_golden(failed_up(broken), "image-checksum")
    assert running.virsh("list", "--all", "--name") == []


def test_a_mirror_that_answers_404(broken: Development) -> None:
    start(broken, {"workers": []})
    config = broken.stack_config.read_text()
    changed = config.replace(f":{RELEASE_PORT}/dl.k8s.io", f":{RELEASE_PORT}/not-there")
    assert changed != config
    broken.stack_config.write_text(changed)
    assert_golden(failed_up(broken), "mirror-404")


def test_a_killed_up_leaves_nothing_after_down(broken: Development) -> None:
    running = start(broken, {"workers": []})
    process = subprocess.Popen(
        broken.stack.command(*UP), env=broken.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip

    def machine_runs() -> None:
        assert running.virsh("list", "--all", "--name") == ["broken-controller-0"]

    try:
        eventually(machine_runs, seconds=120, pause=0.2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert runs.processes(broken.home) != {}  # plugins have process groups of their own, and survive their engine


def without_a_kernel(development: Development, scratch: Path) -> None:
    """Have QEMU refuse to start the machines: their kernel is none."""
    kernel = scratch / "kernel"
    kernel.write_bytes(bytes(8192))
    config = yaml.safe_load(development.stack_config.read_text())
    config["config"]["firestorm:os"]["image"]["kernel"] = str(kernel)
    development.stack_config.write_text(yaml.safe_dump(config))


def test_a_domain_that_could_not_start_is_swept(broken: Development, tmp_path: Path) -> None:
    """The provider leaves such a domain defined and outside the state; the next up and destroy find it all the same."""
    running = start(broken, {"workers": []})
    without_a_kernel(broken, tmp_path)
    for _ in range(2):
        assert "too old to load a ram disk" in failed_up(broken)
        assert running.virsh("list", "--all", "--name") == ["broken-controller-0"]
    broken.pulumi("destroy", "--yes", "--skip-preview")
    assert running.virsh("list", "--all", "--name") == []


def test_machines_that_the_host_has_no_room_for(broken: Development) -> None:
    """They are refused before anything is started; asked for in the stack's configuration, before any resource is."""
    asked: dict[str, object] = {"workers": [], "controllers": {"memory": "2000GiB"}}
    with pytest.raises(ClusterError, match=r"^the machines need 2000\.0 GiB of memory and [\d.]+ GiB are free.*: give"):
        start(broken, asked)
    assert_nothing_left(broken)

    running = start(broken, {"workers": []})
    config = yaml.safe_load(broken.stack_config.read_text())
    config["config"]["firestorm:controllers"] = asked["controllers"]
    broken.stack_config.write_text(yaml.safe_dump(config))
    assert "the machines need 2048000 MiB of memory and " in failed_up(broken)
    assert running.virsh("list", "--all", "--name") == []
