"""The training side of feature map selection in one world: solver calls for a price."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.feature_maps.models import Maps, Model, Part, Predictions
from harness.seeds import derive
from harness.space import InvalidArchitecture
from harness.training import Meter


class Task:
    """What a method trains on: training and validation points under the world's pool of feature maps.

    A solver call is charged as a query, a ``solver_calls`` and its number of ``features``, before it is made; then it and
    every look at validation points are charged the seconds of processor time that they took on this machine, so that
    seconds differ between machines and no other currency does.
    """

    def __init__(self, maps: Maps, train: Part, valid: Part, features: int, world: int, charge: Meter) -> None:
        self._maps, self._train, self._valid, self._world, self._charge = maps, train, valid, world, charge
        self.configurations = len(maps.pool)
        self.features = features
        """The full number of features."""
        self.points = {"train": len(train), "valid": len(valid)}

    def fit(self, assigned: npt.ArrayLike, features: int, *, draw: int = 0, joint: bool = False, loss: str = "hinge") -> Shared:
        """One call of the solver.

        Args:
            assigned: a configuration for all training points, or one for each: then its weights are shared.
            features: how many, up to :attr:`features`.
            draw: another number draws the random part of the feature maps anew.
            joint: trains on the validation points as well.
            loss: of the support vector machine, ``hinge`` or ``squared_hinge`` (D-36); ridge regression has its own.

        Raises:
            InvalidArchitecture: a configuration that the pool has not.
            BudgetExhausted: the search is over.
        """
        part = self._joined if joint else self._train
        chosen = self._chosen(assigned, len(part))
        if not 1 <= features <= self.features:
            raise ValueError(f"{features} features; there are 1 to {self.features}")
        self._charge(queries=1, solver_calls=1, features=features)
        with self._timed():
            model = self._maps.fit(part, chosen, features, derive("features", self._world, draw), loss)
        return Shared(self, model)

    @property
    def _joined(self) -> Part:
        labels = np.concatenate([self._train.labels, self._valid.labels])
        return Part(self._train.points.joined(self._valid.points), labels)

    def _chosen(self, assigned: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
        chosen = np.asarray(assigned)
        if chosen.dtype.kind not in "iu":
            raise InvalidArchitecture(f"{assigned!r} is not a configuration: whole numbers below {self.configurations}")
        wrong = chosen[(chosen < 0) | (chosen >= self.configurations)]
        if wrong.size:
            raise InvalidArchitecture(f"{wrong.flat[0]} is not a configuration: whole numbers below {self.configurations}")
        return np.broadcast_to(chosen.astype(np.int64), (count,))

    def _timed(self) -> _Timer:
        return _Timer(self._charge)

    def _predict(self, model: Model, assigned: npt.ArrayLike) -> Predictions:
        chosen = self._chosen(assigned, len(self._valid))
        with self._timed():
            return model.predict(self._valid, chosen)


class Shared:
    """A fitted linear model, ready to be asked about the validation points."""

    def __init__(self, task: Task, model: Model) -> None:
        self._task, self._model = task, model
        self.objective = model.objective
        """The regularised training loss that it minimises."""

    def validate(self, assigned: npt.ArrayLike) -> Predictions:
        """Whether each validation point is answered correctly, and its loss, each under its configuration ``assigned``."""
        return self._task._predict(self._model, assigned)


class _Timer:
    """Charges the processor time of its body."""

    def __init__(self, charge: Meter) -> None:
        self._charge = charge

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self._charge(seconds=time.process_time() - self._start)
