"""Steps that a device records and replays, on the CPU: a replay is the step that runs, to the bit."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import weakref
from collections.abc import Callable, Iterator
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
from harness.device import RECORDED, REDUCED
from harness.replay import each_time, hold
from harness.steps import RECORDERS, WARM, CudaRecorder, Number, Step, like
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


@pytest.mark.parametrize("fault", ["a number of the host", "a state that is replaced"])
def test_what_a_recording_gets_wrong_is_seen_on_the_tape(fault: str) -> None:
    """The tests below would see it in a search."""

    def step(state: Tensor) -> Callable[..., None]:
        count, before = [0], [torch.zeros(3)]

        def body(values: Tensor, number: Number) -> None:
            count[0] += 1
            if fault == "a number of the host":
                state.add_(values, alpha=1 / count[0])
            else:
                state.add_(before[0])
                before[0] = values * 2

        return body

    assert not torch.equal(moved(step, TapeRecorder(CPU)), moved(step, None))


def test_a_result_that_is_read_after_another_replay_is_seen_on_the_tape() -> None:
    """Recordings share memory: the next replay may write where the result of the last one is."""

    def sums(early: bool) -> list[float]:
        recorder, seen = TapeRecorder(CPU), []
        first, second = Step(lambda values: values * 2, recorder), Step(lambda values: values * 3, recorder)
        for number in range(6):
            result = first(torch.full((3,), float(number)))
            seen += [result.sum().item()] if early else []
            second(torch.ones(3))
            seen += [] if early else [result.sum().item()]
        return seen

    assert sums(early=True) == [6.0 * number for number in range(6)]
    assert sums(early=False)[:WARM] == sums(early=True)[:WARM] and math.isnan(sums(early=False)[-1])


def masked(values: Tensor) -> Tensor:
    values = values.clone()
    values[values > 0] = torch.zeros(3)
    return values


@pytest.mark.parametrize(
    "body",
    [
        lambda values: values.sum().item(),
        lambda values: values + torch.tensor([1.0, 2.0, 3.0]),
        lambda values: values[values > 0],
        masked,
        lambda values: values + torch.rand(3),
        lambda values: values + torch.rand(3, generator=torch.Generator()),
    ],
)
def test_what_a_gpu_cannot_record_is_refused(body: Callable[[Tensor], Any]) -> None:
    run = Step(body, TapeRecorder(CPU))
    with pytest.raises(RuntimeError, match="a GPU cannot record"):
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


def test_a_recording_that_fails_leaves_nothing_and_is_made_again() -> None:
    ledger, state, faults = Ledger("macs", math.inf), torch.zeros(1), [False] * WARM + [True] + [False] * 4
    charge = each_time(lambda: ledger.charge(macs=1.0))

    def body(values: Tensor) -> None:
        charge()
        state.add_(values)
        if faults.pop(0):
            raise KeyError

    run = Step(body, TapeRecorder(CPU))
    for call in range(WARM + 4):
        before = ledger.spent("macs"), state.item()
        with contextlib.suppress(KeyError):
            run(torch.ones(1))
        assert ledger.spent("macs") == before[0] + 1
        assert state.item() == before[1] + (call != WARM), "what is recorded is not computed"


def test_another_key_gives_the_memory_of_the_recording_back() -> None:
    run = Step(lambda values: values * 2, TapeRecorder(CPU))
    for _ in range(WARM + 2):
        result = weakref.ref(run(torch.ones(3)))
    assert result() is not None
    run(torch.ones(3), key="another")
    assert result() is None


class Cuda:
    """What a recorder calls of ``torch.cuda``, noted in order. A stream is its name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self.now, self.broken = "default", False
        names = ("Stream", "current_stream", "stream", "graph", "graph_pool_handle", "CUDAGraph")
        for name in names:
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        self.pools = 0

    class _Stream:
        def __init__(self, cuda: Cuda, name: str) -> None:
            self.cuda, self.name, self.device = cuda, name, CPU

        def wait_stream(self, other: Any) -> None:
            self.cuda.notes.append(f"{self.name} waits for {other.name}")

    class CUDAGraph:
        def register_generator_state(self, generator: torch.Generator) -> None: ...
        def replay(self) -> None: ...

    def Stream(self, device: torch.device) -> _Stream:
        return self._Stream(self, "side")

    def current_stream(self, device: torch.device) -> _Stream:
        return self._Stream(self, self.now)

    def graph_pool_handle(self) -> int:
        self.pools += 1
        return self.pools

    @contextlib.contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        before, self.now = self.now, stream.name
        try:
            yield
        finally:
            self.now = before

    @contextlib.contextmanager
    def graph(self, graph: Any, pool: int, stream: _Stream, capture_error_mode: str) -> Iterator[None]:
        """Like PyTorch's, it does not go back to the stream before if the capture turns out to have failed."""
        self.now = stream.name
        self.notes.append(f"pool {pool}")
        try:
            yield
        finally:
            if self.broken:
                raise RuntimeError("operation failed due to a previous error during capture")
        self.now = "side"


def test_streams_wait_for_each_other_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that the budget ends has begun operations on the other stream, and an evaluation follows."""
    cuda = Cuda(monkeypatch)
    recorder = CudaRecorder(CPU)

    def fails() -> None:
        assert cuda.now == "side"
        raise BudgetExhausted("macs")

    with pytest.raises(BudgetExhausted):
        recorder.apart(fails)
    assert cuda.notes == ["side waits for default", "default waits for side"] and cuda.now == "default"
    cuda.broken = True
    with pytest.raises(RuntimeError, match="during capture"):
        recorder.record(lambda: None, [])
    assert cuda.now == "default"


def test_recordings_share_memory_as_long_as_one_of_them_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)
    recorder = CudaRecorder(CPU)
    made = [recorder.record(lambda: None, []), recorder.record(lambda: None, [])]
    made.pop()
    made.append(recorder.record(lambda: None, []))
    made.clear()
    recorder.record(lambda: None, [])
    assert [note for note in cuda.notes if note.startswith("pool")] == ["pool 1", "pool 1", "pool 1", "pool 2"]


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


@pytest.mark.parametrize("row", ["gaea_darts:erm", "darts:second_order"])
def test_a_replayed_search_is_the_search_in_reduced_precision(
    row: str, taped: type[TapeRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Casts of weights that a pass keeps for its layers are made again in each replay."""
    made_search.shrink(monkeypatch)
    monkeypatch.setattr(supernet, "_on_processor", lambda x: False)
    in_full = made_search.search(row, batch=6)
    monkeypatch.setitem(REDUCED, "cpu", torch.bfloat16)
    replayed = made_search.search(row, batch=6)
    assert taped.replays and replayed != in_full
    RECORDED.discard("cpu")
    assert made_search.search(row, batch=6) == replayed


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


def test_a_training_that_has_recorded_can_go_back(taped: type[TapeRecorder]) -> None:
    states: list[bytes] = []
    training, other = (Retraining(CELL, dataclasses.replace(TINY, batch=12), resident_data(), 5) for _ in range(2))
    training.run(states.append, until=2)
    assert taped.replays
    training.load(states[0])
    training.run()
    other.load(states[0])
    other.run()
    assert same(weights(training), weights(other))
