"""systemd's unit names and unit files, as far as a config needs them.

Sources: systemd.unit(5), systemd.syntax(7), systemd-escape(1). The parser accepts what the reference's does, which is
looser than systemd: text before the first section is passed over.
"""

from __future__ import annotations

MAX_LINE = 2048
"""Bytes; longer lines are cut by older systemd (LINE_MAX), so a unit must not have them."""

UNIT_EXTENSIONS = frozenset(
    [
        ".service",
        ".socket",
        ".device",
        ".mount",
        ".automount",
        ".swap",
        ".target",
        ".path",
        ".timer",
        ".snapshot",
        ".slice",
        ".scope",
    ]
)

_PLAIN = frozenset(b":_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_BUFFER = 4096
# Unicode's White_Space.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


class UnitError(ValueError):
    """The text is not a unit file."""


def escape_path(path: str) -> str:
    """A path as part of a unit's name, as ``systemd-escape --path`` gives it."""
    parts = [part for part in path.encode().split(b"/") if part]
    escaped = []
    for i, part in enumerate(parts):
        escaped.append(
            "".join(
                chr(c) if c in _PLAIN and not (i == 0 and k == 0 and c == ord(".")) else f"\\x{c:x}"
                for k, c in enumerate(part)
            )
        )
    return "-".join(escaped) or "-"


def extension(name: str) -> str:
    """The last dot of a name's last part and all after it."""
    last = name.rpartition("/")[2]
    dot = last.rfind(".")
    return last[dot:] if dot >= 0 else ""


def option_sections(contents: str) -> set[str]:
    """The sections that hold at least one option.

    Raises:
        UnitError: what is wrong.
    """
    return _Parser(contents.encode("utf-8", "replace")).run()


class _Parser:
    """One pass over the text; a line continues where it ends in a backslash.

    The reference looks for lines that are too long only in what its buffer of 4096 bytes holds at that moment, so the
    buffer is followed here too: ``_at`` is what was consumed, ``_filled`` the end of what was read ahead.
    """

    def __init__(self, contents: bytes) -> None:
        self._data = contents
        self._at = 0
        self._filled = 0
        self._sections: set[str] = set()

    def run(self) -> set[str]:
        section: str | None = None
        while self._step():
            char, width = self._rune()
            if not char:
                break
            if char == "[":
                self._at += width
                self._step()
                section = self._section()
            elif char in "#;":
                self._at += width
                self._step()
                self._comment()
            elif section is None or char in _SPACE:
                self._at += width
            else:
                self._step()
                self._option()
                self._sections.add(section)
        return self._sections

    def _step(self) -> bool:
        """What the reference checks between two steps."""
        if self._filled - self._at >= MAX_LINE:
            end = self._at + MAX_LINE
            if self._data.find(b"\n", self._at, end) < 0 and self._data.find(b"\r", self._at, end) < 0:
                raise UnitError(f"a line is longer than {MAX_LINE} bytes")
        return True

    def _fill(self) -> None:
        self._filled = min(len(self._data), self._at + _BUFFER)

    def _rune(self) -> tuple[str, int]:
        """The next character and its width; empty at the end. A byte that is not UTF-8 stands for itself."""
        lead = self._data[self._at] if self._at < len(self._data) else 0
        wanted = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        if self._filled - self._at < wanted:
            self._fill()
        if self._at >= len(self._data):
            return "", 0
        if lead < 0x80:
            return chr(lead), 1
        try:
            return self._data[self._at : self._at + wanted].decode(), wanted
        except UnicodeDecodeError:
            return "\ufffd", 1

    def _until(self, delimiter: bytes) -> bytes | None:
        """All up to and with the delimiter, or ``None`` and nothing left if there is none."""
        start, found = self._at, self._data.find(delimiter, self._at)
        while not self._at <= found < self._filled:
            if self._filled >= len(self._data):
                self._at = len(self._data)
                return None
            if self._filled - self._at >= _BUFFER:
                self._at = self._filled
            else:
                self._fill()
        self._at = found + 1
        return self._data[start : self._at]

    def _line(self) -> bytes:
        start = self._at
        line = self._until(b"\n")
        if line is None:
            return self._data[start:].removesuffix(b"\r")
        return line[:-1]

    def _section(self) -> str:
        name = self._until(b"]")
        if name is None:
            raise UnitError("a section has no ']'")
        section = name[:-1].decode("utf-8", "replace")
        self._step()
        if not _blank(self._line()):
            raise UnitError(f"text follows section [{section}] on its line")
        return section

    def _comment(self) -> None:
        while self._line().removesuffix(b" ").endswith(b"\\"):
            pass

    def _option(self) -> None:
        start = self._at
        while True:
            char, width = self._rune()
            if not char or char in "\r\n":
                name = self._data[start : self._at].decode("utf-8", "replace")
                raise UnitError(f"line {name.strip()!r} has no '='")
            self._at += width
            if char == "=":
                break
        while True:
            self._step()
            line = self._line()
            if _blank(line) or not line.endswith(b"\\"):
                return


def _blank(line: bytes) -> bool:
    return not line.strip(b"\t\n\v\f\r ") or not line.decode("utf-8", "replace").strip(_SPACE)
