"""Switches between the sides of a disagreement do what docs/discrepancies.md says. Other tests name the remaining numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.darts import task as darts_task
from benchmarks.darts.recipe import recipe
from benchmarks.feature_maps.benchmark import PAPER, FeatureMapsBenchmark
from benchmarks.nb1shot1 import task as nb1shot1_task
from benchmarks.nb1shot1.supernet import SearchMacro
from harness import protocols, registry
from harness.budget import BudgetExhausted, Ledger
from harness.testing.toy import ToyOracle, ToySpace
from methods.one_shot.parts import conas, gumbel
from methods.one_shot.parts.architecture import HardGumbel
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.proximal import Hapg
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.sgd import Sgd
from tests import made_darts, made_nb1shot1_search, made_search
from tests.made_search import small
from tests.recorded import RecordedView

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]


def started(row: str, none: bool = True, **changes: Any) -> Search:
    """Return the search of a row on NAS-Bench-201, before its first epoch."""
    return Search(made_search.view(), made_search.method(row, **changes), none=none)


def lines(row: str, **changes: Any) -> list[dict[str, float]]:
    """Return what a search logs at the ends of its epochs."""
    view = made_search.view()
    made_search.search(row, view, **changes)
    return [dict(line) for line in view.trace.scalars if "epoch" in line]


def parameters(search: Search) -> dict[str, Tensor]:
    return dict(search.net.module.named_parameters())


# -- training the weights --------------------------------------------------------------------------------------------------


def test_convolutions_of_the_cells_have_a_bias_if_requested() -> None:
    """D-01."""
    without, biased = (set(parameters(started("darts:bilevel", conv_bias=bias))) for bias in (False, True))
    assert without < biased
    assert all(name.startswith("stages.") and name.endswith("bias") for name in biased - without)


def test_the_channels_of_the_first_stage() -> None:
    """D-23: 16 in GAEA's paper, 24 in its configuration; 0 are those of the table's networks."""
    widths = [parameters(started("gaea_darts:bilevel", channels=count))["stem.conv.weight"].shape[0] for count in (0, 6)]
    assert widths == [made_search.MACRO.width, 6]


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_step_is_that_of_the_momentum(nesterov: bool) -> None:
    """D-04: v <- .9 v + g + decay w; w <- w - rate v, or with Nesterov's momentum w - rate (g + decay w + .9 v)."""
    module = torch.nn.Linear(3, 2).double()
    sgd = Sgd(module, 0.9, 0.1, nesterov)
    w, v = sgd.flat.tolist(), [0.0] * 8
    for step in range(5):
        gradient = [0.1 * k - 0.3 + 0.05 * step for k in range(8)]
        sgd.gradient.copy_(torch.tensor(gradient, dtype=torch.float64))
        sgd.step(0.2)
        decayed = [g + 0.1 * value for g, value in zip(gradient, w, strict=True)]
        v = [0.9 * before + d for before, d in zip(v, decayed, strict=True)]
        moves = [d + 0.9 * after for d, after in zip(decayed, v, strict=True)] if nesterov else v
        w = [value - 0.2 * move for value, move in zip(w, moves, strict=True)]
        assert sgd.flat.tolist() == pytest.approx(w, abs=1e-12)


def test_conas_has_nesterovs_momentum_on_nas_bench_201_alone() -> None:
    """D-04."""
    info = registry.method("conas")
    chosen = [registry.settings(info, "conas", space, {}, {})["nesterov"] for space in ("nb201", "darts")]
    assert chosen == [True, False]
    assert started("conas", nesterov=False).sgd.nesterov is False


