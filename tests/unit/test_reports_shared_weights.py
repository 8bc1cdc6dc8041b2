"""Reports on shared weights: ranking of cells, discretisation, stability under changed settings, and maps of weights."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.darts import cell as darts
from benchmarks.darts.space import DartsSpace
from benchmarks.darts_rnn import cell as darts_rnn
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.nb201 import space as nb201
from benchmarks.nb201.space import NB201Space
from harness import registry
from harness.analysis.signal import as_printed
from harness.analysis.stability import switches
from harness.analysis.study import Study
from harness.analysis.traces import Trace, Traces
from harness.captions import first_rows
from harness.frames import depict
from harness.space import SearchSpace
from reports import epochs, reading, signal, slopes, stability, weights
from tests import made_evidence
from tests.unit.test_reports_one_shot import BENCHMARK, GOOD, NB201, SKIPS, lines, study_of


def study(*rows: str, trainings: pd.DataFrame | None = None, archs: dict[str, str] | None = None, **page: Any) -> Study:
    """Return three runs of each row."""
    runs = lines(*(archs or rows), archs=archs, worlds=3)
    return study_of(made_evidence.evidence(runs, spaces=NB201, trainings=trainings, **page))


def of(row: str, *traces: Trace) -> Traces:
    return Traces({(BENCHMARK, row): traces})


def probe(world: int, shared: list[float], **own: list[float]) -> Trace:
    return Trace(world, probe={"shared": shared, **own})


def test_a_ranking_that_agrees_has_tau_one_and_what_is_not_judged_is_left_out() -> None:
    probes = [probe(world, [10.0, 20.0, 30.0, 40.0], cifar10=[1.0, 2.0, 4.0, 3.0 + 2 * (world > 0)]) for world in range(3)]
    table = signal.ranking(study("rsps"), of("rsps", *probes), BENCHMARK)
    assert table is not None
    ((method, how, runs, cells, tau, p, rho, shared, chosen, best),) = table.rows
    assert (method, how, runs, cells) == ("rsps", "CIFAR-10, test, as judged", "3", "4")
    assert float(tau.split()[0]) == pytest.approx(np.mean([2 / 3, 1, 1]), abs=0.006) and float(rho.split()[0]) > 0.9
    assert (p, shared, chosen, best) == ("0.083 to 0.33", "25.00", "4.33", "4.67")  # 2 / 4! if all four agree
    unjudged = probe(0, [10.0, 20.0], cifar10=[np.nan, np.nan])
    assert signal.ranking(study("rsps"), of("rsps", unjudged), BENCHMARK) is None


def test_cells_trained_for_a_ranking_are_averaged_over_their_seeds_in_the_order_of_the_probes() -> None:
    traces = of("rsps", probe(0, [3.0, 2.0, 1.0]))
    of_probes: dict[str, Any] = {"benchmark": BENCHMARK, "row": "rsps", "stage": "probed", "recipe": "short", "data": "digits"}
    accuracies = [90.0, 91.0, 80.0, 85.0, 70.0, 71.0]
    trained = pd.DataFrame([made_evidence.training(accuracy=value, probed=True, **of_probes) for value in accuracies])
    table = signal.ranking(study("rsps", trainings=trained), traces, BENCHMARK)
    assert table is not None
    assert table.rows == [
        ["rsps", "digits, test, trained by short", "1", "3", "1.00", "0.33", "1.00", "2.00", "90.50", "90.50"]
    ]
    trained.loc[0, "accuracy"] = np.nan  # a training is not done
    assert signal.ranking(study("rsps", trainings=trained), traces, BENCHMARK) is None


def test_cells_are_ranked_by_their_test_losses_too_next_to_the_printed_correlation() -> None:
    """CoNAS, A.4 (D-65): tau and its p are those of the losses; the accuracies stay in their own line."""
    probes = [probe(0, [3.0, 2.0, 1.0], shared_loss=[1.0, 3.0, 2.0])]
    traces = of("rsps", *probes)
    of_probes: dict[str, Any] = {"benchmark": BENCHMARK, "row": "rsps", "stage": "ranking", "recipe": "conas_160"}
    values = [(70.0, 0.5), (71.0, 0.9), (72.0, 0.7)]
    trained = pd.DataFrame(
        [made_evidence.training(accuracy=value, loss=loss, probed=True, **of_probes) for value, loss in values]
    )
    plain = study("rsps", trainings=trained)
    table = signal.ranking(plain, traces, BENCHMARK)
    assert table is not None
    by_accuracy, by_loss = table.rows
    text = "CIFAR-10, test, trained by conas_160"
    assert by_accuracy == ["rsps", text, "1", "3", "−1.00", "0.33", "−1.00", "2.00", "70.00", "72.00"]
    assert by_loss == ["rsps", f"{text}, by the loss", "1", "3", "1.00", "0.33", "1.00", "2.00", "70.00", "70.00"]
    lines, changed = plain.published.copy(), "rsps[epochs=100]"
    tau = lines.index[lines["metric"] == "kendall_tau"]
    assert lines.loc[tau, ["row", "protocol", "benchmark"]].to_numpy().tolist() == [
        [f"rsps;{changed}", "darts-as-published", "darts/cifar10"]
    ]
    lines.loc[tau, ["protocol", "benchmark"]] = ["p", BENCHMARK]
    table = signal.ranking(Study(plain.evidence, lines), traces, BENCHMARK)
    assert table is not None
    accuracy, loss = (row[-1] for row in table.rows)
    assert accuracy == "–" and loss.startswith("0.15 (CoNAS text, n not printed; ")
    with_p = lines.assign(protocol=lines["protocol"].mask(lines["metric"] == "kendall_p", "p"))
    with_p.loc[lines["metric"] == "kendall_p", "benchmark"] = BENCHMARK
    table = signal.ranking(Study(plain.evidence, with_p), traces, BENCHMARK)
    assert table is not None and table.rows[1][-1].startswith("0.15, p 0.23 (CoNAS text, n not printed; ")
    assert table.columns[-1].name == "published τ" and "a paper prints for the row" in str(reading.explained([table]))
    longer = study(changed, trainings=trained.assign(row=changed))
    again = signal.ranking(Study(longer.evidence, lines), of(changed, *probes), BENCHMARK)
    assert again is not None and [row[-1] for row in again.rows] == [accuracy, loss], "with the supernet's printed 100 epochs"
    trained["loss"] = np.nan  # trained before losses were stored
    table = signal.ranking(study("rsps", trainings=trained), traces, BENCHMARK)
    assert table is not None and len(table.rows) == 1


def test_a_line_leads_from_the_rank_under_shared_weights_to_the_rank_of_the_losses_that_papers_print() -> None:
    """CoNAS, figure 3. The cells are ranked by losses, of which the accuracies say the opposite."""
    of_probes: dict[str, Any] = {"benchmark": BENCHMARK, "row": "rsps", "stage": "ranking", "recipe": "conas_160"}
    values = [(70.0, 0.5), (71.0, 0.9), (72.0, 0.7)]
    trained = pd.DataFrame(
        [made_evidence.training(accuracy=value, loss=loss, probed=True, **of_probes) for value, loss in values]
    )
    own = study("rsps", trainings=trained)
    traces = of("rsps", probe(0, [3.0, 2.0, 1.0], shared_loss=[1.0, 2.0, 2.0]))
    ((source, (run,)),) = as_printed(own, traces, BENCHMARK).values()
    assert source.printed_on == "cifar10"
    assert slopes.places(run).tolist() == [[1.0, 2.5, 2.5], [1.0, 3.0, 2.0]]
    drawing = slopes.ranks(own, traces)
    assert drawing is not None and drawing.files["svg"].count(b'<g id="row=rsps') == 3, "a line for each cell"
    assert slopes.ranks(own, of("rsps", Trace(0))) is None


def test_discretisation_is_a_paired_difference() -> None:
    log = {"supernet_accuracy": [50.0, 80.0, np.nan], "discretised_accuracy": [np.nan, np.nan, 60.0]}
    traces = [Trace(world, log=log) for world in range(3)]
    table = epochs.discretised(study("darts:erm"), of("darts:erm", *traces), BENCHMARK)
    assert table is not None
    ((method, runs, before, after, difference),) = table.rows
    assert (method, runs, before, after) == ("darts:erm", "3", "80.00 ± 0.00", "60.00 ± 0.00")
    assert difference.startswith("−20.00")
    undiscretised = [dataclasses.replace(trace, log={"supernet_accuracy": [80.0]}) for trace in traces]
    assert epochs.discretised(study("darts:erm"), of("darts:erm", *undiscretised), BENCHMARK) is None


@pytest.mark.parametrize(
    ("place", "protocol", "words"),
    [
        ("darts/digits", "digits", "not comparable: searched on CIFAR-10"),
        ("darts/cifar10", "darts-as-published", "GAEA text, n not printed)"),
        ("nb1shot1/1", "p", ""),
    ],
)
def test_the_papers_accuracies_before_and_after_discretisation_stand_next_to_ours(
    place: str, protocol: str, words: str
) -> None:
    """GAEA, section 4.1: 72.17 to 15.27 and 75.07 to 33.23, of searches on CIFAR-10."""
    rows = ("pc_darts", "gaea_pc_darts", "darts:bilevel")
    runs = [made_evidence.run(place, row, world, "cifar10", kind="one-shot") for row in rows for world in (0, 1)]
    log = {"supernet_accuracy": [50.0], "discretised_accuracy": [10.0]}
    traces = Traces({(place, row): [Trace(world, log=log) for world in (0, 1)] for row in rows})
    table = epochs.discretised(made_evidence.study(runs, protocol=protocol), traces, place)
    assert table is not None and (table.columns[-1].name == "published") == bool(words)
    if words:
        texts = {row[0]: row[-1] for row in table.rows}
        assert texts["pc_darts"].startswith("72.17 → 15.27 (GAEA text") and texts["darts:bilevel"] == "–"
        assert texts["gaea_pc_darts"].startswith("75.07 → 33.23 (GAEA text") and words in texts["gaea_pc_darts"]


def test_cells_under_changed_settings_are_compared_switch_by_switch() -> None:
    archs = {"conas": GOOD, "conas[penalty=2]": GOOD, "conas[penalty=9]": SKIPS}
    table = stability.distances(study(archs=archs), BENCHMARK)
    assert table is not None
    # GOOD has five operations, one of them a skip connection that SKIPS has too; SKIPS has six
    assert [row[1:4] for row in table.rows] == [["conas", "3", "0.0 ± 0.0"], ["conas", "3", "9.0 ± 0.0"]]
    assert stability.distances(study("conas"), BENCHMARK) is None


@pytest.mark.parametrize(
    ("changed", "base", "other"),
    [
        ("sparse_nas[mixture=0.3]", "sparse_nas:hapg", "sparse_nas:adam_hapg"),
        ("darts[epochs=9]", "darts:bilevel", "darts:second_order"),
        ("ista_nas[epochs=9]", "ista_nas:two_stage", "ista_nas:one_stage"),
        ("sparse_nas:adam_hapg[mixture=0.3]", "sparse_nas:adam_hapg", "sparse_nas:hapg"),
        ("conas[terms=3]", "conas", "conas:two_inputs"),
    ],
)
def test_a_changed_row_meets_the_row_that_it_changes(changed: str, base: str, other: str) -> None:
    """A change of a variant that sets nothing, such as ``hapg``, replaces the variant's name."""
    info = registry.method(changed.partition("[")[0].partition(":")[0])
    field, _, text = changed.partition("[")[2].rstrip("]").partition("=")
    assert registry.altered(info, base, {field: text}) == changed
    first = first_rows(registry.methods())
    own = study(archs={changed: SKIPS, other: GOOD, base: GOOD}, first_rows=first)
    table = stability.distances(own, BENCHMARK)
    assert table is not None and [row[:4] for row in table.rows] == [[changed, base, "3", "9.0 ± 0.0"]]
    unfinished = study(archs={changed: SKIPS, other: GOOD}, first_rows=first)
    assert stability.distances(unfinished, BENCHMARK) is None, "rows with changes are no base, nor is another variant"


