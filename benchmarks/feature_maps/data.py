"""The points of each data set, with the split of the paper, or the first points of each part."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.feature_maps import fourier, ngrams
from benchmarks.feature_maps.library import LIBRARY
from benchmarks.feature_maps.models import FourierRidge, Maps, NgramSvm, Part
from benchmarks.feature_maps.ridge import SOLVERS
from benchmarks.feature_maps.tokens import RELEASED, TOKENISERS, lowered
from benchmarks.images import dataset as images
from benchmarks.images import digits
from harness.cache import Table
from harness.errors import UserError

PERMUTATION: Final = 0
"""Seed of the permutation that divides IMDb's test reviews, which are ordered by class and number here."""


@dataclass(frozen=True)
class Settings:
    """Settings of one data set in the ``search`` table of a protocol. A size of 0 means all points of the part."""

    features: int
    """The full number of features."""
    pool: int = 256
    """Configurations drawn per world."""
    train: int = 0
    valid: int = 0
    test: int = 0
    tokenisers: Sequence[str] = field(default=RELEASED)
    """Tokenisers in the search space (reviews only)."""
    solver: str = "lsqr"
    """Solver of ridge regression (images only): ``lsqr``, or ``cholesky``, which is faster and exact."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.tokenisers if name not in TOKENISERS]
        if unknown:
            raise UserError(f"no tokeniser {unknown[0]!r}; there are {', '.join(TOKENISERS)}")
        if self.solver not in SOLVERS:
            raise UserError(f"no solver {self.solver!r}; there are {', '.join(SOLVERS)}")
        if self.features < 1 or self.pool < 2 or min(self.train, self.valid, self.test) < 0:
            raise UserError(f"feature maps need at least 1 feature and 2 configurations, and no fewer than 0 points: {self}")

    def rows(self, part: str, count: int) -> npt.NDArray[np.int64]:
        """Return the rows of a part (``train``, ``valid`` or ``test``) out of ``count`` rows."""
        size = {"train": self.train, "valid": self.valid, "test": self.test}[part]
        if size > count:
            raise UserError(f"{size} {part} points were requested, there are {count}")
        return np.arange(size or count)


class DataSet(Protocol):
    """A data set under some settings. It has no reference to points, so a search cannot reach test points through it."""

    name: str
    origin: str
    """Name and origin of the points, for captions."""
    checksum: str

    def search_parts(self) -> tuple[Part, Part]:
        """Return the training and the validation points."""
        ...

    def test_part(self) -> Part:
        """Return the test points, for the judge."""
        ...

    def maps(self, world: int) -> Maps:
        """Return the pool of feature maps of a world, with its solver."""
        ...


class ImageDataSet:
    """CIFAR-10 (40 000, 10 000 and 10 000 images, in the published order) or the digits (1 024, 384 and 389)."""

    def __init__(self, dataset: str, settings: Settings) -> None:
        self._dataset, self._settings = dataset, settings
        train, _ = _image_set(dataset)
        self.name, self.origin, self.checksum = train.name, train.name, train.checksum
        self._classes, self._white = train.classes, train.white
        self._first = digits.SIZES[0] if dataset == "digits" else len(train) * 4 // 5

    def search_parts(self) -> tuple[Part, Part]:
        training, _ = _image_set(self._dataset)
        train = training.rows(self._settings.rows("train", self._first))
        valid = training.rows(self._first + self._settings.rows("valid", len(training) - self._first))
        points = fourier.Images(train.images, self._white)
        return Part(points, train.labels), Part(points.alike(valid.images), valid.labels)

    def test_part(self) -> Part:
        _, testing = _image_set(self._dataset)
        test = testing.rows(self._settings.rows("test", len(testing)))
        train, _ = self.search_parts()
        return Part(train.points.alike(test.images), test.labels)

    def maps(self, world: int) -> FourierRidge:
        return FourierRidge(fourier.draw_pool(self._settings.pool, world), self._classes, self._settings.solver)


class ReviewDataSet:
    """IMDb: 25 000 training reviews. Of the other reviews, permuted, the first half is for tests, the second validates."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        table = _reviews()
        self.name, self.checksum = "IMDb", table.checksum
        self.origin = f"IMDb ({table.meta['kind']}; reviews permuted from their order by class and number)"

    def search_parts(self) -> tuple[Part, Part]:
        train, valid, _ = self._rows()
        return self._part(train, "train"), self._part(valid, "valid")

    def test_part(self) -> Part:
        return self._part(self._rows()[2], "test")

    def maps(self, world: int) -> NgramSvm:
        return NgramSvm(ngrams.draw_pool(self._settings.pool, world, self._settings.tokenisers))

    def _rows(self) -> tuple[npt.NDArray[np.int64], ...]:
        of_test = _reviews().column("part") == 1
        train, unseen = np.flatnonzero(~of_test), np.flatnonzero(of_test)
        train, unseen = (np.random.RandomState(PERMUTATION).permutation(rows) for rows in (train, unseen))
        return train, unseen[len(unseen) // 2 :], unseen[: len(unseen) // 2]

    def _part(self, rows: npt.NDArray[np.int64], part: str) -> Part:
        chosen = rows[self._settings.rows(part, len(rows))]
        tokens = {name: _tokens(name).rows(chosen) for name in self._settings.tokenisers}
        return Part(ngrams.Reviews(tokens), _reviews().column("label")[chosen].astype(np.int64))


OPENERS: Final[dict[str, Callable[[Settings], DataSet]]] = {
    "cifar10": lambda settings: ImageDataSet("cifar10", settings),
    "imdb": ReviewDataSet,
    "digits": lambda settings: ImageDataSet("digits", settings),
}


@cache
def _image_set(dataset: str) -> tuple[images.ImageSet, images.ImageSet]:
    return images.load(dataset)


@cache
def _reviews() -> Table:
    table = LIBRARY.find_table(lambda line: print(line, file=sys.stderr, flush=True))
    if table is None:
        raise UserError("IMDb is missing; see `python -m harness.data status`")
    return table


@cache
def _tokens(tokeniser: str) -> ngrams.Tokens:
    """Return the tokens of all reviews, mapped from the table."""
    ids, ends, vocabulary = (_reviews().column(f"{tokeniser}/{name}") for name in ("ids", "ends", "vocabulary"))
    return ngrams.Tokens(ids, ends, lowered(vocabulary.tobytes().decode().split("\n")))
