"""The contracts: what a method may hold, and what a benchmark must offer.

The two sides of a benchmark are two types. A method holds a :class:`SearchView`, which knows validation values only;
the harness alone holds the :class:`Judge`, which knows the test values.
"""

from __future__ import annotations

import contextlib
import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from harness.books import Books
from harness.budget import Budget, Spending
from harness.graphs import Depiction, Graph
from harness.outcome import Probe, Proposal, Trace
from harness.seeds import derive

Arch = tuple[int, ...]
"""An architecture: one small int per position of its space, immutable and hashable."""


class UserError(Exception):
    """A wrong call or unusable data: one line that names the value and the remedy. Exit code 2, no traceback."""


class InvalidArchitecture(ValueError):
    """Something that is not an architecture of the search space was queried or proposed."""


class MissingRecord(LookupError):
    """The table has no such record. Missing stays missing: nothing is charged and nothing is imputed."""


def as_arch(value: object) -> Arch:
    """Return an architecture as a tuple of ints: lists, arrays and NumPy's integers mean the same.

    Raises :class:`InvalidArchitecture` for anything else, such as text, floats and truth values.
    """
    numbers = value.tolist() if hasattr(value, "tolist") else value
    try:
        if not isinstance(numbers, (tuple, list)) or any(isinstance(number, bool) for number in numbers):
            raise TypeError
        return tuple(operator.index(number) for number in numbers)
    except TypeError:
        raise InvalidArchitecture(f"{value!r:.200} is not an architecture: a tuple of ints") from None


class SearchSpace(ABC):
    """A product of categorical choices: position ``i`` takes an int in ``range(cardinalities[i])``.

    The defaults suit any such product; a space overrides what its paper does differently.
    """

    name: str
    cardinalities: tuple[int, ...]
    citations: tuple[str, ...] = ()
    """Keys of its papers in ``reports/references.bib``."""
    depiction: Depiction | None = None
    """How reports draw the graphs of an architecture; None if it has none."""

    @property
    def size(self) -> int:
        """How many architectures there are."""
        total = 1
        for n in self.cardinalities:
            total *= n
        return total

    def __contains__(self, arch: object) -> bool:
        return (
            isinstance(arch, tuple)
            and len(arch) == len(self.cardinalities)
            and all(type(a) is int and 0 <= a < n for a, n in zip(arch, self.cardinalities, strict=True))
        )

    def sample(self, rng: random.Random) -> Arch:
        """One architecture, uniformly."""
        rand = rng.random
        return tuple([int(rand() * n) for n in self.cardinalities])

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """A copy with one position changed to another value, both drawn uniformly."""
        return self.change(arch, rng.randrange(len(arch)), rng)

    def change(self, arch: Arch, position: int, rng: random.Random) -> Arch:
        """A copy with ``position`` changed to another value, drawn uniformly."""
        value = int(rng.random() * (self.cardinalities[position] - 1))
        if value >= arch[position]:
            value += 1
        return (*arch[:position], value, *arch[position + 1 :])

    def neighbors(self, arch: Arch) -> Iterator[Arch]:
        """Every architecture that differs in exactly one position, in order of position and value."""
        for position, n in enumerate(self.cardinalities):
            for value in range(n):
                if value != arch[position]:
                    yield (*arch[:position], value, *arch[position + 1 :])

    def canonical(self, arch: Arch) -> str:
        """A name that isomorphic architectures share. Here: none are."""
        return self.to_str(arch)

    def graphs(self, arch: Arch) -> tuple[Graph, ...]:
        """Return the cells of an architecture for drawings; empty if the space has no ``depiction``."""
        return ()

    @abstractmethod
    def to_str(self, arch: Arch) -> str:
        """The field's spelling of ``arch``."""

    @abstractmethod
    def from_str(self, text: str) -> Arch:
        """The architecture that ``text`` spells. Raises :class:`InvalidArchitecture` with the reason."""


class Observation(NamedTuple):
    """What a query answers."""

    valid_accuracy: float
    """Validation accuracy in percent."""
    seconds: float
    """What was charged for it, in the benchmark's own seconds."""


