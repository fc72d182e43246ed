"""The journal port: the node's real script at the other end, its device a pseudo-terminal."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from firestorm.readiness.port import Answer, PortError, Question, ask
from tests.components.readiness.journal_port import machine, make_pipes

JOURNAL = 'echo "journalctl $*"; echo "Nov 25 kubelet[1]: a line"'


@pytest.fixture
def port(tmp_path: Path) -> Path:
    return make_pipes(tmp_path / "dev-worker-0.journal")


def test_a_node_answers_again_and_again(port: Path) -> None:
    with machine(port, {"journalctl": JOURNAL}):
        for _ in range(3):
            answer = ask(port, "journal", timeout=20)
            assert answer == Answer(
                data=b"journalctl --boot --no-pager --no-hostname --utc --output short-iso --lines 20000\n"
                b"Nov 25 kubelet[1]: a line\n",
                whole=True,
            )


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("kubelet", r"\Ajournalctl .*--unit kubelet.service --unit containerd.service\n"),
        ("trouble", r"\AE1125 \"Failed to pull image\" PullImage\n\Z"),
        ("node", r"\n==> df -P -l\n(?s:.*)\n==> systemctl --no-pager --failed\nfailed units\n"),
        ("containers", r"\A\Z"),
    ],
)
def test_questions(port: Path, question: Question, expected: str) -> None:
    programs = {
        "journalctl": 'echo "journalctl $*"; echo "E1125 \\"Failed to pull image\\" PullImage"',
        "systemctl": "echo failed units",
    }
    if question == "trouble":
        programs["journalctl"] = "echo quiet; echo 'E1125 \"Failed to pull image\" PullImage'"
    with machine(port, programs):
        assert re.search(expected, ask(port, question, timeout=60).data.decode())


def test_an_answer_is_as_long_as_it_may_be_and_the_newest_part(port: Path) -> None:
    with machine(port, {"journalctl": "seq 1 200000"}):
        answer = ask(port, "journal", timeout=30, limit=100_000)
    assert answer.whole
    assert len(answer.data) == 100_000
    assert answer.data.endswith(b"\n199999\n200000\n")


def test_who_gives_up_takes_the_question_back(port: Path) -> None:
    ends = [os.open(f"{port}{suffix}", os.O_RDWR | os.O_NONBLOCK) for suffix in (".in", ".out")]  # a node that boots
    with pytest.raises(PortError, match=r"^the node did not answer within 0.2 seconds: it has not come so far, or"):
        ask(port, "journal", timeout=0.2)
    with pytest.raises(BlockingIOError):
        os.read(ends[0], 100)
    for end in ends:
        os.close(end)
    with machine(port, {"journalctl": JOURNAL}):
        assert ask(port, "journal", timeout=20).whole


def test_the_rest_of_an_answer_that_nobody_waited_for_is_passed_over(port: Path) -> None:
    with machine(port, {"journalctl": 'seq 1 50000; sleep 1; echo "the end"'}):
        try:
            first = ask(port, "journal", timeout=0.5)
        except PortError:
            first = Answer(data=b"", whole=False)
        assert not first.whole
        assert ask(port, "journal", timeout=30).data.endswith(b"50000\nthe end\n")


def test_two_ask_one_after_the_other(port: Path) -> None:
    answers: list[Answer] = []
    with machine(port, {"journalctl": 'echo "$*"; sleep 0.2'}):
        threads = [
            threading.Thread(target=lambda q=q: answers.append(ask(port, q, timeout=30)))
            for q in ("journal", "kubelet")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert sorted(b"--unit" in answer.data for answer in answers) == [False, True]
    assert all(answer.whole for answer in answers)


def test_a_machine_that_does_not_run(port: Path) -> None:
    with pytest.raises(PortError, match=r"^the machine does not run$"):
        ask(port, "journal", timeout=5)


def test_a_machine_that_is_switched_off_meanwhile(port: Path) -> None:
    ends = [os.open(f"{port}{suffix}", os.O_RDWR | os.O_NONBLOCK) for suffix in (".in", ".out")]
    timer = threading.Timer(0.2, lambda: list(map(os.close, ends)))
    timer.start()
    with pytest.raises(PortError, match=r"^the machine was switched off before it answered$"):
        ask(port, "journal", timeout=30)
    timer.join()


def test_no_port(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"nowhere\.in: No such file or directory$"):
        ask(tmp_path / "nowhere", "journal")
    (tmp_path / "file.in").write_text("kept")
    with pytest.raises(PortError, match=r"file\.in is no named pipe$"):
        ask(tmp_path / "file", "journal")
    assert (tmp_path / "file.in").read_text() == "kept"


def test_a_node_that_says_more_than_it_may(port: Path) -> None:
    with (
        machine(port, {"journalctl": "seq 1 200000", "tail": "exec cat"}),
        pytest.raises(PortError, match="more than it was asked for"),
    ):
        ask(port, "journal", timeout=30, limit=1000)


def test_requests_that_are_none_do_nothing(port: Path, tmp_path: Path) -> None:
    programs = {"journalctl": f"touch {tmp_path}/called; echo x"}
    with machine(port, programs):
        for line in (b"\n", b"x journal 10\n", b"ab journal $(touch)\n", b"ab nonsense 10\n", b"ab $(reboot) 10\n"):
            fd = os.open(f"{port}.in", os.O_WRONLY)
            os.write(fd, line)
            os.close(fd)
        time.sleep(0.2)
        assert ask(port, "trouble", timeout=30).whole
    subprocess.run(["sh", "-n", str(tmp_path / "firestorm-journal")], check=True, timeout=10)
