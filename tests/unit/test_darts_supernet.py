"""The DARTS supernet computes the mixtures that the papers define, although it shares work between edges."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.darts import mixed
from benchmarks.darts.absorption import absorbed
from benchmarks.darts.cell import EDGE, EDGES, OPS
from benchmarks.darts.macro import Macro
from benchmarks.darts.mixed import MixedEdges
from benchmarks.darts.plan import CONVS, GROUPS, SKIP, plan
from benchmarks.darts.search_network import EVERYTHING, MixedCell, SearchNetwork, _keep, shuffled
from benchmarks.darts.size import network_size
from benchmarks.darts.space import DartsSpace
from benchmarks.darts.supernet import Supernet
from methods.one_shot.parts.sgd import Sgd
from tests.plain_darts import BATCH, TINY, Plain, images, made, ones, tables

PARTIAL = Macro(width=8, depth=3, channels=1, size=4, auxiliary=False)
MOBILE = Macro(width=4, depth=3, channels=3, size=32, stem="imagenet_search", auxiliary=False)
SINGLE, MULTI, MIXED = (DartsSpace(family) for family in ("single", "multi", "mixed"))
LABELS = torch.arange(BATCH) % 10

CHOICES: dict[str, tuple[Macro, dict[str, bool | int]]] = {
    "plain": (TINY, {}),
    "no_none": (TINY, {"none": False}),
    "untracked": (TINY, {"track": False}),
    "affine": (TINY, {"affine": True, "none": False}),
    "edges": (TINY, {"edges": True}),
    "partial": (PARTIAL, {"partial": 4, "edges": True}),
    "partial_only": (PARTIAL, {"partial": 2}),
    "imagenet": (MOBILE, {"partial": 2, "edges": True}),
}


def gradients(net: Supernet, start: Sequence[Tensor], forward: Callable[[list[Tensor]], Tensor]) -> list[Tensor]:
    weights = [table.clone().requires_grad_() for table in start]
    net.module.zero_grad()
    y = forward(weights)
    F.cross_entropy(y, LABELS).backward()
    own = [p.grad.clone() for p in net.module.parameters() if p.grad is not None]
    of_tables = [w.grad for w in weights if w.grad is not None]
    assert len(of_tables) == len(weights)
    return [y.detach(), *of_tables, *own]


def network_of(net: Supernet) -> SearchNetwork:
    """Return the network of a supernet."""
    assert isinstance(net.module, SearchNetwork)
    return net.module


def cell_of(net: Supernet, number: int) -> MixedCell:
    """Return a cell of a supernet."""
    cell = network_of(net).cells[number]
    assert isinstance(cell, MixedCell)
    return cell


def jiggled(net: Supernet) -> None:
    """Move scales away from one, and shifts away from zero."""
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for name, value in net.module.named_parameters():
            if name.endswith(("scale", "shift")):
                value.add_(0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "per_image"),
    [("plain", False), ("untracked", True), ("affine", False), ("affine", True), ("partial", False), ("partial", True)],
)
def test_a_mixture_and_its_gradients_equal_the_plain_sum(name: str, per_image: bool) -> None:
    macro, choices = CHOICES[name]
    net, x = made(macro, **choices), images(macro)
    jiggled(net)
    start = tables(net, batch=BATCH if per_image else 0)
    ours = gradients(net, start, lambda w: net(x, w))
    plain = gradients(net, start, lambda w: Plain(net)(x, w))
    assert len(ours) == len(plain) > 20
    for a, b in zip(ours, plain, strict=True):
        assert torch.allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("name", CHOICES)
def test_an_architecture_is_executed_alone(name: str) -> None:
    macro, choices = CHOICES[name]
    net, x, rng = made(macro, **choices), images(macro), random.Random(4)
    jiggled(net)
    for space in (SINGLE, MIXED):
        arch = space.sample(rng)
        expected = Plain(net)(x, ones(net, arch)) if net.partial == 1 or net.edges else None
        alone = net(x, None, net.active_for(arch))
        if expected is not None:
            assert torch.allclose(alone, expected, atol=1e-9)
        assert torch.allclose(alone, net(x, ones(net, arch), net.active_for(arch)), atol=1e-9)
        assert net.arch_of(net.active_for(arch)) == arch


@pytest.mark.parametrize("name", CHOICES)
def test_operations_without_weight_need_not_run(name: str) -> None:
    macro, choices = CHOICES[name]
    net, x = made(macro, **choices), images(macro)
    generator = torch.Generator().manual_seed(4)
    start = tables(net)
    masks = [torch.rand(table.shape, generator=generator) < 0.4 for table in start]
    weights = [table * mask for table, mask in zip(start, masks, strict=True)]
    active = tuple(tuple(tuple(row.nonzero().flatten().tolist()) for row in mask) for mask in masks)
    if net.partial > 1 and not net.edges:
        pytest.skip("an edge that executes nothing lets no channel pass")
    everything, selected = net(x, weights), net(x, weights, active)
    if net.partial > 1:  # likewise for edges with weights: compare passes in which every row executes something
        active = tuple(tuple(row or (0,) for row in rows) if number < 2 else rows for number, rows in enumerate(active))
        selected = net(x, weights, active)
    assert torch.allclose(selected, everything, atol=1e-9)
    own = [table.expand(BATCH, *table.shape) for table in weights]
    assert torch.allclose(net(x, own, active), everything, atol=1e-9)


@pytest.mark.parametrize("op", range(len(OPS)))
def test_one_operation_alone_has_the_gradients_of_the_plain_sum(op: int) -> None:
    """PyTorch's backward pass of a norm reads past the end of a scale that is one number expanded."""
    net, x = made(none=False), images()
    columns = torch.arange(len(OPS)) == op
    weights = [table * columns for table in tables(net)]
    active = tuple(((op,),) * decision.rows for decision in net.decisions)
    gradients = []
    for logits in (net(x, weights, active), Plain(net, skipping=True)(x, weights)):
        net.module.zero_grad()
        F.cross_entropy(logits, LABELS).backward()
        gradients.append([torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.module.parameters()])
    for ours, plain in zip(*gradients, strict=True):
        assert torch.allclose(ours, plain, atol=1e-8)


