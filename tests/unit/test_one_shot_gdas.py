"""GDAS in NAS-Bench-1Shot1's supernet, against a plain pass: its own noise in every cell, and only what was drawn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro, Supernet, _CellModule, _Mixed
from methods.one_shot.parts.architecture import HardGumbel, Mixed, SoftmaxAdam, Unsampled
from methods.one_shot.parts.gumbel import linear_temperature
from methods.one_shot.parts.passes import CellForward, Forward
from methods.one_shot.parts.search import Search
from tests import made_nb1shot1_search
from tests.made_nb1shot1_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

TEMPERATURE = 2.5


def gumbel(logits: Tensor, exponential: Tensor, hard: bool) -> Tensor:
    """Return a Gumbel softmax of logits under exponential noise, or a one-hot sample with its gradient."""
    soft = F.softmax((logits - exponential.log()) / TEMPERATURE, -1)
    if not hard:
        return soft
    return F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype) - soft.detach() + soft


def pooled(value: Tensor) -> Tensor:
    return F.max_pool2d(value, 3, 1, 1)


def plain(net: Supernet, x: Tensor, logits: dict[str, Tensor], noise: dict[str, Tensor]) -> Tensor:
    """Return the logits of a pass, cell by cell. Operations of weight zero are not executed."""
    network = net._network
    x = network.stem(x)
    for number, cell in enumerate(network.cells):
        assert isinstance(cell, _CellModule)
        if number and number % network.depth == 0:
            x = F.max_pool2d(x, 2, 2, 1)
        drawn = {name: gumbel(table, noise[name][number], name == "operations") for name, table in logits.items()}
        projected, c = cell.projection(x), cell.channels
        values: list[Tensor] = []
        for block, mixed in enumerate(cell.mixed):
            assert isinstance(mixed, _Mixed)
            nodes = [projected[:, block * c : (block + 1) * c], *values]
            if f"inputs {block + 1}" in drawn:
                nodes = [w * node for w, node in zip(drawn[f"inputs {block + 1}"][0], nodes, strict=True)]
            entering = torch.stack(nodes).sum(0)
            functions: list[Callable[[Tensor], Tensor]] = [mixed.convs["0"], mixed.convs["1"], pooled]
            weights = drawn["operations"][block]
            terms = [w * f(entering) for w, f in zip(weights, functions, strict=True) if abs(w.item()) > 1e-10]
            values.append(torch.stack(terms).sum(0))
        first, *others = drawn["output"][0]
        joined = torch.cat([w * value for w, value in zip(others, values, strict=True)], 1)
        x = first * projected[:, net.blocks * c :] + joined
    x = network.norm(network.last(F.relu(x)))
    classified: Tensor = network.classifier(x.mean((2, 3)))
    return classified


def started(number: int = 1, **changes: object) -> Search:
    return Search(made_nb1shot1_search.view(number), made_nb1shot1_search.method("gdas", **changes))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_pass_and_its_gradients_are_those_of_a_plain_pass_under_the_same_noise(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-47, the side of NAS-Bench-1Shot1's code."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    search = started(number)
    assert search.net.cells > 1
    search.net.module.double()
    architecture = SoftmaxAdam(search, 3e-4, 1e-3)
    architecture.values = [(1000 * value.detach().double()).requires_grad_() for value in architecture.values]
    method = made_nb1shot1_search.method("gdas")
    relaxation = HardGumbel(search, method.noise, method.unsampled)
    relaxation.temperature = TEMPERATURE
    images, labels = search.task.plain("valid", 16, 0)
    names = [decision.name for decision in search.net.decisions]

    search.noise.manual_seed(5)
    loss = search.loss((images.double(), labels), relaxation(architecture))
    ours = [loss, *torch.autograd.grad(loss, [*architecture.values, *search.net.module.parameters()], allow_unused=True)]

    generator = torch.Generator().manual_seed(5)
    noise = {
        name: torch.empty(search.net.cells, *value.shape, dtype=torch.float64).exponential_(generator=generator)
        for name, value in zip(names, architecture.values, strict=True)
    }
    logits = dict(zip(names, architecture.values, strict=True))
    net = search.net
    assert isinstance(net, Supernet)
    expected_loss = F.cross_entropy(plain(net, images.double(), logits, noise), labels)
    parameters = [*architecture.values, *net.module.parameters()]
    expected = [expected_loss, *torch.autograd.grad(expected_loss, parameters, allow_unused=True)]
    for a, b in zip(ours, expected, strict=True):
        assert (a is None or not a.any()) if b is None else torch.allclose(a, b, rtol=0, atol=1e-10)
    assert all(gradient.any() for gradient in ours[1 : 1 + len(names)])


def test_noise_is_of_the_network_or_of_each_cell() -> None:
    """D-47."""
    search = started()
    architecture = SoftmaxAdam(search, 3e-4, 1e-3)
    search.noise.manual_seed(1)
    shared = HardGumbel(search)(architecture)
    assert isinstance(shared, Forward) and shared.straight_through
    search.noise.manual_seed(1)
    own = HardGumbel(search, noise="cell", unsampled="nothing")(architecture)
    assert isinstance(own, CellForward) and not own.straight_through
    assert len(own.weights) == len(own.active) == search.net.cells
    for number in range(len(search.net.decisions)):
        assert not torch.equal(own.weights[0][number], own.weights[1][number])
    for tables, active in zip(own.weights, own.active, strict=True):
        assert [tuple(row.nonzero().flatten().tolist()) for row in tables[0]] == list(active[0])


def test_an_operation_that_was_not_drawn_has_a_gradient_as_a_number_only() -> None:
    """D-47."""
    search = started()
    tables = SoftmaxAdam(search, 3e-4, 1e-3)
    images = search.task.plain("valid", 16, 0)
    kinds: tuple[Unsampled, ...] = ("number", "nothing")
    for unsampled in kinds:
        forward = HardGumbel(search, "cell", unsampled)(tables)
        assert isinstance(forward, CellForward)
        for cell in forward.weights:
            cell[0].retain_grad()
        search.loss(images, forward).backward()
        gradients = torch.stack([cell[0].grad for cell in forward.weights if cell[0].grad is not None])
        sampled = torch.stack([cell[0] for cell in forward.weights]) > 0
        assert gradients[sampled].any()
        assert bool(gradients[~sampled].any()) == (unsampled == "number")


def test_the_temperature_ends_short_of_the_coldest_in_nb1shot1() -> None:
    """D-48."""
    assert linear_temperature(0, 101, end=1.0) == 10
    assert linear_temperature(99, 101, end=1.0) == pytest.approx(10 - 9 * 99 / 100)
    assert linear_temperature(24, 26, end=1.0) == pytest.approx(1.36)
    assert linear_temperature(24, 25, end=1.0) == 1


@pytest.mark.parametrize(("cooling", "last"), [("unfinished", 4.0), ("linear", 1.0)])
def test_a_search_cools_by_its_schedule(cooling: str, last: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-48."""
    temperatures: list[float] = []
    plain_call = HardGumbel.__call__

    def call(self: HardGumbel, architecture: Mixed) -> Forward | CellForward:
        temperatures.append(self.temperature)
        return plain_call(self, architecture)

    monkeypatch.setattr(HardGumbel, "__call__", call)
    made_nb1shot1_search.search("gdas", epochs=3, cooling=cooling)
    assert temperatures[0] == 10
    assert temperatures[-1] == pytest.approx(last)


