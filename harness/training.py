"""The contracts of training: of weights during a search, and of architectures from scratch. Imports no torch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from harness.space import Arch


class Meter(Protocol):
    """Function that charges a cost to a search's ledger: :meth:`harness.budget.Ledger.charge`."""

    def __call__(
        self, queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float
    ) -> None: ...


class Clock(Protocol):
    """What a page says of the prices of a supernet's passes. The task itself charges them."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Return one line per model of the seconds of a pass, for captions: ``{"clock:training": "..."}``."""
        ...


class TrainingSide(ABC):
    """The part of a benchmark that opens the training task of a search.

    Implement it in a file that imports no torch and reaches no judge.
    The file counts for the identity of runs that train, and not for those that only query: give it no other purpose.
    """

    choices: frozenset[str] = frozenset()
    """Choices of the supernet beyond those that every search space has; see :meth:`harness.weight_sharing.Task.supernet`."""
    operations_on: Literal["edges", "nodes"] = "edges"
    """Place of the operations in a cell."""
    currencies: frozenset[str] = frozenset({"seconds", "epochs", "macs"})
    """Currencies in which the task charges training."""
    deployable: bool = False
    """True if its supernets are :class:`harness.weight_sharing.DeployableSupernet`."""

    @property
    def heavy(self) -> bool:
        """Return True if a search on it takes days without a GPU."""
        return False

    @abstractmethod
    def __call__(self, world: int, device: str, charge: Meter) -> Any:
        """Open the task of one world: training and validation data, and the means to train on them.

        The type is the benchmark's: :class:`harness.weight_sharing.Task` for one-shot methods. No test data may be within
        reach. The task charges all training through ``charge``, in every currency of the budget, and lets
        :class:`harness.budget.BudgetExhausted` through.

        Args:
            world: the seed of the world.
            device: ``cpu`` or ``cuda``.
        """

    def describe(self) -> str:
        """Return a description of the images of a search, for captions and identities.

        It is empty if :attr:`Problem.checksum` covers the images.

        Raises:
            UserError: the images are missing.
        """
        return ""

    @property
    def clock(self) -> Clock | None:
        """Return the clock that prices a supernet's passes; None if passes charge no seconds. A fit may take a second."""
        return None


Metric = Literal["error", "perplexity"]
"""What trained architectures are compared by; lower is better. ``error``: 100 minus the accuracy, percent. ``perplexity``: the
exponential of the mean cross entropy on the held-out text."""


class Trained(NamedTuple):
    """The result of one training from scratch."""

    accuracy: float
    """Accuracy on the held-out images after the last epoch, percent."""
    best: float
    """Largest accuracy of any epoch, percent. It is chosen on the held-out images and must be labelled so."""
    loss: float
    """Mean cross entropy on the held-out images after the last epoch, nats; NaN if the trainer does not know it."""
    curve: Mapping[str, Sequence[float]]
    """Columns with a value per epoch."""
    spent: Mapping[str, float]
    """``epochs``, ``macs`` and real ``seconds`` of all sessions together."""
    parameters: int
    macs: int
    """Multiply-adds of one image."""
    top5: float = math.nan
    """Share of the held-out images whose class is among the five likeliest after the last epoch, percent; NaN if unknown."""
    valid_perplexity: float = math.nan
    """Of a language model, the perplexity on the validation text; NaN of other networks."""


class Retrainer(Protocol):
    """Trainer of architectures from scratch, for the stages of a protocol after the search. Only the harness reaches it."""

    metric: ClassVar[Metric]
    """What trained architectures are compared by."""

    def describe(self, recipe: str, split: str, data: str = "") -> dict[str, Any]:
        """Return everything that a training's result depends on besides architecture, seed and device, as plain values.

        Args:
            split: ``test``: train on all training images and evaluate on the test set; ``valid``: train on a part of the
                training images and evaluate on the rest, with no test image within reach.
            data: another data set than the benchmark's own.

        Raises:
            UserError: an unknown name, or missing data.
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
        """Train with the settings returned by :meth:`describe`.

        Args:
            state: resume from this state, which an earlier call passed to ``save``; None: start from the beginning.
            report: takes the share (0 to 1) of the training that is done.
        """
        ...
