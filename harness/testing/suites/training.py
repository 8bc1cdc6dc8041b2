"""The contract of a training side as tests: the task that a search in one world reaches as ``view.task``."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from harness.budget import BudgetExhausted, Ledger
from harness.outcome import Trace
from harness.problem import Problem
from harness.testing.benchmark_claims import WORLDS
from harness.testing.reach import contents, is_judge, reachable
from harness.view import SearchView
from harness.weight_sharing import Rules


class Points(NamedTuple):
    """The bytes of each data point, in the form in which the task stores its points."""

    search: Sequence[bytes]
    """The points for weights and for the architecture."""
    test: Sequence[bytes]

    @property
    def secret(self) -> list[bytes]:
        """Test points that are no point of the search too."""
        return sorted({*self.test} - {*self.search})


def begin(problem: Problem, world: int, ledger: Ledger | None = None, trace: Trace | None = None) -> SearchView:
    """Return the view of a search that trains, in one world, on the CPU."""
    if problem.training is None:
        raise ValueError("the problem has no training side")
    opened = functools.partial(problem.training, world, "cpu")
    return SearchView(problem.space, ledger or Ledger(), problem.oracle(world), 0, "self", task=opened, trace=trace)


class TrainingContract:
    """What the training side of a benchmark must do.

    Inherit, define the fixture :meth:`problem`, set :attr:`currencies`, and override :meth:`use` and :meth:`points`.
    """

    benchmarks: ClassVar[Sequence[str]] = ()
    """The ids of the benchmarks that the class tests. A test may check that no benchmark is missing."""
    currencies: ClassVar[Sequence[str]] = ("seconds", "epochs", "macs")
    """Currencies that a use of the task charges, always by the same amount."""

    @pytest.fixture
    def problem(self) -> Problem:
        """Return the benchmark, opened under a protocol."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `problem` that opens the benchmark")

    def use(self, task: Any, seed: int) -> Any:
        """Train something with a task, and return what it learned, as plain values."""
        raise NotImplementedError

    def points(self, problem: Problem) -> Points:
        """Return the points of the search and the test points."""
        raise NotImplementedError

    def within_reach(self, task: Any) -> Any:
        """Return the task, with everything that a search may build from it."""
        return task

    def test_what_is_learned_depends_on_the_world_and_the_request_alone(self, problem: Problem) -> None:
        for world in WORLDS:
            first, again = begin(problem, world).task, begin(problem, world).task
            forwards = [self.use(first, seed) for seed in range(3)]
            backwards = [self.use(again, seed) for seed in reversed(range(3))]
            assert forwards == backwards[::-1]
        a, b = (self.use(begin(problem, world).task, 0) for world in WORLDS)
        assert a != b

    def test_nothing_is_free_and_nothing_is_done_beyond_the_budget(self, problem: Problem) -> None:
        view = begin(problem, 1)
        self.use(view.task, 0)
        for currency in self.currencies:
            cost = view.budget.spent(currency)
            assert cost > 0, currency
            limited = begin(problem, 1, Ledger(currency, 1.5 * cost))
            self.use(limited.task, 0)
            with pytest.raises(BudgetExhausted):
                self.use(limited.task, 1)
            assert cost <= limited.budget.spent(currency) <= 1.5 * cost

    def test_no_test_point_can_be_reached_from_a_view(self, problem: Problem) -> None:
        view = begin(problem, 1)
        self.use(view.task, 0)
        points = self.points(problem)
        reached = list(reachable((view, self.within_reach(view.task))))
        memory = contents(reached)
        assert not any(point in memory for point in points.secret)
        assert not any(map(is_judge, reached))
        scores = problem.judge.score(problem.space.sample(random.Random(0)), 1).values()
        secrets = {metrics["test"] for metrics in scores if not math.isnan(metrics["test"])}
        rounded = {float(np.float32(value)) for value in secrets}  # in a tensor of float32
        assert not {value for value in reached if isinstance(value, float)} & (secrets | rounded)

    def test_the_walk_would_have_noticed_because_it_meets_every_point_of_the_search(self, problem: Problem) -> None:
        points = self.points(problem)
        memory = contents(list(reachable(begin(problem, 1).task)))
        assert len(points.secret) > 10
        assert [number for number, point in enumerate(points.search) if point not in memory] == []


def _in_a_slice(module: Any, images: Any) -> None:
    module.register_buffer("hidden", images[:1, :0])


def _in_a_hook(module: Any, images: Any) -> None:
    module.register_forward_hook(lambda *_: None if len(images) else 0)


