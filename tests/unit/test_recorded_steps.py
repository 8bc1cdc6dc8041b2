"""Steps that a device records and replays, on the CPU: a replay is the step that runs, to the bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.darts import task as darts
from benchmarks.darts.retraining import Retraining
from benchmarks.nb1shot1 import task as nb1shot1
from benchmarks.nb1shot1.supernet import SearchMacro
from benchmarks.nb201 import supernet
from harness import steps
from harness.budget import BudgetExhausted, Ledger
from harness.device import RECORDED
from harness.replay import each_time, hold
from harness.steps import RECORDERS, WARM, Number, Step, like
from tests import made_darts, made_nb1shot1_search, made_search
from tests.tape import TapeRecorder
from tests.unit.test_darts_retraining import CELL, TINY, resident_data, same, weights

CPU = torch.device("cpu")


@pytest.fixture
def taped(monkeypatch: pytest.MonkeyPatch) -> type[TapeRecorder]:
    """Let the CPU record steps, after a single call that runs."""
    monkeypatch.setitem(RECORDERS, "cpu", TapeRecorder)
    monkeypatch.setattr(steps, "WARM", 1)
    RECORDED.add("cpu")
    monkeypatch.setattr(TapeRecorder, "replays", 0)
    monkeypatch.setattr(TapeRecorder, "recordings", 0)
    return TapeRecorder


@pytest.fixture(autouse=True)
def as_before() -> Any:
    yield
    RECORDED.discard("cpu")


def moved(step: Callable[[Tensor], Callable[..., Any]], recorder: TapeRecorder | None, calls: int = 6) -> Tensor:
    """Return a state after some calls of a step, each with another input and another number."""
    state = torch.zeros(3)
    run = Step(step(state), recorder)
    for number in range(calls):
        run(torch.full((3,), float(number)), 0.1 * number)
    return state


def test_inputs_and_numbers_are_those_of_each_call() -> None:
    def step(state: Tensor) -> Callable[..., None]:
        def body(values: Tensor, number: Number) -> None:
            state.mul_(0.5).add_(values * like(number, values))

        return body

    assert torch.equal(moved(step, TapeRecorder(CPU)), moved(step, None))


@pytest.mark.parametrize("fault", ["a number of the host", "a state that is replaced", "a generator that is not held"])
def test_what_a_recording_gets_wrong_is_seen_on_the_tape(fault: str) -> None:
    """The tests below would see it in a search."""

    def step(state: Tensor) -> Callable[..., None]:
        count, before, generator = [0], [torch.zeros(3)], torch.Generator().manual_seed(1)

        def body(values: Tensor, number: Number) -> None:
            count[0] += 1
            if fault == "a number of the host":
                state.add_(values, alpha=1 / count[0])
            elif fault == "a state that is replaced":
                state.add_(before[0])
                before[0] = values * 2
            else:
                state.add_(torch.rand(3, generator=generator))

        return body

    assert not torch.equal(moved(step, TapeRecorder(CPU)), moved(step, None))


@pytest.mark.parametrize("body", [lambda values: values.sum().item(), lambda values: values + torch.tensor([1.0, 2.0, 3.0])])
def test_a_step_that_waits_or_uploads_cannot_be_recorded(body: Callable[[Tensor], Any]) -> None:
    run = Step(body, TapeRecorder(CPU))
    with pytest.raises(RuntimeError, match="a GPU cannot record this"):
        for _ in range(WARM + 1):
            run(torch.ones(3))


def test_a_held_generator_goes_on_drawing_and_can_be_seeded() -> None:
    def drawn(recorder: TapeRecorder | None) -> list[float]:
        generator = torch.Generator()
        run = Step(lambda values: values * torch.rand(3, generator=hold(generator)), recorder)
        sums = []
        for epoch in range(2):
            generator.manual_seed(epoch)
            sums += [float(run(torch.ones(3)).sum()) for _ in range(5)]
        return sums

    assert drawn(TapeRecorder(CPU)) == drawn(None)


def test_other_shapes_run_and_another_key_is_another_recording(taped: type[TapeRecorder]) -> None:
    factor, seen = [1.0], []
    run = Step(lambda values: values * factor[0], taped(CPU))
    for key, size in ((1.0, 3), (1.0, 3), (1.0, 3), (1.0, 2), (5.0, 3), (5.0, 3), (5.0, 3)):
        factor[0] = key
        seen.append(run(torch.ones(size), key=key).sum().item())
    assert seen == [3, 3, 3, 2, 15, 15, 15]
    assert (taped.recordings, taped.replays) == (2, 4)


def test_each_replay_is_charged_and_an_exhausted_budget_stops_it_before(taped: type[TapeRecorder]) -> None:
    ledger, state = Ledger("macs", 5.0), torch.zeros(1)
    charge = each_time(lambda: ledger.charge(macs=1.0))

    def body(values: Tensor) -> None:
        charge()
        state.add_(values)

    run = Step(body, taped(CPU))
    with pytest.raises(BudgetExhausted):
        for _ in range(9):
            run(torch.ones(1))
    assert ledger.spent("macs") == state.item() == 5


MIXTURES = ("darts", "gaea_darts", "pc_darts", "gaea_pc_darts", "sparse_nas", "ista_nas", "xnas")
SPACES = {"nb201": made_search, "nb1shot1": made_nb1shot1_search, "darts": made_darts}
ROWS = {"nb201": made_search.rows(), "nb1shot1": made_nb1shot1_search.ROWS, "darts": made_darts.rows()}
PAIRS = [(space, row) for space, rows in ROWS.items() for row in rows if row.partition(":")[0] in MIXTURES]
QUICK = ("gaea_darts:erm", "gaea_pc_darts", "ista_nas:one_stage", "xnas")
"""Rows that are quick enough in the large cells of DARTS."""


@pytest.mark.parametrize(
    ("space", "row"),
    [pytest.param(*pair, marks=pytest.mark.slow if pair[0] == "darts" and pair[1] not in QUICK else ()) for pair in PAIRS],
)
def test_a_replayed_search_is_the_search(
    space: str, row: str, taped: type[TapeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch of an epoch has two images, and runs. ISTA-NAS goes on with drop-path, with a new generator each epoch."""
    monkeypatch.setitem(darts.MACROS, "digits", made_darts.MACRO)
    monkeypatch.setitem(nb1shot1.MACROS, "digits", (SearchMacro(width=4, channels=1, stacks=2, depth=1), 8))
    monkeypatch.setattr(supernet, "_on_processor", lambda x: False)  # the cells as a GPU computes them
    made_search.shrink(monkeypatch)
    made: Any = SPACES[space]
    changes: dict[str, Any] = {"batch": 10 if space == "darts" else 6}
    if (space, row) == ("darts", "ista_nas:one_stage"):
        changes |= {"continued": 2, "drop_path": 0.3, "settled": 1e9}
    replayed = made.search(row, **changes)
    assert taped.replays >= 6 and taped.recordings < taped.replays
    RECORDED.discard("cpu")
    assert made.search(row, **changes) == replayed


