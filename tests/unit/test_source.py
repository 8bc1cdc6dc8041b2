"""A run's identity covers what it executes, and nothing else."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from harness import protocols, registry, source
from harness.packages import PROJECT
from harness.plan import make


def digest(*starts: Path) -> str:
    """Return the digest that a new process computes."""
    for cached in (source._hash, source._imported, source._locate, source._search_path_entry, source._installed):
        cached.cache_clear()
    return source.digest(*starts)


# -- the project's own sources ---------------------------------------------------------------------------------------------


@cache
def _ids() -> dict[tuple[str, str], str]:
    rules = protocols.protocol("digits")
    plan = make(rules, methods=["random_search", "darts:bilevel"], benchmarks=["nb201/digits", "nb1shot1/1-digits"], seeds=1)
    return {(row.spec.benchmark, row.spec.row): row.runs[0].run_id for row in plan.rows}


def changed_by(file: str, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Return the rows whose runs get other ids when one line of a file changes."""
    real, path, before = source._hash, PROJECT / file, _ids()
    assert path.is_file()
    monkeypatch.setattr(source, "_hash", lambda file: b"changed" if file == path else real(file))
    after = _ids.__wrapped__()
    monkeypatch.undo()
    return {row for row in before if before[row] != after[row]}


TABULAR = {("nb201/digits", "random_search"), ("nb1shot1/1-digits", "random_search")}
SHARING = {("nb201/digits", "darts:bilevel"), ("nb1shot1/1-digits", "darts:bilevel")}


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("benchmarks/nb201/supernet.py", {("nb201/digits", "darts:bilevel")}),
        ("benchmarks/nb201/clock.py", {("nb201/digits", "darts:bilevel")}),
        ("benchmarks/nb1shot1/supernet.py", {("nb1shot1/1-digits", "darts:bilevel")}),
        ("benchmarks/nb1shot1/oracle.py", {("nb1shot1/1-digits", "random_search"), ("nb1shot1/1-digits", "darts:bilevel")}),
        ("benchmarks/networks.py", SHARING),
        ("benchmarks/images/augment.py", SHARING),
        ("benchmarks/images/splits.py", SHARING),
        ("methods/one_shot/parts/training.py", SHARING),
        ("methods/multi_trial/random_search.py", TABULAR),
        *((f"harness/{name}.py", TABULAR | SHARING) for name in ("problem", "budget", "seeds", "execute")),
    ],
)
def test_one_line_of_what_a_run_executes_makes_new_runs(
    file: str, rows: set[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changed_by(file, monkeypatch) == rows


def test_one_line_of_the_contract_of_weight_sharing_makes_new_runs_of_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = changed_by("harness/weight_sharing.py", monkeypatch)
    assert changed >= SHARING and ("nb201/digits", "random_search") not in changed


@pytest.mark.parametrize(
    "file",
    [
        *("reports/report.py", "harness/run.py", "harness/progress.py", "harness/store/__init__.py", "harness/frames.py"),
        "harness/analysis/study.py",
        *("tests/unit/test_source.py", "benchmarks/digits_tables/build.py", "benchmarks/nb201/library.py"),
        *("benchmarks/darts/supernet.py", "methods/multi_trial/bohb.py"),
    ],
)
def test_one_line_of_anything_else_makes_none(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not changed_by(file, monkeypatch)


def test_a_training_from_scratch_counts_its_network_and_images_but_no_supernet() -> None:
    retrainer = registry.benchmark("darts/digits").open({}, {}).retraining
    reached = source.executed(source.RETRAIN, *source.files_of(retrainer))
    assert {"benchmarks.darts.network", "benchmarks.images.augment", "benchmarks.darts.space", "harness.retrain"} <= set(
        reached
    )
    assert "benchmarks.darts.supernet" not in reached


def test_every_module_that_is_left_out_exists() -> None:
    names = [
        ".".join(file.relative_to(PROJECT).with_suffix("").parts)
        for package in source.OURS
        for file in (PROJECT / package).rglob("*.py")
    ]
    for pattern in source.NOT_IN_A_RUN:
        assert any(fnmatchcase(name, pattern) for name in names), pattern


# -- a user's sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "helper"),
    [
        ("import part", "part.py"),
        ("from part import x", "part.py"),
        ("def search(view):\n    import part", "part.py"),
        ("try:\n    import part\nexcept ImportError:\n    pass", "part.py"),
        ("if True:\n    from lib.part import (\n        x,\n    )", "lib/part.py"),
        ("from lib import part", "lib/part.py"),
        ("from lib import *", "lib/__init__.py"),
        ("import importlib\npart = importlib.import_module('lib.part')", "lib/part.py"),
        ("match 1:\n    case 1:\n        import part", "part.py"),
        ("import lib.part.deep", "lib/part/__init__.py"),
    ],
)
def test_a_helper_next_to_a_users_file_counts(tmp_path: Path, statement: str, helper: str) -> None:
    (tmp_path / "mine.py").write_text(statement)
    (tmp_path / helper).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / helper).write_text("x = 1\n")
    (tmp_path / "unrelated.py").write_text("y = 1\n")
    before = digest(tmp_path / "mine.py")
    (tmp_path / "unrelated.py").write_text("y = 2\n")
    assert digest(tmp_path / "mine.py") == before
    (tmp_path / helper).write_text("x = 2\n")
    assert digest(tmp_path / "mine.py") != before


@pytest.mark.parametrize(
    "statement", ["from .part import x", "from . import part", "from ..pkg import part", "import top.pkg.part"]
)
def test_a_helper_in_a_users_package_counts(tmp_path: Path, statement: str) -> None:
    package = tmp_path / "site-packages" / "top" / "pkg"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "mine.py").write_text(f"{statement}\nimport library\n")
    (package / "part.py").write_text("x = 1\n")
    (tmp_path / "site-packages" / "library.py").write_text("x = 1\n")
    assert set(source.executed(package / "mine.py")) >= {"top.pkg.mine", "top.pkg.part"}
    assert "library" not in source.executed(package / "mine.py"), "another distribution's code is not ours to follow"
    before = digest(package / "mine.py")
    (package / "part.py").write_text("x = 2\n")
    assert digest(package / "mine.py") != before


