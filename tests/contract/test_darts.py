"""The DARTS space keeps the contract of a benchmark that tabulates nothing, and no search reaches a test image."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.darts import subsample
from benchmarks.darts import task as darts_task
from benchmarks.darts.image_folder import class_files, decoded, image_folder
from benchmarks.darts.macro import Macro
from benchmarks.images import dataset, parts, task
from benchmarks.images.dataset import STATISTICS, ImageSet
from harness import registry
from harness.delivery import Delivery
from harness.problem import Problem
from harness.testing.reach import contents, is_judge, reachable
from harness.testing.suites.benchmarks import UntabulatedContract
from harness.testing.suites.training import Points, WeightSharingContract, begin
from tests import made_imagenet


class DartsContract(UntabulatedContract, WeightSharingContract):
    currencies = ("epochs", "macs")  # seconds are those of this machine

    name: str

    @pytest.fixture
    def problem(self) -> Problem:
        return registry.benchmark(f"darts/{self.name}").open({}, {})

    def points(self, problem: Problem) -> Points:
        """Return the bytes of the images: a task stores height, width, channels."""
        train, test = ([image.tobytes() for image in part.images.transpose(0, 2, 3, 1)] for part in dataset.load(self.name))
        return Points(train, test)

    def test_a_search_that_delivers_a_network_reaches_no_test_image(self, problem: Problem) -> None:
        """The judge opens the test images when it tests the network, in another process."""
        view = begin(problem, 1)
        self.use(view.task, 0)
        arch = problem.space.sample(random.Random(0))
        network = view.task.supernet(affine=True, none=False).absorb(arch)
        network(view.task.plain("valid", self.batch, 0)[0])
        view.deliver(arch, network.weights(), **network.settings)
        reached = list(reachable((view, view.task, network)))
        assert any(isinstance(value, Delivery) for value in reached)
        memory = contents(reached) + network.weights()
        assert not any(point in memory for point in self.points(problem).secret)
        assert not any(map(is_judge, reached))


class TestDigits(DartsContract):
    benchmarks = ("darts/digits",)
    name = "digits"


@pytest.mark.slow
class TestCifar10(DartsContract):
    """A few images of noise in the place of CIFAR-10's."""

    benchmarks = ("darts/cifar10",)
    name = "cifar10"
    batch = 2

    @pytest.fixture(autouse=True)
    def images(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        rng, (mean, std) = np.random.default_rng(0), STATISTICS["cifar10"]
        train = ImageSet(
            "made", rng.integers(0, 256, (40, 3, 32, 32), np.uint8), np.arange(40) % 10, 10, mean, std, "made", "0"
        )
        test = replace(train, images=rng.integers(0, 256, (20, 3, 32, 32), np.uint8), labels=np.arange(20) % 10)
        for module in (dataset, parts):
            monkeypatch.setattr(module, "load", lambda *_: (train, test))
        task.residents.cache_clear()
        yield
        task.residents.cache_clear()


class TestImageNet(DartsContract):
    """A few images in the place of ImageNet's, in small crops."""

    benchmarks = ("darts/imagenet",)
    name = "imagenet"
    batch = 2

    @pytest.fixture(autouse=True)
    def images(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("images")
        made_imagenet.write(folder)
        monkeypatch.setenv("NAS_DATA", str(folder))
        monkeypatch.setenv("NAS_CACHE", str(folder / "cache"))
        small = Macro(width=4, depth=3, size=32, stem="imagenet_search", auxiliary=False)
        monkeypatch.setitem(darts_task.MACROS, "imagenet", small)
        subsample._opened.cache_clear()
        yield
        subsample._opened.cache_clear()

    def points(self, problem: Problem) -> Points:
        """Return the bytes of decoded images; the images of the test set are decoded in the same way."""
        _, files = class_files(image_folder() / "val")
        side = (subsample.SIDE, subsample.SIDE)
        test = [np.asarray(decoded(path).resize(side, Image.Resampling.BILINEAR)).tobytes() for path in files.paths]
        return Points([image.tobytes() for image in subsample.subsample().images], test)
