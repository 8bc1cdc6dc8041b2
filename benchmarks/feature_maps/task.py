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
    """Training task: training and validation points under the world's pool of feature maps.

    A solver call is charged one query, one ``solver_calls`` and its number of ``features`` before it is made. A solver call and
    a validation are charged their processor time on this machine, in seconds, after they are made. Only seconds differ
    between machines.
    """

    def __init__(self, maps: Maps, train: Part, valid: Part, features: int, world: int, charge: Meter) -> None:
        self._maps, self._train, self._valid, self._world, self._charge = maps, train, valid, world, charge
        self.configurations = len(maps.pool)
        self.features = features
        """The full number of features."""
        self.points = {"train": len(train), "valid": len(valid)}

    def fit(self, assigned: npt.ArrayLike, features: int, *, draw: int = 0, joint: bool = False, loss: str = "hinge") -> Shared:
        """Fit a model with one call of the solver, and return it.

        Args:
            assigned: one configuration for all training points, or (N,) one for each point: the weights are then shared.
            features: number of features, up to :attr:`features`.
            draw: number of the draw of the feature maps' random part.
            joint: train on the validation points as well.
            loss: loss of the support vector machine, ``hinge`` or ``squared_hinge`` (D-36). Ridge regression ignores it.

        Raises:
            InvalidArchitecture: the pool has no such configuration.
            ValueError: ``features`` is not between 1 and :attr:`features`.
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
    """A fitted linear model that predicts the validation points."""

    def __init__(self, task: Task, model: Model) -> None:
        self._task, self._model = task, model
        self.objective = model.objective
        """The regularised training loss that it minimises."""

    def validate(self, assigned: npt.ArrayLike) -> Predictions:
        """Return correctness and loss of each validation point, under its configuration in ``assigned``."""
        return self._task._predict(self._model, assigned)


class _Timer:
    """Context that charges the processor time of its body."""

    def __init__(self, charge: Meter) -> None:
        self._charge = charge

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self._charge(seconds=time.process_time() - self._start)
