"""The command ``table``: predictions and measurements of all pieces as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu.pieces import Case, Records, Run, values
from harness.cache import atomic
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture

LOOKED_UP = {"nb201": "nb201/cifar10", "nb1shot1": "nb1shot1/1"}
"""By space, the table that has the accuracy of a cell."""


def write(pieces: Mapping[str, Sequence[Case]], run: Run) -> str:
    """Return the tables of all pieces, and write them to ``OUT/table.md`` if something has been measured."""
    texts, measured = [], False
    for piece, cases in pieces.items():
        records = Records(run.out, piece)
        measured = measured or bool(records.cases)
        if rows := list(_rows(cases, records.cases)):
            texts.append(f"## {piece}\n{_source(records)}\n| case | value | predicted | measured |\n|---|---|---:|---:|")
            texts[-1] += "".join(f"\n{_line(row)}" for row in rows)
        if piece == "convolutions" and records.cases:
            texts.append(_shapes(records.cases))
    text = "\n\n".join(texts) + "\n"
    if measured:
        with atomic(run.out / "table.md") as temporary:
            temporary.write_text(text)
    return text


def _source(records: Records) -> str:
    facts = records.content["provenance"]
    if not facts:
        return ""
    return f"\nMeasured on {records.content['device']}, {facts['date'][:10]}, with {facts['code']}.\n"


def _rows(cases: Sequence[Case], records: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a table: the cases of the piece, then those that were measured with other options."""
    names = {case.name: case for case in cases}
    for name in [*names, *(name for name in records if name not in names)]:
        record = records.get(name)
        if record is None:
            record = {"predicted": names[name].predict()}
        for value, predicted, measured in values(record):
            yield name, value, predicted, measured
        for key in ("unavailable", "failed"):
            if key in record:
                yield name, key, "–", record[key]
        search = record.get("measured", {})
        if search.get("data") == "cifar10" and search["space"] in LOOKED_UP and "cell" in search:
            yield name, "test accuracy in the table, %", "–", _accuracy(search["space"], search["cell"])


def _accuracy(space: str, cell: str) -> str:
    """Return the recorded test accuracy of a cell, or why there is none here."""
    from harness import tables

    try:
        return f"{tables.open(LOOKED_UP[space]).accuracy(cell, 'cifar10', 'test'):.2f}"
    except (UserError, MissingRecord, InvalidArchitecture) as error:
        return f"not here ({error})"


def _line(cells: Sequence[object]) -> str:
    """Return a line of a table. Texts of cells of NAS-Bench-201 contain the character that divides columns."""
    return f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in cells)} |"


def _shapes(records: Mapping[str, Any]) -> str:
    """Return the times of each convolution in each layout and type."""
    done = {name: record["measured"]["shapes"] for name, record in records.items() if "measured" in record}
    head = [
        "kernel",
        "channels",
        "size",
        "stride",
        "dilation",
        "groups",
        "layers",
        "bound, us",
        *(f"{name}, us" for name in done),
    ]
    lines = [_line(head), "|" + "---:|" * len(head)]
    for rows in zip(*done.values(), strict=True):
        row = rows[0]
        cells = [
            row["kernel"],
            f"{row['inputs']} → {row['outputs']}",
            row["size"],
            row["stride"],
            row["dilation"],
            row["groups"],
        ]
        cells += [row["layers"], f"{row['bound, us']:.1f}", *(f"{each['us']:.1f}" for each in rows)]
        lines.append(_line(cells))
    return "\n".join(lines)
