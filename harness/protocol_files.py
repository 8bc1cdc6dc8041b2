"""Read protocols from TOML files. The error for a mistake names file, table and key."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from harness.budget import POLICIES
from harness.errors import UserError
from harness.hyperparameters import defaults, from_plain, types_of
from harness.packages import PROJECT
from harness.protocol import BudgetRule, Part, Protocol, Stage
from harness.registry import BENCHMARK_GROUP, kinds, suggest

NAME = "protocols.toml"
Table = TypeVar("Table")


def everywhere() -> dict[str, tuple[Protocol, Path]]:
    """Return the protocols of the project and of installed packages, with their files. Imports no package.

    Raises :class:`UserError` for a mistake in one of the project's files. A package with a mistake is skipped and named.
    """
    known: dict[str, tuple[Protocol, Path]] = {}
    for file in [PROJECT / "benchmarks" / NAME, *sorted((PROJECT / "benchmarks").glob(f"*/{NAME}"))]:
        _add(known, file)
    for file in dict.fromkeys(_outside()):
        try:
            _add(known, file)
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    return known


def _add(known: dict[str, tuple[Protocol, Path]], file: Path) -> None:
    read = protocols_in(file)
    for name in read:
        if name in known:
            raise UserError(f"{file}: a protocol {name!r} is already in {known[name][1]}; rename one of them")
    known.update({name: (rules, file) for name, rules in read.items()})


def _outside() -> Iterator[Path]:
    """Yield the protocol files of packages with benchmarks: next to the entry point's module, or at the package's top."""
    for point in entry_points(group=BENCHMARK_GROUP):
        top, *rest = point.module.split(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            continue
        for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
            for place in (folder.joinpath(*rest[:-1]), folder):
                if (place / NAME).is_file():
                    yield place / NAME


def protocols_in(file: Path) -> dict[str, Protocol]:
    """Return the protocols in a file, by name. Raises :class:`UserError`."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file} cannot be read as a protocol file: {getattr(error, 'strerror', None) or error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UserError(f"{file}: {name!r} stands outside a table; a protocol is a table [NAME]")
    return {name: _protocol(file, name, table) for name, table in tables.items()}


def _protocol(file: Path, name: str, table: Mapping[str, Any]) -> Protocol:
    where = f"{file}: [{name}]"
    if "judge" not in table:
        raise UserError(f"{where} needs a table [{name}.judge]{suggest('judge', table)}")
    own = types_of(Protocol).keys() - {"name", "parts", "modified"}
    parts = {key: value for key, value in table.items() if isinstance(value, dict) and key not in own}
    if not parts:
        raise UserError(f"{where} needs a table for a kind of method, such as [{name}.multi-trial]")
    stages: dict[str, Stage] = {}
    for key, value in _table(table.get("stages", {}), f"{file}: [{name}.stages]").items():
        of_stage = f"{file}: [{name}.stages.{key}]"
        stage = _read(Stage, value, of_stage, name=key)
        if stage.chosen_by and stage.chosen_by not in stages:
            raise UserError(f"{of_stage} is chosen by {stage.chosen_by!r}, and no stage before it has that name")
        if stage.sets_of < 0 or (stage.sets_of and not stage.chosen_by):
            raise UserError(f"{of_stage} has sets_of = {stage.sets_of}; it is a number of searches, and needs chosen_by")
        stages[key] = stage
    return _read(
        Protocol,
        {key: value for key, value in table.items() if key not in (*parts, "stages")},
        where,
        name=name,
        modified="",
        parts=tuple(_part(f"{file}: [{name}.{key}]", key, value) for key, value in parts.items()),
        stages=tuple(stages.values()),
    )


def _part(where: str, key: str, table: Mapping[str, Any]) -> Part:
    """Return a part from its table. The table's name is its kind, unless it has an entry such as ``kind = "multi-trial"``."""
    kind = table.get("kind", key)
    if kind not in kinds() and (close := suggest(str(kind), kinds())):
        raise UserError(f"{where} is for methods of the kind {kind!r}{close}")
    rest = {name: value for name, value in table.items() if name not in ("budget", "kind")}
    rule = _read(BudgetRule, table.get("budget", {}), f"{where[:-1]}.budget]")
    if rule.policy not in POLICIES:
        raise UserError(f"{where} has the budget policy {rule.policy!r}, which is not one of {', '.join(POLICIES)}")
    return _read(Part, rest, where, kind=kind, budget=rule)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} must be a table, not {value!r}")
    return value


def _read(cls: type[Table], table: Any, where: str, **fixed: Any) -> Table:
    """Return a table as a dataclass; ``fixed`` are the fields that do not come from the table."""
    kind: Any = cls
    types = {name: hint for name, hint in types_of(kind).items() if name not in fixed}
    for key in _table(table, where):
        if key not in types:
            raise UserError(f"{where} has no key {key!r}" + (suggest(key, types) or f"; its keys are {', '.join(types)}"))
    for name in sorted(types.keys() - table.keys() - defaults(kind).keys()):
        raise UserError(f"{where} needs a key {name!r}")
    return cls(**{key: from_plain(value, types[key], f"{where} {key}") for key, value in table.items()}, **fixed)