class WeightSharingContract(TrainingContract):
    """What a training side with images and a supernet must do: :class:`harness.weight_sharing.Task`.

    Inherit, define the fixture ``problem``, set ``currencies``, and override :meth:`points`.
    """

    batch: ClassVar[int] = 16
    """Images per step."""

    def use(self, task: Any, seed: int) -> Any:
        """Take one training step of the supernet, and evaluate a batch."""
        import torch
        from torch.nn.functional import cross_entropy

        supernet = task.supernet()
        optimizer = torch.optim.SGD(supernet.module.parameters(), 0.01)
        images, labels = next(iter(task.batches("train", self.batch, seed)))
        loss = cross_entropy(supernet(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            logits = supernet(task.plain("valid", self.batch, seed)[0])
        return loss.item(), logits.tolist()

    def within_reach(self, task: Any) -> Any:
        """Return the task, a supernet, and a batch of every loader."""
        batches = [next(iter(task.batches(part, self.batch, 0))) for part in ("train", "valid", "full")]
        plain = [task.plain(part, self.batch, 0) for part in ("train", "valid")]
        return task, task.supernet(), batches, plain, next(iter(task.pairs(self.batch, 0)))

    def test_a_task_states_its_rules_and_the_factor_of_the_rate_of_a_batch(self, problem: Problem) -> None:
        task = begin(problem, 1).task
        for _ in task.batches("train", self.batch, 0):
            assert 0 < task.rate_factor <= 1
        assert isinstance(task.rules, Rules)

    @pytest.mark.parametrize("hide", [_in_a_slice, _in_a_hook], ids=lambda hide: hide.__name__.strip("_"))
    def test_a_test_image_in_a_supernet_would_be_noticed(self, hide: Callable[[Any, Any], None], problem: Problem) -> None:
        import torch

        supernet = begin(problem, 1).task.supernet()
        secret = self.points(problem).secret
        memory = contents(list(reachable(supernet)))
        assert not any(point in memory for point in secret)
        hide(supernet.module, torch.frombuffer(bytearray(b"".join(secret)), dtype=torch.uint8).view(len(secret), -1))
        memory = contents(list(reachable(supernet)))
        assert all(point in memory for point in secret)

    def test_cells_may_have_their_own_weights_and_options(self, problem: Problem) -> None:
        import torch

        task = begin(problem, 1).task
        supernet = task.supernet()
        supernet.module.eval()
        images = task.plain("valid", self.batch, 0)[0]
        generator = torch.Generator().manual_seed(1)
        shape = [(decision.rows, len(decision.options)) for decision in supernet.decisions]
        tables = [[torch.rand(size, generator=generator).to(task.device) for size in shape] for _ in range(supernet.cells)]
        options = [supernet.active_for(problem.space.sample(random.Random(cell))) for cell in range(supernet.cells)]
        with torch.no_grad():
            shared = supernet(images, tables[0], options[0])
            repeated = supernet(images, [tables[0]] * supernet.cells, [options[0]] * supernet.cells)
            torch.testing.assert_close(repeated, shared)
            torch.testing.assert_close(supernet(images, tables[0], [options[0]] * supernet.cells), shared)
            if supernet.cells > 1:
                assert not torch.allclose(supernet(images, tables, options[0]), shared)
                assert not torch.allclose(supernet(images, tables[0], options), shared)
        for wrong in ({"weights": [tables[0]] * (supernet.cells + 1)}, {"active": [options[0]] * (supernet.cells + 1)}):
            with pytest.raises(ValueError, match=r"."):
                supernet(images, **wrong)

    @pytest.mark.parametrize("training", [False, True])
    def test_the_price_of_a_pass_is_what_it_is_charged(self, training: bool, problem: Problem) -> None:
        import torch

        ledger = Ledger()
        task = begin(problem, 1, ledger).task
        supernet = task.supernet()
        images = task.plain("valid", self.batch, 0)[0]
        for cells in (1, supernet.cells):
            options = [supernet.active_for(problem.space.sample(random.Random(cell))) for cell in range(cells)]
            active = options if cells > 1 else options[0]
            before = ledger.snapshot()
            price = supernet.price(len(images), active=active, training=training)
            assert ledger.snapshot() == before, "a price is no charge"
            with torch.set_grad_enabled(training):
                supernet(images, active=active)
            charged = {name: ledger.spent(name) - before[name] for name in self.currencies}
            assert {name: price.get(name, 0.0) for name in self.currencies} == pytest.approx(charged)
            assert any(charged.values())
            assert problem.training is not None
            assert {name for name, amount in price.items() if amount} <= problem.training.currencies

    def test_the_generator_decides_between_equal_scores_and_changes_no_other_choice(self, problem: Problem) -> None:
        import torch

        supernet = begin(problem, 1).task.supernet()
        equal = [torch.ones(decision.rows, len(decision.options)) for decision in supernet.decisions]
        assert len({supernet.derive(equal, random.Random(seed)) for seed in range(20)}) > 10
        assert supernet.derive(equal, random.Random(1)) == supernet.derive(equal, random.Random(1))
        generator = torch.Generator().manual_seed(1)
        different = [torch.rand(table.shape, generator=generator) for table in equal]
        assert len({supernet.derive(different, random.Random(seed)) for seed in range(20)}) == 1
