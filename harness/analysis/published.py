"""The papers' numbers: a line of ``reports/published.csv`` per printed number, with our row or the reason why there is none."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

FILE = Path(__file__).parents[2] / "reports" / "published.csv"
PAPERS = {"000": "CoNAS", "001": "ISTA-NAS", "002": "SparseNAS", "003": "GAEA", "004": "feature maps"}
CITATIONS = {
    "000": "cho2019conas",
    "001": "yang2020istanas",
    "002": "wu2021sparsenas",
    "003": "li2021gaea",
    "004": "khodak2020weightsharing",
}
"""Bibliography keys of the papers."""
BEST_EPOCH, PERHAPS_BEST_EPOCH = "best epoch", "perhaps the best epoch"
"""The record of a training whose printed error is, or may be, that of its best epoch on the test set (D-59)."""
TEXT = (
    "paper", "table", "label", "row", "protocol", "benchmark", "target", "metric",
    "n_source", "record", "recipe", "chosen_on", "cost_unit", "caveats", "unmeasured", "unmapped",
)  # fmt: skip
NUMBERS = ("mean", "std", "n", "search_cost", "params_M")

CLASSES = ("quoted", "derived", "repetition", "setting, tested as a default", "setting, fixed by the space or the code",
           "setting that differs here", "unstated recipe")  # fmt: skip
"""What the reasons begin with why a line has no row or is not measured, before a colon."""
Line = dict[str, Any]
"""A printed number by the names of the columns."""


def load() -> pd.DataFrame:
    """Read the published numbers, validated. ``docs/scoreboard.md`` explains the columns.

    Raises:
        ValueError: the file breaks one of its rules; the message names the lines of the file.
    """
    return _read(FILE).copy()


@lru_cache(maxsize=1)
def _read(file: Path) -> pd.DataFrame:
    table = pd.read_csv(file, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values={name: [""] for name in NUMBERS})
    validate(table)
    return table


def validate(table: pd.DataFrame) -> None:
    """Raise ValueError, naming the lines of the file, when the table breaks a rule."""
    missing = sorted({*TEXT, *NUMBERS} - set(table.columns))
    if missing:
        raise ValueError(f"published numbers lack the columns {missing}")
    known_n = table["n"].notna()
    rules = {
        "a line has a row of ours or the reason why not, never both": (table["row"] != "") ^ (table["unmapped"] != ""),
        "a line with a row names protocol, benchmark and target": (table["row"] == "")
        | ((table["protocol"] != "") & (table["benchmark"] != "") & (table["target"] != "")),
        "n is printed or assumed with its reason": ~known_n | table["n_source"].str.match(r"printed$|assumed: ."),
        "n is a positive whole number": ~known_n | ((table["n"] >= 1) & (table["n"] % 1 == 0)),
        "a spread is not negative": ~(table["std"] < 0),
        "a reason why a row is not measured belongs to a row": (table["unmeasured"] == "") | (table["row"] != ""),
        "a reason begins with its class": (table["unmapped"] + table["unmeasured"]).str.partition(":")[0].isin(["", *CLASSES]),
        "a choice is made on test or valid images": table["chosen_on"].isin(["", "test", "valid"]),
        "paper is one of the five": table["paper"].isin(list(PAPERS)),
    }
    for rule, satisfied in rules.items():
        if not satisfied.all():
            lines = ", ".join(str(index + 2) for index in table.index[~satisfied][:5])
            raise ValueError(f"published numbers: {rule} (line {lines})")


def records(table: pd.DataFrame) -> list[Line]:
    """Return the lines of a table, each by the names of its columns."""
    return [{str(name): value for name, value in record.items()} for record in table.to_dict("records")]


def lines_for(table: pd.DataFrame, protocol: str, metric: str = "test_accuracy_pct") -> dict[tuple[str, str, str], Line]:
    """Index the lines of one protocol and metric by (benchmark, row, target); the first line of a key counts."""
    chosen = table[(table["protocol"] == protocol) & (table["metric"] == metric) & (table["row"] != "")]
    index: dict[tuple[str, str, str], Line] = {}
    for line in records(chosen):
        for row in line["row"].split(";"):
            index.setdefault((line["benchmark"], row, line["target"]), line)
    return index


def optimum(table: pd.DataFrame, protocol: str) -> dict[str, float]:
    """Return the printed optimum of the space per target, in percent."""
    chosen = table[(table["protocol"] == protocol) & (table["label"] == "Optimal") & (table["metric"] == "test_accuracy_pct")]
    return dict(zip(chosen["target"], chosen["mean"], strict=True))


def place(table: str) -> str:
    """Return the name of a table of a paper: ``T1``, or where in the text its numbers are."""
    named = table.replace("2-reconstructed", "2 (lost cell)")
    return f"T{named}" if table[:1].isdigit() else named