def test_the_norm_to_which_conas_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-05: 0.25 is the code's; 0 is the paper's, which lists no clipping."""
    norms: list[float] = []
    plain = Sgd.clip

    def clip(self: Sgd, norm: float, counted: Iterable[Tensor] = ()) -> None:
        norms.append(norm)
        plain(self, norm, counted)

    monkeypatch.setattr(Sgd, "clip", clip)
    made_search.search("conas", epochs=1)
    assert norms
    assert set(norms) == {0.25}
    norms.clear()
    made_search.search("conas", epochs=1, clip=0.0)
    assert not norms


@pytest.mark.parametrize("inactive", ["decay", "keep"])
def test_what_becomes_of_weights_that_a_step_did_not_use(inactive: str) -> None:
    """D-06 and D-42: they decay and move by their momentum, as in the papers' PyTorch, or stay."""
    search = started("conas", inactive=inactive, epochs=1)
    idle = "stages.0.0.convs.0.0.weight"  # the 3x3 convolutions that leave the cell's input
    batch = next(iter(search.task.batches("train", 16, 0)))
    search.step_weights(search.loss(batch, Forward(active=search.net.active_for((3,) * 6))))
    before = parameters(search)[idle].detach().clone()
    search.step_weights(search.loss(batch, Forward(active=search.net.active_for((2,) * 6))))
    assert torch.equal(parameters(search)[idle], before) == (inactive == "keep")


def test_the_learning_rate_follows_its_period_and_restarts() -> None:
    """D-24."""

    def rates(**changes: Any) -> list[float]:
        search = started("gaea_darts:erm", epochs=4, **changes)
        return [search.lr for _ in search.epochs()]

    assert rates(lr_period=1)[-1] == pytest.approx(0.001 + 0.024 * 0.1464, rel=1e-3)
    assert rates(lr_period=2)[-1] == pytest.approx(0.001 + 0.024 * 0.6913, rel=1e-3)
    assert rates(lr_period=0.5)[2] == pytest.approx(0.001), "it rises again after this epoch"
    assert rates(lr_period=0.5, lr_restart=0.5)[2] == pytest.approx(0.0125)


# -- CoNAS -----------------------------------------------------------------------------------------------------------------


def test_the_scale_of_the_papers_lasso_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-07."""
    scales: list[str] = []

    def lasso(features: Any, values: Any, penalty: float, scale: str) -> Any:
        scales.append(scale)
        return 0 * features[0]

    monkeypatch.setattr(conas, "lasso", lasso)
    for row in ("conas", "conas:paper_scale"):
        made_search.search(row, epochs=1)
    assert scales == ["released", "paper"]


def test_rounds_repeat_on_free_switches_until_there_are_edges_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-09."""
    frozen: list[dict[int, int]] = []
    plain = conas.measured

    def measured(*arguments: Any) -> Any:
        frozen.append(dict(arguments[3]))
        codes, losses = plain(*arguments)
        assert all((codes[:, position] == sign).all() for position, sign in arguments[3].items())
        return codes, losses

    monkeypatch.setattr(conas, "measured", measured)
    monkeypatch.setattr(conas, "enough", lambda *_: False)
    for rounds in (1, 3):
        frozen.clear()
        made_search.search("conas", epochs=1, rounds=rounds, terms=4)
        assert len(frozen) == rounds
    assert [len(signs) for signs in frozen] == sorted({len(signs) for signs in frozen}), "more are frozen in each round"
    assert registry.settings(registry.method("conas"), "conas", "darts", {}, {})["rounds"] == 4
    monkeypatch.setattr(conas, "enough", lambda *_: True)
    frozen.clear()
    made_search.search("conas", epochs=1, rounds=3, terms=4)
    assert len(frozen) == 1


# -- ISTA-NAS and SparseNAS ------------------------------------------------------------------------------------------------


