"""The papers' claims: declarative tests on stored runs, with honest words for runs that are not the paper's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import claims, published
from harness.analysis.claims import CONTRADICTED, SUPPORTED, UNDECIDED, Claim, decide, results
from harness.analysis.evidence import Cell, Edge, Operation, Space
from harness.analysis.measures import MEASURES, Of
from harness.analysis.names import row_names
from harness.analysis.scoreboard import Way
from harness.analysis.statistics import Interval
from harness.analysis.study import Study
from harness.analysis.traces import Columns, Trace
from reports import claim_tables, scoreboard
from reports.layout import Linked, to_markdown
from tests import made_evidence

PLACE = "p toy/digits"
CLAIM = Claim("003", "table 2", "…", "ours is better", "test accuracy", "ours", "theirs", on=(PLACE,))


def study(values: Mapping[str, Sequence[float]], traces: Any = None, **more: Any) -> Study:
    """Return a study in which each row has these test accuracies, one for each world."""
    lines = [
        made_evidence.run("toy/digits", row, world, "digits", test, kind="one-shot")
        for row, tests in values.items()
        for world, test in enumerate(tests)
    ]
    return Study(made_evidence.evidence(lines, traces, **more), published.load())


def test_the_file_has_the_claims_of_five_papers_and_enough_of_them_can_be_tested_on_bundled_data() -> None:
    known = claims.load()
    assert len(known) >= 25 and {claim.paper for claim in known} == set(published.PAPERS)
    bundled = [claim for claim in known if any("digits" in place.split()[1] for place in claim.also)]
    assert len(bundled) >= 12
    assert all(claim.quote and claim.place and claim.says.endswith(".") for claim in known)
    assert len({claim.says for claim in known}) == len(known)


def test_a_claim_names_registered_rows_and_places_where_its_protocol_runs_them() -> None:
    from harness import protocols
    from harness.plan import rows_of

    for claim in claims.load():
        for place in (*claim.on, *claim.also):
            name, benchmark = place.split()
            parts = [part for part in protocols.protocol(name).parts if benchmark in part.benchmarks]
            rows = {row for part in parts for row in rows_of(part)}
            named = {row.partition("[")[0] for row in (claim.row, claim.against) if row}
            assert named <= rows, f"{claim.says} {place}: {named - rows}"
            assert place not in claim.on or protocols.protocol(name).comparable, "not the paper's rules"


def test_a_sentence_that_names_a_search_space_is_tested_there() -> None:
    names = {"In the DARTS space": "darts/", "On NAS-Bench-201": "nb201/", "On NAS-Bench-1Shot1": "nb1shot1/"}
    for claim in claims.load():
        for name, space in names.items():
            benchmarks = [place.split()[1] for place in (*claim.on, *claim.also)]
            assert not claim.says.startswith(name) or all(benchmark.startswith(space) for benchmark in benchmarks), claim.says


@pytest.mark.parametrize(
    ("sign", "low", "high", "verdict"),
    [
        (">", 0.1, 2.0, SUPPORTED),
        (">", -0.1, 2.0, UNDECIDED),
        (">", -2.0, -0.1, CONTRADICTED),
        ("<", -2.0, -0.1, SUPPORTED),
        ("<", 0.1, 2.0, CONTRADICTED),
    ],
)
def test_an_interval_on_one_side_of_the_bound_decides(sign: Any, low: float, high: float, verdict: str) -> None:
    assert decide(replace(CLAIM, sign=sign), Interval(low, high)) == verdict


def test_equality_needs_the_interval_within_the_bound() -> None:
    equal = replace(CLAIM, sign="=", bound=0.5)
    words = [decide(equal, Interval(*ends)) for ends in ((-0.1, 0.4), (-0.1, 0.6), (0.6, 0.9))]
    assert words == [SUPPORTED, UNDECIDED, CONTRADICTED]
    assert decide(equal, None) == UNDECIDED


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=12), st.floats(-2, 2))
def test_the_opposite_claim_has_the_opposite_verdict(values: list[float], bound: float) -> None:
    opposite = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED, UNDECIDED: UNDECIDED}
    _, interval = claims._effect(replace(CLAIM, test="mean"), np.array(values))
    first, second = (decide(replace(CLAIM, test="mean", sign=sign, bound=bound), interval) for sign in (">", "<"))
    assert second == opposite[first]


def test_a_difference_is_paired_by_world() -> None:
    """Worlds differ by 20 points, the rows by one: without pairs nothing could be decided."""
    theirs = [60.0, 70.0, 80.0, 90.0]
    ours = [value + 1 + step for value, step in zip(theirs, (0.1, -0.1, 0.2, -0.2), strict=True)]
    (result,) = results(CLAIM, [study({"ours": ours, "theirs": theirs})])
    assert result.verdict == SUPPORTED and result.effect == pytest.approx(1.0) and result.n == 4


def test_a_ratio_is_a_geometric_mean() -> None:
    costs = {"ours": [2.0, 8.0, 2.0, 8.0], "theirs": [4.0, 4.0, 4.0, 4.0]}
    (result,) = results(replace(CLAIM, test="ratio", bound=2.0, sign="<"), [study(costs)])
    assert result.effect == pytest.approx(1.0) and result.interval is not None and result.interval.low > 0


def effect(claim: Claim, tests: Sequence[float]) -> tuple[str, str]:
    """Return verdict and effect as the page shows them."""
    tested = list(results(claim, [study({"ours": tests})]))
    ((_, _, verdict, text, *_),) = claim_tables.table({claim: tested}, {}).rows
    return verdict, text


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize("test", ["difference", "ratio"])
def test_rows_that_are_equal_in_all_runs_are_said_to_be_equal(test: Any, seeds: int) -> None:
    claim = replace(CLAIM, test=test, bound=float(test == "ratio"))
    tests = {"ours": [60.0, 61.0, 62.0] * 2, "theirs": ([60.0, 61.0, 62.0] * 2)[:seeds]}
    tested = list(results(claim, [study(tests)]))
    ((_, _, verdict, *_),) = claim_tables.table({claim: tested}, {}).rows
    assert verdict == f"{UNDECIDED}: the rows are equal in all {seeds} runs"


def test_a_claim_begins_with_its_paper_and_leads_to_the_runs_that_decide_it() -> None:
    tested = list(results(CLAIM, [study({"ours": [1.0, 2.0, 4.0], "theirs": [1.0, 1.0, 1.0]})]))
    table = claim_tables.table({CLAIM: tested}, {"p": "folder"})
    ((place, says, _, effect, n, *_),) = table.rows
    assert [column.name for column in table.columns][:2] == ["in the paper", "claim"] and says == CLAIM.says
    assert place == f"{published.PAPERS[CLAIM.paper]}, {CLAIM.place}"
    assert isinstance(effect, Linked) and effect.address == "folder/index.html"
    assert isinstance(n, Linked) and n.address == "folder/runs.html#method=ours&method=theirs&benchmark=toy%2Fdigits"


def test_the_names_of_gaeas_methods_are_spelled_as_those_of_its_rows() -> None:
    texts = [claim.says for claim in claims.load()] + [*row_names().values()]
    assert not [text for text in texts if re.search(r"GAEA (PC-)?(DARTS|GDAS)", text)]


@pytest.mark.parametrize(
    ("tests", "verdict", "text"),
    [
        ([60.0], UNDECIDED, "60.00"),
        ([60.0] * 2, UNDECIDED, "60.00"),
        ([60.0] * 3, f"{UNDECIDED}: all 3 runs have the same value", "60.00"),
        ([60.0] * 5, f"{UNDECIDED}: all 5 runs have the same value", "60.00"),
        ([60.0] * 6, SUPPORTED, "60.00 [60.00, 60.00]"),
        ([60.0, 61.0, 62.0], SUPPORTED, "61.00 [58.52, 63.48]"),
    ],
)
def test_a_claim_without_an_interval_is_undecided_and_few_equal_values_have_none(
    tests: list[float], verdict: str, text: str
) -> None:
    alone = replace(CLAIM, test="mean", against="", bound=50.0)
    assert effect(alone, tests) == (verdict, text)


def test_differences_that_are_equal_but_for_rounding_have_no_interval() -> None:
    theirs = [60.1, 70.2, 80.3]
    differences = [value + 0.1 - value for value in theirs]
    assert len(set(differences)) > 1
    (result,) = results(CLAIM, [study({"ours": [value + 0.1 for value in theirs], "theirs": theirs})])
    assert result.verdict == UNDECIDED and result.interval is None and result.n == 3


def test_a_search_without_the_number_is_left_out() -> None:
    alone = replace(CLAIM, test="mean", against="", bound=50.0)
    traces = {("toy/digits", "ours"): [Trace(world, probe=probe(world)) for world in range(4)]}
    of_probes = replace(alone, measure="Kendall correlation", bound=0.0)
    (result,) = results(of_probes, [study({"ours": [1.0] * 4}, traces)])
    assert result.n == 3 and np.isfinite(result.effect)


def probe(world: int) -> dict[str, list[float]]:
    """Return probed cells; in the first world all have one accuracy, so that there is no correlation."""
    return {"shared": [1.0, 2.0, 3.0], "digits": [world * 1.0, world * 2.0, world * 3.0]}


def test_every_claim_can_be_decided_by_the_searches_of_its_protocols() -> None:
    from harness import protocols

    for claim in claims.load():
        for place in (*claim.on, *claim.also):
            name, benchmark = place.split()
            rules = protocols.protocol(name)
            seeds = max(part.seeds or rules.seeds for part in rules.parts if benchmark in part.benchmarks)
            assert seeds >= 3 or "--seeds 3" in claim.says, claim.says


def test_a_test_error_or_a_time_of_a_search_is_no_number_of_a_paper() -> None:
    """They are averages over searches, each row trained by its own recipe, and times of another machine."""
    ours = [claim for claim in claims.load() if claim.measure == "test error"]
    timed = [claim for claim in claims.load() if claim.measure.startswith("GPU") and claim.test == "mean"]
    assert len(ours) > 5 and timed and not any(claim.on for claim in (*ours, *timed))
    runs = [made_evidence.run("toy/cifar10", row, world, "cifar10") for row in ("ours", "theirs") for world in range(3)]
    trained = [
        made_evidence.training(world, 0, accuracy + world * step, benchmark="toy/cifar10", row=row)
        for row, accuracy, step in (("ours", 97.0, 0.1), ("theirs", 96.0, 0.05))
        for world in range(3)
    ]
    evidence = made_evidence.evidence(runs, trainings=pd.DataFrame(trained))
    error = replace(CLAIM, measure="test error", sign="<", on=(), also=("p toy/cifar10",))
    (result,) = results(error, [Study(evidence, published.load())])
    assert result.verdict == "observed on toy/cifar10" and result.n == 3


def test_two_runs_decide_nothing() -> None:
    (result,) = results(CLAIM, [study({"ours": [90.0, 90.0], "theirs": [10.0, 10.0]})])
    assert result.verdict == UNDECIDED and result.n == 2


def test_other_data_and_changed_rules_never_support_or_contradict_a_paper() -> None:
    better = {"ours": [90.0, 91.0, 92.0], "theirs": [80.0, 81.5, 82.0]}
    (other,) = results(replace(CLAIM, on=(), also=(PLACE,)), [study(better)])
    (changed,) = results(CLAIM, [study(better, modified="budget seconds=1")])
    (against,) = results(replace(CLAIM, on=(), also=(PLACE,), sign="<"), [study(better)])
    assert other.verdict == changed.verdict == "observed on digits"
    assert against.verdict == "opposite observed on digits"
    assert "seconds=1" in changed.where


def test_a_claim_without_runs_names_the_command_or_the_reason() -> None:
    def way(protocol: str, benchmark: str, rows: Sequence[str], _: str, sets: int) -> Way:
        return Way("needs a GPU", f"{protocol} {benchmark} {','.join(rows)}")

    text = to_markdown("Claims", scoreboard.blocks([], published.load(), way))
    assert "needs a GPU: digits nb201/digits conas,rsps" in text and "a theorem, without an experiment" in text
    commands = [f"darts-as-published darts/cifar10 sparse_nas:adam_hapg{change}" for change in ("", "[mixture=0.3]")]
    assert f"needs a GPU: {', then '.join(commands)}" in text


def test_a_measure_that_is_not_known_or_a_test_without_a_reason_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for line in ('measure = "speed"', ""):
        file = tmp_path / "claims.toml"
        file.write_text(f'[[claim]]\npaper = "003"\nplace = "x"\nquote = "x"\nsays = "x."\n{line}\n')
        monkeypatch.setattr(claims, "FILE", file)
        claims.load.cache_clear()
        with pytest.raises(ValueError, match=r"'x\.' needs a known measure"):
            claims.load()
    claims.load.cache_clear()


def test_a_claim_about_a_direct_search_is_tested_on_the_searched_data_set() -> None:
    """The targets of nb201/cifar100 begin with CIFAR-10, where the row is worse here."""
    tests = {"ours": {"cifar10": 80.0, "cifar100": 71.0}, "theirs": {"cifar10": 90.0, "cifar100": 67.0}}
    lines = [
        made_evidence.run("nb201/cifar100", row, world, target, test + world / 10 * (row == "ours"), regret=100 - test)
        for row, targets in tests.items()
        for world in range(3)
        for target, test in targets.items()
    ]
    direct = Study(made_evidence.evidence(lines), published.load())
    (result,) = results(replace(CLAIM, on=("p nb201/cifar100",)), [direct])
    assert result.verdict == SUPPORTED and result.effect == pytest.approx(4.1)
    assert MEASURES["regret"](Of(direct, "nb201/cifar100", "ours")).tolist() == [29.0] * 3


# -- measures ----------------------------------------------------------------------------------------------------------


def of(rows: dict[str, list[Trace]], row: str = "ours", other: str = "theirs", **more: Any) -> Of:
    lines = [
        made_evidence.run("toy/digits", name, trace.world, "digits", 90.0, kind="one-shot")
        for name, traces in rows.items()
        for trace in traces
    ]
    searches = {("toy/digits", name): traces for name, traces in rows.items()}
    return Of(Study(made_evidence.evidence(lines, searches, **more), published.load()), "toy/digits", row, other)


def test_entropies_are_compared_over_the_epochs_that_both_rows_have() -> None:
    ours = Trace(0, log={"epoch": [1, 2, 3], "entropy": [0.9, 0.5, 0.1]})
    theirs = Trace(0, log={"epoch": [1, 2], "entropy": [1.0, 0.8]})
    pair = of({"ours": [ours], "theirs": [theirs]})
    assert MEASURES["entropy"](pair).tolist() == pytest.approx([0.7])
    assert MEASURES["entropy"](pair.swapped()).tolist() == pytest.approx([0.9])


def test_accuracy_at_equal_calls_is_that_of_the_proposal_in_force_at_the_cheaper_searchs_end() -> None:
    def search(changes: list[int], accuracies: list[float], end: float) -> Trace:
        seconds = [float(call) for call in changes]
        return Trace(0, seconds, {"digits": accuracies}, seconds, end, spent_queries=end)

    pair = of({"ours": [search([1, 4], [50.0, 60.0], 5)], "theirs": [search([2, 9], [55.0, 70.0], 20)]})
    for name in ("test accuracy at equal solver calls", "test accuracy at equal charged seconds"):
        assert MEASURES[name](pair).tolist() == [60.0] and MEASURES[name](pair.swapped()).tolist() == [55.0]


def test_the_loss_by_discretisation_is_that_of_the_last_epoch() -> None:
    log: Columns = {"epoch": [1, 2], "supernet_accuracy": [20.0, 74.0], "discretised_accuracy": [np.nan, 30.0]}
    assert MEASURES["accuracy lost by discretisation"](of({"ours": [Trace(3, log=log)]})).to_dict() == {3: 44.0}


def test_the_time_of_a_search_is_compared_with_the_training_of_its_cell_on_a_gpu() -> None:
    runs = [
        made_evidence.run("darts/cifar10", "ours", world, "cifar10", wall_seconds=12.0, device="cuda") for world in range(2)
    ]
    lines = [made_evidence.training(0, seed, row="ours", seconds=8.0 * seed) for seed in (1, 2)]
    lines.append(made_evidence.training(1, 1, row="ours", seconds=1.0, device="cpu"))
    searched = Study(made_evidence.evidence(runs, trainings=pd.DataFrame(lines)), published.load())
    assert MEASURES["search time in trainings"](Of(searched, "darts/cifar10", "ours")).to_dict() == {0: 1.0}


def test_absorption_and_correlations_are_read_from_the_log() -> None:
    absorbed = {"accuracy_before_absorption": [90.0], "accuracy_after_absorption": [90.5]}
    assert MEASURES["accuracy gained by absorption"](of({"ours": [Trace(0, log=absorbed)]})).tolist() == [0.5]
    maps: Columns = {
        "features": [1, 1, 2, 2, 2],
        "own_accuracy": [2.0, 1.0, 1.0, 2.0, 3.0],
        "shared_accuracy": [1.0, 2.0, 10.0, 20.0, 30.0],
    }
    assert MEASURES["Spearman correlation"](of({"ours": [Trace(0, log=maps)]})).tolist() == pytest.approx([1.0])
    probe = {"shared": [1.0, 2.0, 3.0], "digits": [3.0, 2.0, 1.0]}
    assert MEASURES["Kendall correlation"](of({"ours": [Trace(0, probe=probe)]})).tolist() == pytest.approx([-1.0])


def test_cells_are_measured_by_their_operations() -> None:
    skip, conv = Operation("skip", "skip", "identity"), Operation("conv", "conv", "convolution")
    none = Operation("none", "none", "zero")
    reduction = Cell(("a", "b", "c", "d"), (Edge(0, 2, conv), Edge(1, 2, skip), Edge(0, 3, skip)), "reduce")
    normal = Cell(("a", "b", "c"), (Edge(0, 2, skip), Edge(1, 2, none)), "normal")
    drawn = Space("made", operations={"skip": skip, "conv": conv, "none": none}, drawn={"x": (normal, reduction)})
    cell = of({"ours": [Trace(0)]}, spaces={"toy/digits": drawn})
    names = ("share of skip connections", "nodes of the reduction cell")
    assert [MEASURES[name](cell).tolist() for name in names] == [[75.0], [2.0]]
