"""One large file over HTTP: resumed where it broke off (RFC 9110 sections 13.1.5 and 14), verified whole at the end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from firestorm.errors import ImageError
from firestorm.images.files import digest
from firestorm.images.model import Checksum
from firestorm.images.transport import Retry, TransientFailure, attempt_all, check_status

_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_UNSATISFIED: Final = re.compile(r"bytes \*/(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told of a download.

    `room` gets (bytes still to come, bytes in all) before the first byte is written and raises if they do not fit;
    `moved` gets (bytes so far, bytes in all or None); `failed` why there is a new attempt; `hashed` how many bytes have
    been read back.
    """

    room: Callable[[int, int], None]
    moved: Callable[[int, int | None], None]
    failed: Callable[[str], None]
    hashed: Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What a partial file is a part of; kept beside it. `validator` is for If-Range: a strong ETag, or a date."""

    url: str
    checksum: str
    validator: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A download of `url` to `part`. An interrupted one leaves `part` and `part`.json for the next run."""

    client: httpx.Client
    url: str
    checksum: Checksum
    part: Path
    retry: Retry
    watch: Watch

    @property
    def state_file(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    def run(self) -> None:
        """Returns once `part` is whole and has its checksum.

        A file in more than one piece that does not match is fetched once more from its start: the server may have
        replaced it in between, or a crash may have damaged the first piece.

        Raises:
            UnreachableError: transient failures outlasted `retry`; what has come stays for the next run.
            ImageError: the checksum does not match (the file is removed), or there is no such file.
        """
        in_pieces = self._transfer()
        found = self._digest()
        if found != self.checksum.hex and in_pieces:
            self.discard()
            self._transfer()
            found = self._digest()
        if found != self.checksum.hex:
            size = self._size()
            self.discard()
            raise ImageError(
                f"{self.url}: the {self.checksum.algorithm} of these {size} bytes is {found}, but "
                f"{self.checksum.hex} is published; they have been removed. Try again; if it stays so, the server "
                "or mirror has a damaged or altered file"
            )

    def discard(self) -> None:
        """Removes what has been downloaded."""
        self.part.unlink(missing_ok=True)
        self.state_file.unlink(missing_ok=True)

    def _digest(self) -> str:
        return digest(self.part, self.checksum.algorithm, self.watch.hashed)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _transfer(self) -> bool:
        """Completes `part`; true if its bytes came in more than one piece."""
        state = self._load()
        if state is None:
            self.discard()
        elif state.total is not None and state.total == self._size():
            return True
        pieces = [0] if self._size() else []
        attempt_all(lambda: pieces.append(self._request()), self.url, self.retry, self._size, self.watch.failed)
        return pieces[-1] > 0

    def _request(self) -> int:
        """One attempt; returns the offset that it began to write at."""
        offset, state = self._size(), self._load() or self._state()
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if state.validator is not None:
                headers["If-Range"] = state.validator
        with self.client.stream("GET", self.url, headers=headers) as response:
            check_status(response, self.url)
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                said = _UNSATISFIED.fullmatch(response.headers.get("Content-Range", ""))
                if said is None or int(said[1]) != offset:
                    self._other_part()
                return offset
            start, total = self._extent(response, offset, state)
            if total is not None:
                self.watch.room(total - start, total)
            self._save(self._state(validator=_validator(response), total=total))
            self._write(response, start, total)
        return start

    def _extent(self, response: httpx.Response, offset: int, state: _State) -> tuple[int, int | None]:
        """(where in the file this body begins, size of the whole file)."""
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        said = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if said is None or int(said[1]) != offset:
            self._other_part()
        assert said is not None
        total = None if said[2] == "*" else int(said[2])
        if state.total is not None and total != state.total:
            self._other_part()
        return offset, total

    def _other_part(self) -> None:
        self.discard()
        raise TransientFailure("the server sent another part of the file than the one asked for")

    def _write(self, response: httpx.Response, start: int, total: int | None) -> None:
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, start)
            done = os.lseek(descriptor, start, os.SEEK_SET)
            for chunk in response.iter_raw():
                rest = memoryview(chunk)
                while rest:
                    written = os.write(descriptor, rest)
                    rest, done = rest[written:], done + written
                self.watch.moved(done, total)
        finally:
            os.close(descriptor)
        if total is not None and done != total:
            raise TransientFailure("the connection broke off")

    def _state(self, validator: str | None = None, total: int | None = None) -> _State:
        checksum = f"{self.checksum.algorithm}:{self.checksum.hex}"
        return _State(url=self.url, checksum=checksum, validator=validator, total=total)

    def _load(self) -> _State | None:
        """The state of what lies there; None if it is unreadable or of another file."""
        try:
            state = _State(**json.loads(self.state_file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        own = self._state(state.validator, state.total)
        valid = isinstance(state.validator, str | None) and isinstance(state.total, int | None)
        return state if valid and state == own else None

    def _save(self, state: _State) -> None:
        temporary = self.state_file.with_name(self.state_file.name + ".new")
        temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")
        temporary.replace(self.state_file)


def _validator(response: httpx.Response) -> str | None:
    """RFC 9110 section 13.1.5: a weak ETag must not be used in If-Range."""
    etag: str = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    modified: str | None = response.headers.get("Last-Modified")
    return modified
