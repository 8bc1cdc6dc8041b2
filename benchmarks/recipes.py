"""Recipes as data: the settings of a training from scratch, by name. A search space derives its own from :class:`Recipe`."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from harness.errors import UserError

TEXTS = ("name", "about")
"""Fields that no training depends on."""


@dataclass(frozen=True)
class Recipe:
    """One training recipe: the fields of the class that derives from this one."""

    name: str = ""
    about: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of every field except the texts. It identifies the recipe of a trained score."""
        values = {key: value for key, value in dataclasses.asdict(self).items() if key not in TEXTS}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def changed(self, texts: Iterable[str]) -> Self:
        """Return the recipe with fields set from texts ``field=value``.

        Raises:
            UserError: an unknown field, or a text that is not a valid value.
        """
        kinds = {field.name: type(getattr(self, field.name)) for field in dataclasses.fields(self) if field.name not in TEXTS}
        values: dict[str, Any] = {}
        for text in texts:
            name, equals, value = (part.strip() for part in text.partition("="))
            if not equals:
                raise UserError(f"--set {text!r} is not of the form field=value")
            if name not in kinds:
                raise UserError(f"a recipe has no {name!r}; {_nearest(name, kinds, 'it has')}")
            kind = kinds[name]
            try:
                values[name] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
            except (ValueError, KeyError):
                raise UserError(f"{name}={value!r} is no {kind.__name__}") from None
        return dataclasses.replace(self, **values)


R = TypeVar("R", bound=Recipe)


def read(file: Path, kind: type[R]) -> dict[str, R]:
    """Return every recipe of a TOML file by name. A recipe has the fields of the one that it is ``based_on``, and its own."""
    tables = tomllib.loads(file.read_text())
    by_name = {}
    for name, table in tables.items():
        own = {key: value for key, value in table.items() if key != "based_on"}
        based = tables[table["based_on"]] if "based_on" in table else {}
        by_name[name] = kind(**{**based, **own, "name": name})
    return by_name


def pick(recipes: Mapping[str, R], name: str) -> R:
    """Return the recipe with this name. Raises :class:`UserError` if there is none."""
    if name not in recipes:
        raise UserError(f"no recipe {name!r}; {_nearest(name, recipes, 'there are')}")
    return recipes[name]


def _nearest(name: str, names: Iterable[str], otherwise: str) -> str:
    known = list(names)
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"{otherwise} {', '.join(known)}"
