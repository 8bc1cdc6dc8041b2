"""The stages after a search: what is trained, once its input is in the store, and which cell is chosen by what."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.darts.published import published
from benchmarks.darts.space import DartsSpace
from harness.frames import collect
from harness.outcome import Result
from harness.plan import Plan, PlannedRow, make
from harness.protocol import Part, Protocol, Stage
from harness.spec import RETRAINING, RowSpec, RunSpec
from harness.stages import extend
from harness.store import Store

CELLS = [DartsSpace("mixed").to_str(published()[name]) for name in ("DARTS_V1", "DARTS_V2", "CONAS_1")]
EACH = Stage("each", "one-shot", "digits", seeds=2)
CHOICE = Stage("choice", "one-shot", "digits_short", split="valid")
CHOSEN = Stage("chosen", "one-shot", "digits", seeds=3, chosen_by="choice")
ON_TEST = Stage("on_test", "one-shot", "digits", seeds=2, first_seed=10, chosen_by="each")

PROVENANCE: dict[str, Any] = {"command": "", "code": "", "host": {}, "date": ""}

METHOD = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Random:
    '''A cell drawn.'''
    kind = "one-shot"
    proposes = "self"
    reference = "none"
    def search(self, view):
        return view.space.sample(view.rng)
"""


@pytest.fixture
def method(tmp_path: Path) -> str:
    (tmp_path / "random_cell_of_mine.py").write_text(METHOD)
    return str(tmp_path / "random_cell_of_mine.py")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out", PROVENANCE) as opened:
        yield opened


def planned(method: str, *stages: Stage, seeds: int = 3) -> Plan:
    part = Part("one-shot", ("darts/digits",))
    return make(Protocol("made", "Made", seeds, 60.0, {}, (part,), stages), methods=[method])


def finish(store: Store, row: PlannedRow, run: RunSpec, arch: str = "", **scores: float) -> None:
    result = Result(run.run_id, "done" if arch else "failed", arch, {"digits": {"test": math.nan, "valid": math.nan, **scores}})
    result.trace = {"proposal_seconds": [], "proposal_queries": []}
    result.spent = {"queries": 0, "seconds": 1.0}
    store.claim(row.spec, [run])
    store.save(row.spec, [(run, result)])


def search(plan: Plan, store: Store, archs: list[str]) -> None:
    (row,) = [row for row in plan.rows if row.spec.kind != RETRAINING]
    for run, arch in zip(row.runs, archs, strict=False):
        finish(store, row, run, arch)


def train(plan: Plan, store: Store, recipe: str, accuracies: dict[str, float], split: str = "test") -> None:
    (row,) = [row for row in plan.rows if row.spec.settings.get("recipe") == recipe]
    for run in row.todo:
        finish(
            store,
            row,
            run,
            run.arch,
            **{split: accuracies[run.arch] + run.world / 10, "best": 99.0, "loss": 0.1, "parameters": 1e6},
        )


def trained(plan: Plan, stage: str) -> list[tuple[int, str, int]]:
    return [(training.world, training.arch, training.seed) for training in plan.trainings if training.stage == stage]


def test_only_proposed_cells_are_trained_and_all_of_them_are(method: str, store: Store) -> None:
    plan = planned(method, EACH)
    extend(plan, store)
    assert not plan.trainings and "each" in plan.waiting and plan.total == 3
    search(plan, store, CELLS[:2])
    extend(plan, store)
    assert trained(plan, "each") == [(w, CELLS[w], s) for w in (0, 1) for s in (0, 1)] and "each" in plan.waiting
    search(plan, store, CELLS)
    extend(plan, store)
    assert len(plan.trainings) == 6 and not plan.waiting and plan.todo == 6


def test_a_cell_proposed_twice_is_trained_once_and_counts_for_both_searches(method: str, store: Store) -> None:
    plan = planned(method, EACH)
    search(plan, store, [CELLS[0], CELLS[1], CELLS[0]])
    extend(plan, store)
    assert len(plan.trainings) == 6 and len({training.run_id for training in plan.trainings}) == plan.todo == 4


def test_what_a_search_probed_is_trained_in_its_order(method: str, store: Store) -> None:
    plan = planned(method, Stage("probed", "one-shot", "digits", probed=True), seeds=1)
    space = DartsSpace("mixed")
    (row,) = plan.rows
    result = Result(row.runs[0].run_id, "done", CELLS[0])
    result.trace = {f"probe/at/{k}": list(column) for k, column in enumerate(zip(*map(space.from_str, CELLS[1:]), strict=True))}
    store.claim(row.spec, row.runs)
    store.save(row.spec, [(row.runs[0], result)])
    extend(plan, store)
    assert trained(plan, "probed") == [(0, CELLS[1], 0), (0, CELLS[2], 0)]


