"""CoNAS' Table 6 as a protocol: rows that differ by the penalty alone, on the same measurements."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.darts import task
from harness import protocols
from harness.errors import UserError
from harness.execute import execute
from harness.plan import make
from harness.spec import RowSpec
from methods.one_shot.parts import conas
from tests import made_darts
from tests.made_search import small

__all__ = ["small"]

Command = Callable[..., subprocess.CompletedProcess[str]]

PENALTIES = ("0.5", "2", "5", "10")
ROWS = ["conas:table_6", *(f"conas:table_6[penalty={penalty}]" for penalty in PENALTIES)]

SMALL = """
[table-6-on-digits]
title = "Table 6 at a size for one core"
seeds = 2
wall_limit_s = 600
comparable = false

[table-6-on-digits.one-shot]
benchmarks = ["darts/digits"]
methods = ["conas", "random_cell"]
rows = { conas = ["table_6"], random_cell = ["table_6"] }
changes = { "conas:table_6" = ["penalty=0.05", "penalty=30"] }
settings = { conas = { epochs = 1, batch = 128, measurements = 30, measured_batches = 1, threshold = 9.0 } }
paired = true

[table-6-on-digits.stages]
each = { of = "one-shot", recipe = "digits_smoke" }

[table-6-on-digits.judge]
"""


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    file = tmp_path / "table6.toml"
    file.write_text(SMALL)
    return file


def specs(name: str, **changes: Any) -> dict[str, RowSpec]:
    return {row.spec.row: row.spec for row in make(protocols.protocol(name), **changes).rows}


def test_the_protocol_has_the_papers_rows_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = protocols.protocol("conas-2021-table6").parts
    assert list(part.changes["conas:table_6"]) == [f"penalty={penalty}" for penalty in PENALTIES]
    stages = protocols.protocol("conas-2021-table6").stages
    assert {stage.recipe for stage in stages} == {"conas_150"}


def test_rows_that_differ_by_the_penalty_alone_have_the_same_seeds(protocol: Path) -> None:
    rows = specs(str(protocol))
    base, *changed = (spec for name, spec in rows.items() if name.startswith("conas"))
    assert [spec.row for spec in changed] == ["conas:table_6[penalty=0.05]", "conas:table_6[penalty=30]"]
    for spec in changed:
        differing = {name for name, value in spec.settings.items() if base.settings[name] != value}
        assert differing == {"penalty"}
        assert spec.run(1).method_seed == base.run(1).method_seed and spec.run(1).run_id != base.run(1).run_id
    assert rows["random_cell:table_6"].run(1).method_seed != base.run(1).method_seed
    set_by_hand = specs(str(protocol), methods=["conas"], settings={"conas": {"terms": "3"}})
    assert {spec.run(1).method_seed for spec in set_by_hand.values()} == {base.run(1).method_seed}
    assert "conas:table_6[terms=3, penalty=30]" in set_by_hand


def test_rows_of_other_protocols_draw_for_themselves_and_keep_their_identity() -> None:
    ordinary = specs("digits", methods=["conas:two_inputs"], benchmarks=["darts/digits"])
    changed = specs("digits", methods=["conas:two_inputs"], benchmarks=["darts/digits"], settings={"conas": {"penalty": "2"}})
    (plain,), (other,) = ordinary.values(), changed.values()
    assert "paired" not in plain.plain() and not plain.paired
    assert plain.run(0).method_seed != other.run(0).method_seed


def test_a_change_that_is_none_is_refused(protocol: Path) -> None:
    protocol.write_text(SMALL.replace('"penalty=30"', '"penalty"'))
    with pytest.raises(UserError, match="not of the form field=value"):
        make(protocols.protocol(str(protocol)))
    protocol.write_text(SMALL.replace("penalty=30", "penalti=30"))
    with pytest.raises(UserError, match="no setting 'penalti'; did you mean 'penalty'"):
        make(protocols.protocol(str(protocol)))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_every_penalty_is_applied_to_the_same_measurements(protocol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.MACROS, "digits", made_darts.MACRO)
    measure, seen = conas.measured, []

    def recorded(*arguments: Any) -> Any:
        seen.append(measure(*arguments))
        return seen[-1]

    monkeypatch.setattr(conas, "measured", recorded)
    rows = make(protocols.protocol(str(protocol)), methods=["conas"], seeds=2).rows
    results = [execute(row.spec, run) for row in rows for run in row.runs]
    assert [result.status for result in results] == ["done"] * 6
    assert len(seen) == 6, "one recovery each"
    for world in (0, 1):
        for codes, losses in seen[world::2]:
            assert codes.shape == (30, 140)
            assert np.array_equal(codes, seen[world][0]) and np.array_equal(losses, seen[world][1])
    assert not np.array_equal(seen[0][0], seen[1][0]), "another world measures other cells"
    assert len({result.arch for result in results[::2]}) > 1, "the penalty matters"


@pytest.mark.slow
def test_distances_and_errors_of_every_penalty_are_on_the_page(command: Command, protocol: Path, tmp_path: Path) -> None:
    done = command("--protocol", protocol, "--out", tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "table-6-on-digits"
    text = (folder / "table.md").read_text()
    part = text[text.index("Stability under changed settings") :]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:5]
    methods = [line.split("|")[1].strip() for line in lines]
    assert methods == ["CoNAS (Table 6)[penalty=0.05]", "CoNAS (Table 6)[penalty=30]", "random cell (Table 6)"]
    assert all(line.split("|")[2].strip() == "CoNAS (Table 6)" and line.split("|")[3].strip() == "2" for line in lines)
    trained = list(csv.DictReader((folder / "trainings.csv").open()))
    assert {line["row"] for line in trained} == {
        "conas:table_6",
        "conas:table_6[penalty=0.05]",
        "conas:table_6[penalty=30]",
        "random_cell:table_6",
    }
    assert {line["status"] for line in trained} == {"done"}
