"""The training of each row's cells in the DARTS space under protocols that papers are compared with: as each paper has it."""

from __future__ import annotations

import pytest

from benchmarks.darts.recipe import recipe
from benchmarks.darts_rnn.recipe import recipe as rnn_recipe
from harness import protocols
from harness.plan import rows_of
from harness.protocol import Protocol

PLAIN = ("darts", "darts", "imagenet_darts")
CONAS = ("conas", "conas", "imagenet_darts")
SPARSE_NAS = ("sparse_nas", "sparse_nas", "imagenet_sparse_nas")
AS_PUBLISHED = {
    # row: on CIFAR-10, on CIFAR-100, on ImageNet
    "conas": CONAS,
    "conas:two_inputs": CONAS,
    "darts:bilevel": PLAIN,
    "darts:second_order": PLAIN,
    "enas": PLAIN,
    "gaea_darts:bilevel": PLAIN,
    "gaea_pc_darts": ("gaea", "gaea", "imagenet_pc_darts"),
    "gdas": PLAIN,
    "ista_nas:two_stage": ("darts", "darts", "imagenet_pc_darts"),
    "ista_nas:one_stage": ("ista_nas", "ista_nas", "imagenet_pc_darts"),
    "pc_darts": ("pc_darts", "pc_darts", "imagenet_pc_darts"),
    "random_cell": PLAIN,
    "rsps": PLAIN,
    "setn": PLAIN,
    "sparse_nas:hapg": SPARSE_NAS,
    "sparse_nas:adam_hapg": SPARSE_NAS,
    "sparse_nas:adam": SPARSE_NAS,  # its length is unstated (D-63)
    "sparse_nas:cherry_picked": ("darts", "darts", "imagenet_sparse_nas"),  # 600 epochs, as in DARTS' paper
    "xnas": PLAIN,
}


def rows(rules: Protocol) -> list[str]:
    return list(rows_of(rules.parts[0]))


def test_each_row_is_trained_as_its_paper_does() -> None:
    rules = protocols.protocol("darts-as-published")
    stages = {stage.name: stage for stage in rules.stages}
    for name in ("each", "chosen_on_test"):
        chain = (stages[name], stages["cifar100"], stages["imagenet"])
        assert {row: tuple(stage.recipe_of(row) for stage in chain) for row in rows(rules)} == AS_PUBLISHED
    assert [stages[name].data for name in ("cifar100", "imagenet")] == ["cifar100", "imagenet"]
    assert {stages[name].chosen_by for name in ("chosen_on_test", "cifar100", "imagenet")} == {"each"}
    assert {stage.split for stage in rules.stages} == {"test"}


def test_four_searches_of_each_row_are_the_choice() -> None:
    """D-29: GAEA's text says four, its appendix five."""
    assert {protocols.protocol(name).seeds for name in ("darts", "darts-as-published")} == {4}


def test_conas_correlation_is_of_trainings_of_160_epochs_at_the_size_of_the_supernet() -> None:
    """CoNAS, A.4; its text says no more, so the rest is as in its evaluation (D-65)."""
    (stage,) = [stage for stage in protocols.protocol("darts-as-published").stages if stage.probed]
    assert (stage.recipe_of("rsps"), stage.split, stage.data) == ("conas_160", "test", "")
    how = recipe("conas_160")
    assert (how.epochs, how.width, how.depth) == (160, 16, 8)
    assert how.changed(["epochs=600", "width=36", "depth=20"]).digest == recipe("conas").digest
    assert recipe("conas_150").changed(["epochs=600"]).digest == recipe("conas").digest != recipe("conas_150").digest


def test_one_recipe_serves_all_rows_of_the_protocol_that_compares_methods() -> None:
    rules = protocols.protocol("darts")
    for stage in rules.stages:
        assert {stage.recipe_of(row) for row in rows(rules)} == {stage.recipe}


@pytest.mark.parametrize(
    "rules", [rules for rules in protocols.protocols().values() if rules.stages], ids=lambda rules: rules.name
)
def test_every_recipe_of_a_stage_exists_and_is_of_a_row_of_the_protocol(rules: Protocol) -> None:
    known = {row for part in rules.parts for row in rows_of(part)}
    for stage in rules.stages:
        for name in (stage.recipe, *stage.recipes.values()):
            (rnn_recipe if rules.name.startswith("darts-rnn") else recipe)(name)
        assert set(stage.recipes) <= known | {row.partition(":")[0] for row in known}


@pytest.mark.parametrize(
    ("name", "values"),
    [  # epochs, batch, learning rate, schedule, drop-path, norms that DARTS' network does not have
        ("darts", (600, 96, 0.025, "cosine", 0.2, "none")),
        ("pc_darts", (600, 96, 0.025, "cosine", 0.3, "none")),
        ("gaea", (600, 128, 0.025, "cosine", 0.3, "none")),
        ("sparse_nas", (1200, 96, 0.025, "cosine", 0.2, "none")),
        ("ista_nas", (600, 96, 0.025, "cosine", 0.2, "all")),
        ("conas", (600, 96, 0.025, "cosine", 0.2, "pooling")),
        ("conas_150", (150, 96, 0.025, "cosine", 0.2, "pooling")),
        ("conas_160", (160, 96, 0.025, "cosine", 0.2, "pooling")),
        ("imagenet_darts", (250, 128, 0.1, "exponential", 0.0, "none")),
        ("imagenet_pc_darts", (250, 1024, 0.5, "linear", 0.0, "none")),
        ("imagenet_sparse_nas", (250, 512, 0.4, "linear", 0.0, "none")),
    ],
)
def test_recipes_are_the_papers(name: str, values: tuple[object, ...]) -> None:
    how = recipe(name)
    assert (how.epochs, how.batch, how.lr, how.schedule, how.drop_path, how.extra_norm) == values
    assert (how.momentum, how.clip, how.auxiliary, how.nesterov) == (0.9, 5.0, 0.4, False)
    imagenet = name.startswith("imagenet")
    assert (how.weight_decay, how.cutout, how.label_smoothing) == ((3e-5, 0, 0.1) if imagenet else (3e-4, 16, 0.0))
