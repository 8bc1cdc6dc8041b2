"""The evidence of a protocol: plain, typed values, which the harness fills from a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pandas as pd

from harness.analysis.traces import Traces

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
    BUDGET = "budget"  # limit of the search, CURRENCY=AMOUNT; empty for its own schedule
    CODE = "code"  # digest of the source that the run executed
    LABEL = "label"  # pretty name of the row; empty if its id is its name
    WORLD = "world"
    STATUS = "status"  # ``done``, ``failed``, ``timeout``, ``crashed`` or ``rejected``. Only runs that are done are in a mean
    ERROR = "error"
    ARCH = "arch"  # the proposal in the spelling of its search space
    QUERIES = "queries"
    SECONDS = "seconds"  # charged seconds
    EPOCHS = "epochs"
    WALL_SECONDS = "wall_seconds"
    SESSION = "session"  # number of the session that made the run, as :attr:`Session.id`; it is not in ``runs.csv``
    TARGET = "target"
    TEST = "test"  # percent, as is ``valid``; NaN if there is no record
    VALID = "valid"
    REGRET = "regret"  # percentage points
    RANK = "rank"
    PARAMETERS = "parameters"
    MACS = "macs"
    SINGLE_RUN = "single_run"  # test accuracy of the network that the search itself delivered, percent; NaN without one


SHARED = (Run.PROTOCOL, Run.BENCHMARK, Run.ROW, Run.METHOD, Run.KIND, Run.DEVICE, Run.BUDGET, Run.CODE, Run.LABEL)
"""Columns with one value per row and benchmark."""
OWN = (Run.WORLD, Run.STATUS, Run.ERROR, Run.ARCH, Run.QUERIES, Run.SECONDS, Run.EPOCHS, Run.WALL_SECONDS, Run.SESSION)
"""Columns with one value per run."""
METRICS = (Run.TEST, Run.VALID, Run.REGRET, Run.RANK, Run.PARAMETERS, Run.MACS, Run.SINGLE_RUN)
"""Columns with one value per run and target: the scores of a judge that a report shows."""
RUNS = (Run.RUN_ID, *SHARED, *OWN, Run.TARGET, *METRICS)

DONE = "done"
REJECTED = "rejected"


FITTED = (Run.BENCHMARK, Run.ROW, "currency", "limit", Run.WORLD, Run.TARGET, Run.TEST)
"""Columns of :attr:`Evidence.fitted`, one line per search and target; its schedule was fitted to the budget ``limit``."""


class Training:
    """Columns of :attr:`Evidence.trainings`, one line per training from scratch and stage that needs it."""

    STAGE = "stage"
    BENCHMARK = "benchmark"
    ROW = "row"  # the row whose search proposed the cell
    WORLD = "world"  # number of that search
    ARCH = "arch"
    SEED = "seed"
    RUN_ID = "run_id"
    STATUS = "status"
    RECIPE = "recipe"
    EPOCHS = "epochs"
    DATA = "data"
    SPLIT = "split"  # ``test`` or ``valid``
    IMAGES = "images"  # the training images in words
    PROBED = "probed"  # True if the cell was probed by a search and not proposed
    CHOSEN_BY = "chosen_by"  # the stage that chose the cell; empty if every cell is trained
    CHOSEN_ON = "chosen_on"
    SET = "set"  # number, from 1, of the set of searches among which the cell was chosen
    ACCURACY = "accuracy"  # accuracy after the last epoch, percent; NaN if the training failed or is not done
    BEST = "best"  # accuracy of the best epoch, percent
    TOP5 = "top5"  # top-5 accuracy after the last epoch, percent; NaN if it is unknown
    METRIC = "metric"  # what trainings are compared by, lower is better: ``error`` or ``perplexity``
    PERPLEXITY = "perplexity"  # of a language model on the text of the split; NaN of other networks
    VALID_PERPLEXITY = "valid_perplexity"  # of the same weights on the validation text, which chose the epoch
    LOSS = "loss"  # mean cross entropy after the last epoch on the images of the accuracy, nats; NaN if it is unknown
    PARAMETERS = "parameters"
    MACS = "macs"
    SECONDS = "seconds"
    DEVICE = "device"


TRAININGS = tuple(value for name, value in vars(Training).items() if name.isupper())


@dataclass(frozen=True)
class Reference:
    """An error that regret may be counted from."""

    split: str
    name: str
    error: float  # percent
    regret: float  # regret in points of the best cell against it


@dataclass(frozen=True)
class Part:
    """One benchmark as one kind of method searches it under the protocol. Empty fields are not printed."""

    benchmark: str
    kind: str = ""
    budget: str = ""  # the limit of a search, or that each method has its own schedule
    at_the_limit: str = ""  # what happens at the limit; empty if there is none
    training_seconds: float = float("nan")  # charged seconds of a mean training; NaN if they are unknown
    search: str = ""  # description of the values that a search reads
    record: str = ""  # seed record of the search: ``drawn``, ``mean``, or a sentence
    clock: str = ""  # description of the charged seconds
    supernet_clock: str = ""  # description of the charge of a supernet's pass
    estimate: Mapping[str, str] = field(default_factory=dict)
    """Models of the seconds of a supernet's pass, by name: their coefficients, R2 and residual."""
    judge: Mapping[str, str] = field(default_factory=dict)  # description of the accuracies, by target in the judge's order
    optimum: Mapping[str, float] = field(default_factory=dict)
    """Largest true accuracy over the stated set by target, in percent; NaN if it is unknown."""
    worst: Mapping[str, float] = field(default_factory=dict)
    stated_set: str = ""  # the set that regret and rank refer to
    set_size: Mapping[str, int] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    table: str = ""
    checksum: str = ""
    citations: tuple[str, ...] = ()  # bibliography keys of the benchmark's papers
    planned: Mapping[str, int] = field(default_factory=dict)  # number of searches that the command requests, by row
    skipped: Mapping[str, str] = field(default_factory=dict)  # rows without a run, with the reason
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # hyperparameters by row
    defaults: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By row, the hyperparameters that its method has if nothing sets them."""
    images: Mapping[str, str] = field(default_factory=dict)
    """The images that a search trains on, in words, by row; empty for rows that only query."""
    remarks: Mapping[str, str] = field(default_factory=dict)  # by row, a sentence that a reader of its results must know


@dataclass(frozen=True)
class Session:
    """One command: when, where and by which code it ran."""

    command: str
    code: str = ""
    date: str = ""
    host: str = ""  # the machine in words
    processor: str = ""
    accelerator: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)  # versions by name
    runs: int = 0  # runs of this session that are on the page
    id: int = 0  # its number in the store


@dataclass(frozen=True)
class Page:
    """Facts of a page: its protocol, its rows and its origin."""

    protocol: str
    title: str = ""
    comparable: bool = True  # False if the protocol is not the papers'
    modified: str = ""  # changes of the protocol by the command, in words
    parts: tuple[Part, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By reason, the rows that are in the store and not on the page."""
    known_rows: tuple[str, ...] = ()  # every row of every registered method, in a fixed order
    names: Mapping[str, str] = field(default_factory=dict)  # by row, its name in tables and figures
    first_rows: Mapping[str, str] = field(default_factory=dict)  # by method without a row of its name, its first row
    compared_with: Mapping[str, str] = field(default_factory=dict)
    """By row, the row that its paper draws it with: a row of the method that it changes."""
    citations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # bibliography keys by row
    sessions: tuple[Session, ...] = ()  # the commands that made the runs, oldest first
    writer: Session | None = None  # the command that writes the page


