"""What the compiler's tests share: the reference, and the local files that configs name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.butane.butane_generator import LOCAL_FILES
from tests.butane.references import Reference

settings.register_profile("long", max_examples=3000)  # pytest --hypothesis-profile=long


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    with Reference() as running:
        yield running


@pytest.fixture(scope="session")
def files_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    for name, content in LOCAL_FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "tree/sub/run").chmod(0o755)
    (root / "tree/link").symlink_to("sub/b")
    (root / "pipes").mkdir()
    os.mkfifo(root / "pipes/pipe")
    return root
