"""The union of stores, and runs as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store import Store, merging
from harness.store.__main__ import app
from harness.store.exporting import lines, plain
from harness.store.merging import merge
from tests.unit.test_store import SPEC, result

OTHER = dataclasses.replace(SPEC, row="another")
ROWS = {"m": SPEC, "o": OTHER}

Proposed = dict[tuple[str, int], str]
"""By row and world, the proposed architecture; a text that begins with ``!`` is a failure."""


def fill(folder: Path, proposed: Proposed, by: str = "c") -> Path:
    with Store(folder, {"command": by}) as store:
        for (row, world), arch in proposed.items():
            spec = ROWS[row]
            run = spec.run(world)
            status = "failed" if arch.startswith("!") else "done"
            store.claim(spec, [run])
            fresh = result(world % 6, status)
            store.save(spec, [(run, dataclasses.replace(fresh, run_id=run.run_id, arch=arch))])
    return folder


def content(folder: Path) -> dict[tuple[str, int], tuple[Any, ...]]:
    with Store(folder, write=False) as store:
        return {
            (run["spec"]["row"], run["world"]): (run["run_id"], run["status"], run["arch"], run["provenance"]["command"])
            for run in store.every_run(trace=True)
        }


def united(out: Path, *folders: Path) -> list[merging.Merged]:
    done = []
    with Store(out) as target:
        for folder in folders:
            with Store(folder, write=False) as source:
                done.append(merge(source, target))
    return done


contents = st.dictionaries(st.tuples(st.sampled_from("mo"), st.integers(0, 4)), st.sampled_from(["a", "b", "!"]), max_size=6)


@given(contents, contents)
def test_a_merge_is_a_union_that_keeps_the_first_record(
    tmp_path_factory: pytest.TempPathFactory, first: Proposed, second: Proposed
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    a, b = fill(folder / "a", first, "one"), fill(folder / "b", second, "two")
    _, merged = united(folder / "c", a, b)
    assert content(folder / "c") == content(b) | content(a)
    shared = first.keys() & second.keys()
    differing = {key for key in shared if first[key] != second[key]}
    assert {run_id for run_id, _ in merged.conflicts} == {ROWS[row].run(world).run_id for row, world in differing}
    assert (merged.added, merged.present) == (len(second.keys() - first.keys()), len(shared) - len(differing))
    again = united(folder / "c", a, b)
    assert [more.added for more in again] == [0, 0]
    with sqlite3.connect(folder / "c" / "runs.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM sessions").fetchone()[0] == bool(first) + bool(
            second.keys() - first.keys()
        )
    database.close()


def test_more_runs_than_one_batch_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "BATCH", 2)
    a = fill(tmp_path / "a", {("m", world): "a" for world in range(5)})
    (merged,) = united(tmp_path / "c", a)
    assert merged.added == 5
    assert content(tmp_path / "c") == content(a)


def test_the_command_prints_conflicts_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = fill(tmp_path / "a", {("m", 0): "a", ("m", 1): "a"}), fill(tmp_path / "b", {("m", 0): "b", ("o", 0): "a"})
    code = app(["merge", str(a), str(b), "--out", str(tmp_path / "c")], standalone_mode=False)
    shown = capsys.readouterr().out
    assert code == 1
    assert f"run {SPEC.run(0).run_id} differs in arch" in shown
    assert app(["merge", str(b), "--out", str(b)], standalone_mode=False) in (0, None)
    assert "is the union itself" in capsys.readouterr().out


def test_every_line_is_strict_json_and_reads_back(tmp_path: Path) -> None:
    fill(tmp_path, {("m", 0): "a", ("m", 1): "!", ("o", 2): "a"})
    with Store(tmp_path, write=False) as store:
        bare = [json.loads(line, parse_constant=pytest.fail) for line in lines(store, traces=False)]
        full = [json.loads(line, parse_constant=pytest.fail) for line in lines(store, traces=True)]
    assert [(run["spec"]["row"], run["world"], run["status"]) for run in full] == [
        ("m:v", 0, "done"), ("m:v", 1, "failed"), ("another", 2, "done"),
    ]  # fmt: skip
    assert float(full[0]["spec"]["budget"]["limit"]) == math.inf
    assert full[0]["scores"]["t"] == {"test": 90.0, "valid": None, "regret": 0.25, "rank": 3.0}
    assert full[0]["trace"] == {"seconds": [1.0, 2.5], "proposal_queries": [1], "t/test": [None]}
    assert full[0]["provenance"]["command"] == "c"
    assert bare == [{name: value for name, value in run.items() if name != "trace"} for run in full]


def read(value: Any) -> Any:
    """Return a number as a reader of an export gets it."""
    return math.nan if value is None else float(value)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)))
def test_numbers_survive_the_export(values: list[float]) -> None:
    for written in (plain(values), plain(np.array(values))):
        text = json.dumps(written, allow_nan=False)
        np.testing.assert_array_equal([read(value) for value in json.loads(text)], values)