class Oracle(Protocol):
    """The search side of a benchmark in one world: validation values and costs, nothing else within reach."""

    fidelities: tuple[int, ...]
    """The numbers of epochs that may be asked for, ascending; the last one is what ``None`` means."""

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Validation accuracy (percent), seconds, epochs and MACs of training ``arch`` once more.

        ``asked`` counts the earlier queries of the same architecture and fidelity; with the world's seed it decides which
        recorded seed is drawn. Raises :class:`InvalidArchitecture` or :class:`MissingRecord`.
        """
        ...


class Judge(Protocol):
    """The reporting side of a benchmark. Only the harness holds one."""

    optimum: Mapping[str, float]
    """For each target, the largest true value over the stated set."""
    stated_set: str
    """What the optimum, the regret and the rank range over."""
    set_size: Mapping[str, int]
    """How many architectures that is, for each target."""

    def score(self, arch: Arch, world: int) -> dict[str, dict[str, float]]:
        """``{target: {"valid", "test", "regret", "rank"}}``; accuracies in percent, NaN where there is no record.

        ``world`` is the world's seed: of use only where what an architecture means depends on the world.
        """
        ...


@dataclass(frozen=True)
class Facts:
    """What the captions of a report say of a benchmark's data, one clause each."""

    source: str
    """The table or the images: their name, size and version."""
    search: str
    """What a search looks at: ``validation accuracy of ... after the 12-epoch training``."""
    judge: Mapping[str, str]
    """For each target of the judge, what its accuracies are."""
    clock: str = ""
    """What the charged seconds are, where that needs saying."""
    table: str = ""
    """Which of the tables that its user may have is in use: kind, how many architectures of how many, file."""
    supernet_clock: str = ""
    """How a pass of a supernet is charged, where that needs saying."""


class Problem(Protocol):
    """A benchmark opened under a protocol: the space, and the two sides."""

    space: SearchSpace
    judge: Judge
    fidelities: tuple[int, ...]
    checksum: str
    """Identifies the table or the data; part of every run's identity."""
    record: str
    """The seed record in force: ``drawn`` (one recorded seed per query) or ``mean``."""
    facts: Facts

    def oracle(self, world: int) -> Oracle | None:
        """The search side in the world that ``world`` (a derived seed) fixes; None where nothing can be looked up."""
        ...

    # Where methods train for themselves (weight sharing, feature maps) there is also
    #     task(world: int, device: str, charge: Meter) -> object      (task.choices: see harness.weight_sharing)
    # the training and the validation data of the search with everything to train on them, no test image within reach.
    # It charges what is trained, in all of the budget's currencies, and lets BudgetExhausted through.

    # Where an architecture's accuracy takes a training of its own, a later stage of the protocol, there is also
    #     retraining: Retrainer


class Trained(NamedTuple):
    """One training from scratch."""

    accuracy: float
    """On the held-out images after the last epoch, percent."""
    best: float
    """The largest of any epoch: chosen on the held-out images, and to be labelled so."""
    curve: Mapping[str, Sequence[float]]
    """Columns with a value per epoch."""
    spent: Mapping[str, float]
    """``epochs``, ``macs`` and real ``seconds`` of all sessions together."""
    parameters: int
    macs: int
    """Multiply-adds of one image."""


class Retrainer(Protocol):
    """Trains architectures from scratch, for the stages of a protocol after the search. Held by the harness alone."""

    def describe(self, recipe: str, split: str, data: str = "") -> dict[str, Any]:
        """Everything that a training's result depends on besides architecture, seed and device, as plain values.

        Args:
            split: ``test``: trained on all training images and held against the test set; ``valid``: against a part of the
                training images, no test image within reach.
            data: another data set than the benchmark's own.

        Raises :class:`UserError` for an unknown name, and where the data are missing.
        """
        ...

    def train(
        self,
        arch: Arch,
        settings: Mapping[str, Any],
        seed: int,
        device: str,
        state: bytes | None,
        save: Callable[[bytes], None],
        report: Callable[[float], None],
    ) -> Trained:
        """Trains under what :meth:`describe` gave, from ``state`` on where ``save`` was told one before."""
        ...


class Meter(Protocol):
    """Charges a cost to a search's ledger: :meth:`harness.budget.Budget.charge`."""

    def __call__(
        self, queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float
    ) -> None: ...


