"""Stored runs as data frames: what the store has is in the frame, with documented columns and types, without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness import results
from harness.errors import UserError
from harness.store import Store
from tests.unit.test_imports import loaded_by
from tests.unit.test_store import RUNS, SPEC, result

TRACE: dict[str, Sequence[float]] = {
    "seconds": [1.0, 2.0, 3.0],
    "proposal_seconds": [1.0, 3.0],
    "proposal_queries": [1, 3],
    "t/test": [80.0, 90.0],
    "log/epoch": [0.0, 1.0],
    "probe/t": [7.0],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder whose store has two searches that are done and one that failed."""
    with Store(tmp_path, {"command": "c", "code": "0.1.0 (abc)"}) as store:
        for world, status in enumerate(["done", "failed", "done"]):
            store.claim(SPEC, [RUNS[world]])
            store.save(SPEC, [(RUNS[world], dataclasses.replace(result(world, status), trace=TRACE))])
    return tmp_path


def test_every_stored_run_is_a_line_with_its_scores_and_costs(folder: Path) -> None:
    frame = results.runs(folder)
    with Store(folder, write=False) as store:
        stored = {run["run_id"]: run for run in store.every_run()}
    assert set(frame["run_id"]) == set(stored)
    for line in frame.to_dict("records"):
        run = stored[line["run_id"]]
        assert (line["row"], line["world"], line["status"]) == (run["spec"]["row"], run["world"], run["status"])
        assert line["seconds"] == run["spent"]["seconds"] and line["code"] == run["spec"]["code"]
        assert line["finished"].timestamp() == pytest.approx(run["finished"], abs=1e-3)
        assert line["made_by"] == "0.1.0 (abc)" and line["error"] == run["error"]
        if line["status"] == "done":
            np.testing.assert_equal({name: line[name] for name in run["scores"]["t"]}, run["scores"]["t"])
    done, failed = (frame[frame["status"] == status] for status in ("done", "failed"))
    assert set(done["target"]) == {"t"} and set(failed["target"]) == {""} and failed["test"].isna().all()


def test_columns_are_documented_and_typed(folder: Path) -> None:
    frame = results.runs(folder)
    assert list(frame)[: len(results.COLUMNS)] == list(results.COLUMNS)
    kinds = {name: dtype.kind for name, dtype in frame.dtypes.items()}
    assert kinds["world"] == "i" and kinds["test"] == kinds["rank"] == kinds["wall_seconds"] == "f"
    assert str(frame["finished"].dtype) == "datetime64[ns, UTC]"


def test_traces_have_a_line_per_change_of_the_proposal(folder: Path) -> None:
    frame = results.traces(folder, benchmark="toy/x", row="m:v")
    assert frame["world"].tolist() == [0, 0, 2, 2] and set(frame["target"]) == {"t"}
    assert frame[frame["world"] == 2][["seconds", "queries", "test"]].to_numpy().tolist() == [[1, 1, 80], [3, 3, 90]]
    none = results.traces(folder, row="unknown")
    assert none.empty and list(none) == list(frame)


def test_logs_have_a_line_per_entry(folder: Path) -> None:
    frame = results.logs(folder)
    assert frame[["world", "epoch"]].to_numpy().tolist() == [[0, 0], [0, 1], [2, 0], [2, 1]]
    assert results.logs(folder, row="unknown").empty


def test_a_folder_without_a_store_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no store in .*runs.sqlite does not exist"):
        results.runs(tmp_path)


def test_no_torch_is_imported() -> None:
    assert not {"torch", "matplotlib", "scipy"} & loaded_by("from harness import results")
