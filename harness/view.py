"""The view of a search: everything that a method can reach."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from harness.books import Books
from harness.budget import Ledger, Spending
from harness.delivery import Delivery, Plain
from harness.errors import UserError
from harness.outcome import Probe, Proposal, Trace
from harness.problem import Oracle
from harness.schedule import Schedule
from harness.seeds import derive
from harness.space import Arch, InvalidArchitecture, SearchSpace, as_arch
from harness.training import Meter


class Observation(NamedTuple):
    """The result of a query."""

    valid_accuracy: float
    """Validation accuracy in percent."""
    seconds: float
    """Charged seconds, on the benchmark's own clock."""


_AXES = frozenset({"seconds", "epochs"})
"""Names of logged columns that contain the moment of each line."""


class Checkpoint(Protocol):
    """Storage for the state of a long search; see :class:`harness.checkpoint.File`."""

    def load(self, ledger: Ledger, trace: Trace, books: Books) -> bytes | None: ...
    def save(self, state: bytes, ledger: Ledger, trace: Trace, books: Books) -> None: ...


class SearchView:
    """Everything that a method can reach: the space, the ledger, seeds, and validation values for a price.

    Args:
        ledger: the ledger that queries and training are charged to.
        oracle: the search side of the benchmark; None if nothing is tabulated.
        seed: the method seed.
        proposes: ``best_valid``: the view proposes the best queried architecture; ``self``: the method calls :meth:`propose`.
        task: opens the training task; it takes the meter to charge through.
        trace: the events of the search, which the harness reads; by default a new one.
        books: the books of the harness, on the same oracle; by default new ones.
        checkpoint: the file for the state of the search.
        report: takes the share (0 to 1) of the search that is done.
    """

    __slots__ = (
        "space", "budget", "fidelities", "rng", "_seed", "_measure", "_asked", "_auto", "_best", "_rung",
        "_ledger", "_books", "_trace", "_open_task", "_task", "_checkpoint", "_report",
    )  # fmt: skip

    def __init__(
        self,
        space: SearchSpace,
        ledger: Ledger,
        oracle: Oracle | None,
        seed: int,
        proposes: str = "best_valid",
        *,
        task: Callable[[Meter], Any] | None = None,
        trace: Trace | None = None,
        books: Books | None = None,
        checkpoint: Checkpoint | None = None,
        report: Callable[[float], None] | None = None,
    ) -> None:
        self.space = space
        self.budget = Spending(ledger)
        """The spent amounts, and the rest of the budget."""
        self.fidelities = oracle.fidelities if oracle else ()
        """Numbers of epochs that a query may request, ascending."""
        self.rng = random.Random(derive("rng", seed))
        """The method's own generator."""
        self._ledger = ledger
        self._books = Books(oracle) if books is None else books
        self._seed = seed
        self._measure = self._books.measure
        self._asked: dict[Any, int] = {}
        self._auto = proposes == "best_valid"
        self._best = float("-inf")
        self._rung = -1
        self._trace = Trace() if trace is None else trace
        self._open_task = task
        self._task: Any = None
        self._checkpoint = checkpoint
        self._report = report

    @property
    def task(self) -> Any:
        """Return the training task: training and validation data, and the means to train on them. The first access opens it.

        Its type depends on the benchmark: :class:`harness.weight_sharing.Task` for one-shot methods.

        Raises:
            UserError: the benchmark has no training side.
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
        """Return the state saved last by :meth:`checkpoint`, and restore the ledger and the trace of that moment.

        None if the search starts from the beginning. Call it once, before anything else.
        """
        state = self._checkpoint.load(self._ledger, self._trace, self._books) if self._checkpoint else None
        if state is not None:
            for (arch, fidelity), accuracy in zip(self._books.queries, self._trace.accuracy, strict=False):
                self._note(arch, fidelity, accuracy)
        return state

    def checkpoint(self, state: bytes) -> None:
        """Save ``state`` with the ledger and the trace. A killed search resumes from there."""
        if self._checkpoint:
            self._checkpoint.save(state, self._ledger, self._trace, self._books)

    def epochs(self, number: int) -> Iterator[int]:
        """Yield the numbers of the epochs of a search that trains, and report progress after each.

        These are ``number`` epochs, or, under a budget that schedules fit (policy ``fit``), as many as it pays for. A search
        that scales a learning rate or anything else uses :class:`harness.schedule.Schedule` itself.
        """
        schedule = Schedule(self.budget, number)
        for epoch in schedule.epochs():
            for _ in schedule.steps((epoch,)):  # an epoch is begun only if the budget pays for all of it
                yield epoch
                self.progress(schedule.share if schedule.fitted else (epoch + 1) / number)

    def progress(self, share: float) -> None:
        """Report which share (0 to 1) of a long search is done."""
        if self._report:
            self._report(share)

    def seed(self, name: str) -> int:
        """Return a seed for another generator (numpy, torch). It depends on the method seed and on ``name``."""
        return derive(name, self._seed)

    def query(self, arch: Arch, fidelity: int | None = None) -> Observation:
        """Train ``arch`` for ``fidelity`` epochs (None: the protocol's recipe), charge for it, and return the result.

        Unless the method proposes for itself, the view proposes the incumbent: the architecture with the best validation
        accuracy among the queries at the highest fidelity so far.

        Raises:
            BudgetExhausted: the search is over.
            InvalidArchitecture, MissingRecord: nothing was charged.
        """
        ledger = self._ledger
        if ledger.exhausted:
            ledger.charge()  # raises: the oracle is not queried after the end
        if type(arch) is not tuple:
            arch = as_arch(arch)
        key = arch if fidelity is None else (arch, fidelity)
        earlier = self._asked.get(key, 0)
        try:
            accuracy, seconds, epochs, macs = self._measure(arch, fidelity, earlier)
        except InvalidArchitecture as error:
            try:
                plain = as_arch(arch)  # NumPy's integers equal plain ones
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
        """Propose ``arch`` as the result of the search, until the next proposal. Raises :class:`InvalidArchitecture`."""
        self._trace.proposals.append(Proposal(self._ledger.queries, self._ledger.seconds, self._known(arch)))

    def probe(self, arch: Arch, shared: float, loss: float = math.nan) -> None:
        """Record the accuracy of ``arch`` under shared weights, percent, and its loss. Reports compare them with its own.

        Its own accuracy is looked up after the search and does not change it. Raises :class:`InvalidArchitecture`.
        """
        self._trace.probes.append(Probe(self._known(arch), float(shared), float(loss)))

    def deliver(self, arch: Arch, weights: bytes, **settings: Plain) -> None:
        """Hand over the trained network of ``arch``, the final proposal. The judge tests it after the search.

        The test accuracy is the score ``single_run``. A network that the judge cannot load fails the run. A checkpoint does
        not contain the network: a resumed search delivers again. A later call replaces the network.

        Args:
            weights: weights and statistics, serialised by ``torch.save``; see ``absorb`` of
                :class:`harness.weight_sharing.DeployableSupernet`.
            settings: plain settings of the network, as the benchmark defines them.

        Raises:
            InvalidArchitecture: ``arch`` is not in the space.
            ValueError: the weights are not bytes or too many, or a setting is not plain.
        """
        delivery = Delivery(self._known(arch), weights, settings)
        if flaw := delivery.flaw(delivery.arch):
            raise ValueError(f"deliver: {flaw}")
        self._trace.delivery = delivery

    def _known(self, arch: Arch) -> Arch:
        """Return an architecture of the space as a tuple of ints. Raises :class:`InvalidArchitecture`."""
        if arch in self.space:
            return arch
        with contextlib.suppress(InvalidArchitecture):
            if (plain := as_arch(arch)) in self.space:
                return plain
        raise InvalidArchitecture(f"{arch!r:.200} is not an architecture of {self.space.name}")

    def log(self, **scalars: float) -> None:
        """Record named numbers of this moment (entropy, supernet accuracy, ...) in the run's trace.

        Raises:
            TypeError, ValueError: a value is not a number.
            ValueError: the name is ``seconds`` or ``epochs``, which the harness writes itself.
        """
        for name in _AXES & scalars.keys():
            raise ValueError(f"log: {name!r} is what the harness writes itself; choose another name")
        numbers = {name: float(value) for name, value in scalars.items()}
        self._trace.scalars.append({"seconds": self._ledger.seconds, "epochs": self._ledger.epochs, **numbers})
