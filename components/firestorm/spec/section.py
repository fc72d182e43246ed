"""Typed access to one map of a document whose shape was checked: what is absent or broken reads as its default."""

from __future__ import annotations

import re
from typing import Any

from firestorm.spec.document import Choice, ListOf, Quantity, Record
from firestorm.spec.problems import Problems, nearest, shown
from firestorm.spec.source import FieldPath


class Section:
    """One record of the document: its table, its data, its path."""

    def __init__(self, record: Record, data: Any, path: FieldPath, problems: Problems) -> None:
        self.record = record
        self.path = path
        self.problems = problems
        self._data: dict[str, Any] = data if isinstance(data, dict) else {}

    def at(self, *names: str | int) -> FieldPath:
        return (*self.path, *names)

    def given(self, name: str) -> bool:
        """Whether the document has the field, in a form that can be read."""
        return name in self._data and not self.problems.broken(self.at(name))

    def problem(self, name: str | None, text: str, remedy: str = "") -> None:
        """Reports a problem of a field, or of the section as a whole."""
        self.problems.add(self.at(name) if name is not None else self.path, text, remedy)

    def _value(self, name: str) -> Any:
        return self._data[name] if self.given(name) else self.record.field(name).default

    def text(self, name: str) -> str:
        value = self._value(name)
        return value if isinstance(value, str) else ""

    def optional_text(self, name: str) -> str | None:
        value = self._value(name)
        return value if isinstance(value, str) else None

    def whole(self, name: str) -> int:
        value = self._value(name)
        return int(value) if isinstance(value, (int, float)) else 0

    def choice(self, name: str) -> str:
        """The field's value if it is one of its choices, else a problem and the default."""
        field = self.record.field(name)
        value = self.text(name)
        values = field.type.values if isinstance(field.type, Choice) else ()
        if value in values:
            return value
        if self.given(name):
            self.problem(name, f"is {shown(value)}", nearest(value, values))
        return field.default if isinstance(field.default, str) else values[0]

    def quantity(self, name: str, minimum: int, why: str) -> int:
        """A quantity in its unit; below `minimum` it is a problem, whose remedy gives the reason `why`."""
        field = self.record.field(name)
        if not isinstance(field.type, Quantity):
            raise TypeError(f"{name} is no quantity")
        amount = self._amount(name, field.type, self._value(name))
        if amount is None:
            amount = self._amount(name, field.type, field.default) or minimum
        elif amount < minimum:
            unit = field.type.unit
            self.problem(name, f"is {shown(self._value(name))}", f"give at least {minimum} {unit}: {why}")
        return amount

    def _amount(self, name: str, kind: Quantity, value: object) -> int | None:
        if isinstance(value, (int, float)):
            return int(value)
        match = re.fullmatch(r"([0-9]{1,9}) ?([A-Za-z]*)", value) if isinstance(value, str) else None
        if match and (match[2] or kind.unit) in kind.units:
            return int(match[1]) * kind.units[match[2] or kind.unit]
        *others, last = kind.units
        self.problem(name, f"is {shown(value)}", f"give a whole number with the unit {', '.join(others)} or {last}")
        return None

    def texts(self, name: str) -> dict[str, str]:
        """A map of strings, without the entries that cannot be read."""
        value = self._value(name)
        if not isinstance(value, dict):
            return {}
        return {
            key: text
            for key, text in value.items()
            if isinstance(text, str) and not self.problems.broken(self.at(name, key))
        }

    def items(self, name: str) -> list[tuple[FieldPath, Any]]:
        """The readable entries of a list with their paths."""
        value = self._value(name)
        if not isinstance(value, list):
            return []
        paths = ((self.at(name, index), item) for index, item in enumerate(value))
        return [(path, item) for path, item in paths if not self.problems.broken(path)]

    def section(self, name: str) -> Section:
        """A nested record; absent, it is empty and its fields read as their defaults."""
        kind = self.record.field(name).type
        if not isinstance(kind, Record):
            raise TypeError(f"{name} is no record")
        return Section(kind, self._value(name), self.at(name), self.problems)

    def sections(self, name: str) -> list[Section]:
        """The entries of a list of records."""
        kind = self.record.field(name).type
        if not (isinstance(kind, ListOf) and isinstance(kind.item, Record)):
            raise TypeError(f"{name} is no list of records")
        return [Section(kind.item, item, path, self.problems) for path, item in self.items(name)]
