"""A page says what is so, whichever command wrote it: rows, reasons, facts and statuses from a store to ``table.md``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import protocols
from harness.frames import collect
from harness.outcome import Result
from harness.pages import write
from harness.plan import Plan, PlannedRow, make
from harness.spec import RunSpec
from harness.store import Store
from tests import made_store

MADE_BY = {"command": "python -m harness.run", "code": "1", "host": {}, "date": "today", "packages": {"numpy": "2.0"}}

pytestmark = pytest.mark.usefixtures("made", "no_figures")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, MADE_BY) as opened:
        yield opened


def planned(name: str, *methods: str, benchmarks: tuple[str, ...] = (), seeds: int = 3, **more: Any) -> Plan:
    return make(protocols.protocol(name), methods=methods, benchmarks=benchmarks, seeds=seeds, **more)


def failing(row: PlannedRow, run: RunSpec) -> Result:
    return Result(run.run_id, "failed", spent={"queries": 0, "seconds": 0.0}, error="Traceback\nValueError: mine")


def page(plan: Plan, store: Store, out: Path) -> str:
    write(plan, store, out)
    (table,) = out.glob("*/table.md")
    return table.read_text()


def section(text: str, heading: str) -> str:
    """Return a section of a page, without its heading."""
    return text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].strip()


def rows_of(plan: Plan, store: Store) -> set[str]:
    return set(collect(plan, store, MADE_BY).runs["row"])


BOTH = ("random_search", "gdas", "darts:bilevel")


@pytest.mark.parametrize("methods", [("random_search",), ("gdas",), ("local_search",), ("enas",), BOTH])
def test_every_stored_row_is_on_the_page_for_any_kind_of_method_in_the_command(methods: tuple[str, ...], store: Store) -> None:
    made_store.fill(store, planned("digits", *BOTH, benchmarks=("nb201/digits",)))
    assert rows_of(planned("digits", *methods, benchmarks=("nb201/digits",), seeds=1), store) == set(BOTH)


def test_rows_on_another_benchmark_of_the_protocol_stay_too(store: Store, tmp_path: Path) -> None:
    made_store.fill(store, planned("digits", "random_search", benchmarks=("nb201/digits", "nb1shot1/1-digits")))
    text = page(planned("digits", "random_search", benchmarks=("nb201/digits",)), store, tmp_path)
    assert "## Results on nb201/digits\n" in text and "## Results on nb1shot1/1-digits\n" in text


def test_a_page_knows_the_images_of_each_search_that_trains(store: Store) -> None:
    plan = planned("digits", "random_search", "gdas", benchmarks=("nb201/digits",), seeds=1)
    made_store.fill(store, plan)
    images = {row: text for part in collect(plan, store, MADE_BY).page.parts for row, text in part.images.items()}
    assert set(images) == {"gdas"} and images["gdas"].startswith("digits, ")


def test_rows_made_on_a_gpu_stay_when_a_command_runs_on_the_cpu(store: Store) -> None:
    made_store.fill(store, planned("digits", "gdas", benchmarks=("nb201/digits",), device="cuda"))
    assert rows_of(planned("digits", "random_search", benchmarks=("nb201/digits",)), store) == {"gdas"}
    made_store.fill(store, planned("digits", "gdas", benchmarks=("nb201/digits",), seeds=1))
    page_ = collect(planned("digits", "gdas", benchmarks=("nb201/digits",)), store, MADE_BY).page
    assert page_.left_out == {"made with --device cuda": ["gdas on nb201/digits"]}


def test_a_row_that_is_left_out_says_why(store: Store, tmp_path: Path) -> None:
    before = planned("smoke", "random_search", "local_search", benchmarks=("nb201/digits",))
    before.rows[0].spec = dataclasses.replace(before.rows[0].spec, code="another")
    before.rows[0].runs = [before.rows[0].spec.run(world) for world in range(3)]
    made_store.fill(store, before)
    text = page(planned("smoke", "regularized_evolution", benchmarks=("nb201/digits",)), store, tmp_path)
    left_out = section(text, "In the store, not on this page")
    assert "**random_search on nb201/digits:** made by other code" in left_out
    assert "| local search " in text and "| random search " not in text


def test_facts_are_stated_once_under_their_benchmark(store: Store, tmp_path: Path) -> None:
    plan = planned("digits", "random_search", benchmarks=("nb201/digits", "nb1shot1/1-digits"))
    made_store.fill(store, plan)
    text = page(plan, store, tmp_path)
    cells, graphs = section(text, "The benchmark nb201/digits"), section(text, "The benchmark nb1shot1/1-digits")
    assert "space 1" not in cells and "15 625" not in graphs
    assert "**Charged seconds:** training and evaluation seconds of an additive model" in cells
    assert "**Charged seconds:** training seconds of an additive model" in graphs
    assert "weight sharing is charged" not in text, "no row shares weights"
    assert text.count("2 685 distinct cells of space 1") == 1
    assert text.count("**Judged by:**") == text.count("**Best of that set:**") == 2
    budget = "All rows had the same budget: 10 mean trainings, {} seconds."
    for name, seconds in (("nb201/digits", "5.82"), ("nb1shot1/1-digits", "83.4")):
        assert budget.format(seconds) in section(text, f"Results on {name}") and text.count(budget.format(seconds)) == 1


def test_searched_is_what_the_rows_on_the_page_searched(store: Store, tmp_path: Path) -> None:
    plan = planned("digits", "random_search", benchmarks=("nb1shot1/1-digits",))
    recipes = {"multi-trial": {"recipe": 36}, "one-shot": {"recipe": 12}}
    parts = tuple(dataclasses.replace(part, search=recipes.get(part.kind, {})) for part in plan.protocol.parts)
    rules = dataclasses.replace(plan.protocol, parts=parts)
    plan = make(rules, methods=["random_search"], benchmarks=["nb1shot1/1-digits"], seeds=3)
    made_store.fill(store, plan)
    searched = {part.kind: part.search for part in collect(plan, store, MADE_BY).page.parts}
    assert "36-epoch" in searched["multi-trial"] and "12-epoch" in searched["one-shot"]
    text = page(plan, store, tmp_path)
    assert f"**Searched:** {searched['multi-trial']}\n" in text and "12-epoch" not in text


def test_a_row_that_did_not_run_has_the_reason_of_its_benchmark_for_any_command(store: Store) -> None:
    def reasons(**more: Any) -> dict[tuple[str, str], str]:
        plan = make(protocols.protocol("nb201-2020"), seeds=1, **more)
        parts = collect(plan, store, MADE_BY).page.parts
        return {(part.benchmark, row): reason for part in parts for row, reason in part.skipped.items()}

    everything, random_search = reasons(), reasons(methods=["random_search"])
    assert everything == random_search
    assert (
        "without a GPU" in random_search["nb201/cifar10", "gdas"]
        and random_search["nb201/cifar10", "local_search"] == "not run yet"
    )


def test_a_protocol_without_its_data_says_so_benchmark_by_benchmark(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make(protocols.protocol("gaea-2021"), report_only=True)
    text = page(plan, store, tmp_path)
    assert "| GAEA-DARTS (ERM) " in text and "94.10" in text, "the printed numbers"
    assert "not measured here: takes days without a GPU" in section(text, "Results on nb201/cifar10")
    assert not plan.rows and "is missing" not in section(text, "Results on nb201/cifar10")
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "nothing"))
    absent = make(protocols.protocol("gaea-2021"), benchmarks=["nb201/cifar100"], report_only=True)
    assert "nb201/cifar100" in str(absent.closed) and "not measured here" in page(absent, store, tmp_path)


def test_a_page_is_written_when_nothing_has_run_and_when_all_runs_failed(store: Store, tmp_path: Path) -> None:
    plan = planned("smoke", "random_search", "gdas", benchmarks=("nb201/digits",))
    assert "not run yet" in section(page(plan, store, tmp_path), "Not measured here")
    made_store.fill(store, plan, failing)
    text = page(plan, store, tmp_path)
    assert "| random search |" in text and "0/3" in text and "ValueError: mine" in section(text, "Failed runs")


def test_only_finished_runs_are_in_a_mean_and_rejected_ones_are_named(store: Store, tmp_path: Path) -> None:
    plan = planned("smoke", "random_search", benchmarks=("nb201/digits",))
    finished = made_store.finished(plan, plan.rows[0])

    def make_run(row: PlannedRow, run: RunSpec) -> Result:
        result = finished(row, run)
        if run.world == 2:
            result.status, result.error = "rejected", "ledger: 3 queries booked, 100 answered"
            result.scores["digits"] |= {"test": 1e6}
        return result

    made_store.fill(store, plan, make_run)
    text = page(plan, store, tmp_path)
    costs = section(text, "Intervals and costs")
    assert "Rejected, because what the method booked is not what the benchmark answered: random search (1)." in costs
    assert costs.splitlines()[2].split("|")[-2].strip() == "1" and "| 2/3" not in costs
    evidence = collect(plan, store, MADE_BY)
    assert evidence.runs["test"].max() < 100 and len(evidence.traces.of("nb201/digits", "random_search")) == 2


def test_more_seeds_in_the_store_than_requested_are_stated(store: Store, tmp_path: Path) -> None:
    made_store.fill(store, planned("smoke", "random_search", benchmarks=("nb201/digits",), seeds=9))
    assert "9 (3 asked)" in page(planned("smoke", "random_search", benchmarks=("nb201/digits",)), store, tmp_path)


@pytest.mark.slow
def test_rows_have_one_order_for_any_command(store: Store, tmp_path: Path) -> None:
    made_store.fill(store, planned("digits", *BOTH, "local_search", benchmarks=("nb201/digits",)))
    pages = [
        page(planned("digits", *names, benchmarks=("nb201/digits",)), store, tmp_path)
        for names in (("random_search",), ("local_search", "gdas"), ("gdas", "random_search"))
    ]
    blocks = [section(text, "Results").split("\n\n") for text in pages]
    tables = {next(text for text in texts if text.startswith("|")).replace(" (3 asked)", "") for texts in blocks}
    assert len(tables) == 1
    names = [line.split("|")[1].strip() for line in tables.pop().splitlines()[2:]]
    tabular, sharing = names.index("*multi-trial*"), names.index("*weight sharing*")
    assert set(names[tabular + 1 : sharing]) == {"random search", "local search", "local search (full)"}
    assert set(names[sharing + 1 :]) == {"DARTS (bilevel)", "GDAS", "Optimal"} and names[-1] == "Optimal"


def test_versions_of_packages_are_named_where_sessions_differ(tmp_path: Path) -> None:
    for seeds, version in ((1, "1.26.4"), (2, "2.4.1")):
        plan = planned("smoke", "random_search", benchmarks=("nb201/digits",), seeds=seeds)
        with Store(tmp_path, {**MADE_BY, "packages": {"numpy": version, "torch": "2.11.0"}}) as store:
            made_store.fill(store, plan)
            text = page(plan, store, tmp_path)
        assert ("numpy" in section(text, "How this was made")) == (seeds == 2)
    provenance = section(text, "How this was made")
    assert "by code 1, numpy 1.26.4" in provenance and "by code 1, numpy 2.4.1" in provenance and "torch 2" not in provenance
    assert "Warning: these runs were made by different versions of numpy." in provenance
