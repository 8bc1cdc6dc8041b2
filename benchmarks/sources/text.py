"""Read tables of text: columns between commas, semicolons or tabs; UTF-8 or UTF-16; plain or packed by gzip, bzip2 or xz."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from harness.errors import UserError
from harness.look import head, reader

SUFFIXES = tuple(f"{kind}{packed}" for kind in (".csv", ".tsv") for packed in ("", ".gz", ".bz2", ".xz"))
MOST = 128 << 20
"""Largest size of an unpacked table in bytes."""

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Style(NamedTuple):
    """The format of a table of text, and the names of its columns."""

    encoding: str
    delimiter: str
    decimal: str
    names: list[str]


def style(path: Path) -> Style:
    """Return the format of a table, by its first lines. Raises UnicodeDecodeError if it is not text."""
    start = head(path)
    encoding = _encoding(start)
    text = codecs.getincrementaldecoder(encoding)().decode(start)
    first, _, rest = text.replace("\r\n", "\n").partition("\n")
    delimiter = max(_DELIMITERS, key=first.count)
    second = rest.partition("\n")[0]
    # with semicolons or tabs between columns, a comma in a row of numbers is a decimal point
    decimal = "," if delimiter != "," and "," in second and "." not in second.replace('"', "") else "."
    names = next(csv.reader([first], delimiter=delimiter), [])
    return Style(encoding, delimiter, decimal, [name.strip() for name in names])


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the columns by name. Raises UserError for a column that occurs twice; pandas raises other errors on damage."""
    import pandas

    written = style(path)
    twice = {name for name in written.names if written.names.count(name) > 1}
    if twice:
        raise UserError(f"column {min(twice)} occurs twice")
    with reader(path, MOST) as raw, io.TextIOWrapper(io.BufferedReader(raw), written.encoding, newline="") as lines:
        frame = pandas.read_csv(lines, sep=written.delimiter, decimal=written.decimal, index_col=False)
    return {str(name).strip(): frame[name].to_numpy() for name in frame.columns}


def described(path: Path) -> str:
    """Return a clause about the first line of a table, for a table without any known column."""
    written = style(path)
    shown = ", ".join(name[:30] for name in written.names[:3])
    between = _DELIMITERS[written.delimiter]
    if len(written.names) < 2:
        return f"its first line is one column, {shown!r}: columns are separated by a comma, a semicolon or a tab"
    return f"its first line names {len(written.names)} columns with a {between} between them, such as {shown!r}"


def _encoding(start: bytes) -> str:
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if start[1:2] == b"\0" != start[:1]:
        return "utf-16-le"
    return "utf-16-be" if start[:1] == b"\0" != start[1:2] else "utf-8"