@pytest.mark.parametrize("space", [SINGLE, MULTI], ids=lambda space: space.family)
@pytest.mark.parametrize("weighted", [False, True])
def test_absorption_of_the_weights_is_exact_at_inference(space: DartsSpace, weighted: bool) -> None:
    """Without weights it is the network that is retrained: strides, paddings and norms are the same, in training too."""
    net, x, rng = made(TINY, affine=True, none=False), images(batch=16), random.Random(6)
    jiggled(net)
    with torch.no_grad():
        arch = space.sample(rng)
        weights = tables(net) if weighted else None
        net(2 * x + 0.1, weights, net.active_for(arch))  # move the statistics
        alone = absorbed(network_of(net), arch, weights)
        assert torch.allclose(alone(x)[0], net(x, weights, net.active_for(arch)), atol=1e-9)
        net.module.eval()
        assert torch.allclose(net.absorb(arch, weights)(x), net(x, weights, net.active_for(arch)), atol=1e-9)
        net.module.train()


def test_only_architectures_with_a_stand_alone_network_are_absorbed() -> None:
    with pytest.raises(ValueError, match="affine norms"):
        made().absorb(SINGLE.sample(random.Random(1)))
    with pytest.raises(ValueError, match="edge weights"):
        made(affine=True, edges=True).absorb(SINGLE.sample(random.Random(1)))
    vanishing = (1, 0, 0, 0, 0) + (0,) * 9
    with pytest.raises(ValueError, match="vanished nodes"):
        made(affine=True).absorb(vanishing * 2)


def test_gradients_of_the_weights_equal_finite_differences() -> None:
    net = made(edges=True)
    x, weights = images(), [table.requires_grad_() for table in tables(net)]

    def loss(tables: Sequence[Tensor]) -> Tensor:
        return F.cross_entropy(net(x, tables), LABELS)

    gradients = torch.autograd.grad(loss(weights), weights)
    generator = torch.Generator().manual_seed(6)
    for _ in range(4):  # along random directions through all tables
        towards = [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]
        sides = [loss([w.detach() + sign * 1e-6 * d for w, d in zip(weights, towards, strict=True)]) for sign in (1.0, -1.0)]
        expected = sum(float((g * d).sum()) for g, d in zip(gradients, towards, strict=True))
        assert (sides[0] - sides[1]).item() / 2e-6 == pytest.approx(expected, rel=1e-4)