@pytest.mark.parametrize("row", ["rsps", "gdas", "enas"])
def test_a_search_of_single_cells_is_not_recorded(row: str, taped: type[TapeRecorder], monkeypatch: pytest.MonkeyPatch) -> None:
    made_search.shrink(monkeypatch)
    made_search.search(row)
    assert not taped.recordings


def test_a_replayed_training_is_the_training(taped: type[TapeRecorder], monkeypatch: pytest.MonkeyPatch) -> None:
    """With drop-path from the second epoch on, clipped gradients, a falling rate, and a smaller last batch."""
    recipe = dataclasses.replace(TINY, batch=12, clip=0.5)
    assert recipe.drop_probability(2) > recipe.drop_probability(1) > 0 and recipe.learning_rate(2) < recipe.learning_rate(1)

    def training() -> Retraining:
        return Retraining(CELL, recipe, resident_data(), 5)

    replayed, resumed, running = training(), training(), training()
    replayed.run()
    assert (taped.recordings, taped.replays) == (1, 3 * 3 - 1)
    states: list[bytes] = []
    training().run(states.append, until=1)
    resumed.load(states[-1])
    resumed.run()
    monkeypatch.setattr(steps, "WARM", 10**9)  # all calls run
    running.run()
    assert same(weights(replayed), weights(running)) and same(weights(resumed), weights(running))
    lines = [[{**line, "seconds": 0.0} for line in made.curve.lines] for made in (replayed, resumed, running)]
    assert repr(lines[0]) == repr(lines[1]) == repr(lines[2])
