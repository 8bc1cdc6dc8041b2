"""The digits task has one statement: a fixed, stratified split, one noise, one set of draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from benchmarks.bundled.settings import Settings
from benchmarks.images import digits
from benchmarks.images.augment import STANDARD
from benchmarks.images.task import Rule, SearchImages
from benchmarks.nb1shot1 import digits_bundle as nb1shot1
from benchmarks.nb201 import digits_bundle as nb201
from harness.errors import UserError
from harness.seeds import derive
from harness.weight_sharing import Task
from tests import made_darts, made_nb1shot1_search, made_search


def test_the_images_are_those_that_scikit_learn_reads() -> None:
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    images, labels = digits.read()
    assert np.array_equal(images, bunch.images)
    assert np.array_equal(labels, bunch.target)


def test_other_images_end_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(UserError, match="install scikit-learn"):
        digits.read.__wrapped__()


def test_the_split_is_fixed_and_stratified() -> None:
    parts = digits.load()
    assert [len(part.labels) for part in parts] == list(digits.SIZES)
    everything = Counter(np.concatenate([part.labels for part in parts]).tolist())
    for part in parts:
        for digit, count in Counter(part.labels.tolist()).items():
            assert abs(count - everything[digit] * len(part.labels) / 1797) < 2
    rows = digits.split(np.concatenate([np.arange(10)] * 179 + [np.arange(7)]))
    assert sorted(np.concatenate(rows).tolist()) == list(range(1797))
    train = parts[0].images
    assert abs(train.mean()) < 1e-6
    assert abs(train.std() - 1) < 1e-6


def test_searches_and_tables_have_the_same_noise_and_draws() -> None:
    for settings in (nb201.SETTINGS, nb1shot1.SETTINGS):
        assert isinstance(settings, Settings)
        assert (settings.noise, settings.draws) == (digits.NOISE, digits.DRAWS)
    assert STANDARD["digits"].noise == digits.NOISE
    assert digits.draws_seed("valid") == derive("nb201/digits", "draws", "valid")


def test_a_search_is_validated_under_the_draws_of_nb201() -> None:
    valid = digits.load()[1]
    noise = torch.randn(
        digits.DRAWS * len(valid.labels), 1, 8, 8, generator=torch.Generator().manual_seed(digits.draws_seed("valid"))
    )
    expected = torch.from_numpy(valid.images).repeat(digits.DRAWS, 1, 1, 1) + digits.NOISE * noise
    images, _ = SearchImages("digits", "halves", "redraw", 1, "cpu").plain("valid", len(expected), 0)
    assert images.shape == expected.shape
    rows, wanted = (values.reshape(len(expected), -1).sum(1).sort().values for values in (images, expected))
    torch.testing.assert_close(rows, wanted, rtol=0, atol=1e-3)


def paired(pairs: Iterable[Any]) -> list[list[int]]:
    """Return the numbers of the validation images of each step; images have no noise."""
    clean = torch.from_numpy(digits.load()[1].images).flatten(1)
    return [torch.cdist(images.flatten(1), clean).argmin(1).tolist() for _, (images, _) in pairs]


def test_each_space_pairs_images_as_its_code_does_unless_a_method_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STANDARD, "digits", replace(STANDARD["digits"], noise=0.0))
    tasks: dict[str, Task] = {
        "iterate": made_nb1shot1_search.view().task,
        "redraw": made_darts.view().task,
        "partner": made_search.view().task,
    }
    for own, task in tasks.items():
        for asked in ("space", *get_args(Rule)):
            steps = paired(task.pairs(64, 0, asked))
            assert [len(step) for step in steps] == [64] * 16
            rounds = [list(chain(*steps[start : start + 6])) for start in (0, 6)]
            distinct = (len(set(steps[0])) == 64, all(sorted(seen) == list(range(384)) for seen in rounds))
            expected = {"iterate": (True, True), "redraw": (True, False), "partner": (False, False)}
            assert distinct == expected[own if asked == "space" else asked], (own, asked)