def test_a_helper_on_the_search_path_counts_and_an_installed_library_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "shared_part.py").write_text("import json, numpy\n")
    (tmp_path / "mine.py").write_text("import shared_part, numpy, torch, os\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert set(source.executed(tmp_path / "mine.py")) == {"mine", "shared_part"}


def test_what_only_a_type_checker_reads_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import part\nelse:\n    import other\n"
    )
    for name in ("part", "other"):
        (tmp_path / f"{name}.py").write_text("")
    assert set(source.executed(tmp_path / "mine.py")) == {"mine", "other"}


def test_a_copy_of_the_same_files_has_the_same_digest(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("import part\nimport mine\n")  # it may import itself
        (tmp_path / folder / "part.py").write_text("\N{BOM}# -*- coding: utf-8 -*-\n")
    assert digest(tmp_path / "a" / "mine.py") == digest(tmp_path / "b" / "mine.py")


def test_parts_imported_within_a_search_are_followed_and_parts_import_parts(tmp_path: Path) -> None:
    parts = tmp_path / "methods" / "one_shot" / "parts"
    parts.mkdir(parents=True)
    (parts.parent / "m.py").write_text("def search(view):\n    from methods.one_shot.parts import first\n")
    (parts / "first.py").write_text("from methods.one_shot.parts.second import x\n")
    (parts / "second.py").write_text("x = 1\n")
    reached = source.executed(parts.parent / "m.py", project=tmp_path)
    assert {name.rpartition(".")[2] for name in reached} == {"m", "first", "second"}