def test_a_printed_distance_stands_next_to_ours_and_random_cells_are_compared_too() -> None:
    archs = {"conas": GOOD, "conas[penalty=9]": SKIPS, "random_cell": SKIPS}
    line = {"paper": "000", "table": "6", "row": "conas[penalty=9]", "protocol": "p", "benchmark": BENCHMARK, "mean": 12.0}
    printed = pd.DataFrame([{**line, "metric": "hamming_distance", "n": np.nan, "n_source": ""}])
    own = dataclasses.replace(study(archs=archs), published=printed)
    table = stability.distances(own, BENCHMARK)
    assert table is not None and [column.name for column in table.columns][-1] == "published"
    assert "Published: the distance that the paper prints." in str(reading.explained([table]))
    assert [row[0] for row in table.rows] == ["conas[penalty=9]", "random_cell"]
    assert [row[3] for row in table.rows] == ["9.0 ± 0.0", "9.0 ± 0.0"]
    assert [str(row[-1]) for row in table.rows] == ["12 (CoNAS T6, n not printed)", "–"]
    other = dataclasses.replace(own, published=printed.assign(protocol="another"))
    unprinted = stability.distances(other, BENCHMARK)
    assert unprinted is not None and len(unprinted.columns) == len(table.columns) - 1


def test_switches_are_named_by_cell_and_do_without_zeros() -> None:
    darts = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1){rest}], normal_concat=range(2, 6), reduce=[('{op}', 0)"
    darts += ", ('max_pool_3x3', 1){rest}], reduce_concat=range(2, 6))"
    rest = ", ('skip_connect', 0), ('skip_connect', 1)" * 3
    texts = [darts.format(rest=rest, op=op) for op in ("sep_conv_3x3", "avg_pool_3x3")]
    first, second = map(switches, depict(DartsSpace(), texts).drawn.values())
    assert first is not None and second is not None and len(first) == 16 and len(first ^ second) == 2
    zeros = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    (cells,) = depict(NB201Space(), [zeros]).drawn.values()
    assert switches(cells) == frozenset() and switches(()) is None


def test_weights_are_drawn_if_a_search_logged_them() -> None:
    ops = ("skip_connect", "nor_conv_3x3")
    log = {f"weight/cell/{edge}/{op}": [np.nan, (edge - 1) * 0.5 + 0.1 * (op == ops[0])] for edge in range(3) for op in ops}
    table = weights.tables(log)["cell"]
    assert list(table.index) == ["skip_connect", "nor_conv_3x3"], "an operation is a row"
    assert table.columns.map(int).to_list() == [0, 1, 2]
    assert table.to_numpy() == pytest.approx(np.array([[0.4, 0.1, 0.6], [0.5, 0.0, 0.5]]))
    assert list(weights.tables(log, ["none", *reversed(ops)])["cell"].index) == ["nor_conv_3x3", "skip_connect"]
    row = "sparse_nas:hapg"
    drawing = weights.maps(study(row), of(row, Trace(0, log=log)))
    assert drawing is not None and drawing.files["png"].startswith(b"\x89PNG")
    assert weights.maps(study(row), of(row, Trace(0))) is None


@pytest.mark.parametrize(
    ("space", "order", "edges", "entered"),
    [
        (RnnSpace("mixed"), darts_rnn.EDGES, 36, {str(node): node for node in range(1, 9)}),
        (DartsSpace("mixed"), darts.EDGES, 14, {"0": 2, "1": 3, "2": 4, "3": 5}),
        (NB201Space(), nb201.EDGES, 6, {"1": 1, "2": 2, "3": 3}),
        (NB201Space(), nb201.EDGES, 5, {}),
        (NB201Space(), nb201.EDGES, 1, {}),
    ],
)
def test_columns_of_a_map_stand_together_by_the_node_that_their_edges_enter(
    space: SearchSpace, order: Sequence[tuple[int, int]], edges: int, entered: dict[str, int]
) -> None:
    """SparseNAS, figures 7 and 8. The searches number the edges in this order."""
    text = space.to_str(space.sample(random.Random(0)))
    (cell, *_) = depict(space, [text]).drawn[text]
    assert weights.nodes(cell, edges) == entered
    expected = [cell.nodes[target] for target, _ in order]
    assert not entered or [node for node, count in entered.items() for _ in range(count)] == expected
