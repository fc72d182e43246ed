"""Fixtures of the platform tests: private libvirts under names and directories of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from firestorm.platforms.libvirt import private
from firestorm.platforms.libvirt.virsh import Virsh
from tests.components.platforms.libvirt_place import Place, require_lab


@pytest.fixture(scope="session")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Place]]:
    """Makes places; whatever was started in them is ended."""
    require_lab()
    places: list[Place] = []
    numbers = count()

    def make() -> Place:
        place = Place(name=f"t{os.getpid()}-{next(numbers)}", state_dir=tmp_path_factory.mktemp("s"))
        places.append(place)
        return place

    yield make
    for place in places:
        place.stop()


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Iterator[Place]:
    """A place for one test, empty again after it."""
    place = new_place()
    yield place
    place.stop()
    assert place.traces() == []


@pytest.fixture(scope="session")
def shared(new_place: Callable[[], Place]) -> Place:
    """The place of a private libvirt that runs for all tests that only use one."""
    place = new_place()
    place.start()
    return place


@pytest.fixture
def virsh(shared: Place) -> Virsh:
    """virsh on the shared private libvirt."""
    return Virsh(uri=private.start(shared.name, shared.state_dir).uri)