@dataclass(frozen=True)
class Availability:
    """Whether a benchmark can run here."""

    ready: bool
    text: str
    """One line: ``bundled, 15 625 architectures`` or ``missing: FILE (see python -m harness.data status)``."""


class Benchmark(Protocol):
    """One benchmark by its id, ``space/search-dataset`` in lower case."""

    id: str
    kinds: tuple[str, ...]
    """Kinds of method that can search it: ``multi-trial``, ``one-shot``, ..."""
    embedded: bool
    """Ships with the project, so that it works on a fresh machine."""

    def availability(self) -> Availability:
        """Cheap: looks for files, opens none that is large."""
        ...

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> Problem:
        """Loads the data for a protocol's ``search`` and ``judge`` tables. Raises :class:`UserError`."""
        ...


class Method(Protocol):
    """A frozen dataclass of hyperparameters with one function. The file's name is the method's name.

    Optional class attributes: ``proposes`` (``"best_valid"``, the default, or ``"self"``), ``settings`` (``{space name:
    {field: value}}``, the papers' values away from the home space), ``variants`` (``{name: {field: value}}``, what the
    papers report as separate rows; the one of no name is the method's own row), ``reference`` (the paper), ``citations`` (its
    keys in ``reports/references.bib``), ``compared_with`` (the row that a report draws the method's rows with),
    ``skip(problem) -> str | None`` (why it cannot run), and ``pure`` (True: a search leaves nothing behind in its process, so
    that several short ones may share one; the contract is tested, and without it every search has its own process).
    """

    reference: ClassVar[str]

    def search(self, view: SearchView) -> Arch | None:
        """Searches until the budget ends it or it returns; an architecture it returns is proposed."""
        ...


_AXES = frozenset({"seconds", "epochs"})
"""Names of logged columns that hold the moment of each line."""


class Checkpoint(Protocol):
    """Where a long search is kept; see :class:`harness.checkpoint.File`."""

    def load(self, budget: Budget, trace: Trace, books: Books) -> bytes | None: ...
    def save(self, state: bytes, budget: Budget, trace: Trace, books: Books) -> None: ...


