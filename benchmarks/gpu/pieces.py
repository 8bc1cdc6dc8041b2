"""A piece: cases that are predicted and measured one by one, and a JSON file from which the same command goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cache import atomic
from harness.errors import UserError
from harness.provenance import gather

Numbers = Mapping[str, Any]
"""Values by name and unit, as they are printed. Lists stay in the JSON file."""
DONE, FAILED, STOPPED = 0, 1, 3
"""Exit codes of a piece."""


class Unavailable(Exception):
    """A case cannot be measured here. The text says what it needs."""


class Stopped(BaseException):
    """The minutes are over. The case goes on with the next command.

    Args:
        measured: what is known of the case so far.
    """

    def __init__(self, measured: Numbers) -> None:
        super().__init__()
        self.measured = measured


@dataclass(frozen=True)
class Run:
    """The settings of a command."""

    device: str
    out: Path
    end: float = float("inf")
    """Moment of ``time.monotonic`` at which to stop."""
    seeds: int = 3
    cells: Sequence[str] = ()
    compile: str = ""
    light: bool = False

    @property
    def small(self) -> bool:
        """Whether cases are small: on a CPU they only show that they work."""
        return self.device == "cpu"

    def check(self, measured: Numbers) -> None:
        """Raise :class:`Stopped` if the minutes are over."""
        if time.monotonic() > self.end:
            raise Stopped(measured)


@dataclass(frozen=True)
class Case:
    """One line of a piece."""

    name: str
    predict: Callable[[], Numbers]
    measure: Callable[[], Numbers]


class Records:
    """The measurements of a piece in ``OUT/PIECE.json``.

    Raises:
        UserError: the file cannot be read, or was measured on another device.
    """

    def __init__(self, out: Path, piece: str, device: str = "") -> None:
        self.file = out / f"{piece}.json"
        self.content: dict[str, Any] = {"device": device, "provenance": {}, "cases": {}}
        try:
            if self.file.exists():
                self.content = json.loads(self.file.read_text())
            where = self.content["device"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.file} cannot be read ({error}); delete it, or pass another --out") from None
        if device and where != device:
            raise UserError(f"{self.file} was measured on {where}, and this is {device}; pass another --out")

    @property
    def cases(self) -> dict[str, Any]:
        """By name, the records of cases: ``predicted``, and ``measured``, ``unavailable`` or ``failed``."""
        cases: dict[str, Any] = self.content["cases"]
        return cases

    def note(self, case: str, finished: bool, **record: Any) -> None:
        """Write what is known of a case."""
        self.cases[case] = {"finished": finished, **record}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.file) as temporary:
            temporary.write_text(json.dumps(self.content, indent=1) + "\n")


def carry_out(
    piece: str, cases: Sequence[Case], run: Run, device: str, usable: Callable[[str], bool] = lambda kind: True
) -> int:
    """Measure the cases that are not finished, and return the exit code. Cases that failed before are the last ones.

    Args:
        usable: returns whether this process can still use a device after a case that failed. If it cannot, the next command
            measures the cases that are left.
    """
    records = Records(run.out, piece, device)
    records.content["provenance"] = gather()
    code = DONE
    failed_before = [case.name for case in cases if "failed" in records.cases.get(case.name, {})]
    left = [case for case in cases if not records.cases.get(case.name, {}).get("finished")]
    left.sort(key=lambda case: case.name in failed_before)
    for number, case in enumerate(left, 1):
        if time.monotonic() > run.end:
            return _stop()
        record: dict[str, Any] = {"predicted": dict(case.predict())}
        finished, stopped = False, False
        try:
            record["measured"] = dict(case.measure())
            finished = True
        except Stopped as stop:
            record["measured"], stopped = dict(stop.measured), True
        except Unavailable as error:
            record["unavailable"] = str(error)
        except Exception as error:  # a case that fails, for example for lack of memory, data or a package, costs no other
            record["failed"] = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            code = FAILED
        records.note(case.name, finished, **record)
        print("\n".join(lines(case.name, record)), flush=True)
        if stopped:
            return _stop()
        if "failed" in record and not usable(run.device):
            untried = any(other.name not in failed_before for other in left[number:])
            return _stop("stopped, because this process cannot use the device any more") if untried else FAILED
    return code


def _stop(why: str = "stopped by --minutes") -> int:
    print(f"{why}; the same command goes on", flush=True)
    return STOPPED


def lines(name: str, record: Mapping[str, Any]) -> list[str]:
    """Return a record as text: the name, then a line for each value with its prediction and its measurement."""
    texts = [name]
    for value, predicted, measured in values(record):
        texts.append(f"  {value:24} predicted {predicted:>12}   measured {measured:>12}")
    return texts + [f"  {key}: {record[key]}" for key in ("unavailable", "failed") if key in record]


def values(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return name, prediction and measurement of each value, as text."""
    predicted, measured = record["predicted"], record.get("measured", {})
    names = [*predicted, *(name for name in measured if name not in predicted)]
    return [(name, _text(predicted.get(name)), _text(measured.get(name))) for name in names if name not in LISTS]


LISTS = {"curve", "shapes", "tests"}
"""Values that stay in the JSON file."""


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
