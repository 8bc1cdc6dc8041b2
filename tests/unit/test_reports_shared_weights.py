"""What shared weights say of cells: their ranking, discretisation, stability under settings, and maps of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import epochs, published, signal, stability, weights
from reports.study import Study
from reports.traces import Traces
from tests.unit.test_reports_one_shot import BENCHMARK, GOOD, SKIPS, made


def study_of(traces: list[dict[str, Any]], **archs: str) -> Study:
    runs, _, facts = made()
    named = [(row, world) for row in {one["row"]: None for one in traces} or archs for world in range(3)]
    lines = [{**runs.iloc[0].to_dict(), "row": row, "world": world, "run_id": f"{row}/{world}"} for row, world in named]
    for line in lines:
        line["arch"] = archs.get(str(line["row"]), GOOD)
    return Study(pd.DataFrame(lines), facts, published.load())


def probe(world: int, shared: list[float], **own: list[float]) -> dict[str, Any]:
    return {"row": "rsps", "benchmark": BENCHMARK, "world": world, "probe": {"shared": shared, **own}, "log": {}}


def test_a_ranking_that_agrees_has_tau_one_and_what_is_not_judged_is_left_out() -> None:
    traces = [probe(world, [10.0, 20.0, 30.0, 40.0], cifar10=[1.0, 2.0, 4.0, 3.0 + 2 * (world > 0)]) for world in range(3)]
    table = signal.ranking(study_of(traces), Traces(traces), pd.DataFrame(), BENCHMARK)
    assert table is not None
    ((method, how, runs, cells, tau, rho, shared, chosen, best),) = table.rows
    assert (method, how, runs, cells) == ("rsps", "CIFAR-10, test, as judged", "3", "4")
    assert float(tau.split()[0]) == pytest.approx(np.mean([2 / 3, 1, 1]), abs=0.006) and float(rho.split()[0]) > 0.9
    assert (shared, chosen, best) == ("25.00", "4.33", "4.67")
    unjudged = [probe(0, [10.0, 20.0], cifar10=[np.nan, np.nan])]
    assert signal.ranking(study_of(unjudged), Traces(unjudged), pd.DataFrame(), BENCHMARK) is None


def test_cells_trained_for_a_ranking_are_averaged_over_their_seeds_in_the_order_of_the_probes() -> None:
    traces = [probe(0, [3.0, 2.0, 1.0])]
    line = {"benchmark": BENCHMARK, "row": "rsps", "world": 0, "stage": "probed", "recipe": "short", "data": "digits"}
    accuracies = [90.0, 91.0, 80.0, 85.0, 70.0, 71.0]
    trained = pd.DataFrame([{**line, "split": "test", "probed": True, "accuracy": accuracy} for accuracy in accuracies])
    table = signal.ranking(study_of(traces), Traces(traces), trained, BENCHMARK)
    assert table is not None
    assert table.rows == [["rsps", "digits, test, trained by short", "1", "3", "1.00", "1.00", "2.00", "90.50", "90.50"]]
    trained.loc[0, "accuracy"] = np.nan  # a training is still to come
    assert signal.ranking(study_of(traces), Traces(traces), trained, BENCHMARK) is None


def test_discretisation_is_a_paired_difference() -> None:
    log = {"supernet_accuracy": [50.0, 80.0, np.nan], "discretised_accuracy": [np.nan, np.nan, 60.0]}
    traces = [{"row": "darts:erm", "benchmark": BENCHMARK, "world": world, "log": log} for world in range(3)]
    table = epochs.discretised(study_of(traces), Traces(traces), BENCHMARK)
    assert table is not None
    ((method, runs, before, after, difference),) = table.rows
    assert (method, runs, before, after) == ("darts:erm", "3", "80.00 ± 0.00", "60.00 ± 0.00")
    assert difference.startswith("−20.00")
    before = Traces({**one, "log": {"supernet_accuracy": [80.0]}} for one in traces)
    assert epochs.discretised(study_of(traces), before, BENCHMARK) is None


def test_cells_under_changed_settings_are_compared_switch_by_switch() -> None:
    table = stability.distances(study_of([], **{"conas": GOOD, "conas[penalty=2]": GOOD, "conas[penalty=9]": SKIPS}), BENCHMARK)
    assert table is not None
    # GOOD has five operations, one of them a skip connection that SKIPS has too; SKIPS has six
    assert [row[1:4] for row in table.rows] == [["conas", "3", "0.0 ± 0.0"], ["conas", "3", "9.0 ± 0.0"]]
    assert stability.distances(study_of([], conas=GOOD), BENCHMARK) is None
    darts = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1){rest}], normal_concat=range(2, 6), reduce=[('{op}', 0)"
    darts += ", ('max_pool_3x3', 1){rest}], reduce_concat=range(2, 6))"
    rest = ", ('skip_connect', 0), ('skip_connect', 1)" * 3
    one, other = (stability.switches(darts.format(rest=rest, op=op)) for op in ("sep_conv_3x3", "avg_pool_3x3"))
    assert one is not None and other is not None and len(one) == 16 and len(one ^ other) == 2


def test_weights_are_drawn_where_a_search_logged_them() -> None:
    log = {f"weight/cell/{row}/{op}": [np.nan, (row - 1) * 0.5] for row in range(3) for op in ("skip_connect", "nor_conv_3x3")}
    traces = [{"row": "sparse_nas:hapg", "benchmark": BENCHMARK, "world": 0, "log": log}]
    options, table = weights._tables(log)["cell"]
    assert options == ["skip_connect", "nor_conv_3x3"]
    assert table.tolist() == [[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]]
    drawn = weights.maps(study_of(traces), Traces(traces))
    assert drawn is not None and drawn.files["png"].startswith(b"\x89PNG")
    assert weights.maps(study_of(traces), Traces([{**traces[0], "log": {}}])) is None