class SearchView:
    """All that a method ever holds: the space, the ledger, seeds, and validation values for a price."""

    __slots__ = (
        *("space", "budget", "fidelities", "rng", "_seed", "_measure", "_asked", "_auto", "_best", "_rung"),
        *("_ledger", "_books", "_trace", "_open_task", "_task", "_checkpoint", "_report"),
    )

    def __init__(
        self,
        space: SearchSpace,
        ledger: Budget,
        oracle: Oracle | None,
        seed: int,
        proposes: str = "best_valid",
        *,
        task: Callable[[Meter], Any] | None = None,
        checkpoint: Checkpoint | None = None,
        report: Callable[[float], None] | None = None,
    ) -> None:
        self.space = space
        self.budget = Spending(ledger)
        """What has been spent, and what may still be spent."""
        self.fidelities = oracle.fidelities if oracle else ()
        """Numbers of epochs that a query may ask for, ascending."""
        self.rng = random.Random(derive("rng", seed))
        """The method's own generator."""
        self._ledger = ledger
        self._books = Books(oracle)
        self._seed = seed
        self._measure = self._books.measure
        self._asked: dict[Any, int] = {}
        self._auto = proposes == "best_valid"
        self._best = float("-inf")
        self._rung = -1
        self._trace = Trace()
        self._open_task = task
        self._task: Any = None
        self._checkpoint = checkpoint
        self._report = report

    @property
    def task(self) -> Any:
        """What the benchmark trains on: training and validation data, a supernet. Opened when first asked for.

        Raises :class:`UserError` where the benchmark has none.
        """
        if self._task is None:
            if self._open_task is None:
                raise UserError(
                    'nothing to train on: a method that trains through view.task says kind = "one-shot" on its class, '
                    "and needs a benchmark with a training side"
                )
            self._task = self._open_task(self._books.meter(self._ledger))
        return self._task

    def resume(self) -> bytes | None:
        """The state that :meth:`checkpoint` kept before this search was killed; the ledger and the trace are as they were.

        None where the search begins anew. To be asked once, before anything else.
        """
        state = self._checkpoint.load(self._ledger, self._trace, self._books) if self._checkpoint else None
        if state is not None:
            for (arch, fidelity), accuracy in zip(self._books.answers, self._trace.accuracy, strict=False):
                self._note(arch, fidelity, accuracy)
        return state

    def checkpoint(self, state: bytes) -> None:
        """Keeps ``state``, with the ledger and the trace, so that a killed search goes on from here."""
        if self._checkpoint:
            self._checkpoint.save(state, self._ledger, self._trace, self._books)

    def progress(self, share: float) -> None:
        """Tells whoever watches how much (0 to 1) of a long search is done."""
        if self._report:
            self._report(share)

    def seed(self, name: str) -> int:
        """A seed for another generator (numpy, torch): depends on the method seed and on ``name``."""
        return derive(name, self._seed)

    def query(self, arch: Arch, fidelity: int | None = None) -> Observation:
        """Trains ``arch`` for ``fidelity`` epochs (``None``: the protocol's recipe), and pays for it.

        The incumbent follows, unless the method proposes itself: the best validation accuracy among the queries at the
        highest fidelity seen so far.

        Raises:
            BudgetExhausted: the search is over.
            InvalidArchitecture, MissingRecord: nothing was charged.
        """
        ledger = self._ledger
        if ledger.exhausted:
            ledger.charge()  # raises: nothing is asked after the end
        if type(arch) is not tuple:
            arch = as_arch(arch)
        key = arch if fidelity is None else (arch, fidelity)
        asked = self._asked.get(key, 0)
        try:
            accuracy, seconds, epochs, macs = self._measure(arch, fidelity, asked)
        except InvalidArchitecture as error:
            try:
                plain = as_arch(arch)  # NumPy's integers mean the same
            except InvalidArchitecture:
                raise error from None
            if all(type(number) is int for number in arch):
                raise
            return self.query(plain, fidelity)
        ledger.charge(1, seconds, epochs, macs)
        trace = self._trace
        trace.seconds.append(ledger.seconds)
        trace.accuracy.append(accuracy)
        if self._note(arch, fidelity, accuracy):
            trace.proposals.append(Proposal(ledger.queries, ledger.seconds, as_arch(arch)))
        return Observation(accuracy, seconds)

    def _note(self, arch: Arch, fidelity: int | None, accuracy: float) -> bool:
        """Count a query, and return whether its architecture is the new incumbent."""
        key = arch if fidelity is None else (arch, fidelity)
        self._asked[key] = self._asked.get(key, 0) + 1
        if not self._auto:
            return False
        rung = self.fidelities[-1] if fidelity is None else fidelity
        if rung > self._rung:
            self._rung = rung
            self._best = float("-inf")
        if accuracy > self._best and rung == self._rung:
            self._best = accuracy
            return True
        return False

    def propose(self, arch: Arch) -> None:
        """From now on ``arch`` is what this search would return. Raises :class:`InvalidArchitecture`."""
        self._trace.proposals.append(Proposal(self._ledger.queries, self._ledger.seconds, self._known(arch)))

    def probe(self, arch: Arch, shared: float) -> None:
        """Keeps how good shared weights say that ``arch`` is, so that a report can hold it against how good it is.

        That is found out after the search, and changes nothing of it. Raises :class:`InvalidArchitecture`.
        """
        self._trace.probes.append(Probe(self._known(arch), float(shared)))

    def _known(self, arch: Arch) -> Arch:
        """Return an architecture of the space as a tuple of ints. Raises :class:`InvalidArchitecture`."""
        if arch in self.space:
            return arch
        with contextlib.suppress(InvalidArchitecture):
            if (plain := as_arch(arch)) in self.space:
                return plain
        raise InvalidArchitecture(f"{arch!r:.200} is not an architecture of {self.space.name}")

    def log(self, **scalars: float) -> None:
        """Keeps named numbers of this moment (entropy, supernet accuracy, ...) in the run's trace.

        Raises TypeError or ValueError for what is no number, ValueError for the names ``seconds`` and ``epochs``.
        """
        for name in _AXES & scalars.keys():
            raise ValueError(f"log: {name!r} is what the harness writes itself; choose another name")
        numbers = {name: float(value) for name, value in scalars.items()}
        self._trace.scalars.append({"seconds": self._ledger.seconds, "epochs": self._ledger.epochs, **numbers})
