"""The table of disagreements: its switches exist, the code names its numbers, and tests name the numbers of all switches."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.darts.recipe import Recipe, recipes
from benchmarks.feature_maps.data import Settings
from harness import hyperparameters, protocols, registry
from harness.errors import UserError
from harness.method import MethodInfo
from harness.protocol import BudgetRule, Part, Protocol

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "discrepancies.md"
NUMBER = re.compile(r"\bD-\d{2,3}\b")
PAPERS = {
    "CoNAS": ("conas",),
    "ISTA-NAS": ("ista_nas",),
    "SparseNAS": ("sparse_nas",),
    "GAEA-GDAS": ("gaea_gdas",),
    "GAEA-PC-DARTS": ("gaea_pc_darts",),
    "GAEA": ("gaea_darts", "gaea_gdas", "gaea_pc_darts"),
    "GDAS": ("gdas",),
    "ENAS": ("enas",),
    "REINFORCE": ("reinforce",),
    "BOHB": ("bohb",),
    "Hyperband": ("hyperband",),
    "local search": ("local_search",),
}
"""Methods that the second column names, the longer names first."""
STORED = {"best", "valtest-accuracy"}
"""Words in code that are names of stored values."""


class Row(NamedTuple):
    """A line of the table."""

    number: str
    what: str
    paper: str
    code: str
    here: str

    @property
    def switches(self) -> list[str]:
        """The words in code of *here*, without names of stored values."""
        return [word for word in re.findall(r"`([^`]+)`", self.here) if word not in STORED]

    @property
    def methods(self) -> list[MethodInfo]:
        """The methods that the row is about; all methods if it names none."""
        named = next((methods for paper, methods in PAPERS.items() if paper in self.what), None)
        return [info for name, info in registry.methods().items() if named is None or name in named]


@cache
def table() -> tuple[Row, ...]:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| D-")]
    return tuple(Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines)


def ids(row: Row) -> str:
    return row.number


@cache
def texts(*folders: str) -> tuple[tuple[str, str], ...]:
    """Return name and text of every file that people write."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listing.stdout.splitlines() if name.endswith((".py", ".md", ".toml", ".csv"))]
    return tuple(
        (name, (ROOT / name).read_text()) for name in names if not name.startswith("docs/results/") and (ROOT / name).exists()
    )


def fields(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def known(row: Row, switch: str) -> bool:
    """Return whether a word in code is a switch of what the row is about."""
    if switch in recipes() or switch in protocols.protocols():
        return True
    if switch.startswith("--"):
        return bool(re.search(rf'"{switch}"|\b{switch[2:]}: Annotated', (ROOT / "harness" / "run.py").read_text()))
    name, value = (part.strip(' "') for part in switch.partition("=")[::2])
    if not value and ":" in name:
        return name in registry.select_rows([name])
    infos, field = having(row, name)
    if infos:
        return all(field in fields(info.cls) and (not value or other_side(info, field, value)) for info in infos)
    return any(field in fields(kind) for kind in (Recipe, Settings, Protocol, Part, BudgetRule))


def having(row: Row, name: str) -> tuple[list[MethodInfo], str]:
    """Return the methods that have a hyperparameter, ``METHOD.NAME`` or ``NAME``, and its name."""
    method, _, field = name.rpartition(".")
    return [registry.method(method)] if method else [info for info in row.methods if field in fields(info.cls)], field


def declaring(row: Row, switch: str) -> set[Path]:
    """Return the files that declare a hyperparameter or preset it; empty for another kind of switch."""
    if ":" in switch or switch.startswith("--"):
        return set()
    infos, field = having(row, switch.partition("=")[0].strip())
    classes = {cls for info in infos for cls in info.cls.__mro__ if field in vars(cls).get("__annotations__", {})}
    presets = {ROOT / "benchmarks" / name for name in ("protocols.toml", "darts/recipes.toml")} if infos else set()
    return {info.file for info in infos} | {Path(inspect.getfile(cls)) for cls in classes} | presets


def other_side(info: MethodInfo, field: str, value: str) -> bool:
    """Return whether a value is possible, and in some space not the default."""
    loaded = hyperparameters.from_text(value, hyperparameters.types_of(info.cls)[field], field)
    default = hyperparameters.defaults(info.cls)[field]
    return any(loaded != settings.get(field, default) for settings in ({}, *info.settings.values()))


def test_every_number_is_there_once_and_in_order() -> None:
    numbers = [row.number for row in table()]
    assert len(numbers) > 40
    assert numbers == sorted(set(numbers), key=lambda number: int(number[2:]))
    assert all(cell for row in table() for cell in row)


@pytest.mark.parametrize("row", table(), ids=ids)
def test_every_word_in_code_is_a_switch(row: Row) -> None:
    for switch in row.switches:
        try:
            assert known(row, switch), f"{row.number}: {switch} is no switch of {row.what}"
        except UserError as error:
            pytest.fail(f"{row.number}: {switch}: {error}")


def test_a_word_that_is_no_switch_is_noticed() -> None:
    words = ("nothing", "cooling", "rounds", "scale=released", "--seeds", "--sead", "rounds=many", "conas:nothing")
    row = Row("D-00", "CoNAS' nothing", "–", "–", ", ".join(f"`{word}`" for word in words))
    assert row.switches == list(words)
    assert [known(row, word) for word in words[:6]] == [False, False, True, False, True, False]
    for word in words[6:]:
        with pytest.raises(UserError):
            known(row, word)


def test_every_number_that_code_or_documents_name_is_in_the_table() -> None:
    numbers = {row.number for row in table()}
    places = [
        f"{name}: {number}"
        for name, text in texts()
        for number in NUMBER.findall(text)
        if number not in numbers and name != "tests/unit/test_discrepancies.py"
    ]
    assert not places, places


@pytest.mark.parametrize("row", [row for row in table() if row.switches], ids=ids)
def test_a_test_names_the_number_of_every_switch(row: Row) -> None:
    own, name_of_a_test = "tests/unit/test_discrepancies.py", row.number.lower().replace("-", "")  # test_..._d74
    named = re.compile(rf"{row.number}\b|_{name_of_a_test}\b")
    assert [name for name, text in texts("tests") if named.search(text) and name != own], f"no test names {row.number}"


@pytest.mark.parametrize("row", [row for row in table() if row.switches], ids=ids)
def test_the_code_names_the_number_of_every_switch(row: Row) -> None:
    """That of a hyperparameter in a file that declares or presets it, all others anywhere."""
    folders = ("methods", "benchmarks", "harness", "reports")
    assert [name for name, text in texts(*folders) if row.number in text], f"no code names {row.number}"
    for switch in row.switches:
        files = declaring(row, switch)
        assert not files or any(row.number in file.read_text() for file in files), f"{switch} does not name {row.number}"


def test_the_list_of_equalities_names_tests_that_exist() -> None:
    names = re.findall(r"`(\w+/test_\w+\.py)`", TABLE.read_text())
    assert len(names) > 20
    assert not [name for name in names if not (ROOT / "tests" / name).exists()]
    plain = {f"originals/{file.name}" for file in (ROOT / "tests" / "originals").glob("test_*.py")}
    assert plain <= set(names)