def test_candidates_above_the_cap_are_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-14."""
    monkeypatch.setitem(darts_task.MACROS, "digits", made_darts.MACRO)

    def cells(largest: float) -> int:
        changes: dict[str, Any] = {"largest": largest, "arch_lr": 1.0, "epochs": 2, "settled": 0.0, "continued": 0}
        _, trace = made_darts.search("ista_nas:one_stage", made_darts.view(), **changes)
        return len({proposal.arch for proposal in trace["proposals"]})

    assert cells(largest=1e-6) == 1, "every network has a parameter"
    assert cells(largest=0.0) > 1
    assert registry.settings(registry.method("ista_nas"), "ista_nas:one_stage", "darts", {}, {})["largest"] == 3.7


def test_the_first_weights_of_sparse_nas() -> None:
    """D-16: one over the number of operations, four on NAS-Bench-201."""
    from methods.one_shot.parts.sparse import SparseWeights

    for initial, expected in ((0.0, 0.25), (0.001, 0.001)):
        search = started("sparse_nas:hapg", none=False, initial=initial)
        (value,) = SparseWeights(search, search.settings).values  # type: ignore[arg-type]
        assert value.unique().tolist() == pytest.approx([expected])


def test_the_path_of_sparse_nas_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-19."""
    strengths: list[float] = []
    monkeypatch.setattr(Hapg, "step", lambda self, gradient, rate, strength, numbers: strengths.append(strength))
    steeper: dict[str, Any] = {"first_strength": 0.5, "strength_step": 0.25}
    for changes, expected in (({}, [0.01, 0.02]), (steeper, [0.5, 0.75])):
        strengths.clear()
        made_search.search("sparse_nas:hapg", **changes)
        assert list(dict.fromkeys(strengths)) == pytest.approx(expected)


def test_the_threshold_of_adam_alone() -> None:
    """D-83: with Adam no weight becomes zero by itself."""
    from methods.one_shot.parts.sparse import SparseWeights

    assert made_search.method("sparse_nas:adam").tolerance == 1e-3
    assert made_search.method("sparse_nas:hapg").tolerance == 0
    search = started("sparse_nas:adam", none=False, tolerance=0.01)
    weights = SparseWeights(search, search.settings)  # type: ignore[arg-type]
    with torch.no_grad():
        weights.values[0][0] = torch.tensor([0.02, -0.02, 0.009, -0.009])
    torch.testing.assert_close(weights.scores()[0][0], torch.tensor([0.02, 0.02, 0.0, 0.0]))


# -- GAEA ------------------------------------------------------------------------------------------------------------------


def test_the_entropic_penalty_keeps_weights_near_the_centre() -> None:
    """D-22."""
    entropies = [lines("gaea_gdas", entropic=entropic, arch_lr=0.2)[-1]["entropy"] for entropic in (0.0, 1.0)]
    assert entropies[0] < entropies[1]
    assert made_search.method("gaea_gdas:released").entropic == 0.01


def test_the_released_temperature_is_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-26."""
    temperatures: list[float] = []
    plain = HardGumbel.__call__

    def call(self: HardGumbel, architecture: Any) -> Any:
        temperatures.append(self.temperature)
        return plain(self, architecture)

    monkeypatch.setattr(HardGumbel, "__call__", call)
    for cooling, last in (("linear", 0.1), ("released", gumbel.released_temperature(3, 4, warmup=2))):
        temperatures.clear()
        made_search.search("gaea_gdas", cooling=cooling, epochs=4, warmup=0.5)
        assert temperatures[0] == 10
        assert temperatures[-1] == pytest.approx(last)
    assert last > 3


@pytest.mark.parametrize("row", ["gaea_gdas:released", "gaea_gdas"])
def test_the_released_gaea_gdas_waits_and_is_slower(row: str) -> None:
    """D-27."""
    released = row.endswith("released")
    info = registry.method("gaea_gdas")
    values = registry.settings(info, row, "nb201", {}, {})
    assert (values["arch_lr"], values["warmup"]) == ((0.01, 50 / 150) if released else (0.1, 0))
    first = lines(row, epochs=2, warmup=0.5 * released, arch_lr=1.0)[0]["entropy"]
    assert (first > 1 - 1e-6) == released


def test_the_warmup_of_gaea_pc_darts(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-28."""
    assert registry.settings(registry.method("gaea_pc_darts"), "gaea_pc_darts", "darts", {}, {})["warmup"] == 10 / 50
    monkeypatch.setitem(nb1shot1_task.MACROS, "digits", (SearchMacro(width=4, channels=1, stacks=2, depth=1), 8))
    for warmup, moved in ((0, True), (0.5, False)):
        view = made_nb1shot1_search.view()
        made_nb1shot1_search.search("gaea_pc_darts", view, epochs=2, warmup=warmup, arch_lr=0.5)
        first = next(line for line in view.trace.scalars if "epoch" in line)
        assert (first["entropy"] < 1 - 1e-5) == moved


