"""The supernet computes the mixture that the papers define, although it shares work between edges."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.nb201.macro import Macro
from benchmarks.nb201.network import BN_EPS, CONV1, CONV3, KERNEL, NONE, POOL, SKIP, Network, initial_parameters, pool3
from benchmarks.nb201.space import EDGES, OPS, NB201Space
from benchmarks.nb201.supernet import Supernet
from benchmarks.nb201.task import NB201Task
from benchmarks.nb201.training import NB201TrainingSide
from methods.one_shot.parts.search import Search
from tests import made_search
from tests.made_search import small

__all__ = ["small"]

TINY = Macro(width=4, depth=2, channels=1, size=8, stem=1, reduction="pool", affine=False)
PAPER_LIKE = Macro(width=4, depth=1, channels=3, size=8, affine=False)
SPACE = NB201Space()


def images(macro: Macro, batch: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, macro.channels, macro.size, macro.size, generator=generator, dtype=torch.float64)


def double(supernet: Supernet) -> Supernet:
    supernet.module.double()
    return supernet


class Plain:
    """The same computation edge by edge and operation by operation, with the weights of the supernet."""

    def __init__(self, supernet: Supernet, normed: bool = False) -> None:
        self.network, self.ops, self.normed = supernet._network, supernet.ops, normed
        self.kernels: dict[tuple[int, int, int, int], Tensor] = {}
        for op in (CONV1, CONV3):
            for name, value in supernet.shared_with((op,) * 6).items():
                if name.startswith("stages.") and name.endswith("conv.weight"):
                    _, stage, depth, edge, *_ = name.split(".")
                    self.kernels[int(stage), int(depth), int(edge), op] = value

    def __call__(self, x: Tensor, weights: Tensor) -> Tensor:
        x = self.network.stem(x)
        for stage in range(3):
            if stage:
                x = self.network.reductions[stage - 1](x)
            for depth in range(self.network.macro.depth):
                nodes = [x]
                for target in (1, 2, 3):
                    terms = [
                        weights[..., edge, k].reshape(-1, 1, 1, 1) * self.operation(nodes[source], stage, depth, edge, op)
                        for edge, (to, source) in enumerate(EDGES)
                        if to == target
                        for k, op in enumerate(self.ops)
                    ]
                    nodes.append(torch.stack(torch.broadcast_tensors(*terms)).sum(0))
                x = normalised(nodes[3]) if self.normed else nodes[3]
        logits: Tensor = self.network.classifier(F.relu(self.network.norm(x)).mean((2, 3)))
        return logits

    def operation(self, x: Tensor, stage: int, depth: int, edge: int, op: int) -> Tensor:
        if op == NONE:
            return torch.zeros_like(x)
        if op in (SKIP, POOL):
            y = x if op == SKIP else pool3(x)
            return normalised(y) if self.normed else y
        return normalised(F.conv2d(F.relu(x), self.kernels[stage, depth, edge, op], padding=KERNEL[op] // 2))


def normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True, eps=BN_EPS)


@pytest.mark.parametrize("macro", [TINY, PAPER_LIKE])
@pytest.mark.parametrize("arch", [SPACE.sample(random.Random(seed)) for seed in range(6)] + [(0,) * 6, (1,) * 6, (3,) * 6])
def test_with_one_operation_per_edge_it_is_the_stand_alone_network(macro: Macro, arch: tuple[int, ...]) -> None:
    supernet = double(Supernet(macro, seed=3))
    network = Network(arch, macro).double().load(dict(supernet.shared_with(arch)))
    x = images(macro)
    expected = network(x)
    assert torch.allclose(supernet(x, None, supernet.active_for(arch)), expected, atol=1e-12)
    one_hot = F.one_hot(torch.tensor(arch), 5).double()
    assert torch.allclose(supernet(x, [one_hot], supernet.active_for(arch)), expected, atol=1e-12)
    assert torch.allclose(supernet(x, [one_hot]), expected, atol=1e-12)


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("none", [True, False])
@pytest.mark.parametrize("per_image", [True, False])
def test_a_mixture_and_its_gradients_equal_the_plain_sum(none: bool, per_image: bool, normed: bool) -> None:
    supernet = double(Supernet(TINY, none=none, normed=normed, seed=5))
    x = images(TINY)
    shape = (len(x), 6, len(supernet.ops)) if per_image else (6, len(supernet.ops))
    start = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradients = []
    forwards: list[Callable[[Tensor], Tensor]] = [lambda w: supernet(x, [w]), lambda w: Plain(supernet, normed)(x, w)]
    for forward in forwards:
        weights = start.clone().requires_grad_()
        supernet.module.zero_grad()
        loss = F.cross_entropy(forward(weights), torch.arange(len(x)) % 10)
        loss.backward()
        gradients.append(
            [loss.detach(), weights.grad, *[p.grad.clone() for p in supernet.module.parameters() if p.grad is not None]]
        )
    assert len(gradients[0]) == len(gradients[1]) > 20
    for ours, plain in zip(*gradients, strict=True):
        assert torch.allclose(ours, plain, atol=1e-12)


def test_gradients_of_the_weights_equal_finite_differences() -> None:
    supernet = double(Supernet(Macro(width=2, depth=1, channels=1, size=4, stem=1, reduction="pool", affine=False), seed=7))
    x = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: supernet(x, [w]), (weights,), eps=1e-6, atol=1e-5)


def test_operations_without_weight_need_not_run() -> None:
    supernet = double(Supernet(TINY, seed=1))
    generator = torch.Generator().manual_seed(4)
    mask = torch.rand(6, 5, generator=generator) < 0.5
    weights = torch.rand(6, 5, generator=generator, dtype=torch.float64) * mask
    active = (tuple(tuple(row.nonzero().flatten().tolist()) for row in mask),)
    x = images(TINY)
    assert torch.allclose(supernet(x, [weights], active), supernet(x, [weights]), atol=1e-12)
    plain_mask = supernet(x, None, active)
    assert torch.allclose(plain_mask, supernet(x, [mask.double()]), atol=1e-12)


def test_half_precision_computes_nearly_the_same() -> None:
    supernet, x = Supernet(TINY, seed=1), images(TINY, 32).float()
    weights = torch.full((6, 5), 0.2).requires_grad_()
    gradients = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = supernet(x, [weights])
        gradients.append(torch.autograd.grad(F.cross_entropy(logits.float(), torch.arange(32) % 10), weights)[0])
        assert logits.dtype == (torch.bfloat16 if half else torch.float32)
    full, half_precision = gradients
    assert torch.cosine_similarity(full.flatten(), half_precision.flatten(), dim=0) > 0.98
    assert not torch.equal(full, half_precision)


def test_straight_through_idle_operations_count_nothing_and_have_a_gradient() -> None:
    supernet = double(Supernet(TINY, seed=1))
    arch = (3, 1, 2, 4, 3, 2)
    weights = F.one_hot(torch.tensor(arch), 5).double().requires_grad_()
    x = images(TINY)
    y = supernet(x, [weights], supernet.active_for(arch), straight_through=True)
    assert torch.allclose(y, supernet(x, None, supernet.active_for(arch)), atol=1e-12)
    F.cross_entropy(y, torch.arange(len(x)) % 10).backward()
    assert weights.grad is not None
    idle = weights.grad[F.one_hot(torch.tensor(arch), 5) == 0].view(6, 4)
    # every idle operation of an edge enters as the same number
    assert torch.allclose(idle, idle[:, :1].expand_as(idle))
    assert (idle[:, 0] != 0).all()


def test_running_statistics_are_updated_if_requested() -> None:
    supernet = double(Supernet(TINY, track=True, seed=1))
    x, arch = images(TINY, 32), (3, 3, 2, 3, 2, 3)
    for _ in range(200):
        in_training = supernet(x, None, supernet.active_for(arch))
    supernet.module.eval()
    # the running variance is unbiased, so it differs a little from that of the batch
    assert torch.allclose(supernet(x, None, supernet.active_for(arch)), in_training, atol=0.1)
    single = supernet(x[:1], None, supernet.active_for(arch))
    assert torch.allclose(single, supernet(x, None, supernet.active_for(arch))[:1], atol=1e-12)
    without = double(Supernet(TINY, seed=1))
    without.module.eval()
    assert not torch.allclose(
        without(x[:2], None, without.active_for(arch)), without(x, None, without.active_for(arch))[:2], atol=1e-3
    )


def test_norms_after_operations_without_weights_have_statistics_of_their_edge() -> None:
    """D-43. An operation that is not executed does not touch its statistics."""
    supernet = double(Supernet(TINY, track=True, normed=True, seed=1))
    cell: Any = supernet.module.stages[0][0]  # type: ignore[index]
    x, arch = images(TINY, 32), (SKIP, SKIP, CONV3, POOL, CONV1, SKIP)
    for _ in range(200):
        in_training = supernet(x, None, supernet.active_for(arch))
    moved = [(op, edge) for op in (SKIP, POOL) for edge in range(6) if cell.norms[OPS[op]][edge].num_batches_tracked > 0]
    assert moved == [(SKIP, 0), (SKIP, 1), (SKIP, 5), (POOL, 3)] and cell.last[0].num_batches_tracked == 200
    supernet.module.eval()
    everything = supernet(x, None, supernet.active_for(arch))
    assert torch.allclose(everything, in_training, atol=0.1)
    assert torch.allclose(supernet(x[:1], None, supernet.active_for(arch)), everything[:1], atol=1e-12)
    assert all(norm.weight is None for norm in cell.norms["skip_connect"]), "they have no scale"


def test_norms_change_neither_initial_weights_nor_prices() -> None:
    """D-43. A supernet without them has no trace of them."""
    passes: list[list[int]] = []
    nets = [Supernet(TINY, normed=normed, seed=1, charge=lambda n, *_: passes.append(list(n))) for normed in (False, True)]
    (plain, normed) = (dict(net.module.named_parameters()) for net in nets)
    assert list(plain) == list(normed) and all(torch.equal(plain[name], normed[name]) for name in plain)
    for net in nets:
        net(images(TINY).float())
    assert passes[0] == passes[1]
    assert not [name for name in nets[0].module.state_dict() if "norms" in name or "last" in name]


def test_choices_of_the_training_side_are_those_of_the_task() -> None:
    of_every_space = {"self", "none", "track", "track_outside", "plain_last", "bias", "channels"}
    assert set(inspect.signature(NB201Task.supernet).parameters) - of_every_space == NB201TrainingSide.choices


def test_every_pass_is_charged() -> None:
    passes: list[tuple[list[int], float, bool]] = []
    supernet = Supernet(TINY, seed=1, charge=lambda counts, n, training, _: passes.append((list(counts), n, training)))
    x = images(TINY).float()
    supernet(x)
    with torch.no_grad():
        supernet(x[:2], None, supernet.active_for((0, 1, 2, 3, 4, 4)))
    assert passes == [([6] * 5, 6, True), ([1, 1, 1, 1, 2], 2, False)]


def test_discretisation_takes_the_best_of_each_edge() -> None:
    scores = torch.zeros(6, 4)
    scores[range(6), [3, 0, 1, 2, 2, 0]] = 1
    assert Supernet(TINY, none=False).derive([scores], random.Random(0)) == (4, 1, 2, 3, 3, 1)
    assert Supernet(TINY).derive([torch.zeros(6, 5)], random.Random(0)) == (0,) * 6
    with pytest.raises(ValueError, match="no 'none'"):
        Supernet(TINY, none=False).active_for((0, 1, 1, 1, 1, 1))


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def values(seed: int) -> Mapping[str, Tensor]:
        return dict(Supernet(TINY, seed=seed).module.named_parameters())

    a, b, c = values(1), values(1), values(2)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["stem.conv.weight"], c["stem.conv.weight"])
    spread = a["stages.0.0.convs.0.0.weight"].abs().max() * 36**0.5
    assert 0.9 < spread <= 1


def test_convolutions_have_a_bias_if_requested() -> None:
    biased = [
        name for name, _ in Supernet(TINY, bias=True).module.named_parameters() if "convs" in name and name.endswith("bias")
    ]
    assert len(biased) == 3 * 2 * 6
    assert initial_parameters((3,) * 6, TINY, 1)  # the stand-alone network has no bias


# -- running statistics ----------------------------------------------------------------------------------------------------


def test_norms_outside_the_cells_need_not_keep_statistics() -> None:
    """D-53: ``track_outside = False``. Training is the same; evaluation normalises by each batch."""
    nets = [double(Supernet(PAPER_LIKE, seed=11, track_outside=track)) for track in (True, False)]
    x = images(PAPER_LIKE)
    for _ in range(4):
        trained = [net(2 * x + 0.5) for net in nets]
        assert torch.equal(*trained)
    for net in nets:
        net.module.eval()
    with_statistics, without = (net(x[:3]) for net in nets)
    assert not torch.allclose(with_statistics, without, atol=0.01)
    assert not list(nets[1].module.buffers())
    assert torch.allclose(nets[1](2 * x + 0.5), trained[1], atol=1e-12), "as in training"


def test_a_search_chooses_which_norms_keep_statistics(small: None) -> None:
    """D-53, D-54: by default those outside the cells do, and the last has scale and shift."""

    def norms(**changes: bool) -> tuple[bool, bool, bool]:
        module = Search(made_search.view(), made_search.method("rsps", **changes)).net.module
        names = {name for name, _ in module.named_buffers()} | {name for name, _ in module.named_parameters()}
        return "stem.norm.running_mean" in names, "norm.running_mean" in names, "norm.weight" in names

    assert norms() == (True, True, True)
    assert norms(track_outside=False) == (False, False, True)
    assert norms(plain_last=True) == (True, False, False)
    assert norms(plain_last=True, track_stats=True) == (True, True, False)
