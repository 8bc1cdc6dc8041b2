"""The evidence of a report: plain, typed values. The harness fills them; reports import no other package of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pandas as pd

from reports.traces import Traces

NOT_YET = "not run yet"
"""Reason of a row that could run and has no run."""

WEIGHT_SHARING = "one-shot"
"""The kind of methods that train one supernet."""


class Run:
    """Columns of :attr:`Evidence.runs`, one line per run and target."""

    RUN_ID = "run_id"
    PROTOCOL = "protocol"
    BENCHMARK = "benchmark"
    ROW = "row"
    METHOD = "method"
    KIND = "kind"
    DEVICE = "device"
    LABEL = "label"
    """Pretty name of the row; empty if its id is its name."""
    WORLD = "world"
    STATUS = "status"
    """``done``, ``failed``, ``timeout``, ``crashed`` or ``rejected``. Only runs that are done are in a mean."""
    ERROR = "error"
    ARCH = "arch"
    """The proposal in the spelling of its search space."""
    QUERIES = "queries"
    SECONDS = "seconds"
    """Charged seconds."""
    EPOCHS = "epochs"
    WALL_SECONDS = "wall_seconds"
    SESSION = "session"
    """Number of the session that made the run, as :attr:`Session.id`; it is not in ``runs.csv``."""
    TARGET = "target"
    TEST = "test"
    """Percent, as is ``valid``; NaN if there is no record."""
    VALID = "valid"
    REGRET = "regret"
    """Percentage points."""
    RANK = "rank"
    PARAMETERS = "parameters"
    MACS = "macs"
    SINGLE_RUN = "single_run"
    """Test accuracy of the trained network that the search itself delivered, percent; NaN if it delivered none."""


SHARED = (Run.PROTOCOL, Run.BENCHMARK, Run.ROW, Run.METHOD, Run.KIND, Run.DEVICE, Run.LABEL)
"""Columns with one value per row and benchmark."""
OWN = (Run.WORLD, Run.STATUS, Run.ERROR, Run.ARCH, Run.QUERIES, Run.SECONDS, Run.EPOCHS, Run.WALL_SECONDS, Run.SESSION)
"""Columns with one value per run."""
METRICS = (Run.TEST, Run.VALID, Run.REGRET, Run.RANK, Run.PARAMETERS, Run.MACS, Run.SINGLE_RUN)
"""Columns with one value per run and target: the scores of a judge that a report shows."""
RUNS = (Run.RUN_ID, *SHARED, *OWN, Run.TARGET, *METRICS)

DONE = "done"
REJECTED = "rejected"


def columns(names: type) -> tuple[str, ...]:
    """Return the names of columns that a class lists, in order."""
    return tuple(value for name, value in vars(names).items() if name.isupper())


class Fitted:
    """Columns of :attr:`Evidence.fitted`, one line per search and target."""

    BENCHMARK = "benchmark"
    ROW = "row"
    CURRENCY = "currency"
    LIMIT = "limit"
    """The budget that the schedule of the search was fitted to."""
    WORLD = "world"
    TARGET = "target"
    TEST = "test"


FITTED = columns(Fitted)


class Training:
    """Columns of :attr:`Evidence.trainings`, one line per training from scratch and stage that needs it."""

    STAGE = "stage"
    BENCHMARK = "benchmark"
    ROW = "row"
    """The row whose search proposed the cell."""
    WORLD = "world"
    """Number of that search."""
    ARCH = "arch"
    SEED = "seed"
    RUN_ID = "run_id"
    STATUS = "status"
    RECIPE = "recipe"
    EPOCHS = "epochs"
    DATA = "data"
    SPLIT = "split"
    """``test`` or ``valid``."""
    IMAGES = "images"
    """The training images in words."""
    PROBED = "probed"
    """True if the cell was probed by a search and not proposed."""
    CHOSEN_BY = "chosen_by"
    """The stage that chose the cell; empty if every cell is trained."""
    CHOSEN_ON = "chosen_on"
    ACCURACY = "accuracy"
    """Accuracy after the last epoch, percent; NaN if the training failed or is not done."""
    BEST = "best"
    """Accuracy of the best epoch, percent."""
    TOP5 = "top5"
    """Top-5 accuracy after the last epoch, percent; NaN if it is unknown."""
    LOSS = "loss"
    """Mean cross entropy after the last epoch on the images of the accuracy, nats; NaN if it is unknown."""
    PARAMETERS = "parameters"
    MACS = "macs"
    SECONDS = "seconds"
    DEVICE = "device"


TRAININGS = columns(Training)


@dataclass(frozen=True)
class Reference:
    """An error that regret may be counted from."""

    split: str
    name: str
    error: float
    """Percent."""
    regret: float
    """Regret in points of the best cell against it."""


@dataclass(frozen=True)
class Part:
    """One benchmark as one kind of method searches it under the protocol. Empty fields are not printed."""

    benchmark: str
    kind: str = ""
    budget: str = ""
    """The limit of a search, or that each method has its own schedule."""
    at_the_limit: str = ""
    """What happens at the limit; empty if there is none."""
    training_seconds: float = float("nan")
    """Charged seconds of a mean training; NaN if they are unknown."""
    search: str = ""
    """Description of the values that a search reads."""
    record: str = ""
    """Seed record of the search: ``drawn``, ``mean``, or a sentence."""
    clock: str = ""
    """Description of the charged seconds."""
    supernet_clock: str = ""
    """Description of the charge of a supernet's pass."""
    estimate: Mapping[str, str] = field(default_factory=dict)
    """Models of the seconds of a supernet's pass, by name: their coefficients, R2 and residual."""
    judge: Mapping[str, str] = field(default_factory=dict)
    """Description of the accuracies, by target in the judge's order."""
    optimum: Mapping[str, float] = field(default_factory=dict)
    """Largest true accuracy over the stated set by target, in percent; NaN if it is unknown."""
    worst: Mapping[str, float] = field(default_factory=dict)
    stated_set: str = ""
    """The set that regret and rank refer to."""
    set_size: Mapping[str, int] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    table: str = ""
    checksum: str = ""
    citations: tuple[str, ...] = ()
    """Bibliography keys of the benchmark's papers."""
    planned: Mapping[str, int] = field(default_factory=dict)
    """Number of searches that the command requests, by row."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Rows without a run, with the reason."""
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Hyperparameters by row."""
    images: Mapping[str, str] = field(default_factory=dict)
    """The images that a search trains on, in words, by row; empty for rows that only query."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """By row, a sentence that a reader of its results must know."""


@dataclass(frozen=True)
class Session:
    """One command: when, where and by which code it ran."""

    command: str
    code: str = ""
    date: str = ""
    host: str = ""
    """The machine in words."""
    processor: str = ""
    accelerator: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions by name."""
    runs: int = 0
    """Runs of this session that are on the page."""
    id: int = 0
    """Its number in the store."""