Kind = Literal["identity", "zero", "pooling", "convolution", ""]
"""Result of an operation; empty if it is none of these."""


class Operation(NamedTuple):
    """An operation of a search space."""

    name: str
    label: str  # short name in drawings
    kind: Kind = ""


class Edge(NamedTuple):
    """An edge of a cell, from a node to a later one."""

    source: int
    target: int
    operation: Operation | None = None  # None if the edge only passes its input on


class Cell(NamedTuple):
    """A cell as a graph; its nodes are in topological order, the last one is the output."""

    nodes: tuple[str, ...]  # labels
    edges: tuple[Edge, ...]
    name: str = ""  # empty if an architecture is one cell
    inputs: int = 1  # the first nodes, which no edge enters


@dataclass(frozen=True)
class Space:
    """A search space whose architectures can be drawn."""

    title: str  # its name within a sentence
    legend: str = ""  # sentences that explain nodes and edges
    cells: str = ""  # the cells of one architecture in words, if there are several
    operations: Mapping[str, Operation] = field(default_factory=dict)  # by name
    drawn: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)
    """By spelling, the cells of every architecture that a finished run proposed."""


def no_trainings() -> pd.DataFrame:
    """Return an empty table of trainings."""
    return pd.DataFrame(columns=list(TRAININGS))


@dataclass(frozen=True)
class Evidence:
    """The evidence of one protocol."""

    page: Page
    runs: pd.DataFrame  # columns: :class:`Run`
    traces: Traces = field(default_factory=Traces)
    trainings: pd.DataFrame = field(default_factory=no_trainings)  # columns: :class:`Training`
    spaces: Mapping[str, Space] = field(default_factory=dict)  # by benchmark
    fitted: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FITTED)))
    """Finished searches whose schedule was fitted to a budget: those on the page, and the same rows under other budgets."""
    longest: Traces = field(default_factory=Traces)
    """The searches without a schedule of rows that also ran under a larger budget than on the page: those of the largest."""