def test_a_failed_search_has_no_cell(method: str, store: Store) -> None:
    plan = planned(method, EACH)
    search(plan, store, [CELLS[0], "", CELLS[1]])
    extend(plan, store)
    assert {world for world, *_ in trained(plan, "each")} == {0, 2} and not plan.waiting


def test_the_choice_is_made_on_validation_and_its_trainings_shared(method: str, store: Store) -> None:
    plan = planned(method, EACH, CHOICE, CHOSEN)
    search(plan, store, CELLS)
    extend(plan, store)
    assert trained(plan, "chosen") == [] and "chosen" in plan.waiting
    best_on_test = dict(zip(CELLS, (90.0, 80.0, 70.0), strict=True))
    best_on_valid = dict(zip(CELLS, (60.0, 85.0, 70.0), strict=True))
    train(plan, store, "digits", best_on_test)
    extend(plan, store)
    assert trained(plan, "chosen") == []
    train(plan, store, "digits_short", best_on_valid, "valid")
    extend(plan, store)
    assert trained(plan, "chosen") == [(1, CELLS[1], seed) for seed in range(3)]
    assert plan.todo == 1  # two of the three were trained with every cell
    lines = collect(plan, store, PROVENANCE).trainings
    assert set(lines.loc[lines["stage"] == "chosen", "chosen_on"]) == {"valid"}
    assert lines.loc[lines["stage"] == "each", "accuracy"].notna().all()
    assert lines.loc[lines["stage"] == "chosen", ["accuracy", "loss"]].isna().sum().tolist() == [1, 1]
    assert set(lines["loss"].dropna()) == {0.1}


def test_the_papers_choice_on_test_is_labelled_and_trained_with_fresh_seeds(method: str, store: Store) -> None:
    plan = planned(method, EACH, ON_TEST)
    search(plan, store, CELLS)
    extend(plan, store)
    train(plan, store, "digits", dict(zip(CELLS, (80.0, 80.0, 70.0), strict=True)))
    extend(plan, store)
    assert trained(plan, "on_test") == [(0, CELLS[0], 10), (0, CELLS[0], 11)]  # of equals, the first search's
    lines = collect(plan, store, PROVENANCE).trainings
    assert set(lines.loc[lines["stage"] == "on_test", "chosen_on"]) == {"test"}


def test_a_cell_is_chosen_in_each_complete_set_of_searches(method: str, store: Store) -> None:
    sets = dataclasses.replace(ON_TEST, sets_of=2)
    plan = planned(method, EACH, sets, seeds=5)
    search(plan, store, [CELLS[0], CELLS[1], CELLS[2], CELLS[1], CELLS[2]])
    extend(plan, store)
    assert "2 searches by each" in plan.waiting["on_test"]
    train(plan, store, "digits", dict(zip(CELLS, (70.0, 80.0, 90.0), strict=True)))
    extend(plan, store)
    assert trained(plan, "on_test") == [
        (world, cell, seed) for world, cell in ((1, CELLS[1]), (2, CELLS[2])) for seed in (10, 11)
    ]
    lines = collect(plan, store, PROVENANCE).trainings
    assert lines.loc[lines["stage"] == "on_test", ["world", "set"]].drop_duplicates().to_numpy().tolist() == [[1, 1], [2, 2]]


def test_the_first_set_may_be_smaller_than_the_paper_s() -> None:
    stage = dataclasses.replace(ON_TEST, sets_of=4)
    assert stage.sets(range(3)) == {1: [0, 1, 2]} and stage.sets(range(7)) == {1: [0, 1, 2, 3]} and stage.sets([]) == {}
    assert stage.sets(range(12)) == {1: [0, 1, 2, 3], 2: [4, 5, 6, 7], 3: [8, 9, 10, 11]}
    assert ON_TEST.sets(range(7)) == {1: [*range(7)]}


def test_trainings_stay_on_the_page_of_a_command_that_names_another_method(method: str, store: Store, tmp_path: Path) -> None:
    plan = planned(method, EACH)
    search(plan, store, CELLS)
    extend(plan, store)
    train(plan, store, "digits", dict.fromkeys(CELLS, 80.0))
    another = tmp_path / "another.py"
    another.write_text(METHOD)
    before, after = (collect(each, store, PROVENANCE).trainings for each in (plan, planned(str(another), EACH)))
    assert len(before) == 6 and before["accuracy"].notna().all()
    assert after.equals(before)


