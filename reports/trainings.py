"""Trainings from scratch of proposed cells: a table per stage; a best-of-k result is always labelled."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from harness.analysis import cell_errors
from harness.analysis.agreement import Judged
from harness.analysis.evidence import Run, Training
from harness.analysis.names import target_name
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.trainings import against_random_cells, by_search, nested
from harness.analysis.verdict import difference_from
from reports import about, agreement, epochs, sources, supernets, tables
from reports.formats import MISSING, number, signed, spread, with_interval
from reports.layout import Block, Heading, Table
from reports.lines import table
from reports.pairs import columns, noted


def blocks(study: Study, benchmark: str) -> list[Block]:
    """Return a table of the searches, a table per stage of trainings, and the agreement with the papers."""
    shown: list[Block] = [Heading(f"Cells found on {benchmark}"), *about.budget(study, benchmark), searches(study, benchmark)]
    shown += epochs.older(study, benchmark)
    trained = study.evidence.trainings
    trained = trained[(trained[Training.BENCHMARK] == benchmark) & ~trained[Training.PROBED].astype(bool)]
    for (name, of), group in trained.groupby([Training.STAGE, Training.DATA], sort=False):
        stage, data = str(name), str(of)
        if not group[Training.CHOSEN_BY].iloc[0]:
            shown += [Heading(f"Every cell, trained from scratch: {stage}"), every_cell(group, study.labels)]
            continue
        tested = group[Training.SPLIT].iloc[0] == "test"
        published = {
            (row, set_number): text
            for set_number in (group[Training.SET].unique().tolist() if tested else ())
            for row, text in sources.of_cells(study, benchmark, data, set_number).items()
        }
        top5 = sources.of_top5(study, benchmark, data) if tested else {}
        results = cell_errors.judged(study, benchmark, data, group) if tested else {}
        shown.append(Heading(f"The chosen cells, trained from scratch: {stage}"))
        shown.append(chosen_cell(group, study.labels, costs(study, benchmark), published, results, top5))
        if results:
            measure = (
                "Test perplexity over the trainings of the chosen cell. "
                if cell_errors.perplexed(group)
                else "Test error in percent over the trainings of the chosen cell, after the last epoch. "
            )
            agreed = agreement.table([*results.values()], measure + agreement.ONE_CELL)
            shown += [Heading(f"Agreement with the papers: {stage}"), agreed, *agreement.caveats([*results.values()])]
    return shown


def searches(study: Study, benchmark: str) -> Table:
    """Return the sizes of the proposed cells and the cost of a search."""
    cost, lines = costs(study, benchmark), []
    delivers = study.evidence.runs[study.evidence.runs[Run.BENCHMARK] == benchmark][Run.SINGLE_RUN].notna().any()
    for row in study.rows(benchmark):
        runs = study.searches(benchmark, row)
        line: dict[str, str] = {"method": supernets.marked(study, benchmark, row), "seeds": tables.seeds(study, benchmark, row)}
        for name, column in (("params M", Run.PARAMETERS), ("MACs M", Run.MACS)):
            line[name] = _millions(runs[column].dropna())
        line["one search"] = cost.get(row, MISSING)
        if delivers:
            errors = 100 - study.done(benchmark, row)[Run.SINGLE_RUN].dropna().to_numpy(dtype=float)
            line["single run, error %"] = spread(*mean_std(errors))
            printed = study.printed_lines(benchmark, "test_error_pct[single run]").get(row, [])
            line["published single run, error %"] = sources.of_lines(printed) if len(errors) and printed else MISSING
        lines.append(line)
    return table("Cells that the searches proposed, and the measured real time of one search.", lines)


def costs(study: Study, benchmark: str) -> dict[str, str]:
    """Return by row the measured real time of one search with the device: GPU-days on a GPU, else seconds."""
    texts = {}
    for row in study.rows(benchmark):
        done = study.done(benchmark, row)
        if len(done):
            seconds, gpu = done[Run.WALL_SECONDS].mean(), bool((done[Run.DEVICE] == "cuda").all())
            amount = f"{number(seconds / 86400, 3)} GPU-days" if gpu else f"{number(seconds, 0 if seconds >= 10 else 1)} s"
            named = (session.accelerator if gpu else session.processor for session in study.page.sessions)
            texts[row] = f"{amount}, {'; '.join(dict.fromkeys(filter(None, named))) or ('a GPU' if gpu else 'CPU')}"
    return texts


ERROR, TOP5, PERPLEXITY = "error %", "top-5 error %", "perplexity"
PUBLISHED = {ERROR: "published error %", PERPLEXITY: "published perplexity"}


def every_cell(trainings: pd.DataFrame, labels: dict[str, str]) -> Table:
    """Return the table of a stage that trains the cell of every search."""
    by_row = {str(row): group for row, group in trainings.groupby(Training.ROW, sort=False)}
    reference, comparison = against_random_cells(by_row) or ("", None)
    measure = _measure(trainings)
    lines = []
    for row, group in by_row.items():
        last, best = (nested([*by_search(group, column).values()]) for column in (Training.ACCURACY, Training.BEST))
        line = {"method": labels.get(row, row), "cells": str(last.cells), "trainings": _count(group)}
        line |= {measure: number(last.mean), "between cells": number(last.between), "within a cell": number(last.within)}
        if measure == ERROR:
            line["best epoch, error %"] = number(best.mean)
        if cell_errors.has_top5(str(group[Training.DATA].iloc[0])):
            line[TOP5] = number(nested([*by_search(group, Training.TOP5).values()]).mean)
        cells = group.drop_duplicates(Training.WORLD)
        line |= {"params M": _millions(cells[Training.PARAMETERS]), "MACs M": _millions(cells[Training.MACS])}
        lines.append(line | (columns(comparison, row) if comparison else {}))
    what = f"the {measure.removesuffix(' %')} against {labels.get(reference, reference)}"
    named = [(what, comparison)] if comparison else []
    return table(_caption(trainings) + noted(named), lines)


def chosen_cell(
    trainings: pd.DataFrame,
    labels: dict[str, str],
    costs: dict[str, str],
    printed: Mapping[tuple[str, int], str],
    judged: Mapping[tuple[str, int], Judged],
    printed_top5: Mapping[str, str] | None = None,
) -> Table:
    """Return the table of a stage that trains, for each row and set of its searches, the cell that an earlier stage chose.

    Args:
        costs: measured cost of one search by row, in words.
        printed: by row and set, the papers' numbers, with the source.
        judged: by row and set, the verdict.
        printed_top5: by row, the papers' top-5 errors.
    """
    lines, measure = [], _measure(trainings)
    several = trainings[Training.SET].nunique() > 1
    for cell, group in cell_errors.chosen_cells(trainings):
        row, set_number = cell
        line = {"method": labels.get(row, row)} | ({"set": str(set_number)} if several else {})
        line["search"] = ", ".join(map(str, sorted(group[Training.WORLD].unique())))
        line |= {"trainings": _count(group), measure: spread(*mean_std(cell_errors.of(group)))}
        if measure == ERROR:
            line["best epoch, error %"] = spread(*mean_std(cell_errors.of(group, Training.BEST)))
        else:
            validated = group[Training.VALID_PERPLEXITY].dropna().to_numpy(dtype=float)
            line["validation perplexity"] = spread(*mean_std(validated))
        if cell_errors.has_top5(str(group[Training.DATA].iloc[0])):
            line[TOP5] = spread(*mean_std(cell_errors.of(group, Training.TOP5)))
            line |= {f"published {TOP5}": printed_top5.get(row, MISSING)} if printed_top5 else {}
        for title, size in (("params M", Training.PARAMETERS), ("MACs M", Training.MACS)):
            line[title] = number(group[size].mean() / 1e6, _digits(group[size]))
        line["one search"] = costs.get(row, MISSING)
        line |= {PUBLISHED[measure]: printed.get(cell, MISSING)} if printed else {}
        lines.append(line | (_verdict(judged.get(cell)) if judged else {}))
    return table(_caption(trainings), lines)


def _verdict(result: Judged | None) -> dict[str, str]:
    """Return Δ with its interval, of incomparable numbers too, and the verdict."""
    if result is None or not result.values.size:
        return {"Δ [95 %]": MISSING, "verdict": MISSING if result is None else result.verdict.name}
    difference = difference_from(result.values, result.line)
    if difference is None:
        return {"Δ [95 %]": signed(float(result.values.mean()) - result.line["mean"]), "verdict": result.verdict.name}
    delta = with_interval(difference.delta, difference.interval(0.95), sign=True)
    return {"Δ [95 %]": delta, "verdict": result.verdict.name}


def _measure(trainings: pd.DataFrame) -> str:
    """Return the title of the results of trainings."""
    return PERPLEXITY if cell_errors.perplexed(trainings) else ERROR


def _count(group: pd.DataFrame) -> str:
    """Return the number of finished trainings, ``3 / 4`` if some are missing. Trainings that searches share count once."""
    distinct = group.drop_duplicates(Training.RUN_ID)
    done = int(distinct[Training.ACCURACY].notna().sum())
    return str(done) if done == len(distinct) else f"{done} / {len(distinct)}"


def _millions(counts: pd.Series) -> str:
    """Return mean ± standard deviation in millions."""
    return spread(*mean_std(counts.to_numpy(dtype=float) / 1e6), _digits(counts))


def _digits(counts: pd.Series) -> int:
    """Return the decimals of a count in millions: three if it is below one million."""
    largest = counts.max() if len(counts) else 1e6
    return 3 if largest < 1e6 else 2 if largest < 1e7 else 0


def _caption(trainings: pd.DataFrame) -> str:
    first, perplexed = trainings.iloc[0], cell_errors.perplexed(trainings)
    tested, on_valid = first[Training.SPLIT] == "test", first[Training.CHOSEN_ON] == "valid"
    if perplexed:
        what = f"perplexity on the {'test' if tested else 'validation'} text of {target_name(first['data'])}"
        when, best = "in the epoch of least validation perplexity", f"least {'validation' if on_valid else 'TEST'} perplexity"
    else:
        images = "test set" if tested else "validation images, held out of training"
        what, when = f"error on the {images} of {target_name(first['data'])}", "after the last epoch"
        best = f"best {'validation' if on_valid else 'TEST'} accuracy"
    lengths = dict(zip(trainings[Training.RECIPE], trainings[Training.EPOCHS], strict=True))
    recipes = ", ".join(f"{recipe} ({count} epoch{'s' * (count != 1)})" for recipe, count in lengths.items())
    how = f"Recipe {recipes}; {what} {when} ({first['images']})."
    searched = str(first[Training.BENCHMARK]).partition("/")[2]
    if searched != first[Training.DATA]:
        how += f" The cells were searched on {target_name(searched)}."
    if not first[Training.CHOSEN_BY]:
        return how
    searches = "each set of a row's searches" if trainings[Training.SET].nunique() > 1 else "each row's searches"
    return (
        f"{how} Of {searches} the cell with the {best} in the trainings '{first['chosen_by']}', "
        f"trained with seeds {trainings['seed'].min()} to {trainings['seed'].max()}."
        + ("" if on_valid else " The choice was made on the test set: such an error is optimistic.")
    )
