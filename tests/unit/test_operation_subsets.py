"""A search may be limited to some operations for each kind of cell: SparseNAS' smaller space, CoNAS' Table 6."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from benchmarks.darts import task
from benchmarks.darts.cell import EDGES, OPS
from benchmarks.darts.macro import Macro
from benchmarks.darts.space import DartsSpace, cells
from benchmarks.darts.supernet import Supernet
from harness import registry
from harness.space import Arch
from harness.testing.toy import ToyProblem, ToySharingProblem
from harness.training import Meter
from methods.one_shot.parts.operations import CHERRY_PICKED, FIVE
from methods.one_shot.parts.switches import Switches
from tests import made_darts
from tests.made_search import small
from tests.plain_darts import TINY, images, made, tables

__all__ = ["small"]

PARTIAL = Macro(width=8, depth=3, channels=1, size=4, auxiliary=False)
MIXED = DartsSpace("mixed")
NETS: dict[str, tuple[Macro, dict[str, bool | int]]] = {
    "plain": (TINY, {"none": False}),
    "none": (TINY, {}),
    "affine": (TINY, {"affine": True, "none": False}),
    "edges": (PARTIAL, {"edges": True, "partial": 4}),
}
SUBSETS = {"cherry_picked": CHERRY_PICKED, "five": FIVE, "one_kind": {"reduce": ("max_pool_3x3",)}}


def columns(net: Supernet) -> list[list[int]]:
    """Return for each operation decision the options of a supernet with every operation that are options of ``net``."""
    every = ("none", *OPS) if net.none else OPS
    return [[every.index(option) for option in decision.options] for decision in net.decisions[:2]]


def widened(net: Supernet, weights: Sequence[Tensor], every: Supernet) -> list[Tensor]:
    """Return the weights with a zero for every operation that ``net`` has not."""
    wide = [torch.zeros(*table.shape[:-1], len(every.decisions[0].options), dtype=table.dtype) for table in weights[:2]]
    for table, own, at in zip(wide, weights, columns(net), strict=False):
        table[..., at] = own.detach()
    return [*(table.requires_grad_() for table in wide), *weights[2:]]


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("name", NETS)
def test_it_is_the_supernet_of_all_operations_whose_other_weights_are_zero(name: str, subset: str, per_image: bool) -> None:
    macro, choices = NETS[name]
    net, every = made(macro, operations=SUBSETS[subset], **choices), made(macro, **choices)
    x = images(macro)
    weights = [table.requires_grad_() for table in tables(net, batch=len(x) if per_image else 0)]
    wide = widened(net, weights, every)
    options = columns(net)
    active = tuple(
        tuple(tuple(options[number]) for _ in rows) if number < 2 else rows for number, rows in enumerate(every._everything)
    )
    for straight_through in (False, True):
        ours = net(x, weights, straight_through=straight_through)
        full = every(x, wide, active, straight_through=straight_through)
        assert torch.allclose(ours, full, atol=1e-9)
        own = torch.autograd.grad(ours.square().sum(), weights)
        of_wide = torch.autograd.grad(full.square().sum(), wide)
        for number, gradient in enumerate(own):
            expected = of_wide[number][..., options[number]] if number < 2 else of_wide[number]
            assert torch.allclose(gradient, expected, atol=1e-9)


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_pass_costs_what_it_executes(subset: str) -> None:
    paid: list[float] = []

    def charge(macs: float, images: int, training: bool, meter: Meter) -> None:
        paid.append(macs)

    x = images().float()
    net = Supernet(TINY, none=False, operations=SUBSETS[subset], charge=charge)
    net(x)
    every = Supernet(TINY, none=False, charge=charge)
    options = columns(net)
    every(x, None, tuple(tuple(tuple(options[number]) for _ in EDGES) for number in range(2)))
    every(x)
    assert paid[0] == paid[1] < paid[2]


def allowed(operations: Mapping[str, Sequence[str]], kind: int) -> set[str]:
    return set(operations.get(("normal", "reduce")[kind], OPS))


@pytest.mark.parametrize("name", ["plain", "none", "edges"])
def test_architectures_and_options_are_inverse_and_strange_operations_are_refused(name: str) -> None:
    macro, choices = NETS[name]
    net, rng = made(macro, operations=CHERRY_PICKED, **choices), random.Random(3)
    for count in (2, 15, 28):
        arch = MIXED.sample_operations(rng, count, CHERRY_PICKED)
        assert net.arch_of(net.active_for(arch)) == arch
    with pytest.raises(ValueError, match="the normal cells of this supernet have no avg_pool_3x3"):
        net.active_for(MIXED.sample_operations(rng, 15, {**CHERRY_PICKED, "normal": ["avg_pool_3x3"]}))
    for count, operations in (
        (1, CHERRY_PICKED),
        (15, {"reduce": ()}),
        (29, {"normal": ["skip_connect"], "reduce": ["skip_connect"]}),
    ):
        with pytest.raises(ValueError, match=r"operations|larger"):
            MIXED.sample_operations(rng, count, operations)


@pytest.mark.parametrize("name", ["none", "edges"])
def test_the_derived_cell_has_the_best_operations_of_the_subset(name: str) -> None:
    macro, choices = NETS[name]
    net, every = made(macro, operations=CHERRY_PICKED, **choices), made(macro, **choices)
    scores = [table.softmax(-1) for table in tables(net)]
    arch = net.derive(scores, random.Random(0))
    wide = [table.detach() for table in widened(net, scores, every)]
    assert arch == every.derive(wide, random.Random(0))
    assert arch in DartsSpace("single")
    for kind, cell in enumerate(cells(arch)):
        assert {OPS[op] for edge in cell for op in range(len(OPS)) if edge >> op & 1} <= allowed(CHERRY_PICKED, kind)


def test_weights_of_a_subset_are_absorbed() -> None:
    net, x = made(TINY, operations=FIVE, affine=True, none=False), images(batch=8)
    rng = random.Random(5)
    arch: Arch = (0,) * 28
    while arch not in DartsSpace("multi"):
        arch = MIXED.sample_operations(rng, 28, FIVE)
    with torch.no_grad():
        weights = tables(net)
        net(x, weights, net.active_for(arch))
        net.module.eval()
        assert torch.allclose(net.absorb(arch, weights)(x), net(x, weights, net.active_for(arch)), atol=1e-9)


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ({"middle": OPS}, "'middle' is no kind of cell"),
        ({"normal": ("sep_conv_9x9",)}, "'sep_conv_9x9' is no operation"),
        ({"reduce": ()}, "at least one operation"),
    ],
)
def test_what_is_no_subset_is_refused(operations: Mapping[str, Sequence[str]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Supernet(TINY, operations=operations)


def test_the_five_operations_make_140_switches_and_all_seven_196() -> None:
    """CoNAS, A.5: the encoder has (2 + 3 + 4 + 5) * 5 * 2 = 140 bits; which five operations is an assumption (D-67)."""
    assert Switches(made(none=False, operations=FIVE).decisions).count == 140
    assert Switches(made(none=False).decisions).count == 196
    assert {name for names in FIVE.values() for name in names} == {op for op in OPS if not op.startswith("dil")}


def test_the_papers_settings_stand_in_the_rows() -> None:
    conas, sparse, random_cell = (
        registry.settings(registry.method(row.partition(":")[0]), row, "darts", {}, {})
        for row in ("conas:table_6", "sparse_nas:cherry_picked", "random_cell:table_6")
    )
    assert (conas["operations"], conas["penalty"], conas["rounds"], conas["measurements"]) == ("five", 1.0, 1, 3000)
    assert (sparse["operations"], sparse["optimiser"], sparse["arch_lr"]) == ("cherry_picked", "adam_hapg", 3e-4)
    assert (sparse["epochs"], sparse["batch"], sparse["second_order"]) == (50, 64, True)
    assert (random_cell["operations"], random_cell["count"]) == ("five", 15)


@pytest.mark.parametrize("row", ["conas:table_6", "sparse_nas:cherry_picked", "random_cell:table_6"])
def test_spaces_without_the_choice_are_skipped(row: str) -> None:
    info = registry.method(row.partition(":")[0])
    method = registry.build(info, registry.settings(info, row, "", {}, {}))
    problem = ToyProblem() if row.startswith("random_cell") else ToySharingProblem()
    assert "operations" in str(method.skip(problem))  # type: ignore[attr-defined]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.MACROS, "digits", made_darts.MACRO)


@pytest.mark.usefixtures("small", "narrow")
def test_searches_of_a_subset_propose_its_operations_only() -> None:
    for row, operations in (
        ("conas:table_6", FIVE),
        ("sparse_nas:cherry_picked", CHERRY_PICKED),
        ("random_cell:table_6", FIVE),
    ):
        arch, _ = made_darts.search(row)
        for kind, cell in enumerate(cells(arch)):
            names = {OPS[op] for edge in cell for op in range(len(OPS)) if edge >> op & 1}
            assert names <= allowed(operations, kind) and names, row
        if row.startswith("random_cell"):
            assert sum(edge.bit_count() for edge in arch) == 15
        if row.startswith("sparse_nas"):  # at first every weight is one over the number of operations (D-16)
            assert sum(edge.bit_count() for edge in arch) == 2 * 28


def test_a_subset_of_random_cells_needs_their_number() -> None:
    with pytest.raises(ValueError, match="needs the number of operations"):
        registry.method("random_cell").construct({"operations": "five"})