def test_a_page_has_the_trainings_of_all_stored_searches_not_only_of_the_planned_seeds(method: str, store: Store) -> None:
    five = planned(method, EACH, seeds=5)
    search(five, store, [*CELLS, *CELLS[:2]])
    extend(five, store)
    train(five, store, "digits", dict.fromkeys(CELLS, 80.0))
    evidence = collect(planned(method, EACH, seeds=3), store, PROVENANCE)
    assert len(evidence.runs) == 5 and sorted(set(evidence.trainings["world"])) == [0, 1, 2, 3, 4]
    assert evidence.trainings["accuracy"].notna().all()


def test_trainings_are_no_searches_in_a_report(method: str, store: Store) -> None:
    plan = planned(method, EACH)
    search(plan, store, CELLS)
    extend(plan, store)
    train(plan, store, "digits", dict.fromkeys(CELLS, 80.0))
    evidence = collect(plan, store, PROVENANCE)
    (part,) = evidence.page.parts
    assert len(evidence.runs) == 3 and set(part.planned.values()) == {3}


def test_a_training_is_known_by_all_that_its_result_depends_on(method: str, store: Store) -> None:
    def identities(*stages: Stage, device: str = "cpu") -> set[str]:
        plan = planned(method, *stages)
        for row in plan.rows:
            row.spec = dataclasses.replace(row.spec, device=device)
        search(plan, store, CELLS)
        extend(plan, store)
        return {training.run_id for training in plan.trainings}

    ids = identities(EACH)
    assert identities(dataclasses.replace(EACH, name="other")) == ids
    for change in ({"recipe": "digits_short"}, {"split": "valid"}, {"first_seed": 2}):
        assert not ids & identities(dataclasses.replace(EACH, **change))
    assert not ids & identities(EACH, device="cuda")


def test_rows_may_be_trained_as_their_papers_do() -> None:
    stage = dataclasses.replace(EACH, recipes={"pc_darts": "pc", "darts:second_order": "second"})
    names = ("pc_darts", "pc_darts:x", "pc_darts[lr=1]", "darts:second_order", "darts:second_order[lr=1]", "darts:bilevel")
    assert [stage.recipe_of(row) for row in names] == ["pc", "pc", "pc", "second", "second", "digits"]


def test_a_stage_without_its_data_is_left_out_and_named(method: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "/nowhere")
    plan = planned(method, dataclasses.replace(EACH, data="imagenet", recipe="imagenet_darts"))
    search(plan, store, CELLS)
    extend(plan, store)
    assert not plan.trainings and "ImageNet is missing" in plan.skipped["darts/digits", "one-shot", "stage each"]


def test_rows_without_data_keep_the_recipe_of_their_paper_on_other_stages(
    method: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages of ``darts-as-published``: on a machine without CIFAR-100 and ImageNet only those two are left out."""
    monkeypatch.setenv("NAS_DATA", "/nowhere")
    elsewhere = [Stage(data, "one-shot", "imagenet_darts", data=data, chosen_by="each") for data in ("cifar100", "imagenet")]
    plan = planned(method, EACH, *elsewhere, ON_TEST)
    search(plan, store, CELLS)
    extend(plan, store)
    train(plan, store, "digits", dict(zip(CELLS, (80.0, 90.0, 70.0), strict=True)))
    extend(plan, store)
    assert {training.stage for training in plan.trainings} == {"each", "on_test"}
    assert not plan.waiting
    for data, name in (("cifar100", "CIFAR-100"), ("imagenet", "ImageNet")):
        assert f"{name} is missing" in plan.skipped["darts/digits", "one-shot", f"stage {data}"]


def test_the_identity_of_a_search_changes_with_a_line_in_the_changelog_only() -> None:
    """A new field of a row makes new runs: this changes with a line in CHANGELOG.md only."""
    spec = RowSpec("p", "b", "r", "m", "multi-trial", {}, {}, {}, {}, "c", "drawn", "v", 1.0)
    assert spec.identity == "f8f45601c4943fcfc4b716dc7acd784be9417c2ad92a87e0f4701adedcc3b6c7"
    assert spec.run(0).run_id == "7a43b0e1386b5ee82074a5f4"