def test_four_searches_precede_the_trainings_of_the_darts_space() -> None:
    """D-29."""
    assert {name: protocols.protocol(name).seeds for name in ("darts", "darts-as-published")} == {
        "darts": 4,
        "darts-as-published": 4,
    }


def test_gaeas_recipe_is_the_papers() -> None:
    """D-30."""
    assert [(recipe(name).batch, recipe(name).drop_path) for name in ("gaea", "darts")] == [(128, 0.3), (96, 0.2)]


# -- feature maps ----------------------------------------------------------------------------------------------------------


def digits_task(**settings: Any) -> Any:
    """Return the task of the digits under these settings of a protocol."""

    def charge(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
        pass

    side = FeatureMapsBenchmark("digits").open({"digits": settings}, {}).training
    assert side is not None
    return side(1, "cpu", charge)


def test_a_protocol_sets_the_number_of_features_and_of_buckets() -> None:
    """D-37."""
    assert PAPER["imdb"].features == 2**24
    assert dataclasses.replace(PAPER["imdb"], features=100_000).features == 100_000
    assert [digits_task(features=features).features for features in (30, 60)] == [30, 60]


def test_the_solver_of_ridge_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-82: scikit-learn's iterations with its default tolerance, or the exact solution."""
    from sklearn import linear_model

    solvers: list[tuple[str, float]] = []
    plain = linear_model.Ridge

    def ridge(**settings: Any) -> Any:
        model = plain(**settings)
        solvers.append((model.solver, model.tol))
        return model

    monkeypatch.setattr(linear_model, "Ridge", ridge)
    for solver in ("lsqr", "cholesky"):
        digits_task(features=20, solver=solver).fit(0, 20)
    assert solvers == [("lsqr", 1e-4), ("cholesky", 1e-4)]


# -- methods of single trials ----------------------------------------------------------------------------------------------


def asked(row: str) -> set[int | None]:
    """Return the fidelities that a row queries."""
    info = registry.method(row.partition(":")[0])
    oracle = ToyOracle(7)
    fidelities: set[int | None] = set()
    measure = oracle.measure

    def noting(arch: Any, fidelity: int | None, asked: int) -> Any:
        fidelities.add(fidelity)
        return measure(arch, fidelity, asked)

    oracle.measure = noting  # type: ignore[method-assign]
    view = RecordedView(ToySpace(), Ledger("queries", 40), oracle, 0, "self")
    with pytest.raises(BudgetExhausted):
        registry.build(info, registry.settings(info, row, "toy", {}, {})).search(view)
    return fidelities


def test_what_a_rung_is_to_the_oracle() -> None:
    """D-39: nothing in 2020, epochs in NATS-Bench."""
    assert asked("bohb:nb201_2020") == {None}
    assert asked("bohb:nats_2021") == {1, 4, 12}


def test_the_rates_of_reinforce_are_rows() -> None:
    """D-38."""
    info = registry.method("reinforce")
    rows = [row for row in info.rows if "lr_" in row]
    assert {registry.settings(info, row, "nb201", {}, {})["lr"] for row in rows} == {0.5, 0.01, 0.001}


def test_nats_bench_draws_another_cell_for_each_cell_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-40."""
    drawn: list[bool] = []
    plain = Search.loss

    def loss(self: Search, batch: Any, forward: Forward, *rest: Any) -> Tensor:
        drawn.append(isinstance(forward.active, list) and len(forward.active) == self.net.cells == 3)
        return plain(self, batch, forward, *rest)

    monkeypatch.setattr(Search, "loss", loss)
    for row in ("rsps", "rsps:nats_2021"):
        drawn.clear()
        made_search.search(row, epochs=1)
        assert set(drawn) == {row == "rsps:nats_2021"}