@dataclass(frozen=True)
class Page:
    """Facts of a page: its protocol, its rows and its origin."""

    protocol: str
    title: str = ""
    comparable: bool = True
    """False if the protocol is not the papers'."""
    modified: str = ""
    """Changes of the protocol by the command, in words."""
    parts: tuple[Part, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By reason, the rows that are in the store and not on the page."""
    known_rows: tuple[str, ...] = ()
    """Every row of every registered method, in a fixed order."""
    names: Mapping[str, str] = field(default_factory=dict)
    """By row, its name in tables and figures; other rows are shown by their own names."""
    first_rows: Mapping[str, str] = field(default_factory=dict)
    """By method without a row of its name, its first row."""
    compared_with: Mapping[str, str] = field(default_factory=dict)
    """By row, the row that its paper draws it with: a row of the method that it changes."""
    citations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Bibliography keys by row."""
    sessions: tuple[Session, ...] = ()
    """The commands that made the runs, oldest first."""
    writer: Session | None = None
    """The command that writes the page."""


Kind = Literal["identity", "zero", "pooling", "convolution", ""]
"""Result of an operation; empty if it is none of these."""


class Operation(NamedTuple):
    """An operation of a search space."""

    name: str
    label: str
    """Short name in drawings."""
    kind: Kind = ""


class Edge(NamedTuple):
    """An edge of a cell, from a node to a later one."""

    source: int
    target: int
    operation: Operation | None = None
    """None if the edge only passes its input on."""


class Cell(NamedTuple):
    """A cell as a graph; its nodes are in topological order, the last one is the output."""

    nodes: tuple[str, ...]
    """Labels."""
    edges: tuple[Edge, ...]
    name: str = ""
    """Empty if an architecture is one cell."""
    inputs: int = 1
    """The first nodes, which no edge enters."""


@dataclass(frozen=True)
class Space:
    """A search space whose architectures can be drawn."""

    title: str
    """Its name within a sentence."""
    legend: str = ""
    """Sentences that explain nodes and edges."""
    cells: str = ""
    """The cells of one architecture in words, if there are several."""
    operations: Mapping[str, Operation] = field(default_factory=dict)
    """By name."""
    drawn: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)
    """By spelling, the cells of every architecture that a finished run proposed."""


def no_trainings() -> pd.DataFrame:
    """Return an empty table of trainings."""
    return pd.DataFrame(columns=list(TRAININGS))


@dataclass(frozen=True)
class Evidence:
    """The evidence of a report."""

    page: Page
    runs: pd.DataFrame
    """Columns: :class:`Run`."""
    traces: Traces = field(default_factory=Traces)
    trainings: pd.DataFrame = field(default_factory=no_trainings)
    """Columns: :class:`Training`."""
    spaces: Mapping[str, Space] = field(default_factory=dict)
    """By benchmark."""
    fitted: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FITTED)))
    """Finished searches whose schedule was fitted to a budget: those on the page, and the same rows under other budgets.
    Columns: :class:`Fitted`."""
    longest: Traces = field(default_factory=Traces)
    """The searches without a schedule of rows that also ran under a larger budget than on the page: those of the largest."""
