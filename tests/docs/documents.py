"""Markdown documents as the tests read them: fenced blocks, links, generated parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<language>\S*)(?: (?P<argument>\S+))?\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_GENERATED = re.compile(
    r"(?<=<!-- generated: )(?P<module>\S+) -->\n(?P<text>.*?)(?=<!-- end of what is generated -->)", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. A second word behind its language is the name of the file that the other blocks of its document
    find it as; of a text, the file of the tree that it is a part of."""

    document: str
    line: int
    language: str
    text: str
    file: str

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


OTHERS = {"docs/butane.md": "tests/butane/test_butane_docs.py"}
"""Documents whose blocks are run elsewhere, by what."""


def documents() -> list[Path]:
    """Every document for users."""
    return sorted(
        [TREE / "README.md", TREE / "CHANGELOG.md", *(TREE / "docs").glob("*.md"), *(TREE / "examples").glob("*/*.md")]
    )


def blocks(document: Path) -> list[Block]:
    text = document.read_text()
    return [
        Block(
            document=str(document.relative_to(TREE)),
            line=text.count("\n", 0, match.start("fence")) + 1,
            language=match["language"],
            text=match["text"],
            file=match["argument"] or "",
        )
        for match in _FENCE.finditer(text)
    ]


def all_blocks(*languages: str) -> list[Block]:
    return [
        block
        for document in documents()
        if str(document.relative_to(TREE)) not in OTHERS
        for block in blocks(document)
        if block.language in languages
    ]


def links(document: Path) -> Iterator[str]:
    """The targets of links that lead to the tree, or to a heading of this document."""
    prose = _FENCE.sub("", document.read_text())
    for target in _LINK.findall(prose):
        if "://" not in target:
            yield target


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    prose = _FENCE.sub("", document.read_text())
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def generated(document: Path) -> dict[str, str]:
    """{module: text} of the parts between the comments `generated: MODULE` and `end of what is generated`."""
    return {match["module"]: match["text"] for match in _GENERATED.finditer(document.read_text())}


def regenerate(document: Path, texts: dict[str, str]) -> None:
    text = _GENERATED.sub(lambda match: f"{match['module']} -->\n{texts[match['module']]}", document.read_text())
    document.write_text(text)