def test_straight_through_idle_operations_count_nothing_and_have_a_gradient() -> None:
    net, x = made(), images()
    arch = SINGLE.sample(random.Random(1))
    drawn = [table.requires_grad_() for table in ones(net, arch)]
    for kind in range(2):  # an edge without operation has drawn 'none'
        with torch.no_grad():
            drawn[kind][drawn[kind].sum(-1) == 0, 0] = 1
    active = tuple(tuple((int(row.argmax()),) for row in table) for table in drawn)
    y = net(x, drawn, active, straight_through=True)
    assert torch.allclose(y, net(x, None, net.active_for(arch)), atol=1e-12)
    for kind, gradient in enumerate(torch.autograd.grad(F.cross_entropy(y, LABELS), drawn)):
        for edge, (target, _) in enumerate(EDGES):
            idle = [option for option in range(8) if option not in active[kind][edge]]
            assert torch.allclose(gradient[edge, idle], gradient[edge, idle[0]])
            assert gradient[edge, idle[0]] != 0 or target < 5


def test_running_statistics_are_updated_if_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, arch = made(), images(batch=256), SINGLE.sample(random.Random(2))
    monkeypatch.setattr(mixed, "BN_MOMENTUM", 1.0)  # statistics are those of the last batch
    for norm in (module for module in net.module.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        in_training = net(x, None, net.active_for(arch))
        net.module.eval()
        # the running variance is unbiased, so it differs a little from that of the batch
        together = net(x, None, net.active_for(arch))
        assert torch.allclose(together, in_training, atol=0.1)
        assert torch.allclose(net(x[:1], None, net.active_for(arch)), together[:1], atol=1e-9)
    x = images()
    bare = made(track=False)
    bare.module.eval()
    assert not torch.allclose(bare(x[:2], None, bare.active_for(arch)), bare(x, None, bare.active_for(arch))[:2], atol=1e-3)


def test_statistics_of_idle_operations_do_not_change() -> None:
    """D-84."""
    net, x = made(), images()
    arch = SINGLE.sample(random.Random(2))
    net(x, None, net.active_for(arch))
    mean = dict(net.module.named_buffers())["cells.0.groups.0.first_norm.mean"]
    convolved = sum(arch[edge] >> op & 1 for edge in GROUPS[0].edges for op in CONVS)
    assert 0 < convolved == (mean.abs().sum(1) > 0).sum()


@pytest.mark.parametrize("affine", [False, True])
def test_drop_path_keeps_the_mean_and_spares_bare_identities_only(affine: bool) -> None:
    """In the supernet of one-stage ISTA-NAS, identities have norms, and drop-path drops the output of every operation."""
    run = plan(GROUPS[0], (tuple(range(len(OPS))),) * len(EDGES), 1, affine)
    keep = _keep(run, 2000, 0.25, torch.Generator().manual_seed(1), torch.zeros(1))
    identities = run.at.slots % len(OPS) == SKIP
    assert identities.sum() == 8
    assert bool((keep[:, identities] == 1).all()) != affine
    assert torch.allclose(keep.mean(0)[affine | ~identities], torch.ones(1), atol=0.05)


def test_drop_path_is_random_in_training_only() -> None:
    net, x = made(TINY, none=False, affine=True), images()
    skips = tuple([1 << 2 if source < 2 else 0 for _, source in EDGES] * 2)
    net.drop_path = 0.5
    net.seed_drop_path(1)
    assert not cell_of(net, 0).reduces
    assert cell_of(net, 1).reduces
    first = net(x, None, net.active_for(skips))
    assert not torch.allclose(first, net(x, None, net.active_for(skips)))
    net.module.eval()
    assert torch.allclose(net(x, None, net.active_for(skips)), net(x, None, net.active_for(skips)))
    net.module.train()
    net.drop_path = 0.0
    assert torch.allclose(net(x, None, net.active_for(skips)), net(x, None, net.active_for(skips)))


def test_frozen_norms_are_not_trained() -> None:
    net, x = made(affine=True, none=False), images()
    sgd = Sgd(net.module, 0.9, 0.1, False)
    sgd.frozen = net.freeze_affine([(0, 3), (1, 2)])
    arch = MULTI.sample(random.Random(1))
    for _ in range(2):
        sgd.zero()
        F.cross_entropy(net(x, None, net.active_for(arch)), LABELS).backward()
        sgd.step(0.1)
    normal, reduce = cell_of(net, 0).groups[0], cell_of(net, 1).groups[0]
    assert isinstance(normal, MixedEdges) and isinstance(reduce, MixedEdges)
    for mixed_edges, node in ((normal, 3), (reduce, 2)):
        assert mixed_edges.first_norm.scale is not None
        scale = mixed_edges.first_norm.scale.view(4, 8, -1)
        frozen = [at for at in range(8) if mixed_edges.group.targets[mixed_edges.group.row(at)] == node]
        assert (scale[:, frozen] == 1).all(), "neither trained nor decayed"
        assert (scale[:, [at for at in range(8) if at not in frozen]] != 1).all()
    assert normal.plain_scale is not None
    own = normal.plain_scale.view(3, 8, -1)
    assert (own[:, 2:4] == 1).all() and (own[:, :2] != 1).all()
    assert normal.first_point.grad is not None and (normal.first_point.grad != 0).any()
    assert not net.freeze_affine([]).any()


def test_channels_are_dealt_out_in_turn() -> None:
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert shuffled(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_every_pass_is_charged_and_an_architecture_costs_as_much_as_its_network() -> None:
    passes: list[tuple[float, int, bool]] = []
    net = Supernet(TINY, charge=lambda *charge: passes.append(charge[:-1]))
    arch = MULTI.sample(random.Random(3))
    x = images().float()
    net(x)
    with torch.no_grad():
        net(x[:2], None, net.active_for(arch))
        with net.unmetered():
            net(x)
    macs = [network_size(executed, TINY).macs for executed in (EVERYTHING, arch)]
    assert passes == [(macs[0], 3, True), (macs[1], 2, False)]


def test_a_cell_may_differ_from_the_next_in_what_it_executes() -> None:
    net, x, rng = made(), images(), random.Random(5)
    archs = [SINGLE.sample(rng) for _ in range(3)]
    different = net(x, None, [net.active_for(arch) for arch in archs])
    joined = [net.active_for(archs[0])[0], net.active_for(archs[1])[1]]  # cells 1 and 2 are reduction cells
    same = net(x, None, [net.active_for(archs[0]), tuple(joined), net.active_for(archs[2])])
    assert torch.allclose(different, same, atol=1e-12)
    assert not torch.allclose(different, net(x, None, net.active_for(archs[0])), atol=1e-6)


def test_discretisation_keeps_two_inputs_of_each_node() -> None:
    no_choice: dict[str, bool] = {}
    for choices in (no_choice, {"none": False}, {"edges": True}):
        net, rng = made(TINY, **choices), random.Random(5)
        for _ in range(20):
            arch = SINGLE.sample(rng)
            assert net.derive(ones(net, arch), random.Random(0)) == arch


def test_none_takes_no_part_in_the_comparison_but_in_the_denominator() -> None:
    net = made()
    table = torch.full((14, 8), 0.1)
    table[:, 0] = 0.9
    table[EDGE[5, 1], 3] = table[EDGE[5, 4], 7] = 0.2
    arch = net.derive([table, table], random.Random(0))
    assert {EDGES[edge][1] for edge in range(14) if arch[edge] and EDGES[edge][0] == 5} == {1, 4}
    assert arch[EDGE[5, 1]] == 1 << 2
    assert arch[EDGE[5, 4]] == 1 << 6


def test_edges_decide_together_with_operations() -> None:
    net = made(edges=True)
    tables = [torch.full((d.rows, len(d.options)), 0.5) for d in net.decisions]
    tables[0][EDGE[4, 0], 1] = 0.9
    tables[2 + 2][0] = torch.tensor([0.1, 0.2, 0.3, 0.4])[: tables[4].shape[1]]  # inputs of node 4 of the normal cell
    arch = net.derive(tables, random.Random(0))
    # .9 x .1 of the best operation is less than .5 x .2 of the others
    assert [bool(arch[EDGE[4, source]]) for source in range(4)] == [False, False, True, True]


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def values(seed: int) -> dict[str, Tensor]:
        return dict(Supernet(TINY, seed=seed).module.named_parameters())

    a, b, c = values(1), values(1), values(2)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["stem.0.weight"], c["stem.0.weight"])
    for name, fan_in in (("first_point", 4), ("first.1", 25), ("second.0", 9)):
        spread = a[f"cells.0.groups.0.{name}"].abs().max() * fan_in**0.5
        assert 0.9 < spread <= 1


@pytest.mark.parametrize(("width", "partial", "reason"), [(4, 3, "not divisible by partial = 3"), (4, 8, "cannot be halved")])
def test_a_width_that_cannot_be_shared_out_is_refused(width: int, partial: int, reason: str) -> None:
    macro = Macro(width=width, depth=1, channels=1, size=8, auxiliary=False)
    with pytest.raises(ValueError, match=reason):
        Supernet(macro, partial=partial)