def test_the_presets_of_nb1shot1_draw_in_every_cell() -> None:
    for row in ("gdas", "gaea_gdas"):
        method = made_nb1shot1_search.method(row)
        assert (method.noise, method.unsampled, method.coldest) == ("cell", "nothing", 1.0)
    assert made_nb1shot1_search.method("gdas").cooling == "unfinished"


def test_a_pass_with_different_cells_costs_the_mean_of_what_each_would_cost_everywhere() -> None:
    charged: list[float] = []

    def record(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
        charged.append(seconds)

    task = made_nb1shot1_search.view(meter=lambda charge: record).task
    net, space = task.supernet(), NB1Shot1Space(1)
    images = task.plain("valid", 8, 0)[0]
    options = [net.active_for(space.at(k)) for k in (0, 80)]
    for active in (*options, options):
        net(images, None, active)
    first, second, both = charged
    assert first != second
    assert both == pytest.approx((first + second) / 2)


def test_the_statistics_of_the_last_norm_move_by_a_tenth_and_all_others_by_the_last_batch() -> None:
    """The code gives TensorFlow's momentum to its own layers; the last norm comes from DARTS and has PyTorch's."""
    net = Supernet(NB1Shot1Space(1), SearchMacro(width=4, channels=1, stacks=2, depth=1), seed=2)
    means: dict[torch.nn.Module, Tensor] = {}

    def note(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        means[module] = inputs[0].mean((0, 2, 3)).detach()

    norms = [module for module in net.module.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_hook(note)
    net(torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    for norm in norms:
        assert norm.running_mean is not None
        share = 0.1 if norm is net._network.norm else 0.997
        torch.testing.assert_close(norm.running_mean, share * means[norm])
    assert len(norms) > 10


def test_gaea_gdas_searches_nb1shot1_though_no_paper_does() -> None:
    """Its sampling there is that of the benchmark's GDAS (D-47)."""
    arch, trace = made_nb1shot1_search.search("gaea_gdas", epochs=2)
    assert arch in NB1Shot1Space(1)
    assert len(trace["proposals"]) >= 1
