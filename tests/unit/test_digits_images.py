"""The digits task has one statement: a fixed, stratified split, one noise, one set of draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from benchmarks.bundled.settings import Settings
from benchmarks.images import digits
from benchmarks.images.augment import STANDARD
from benchmarks.images.task import SearchImages
from benchmarks.nb1shot1 import digits_bundle as nb1shot1
from benchmarks.nb201 import digits_bundle as nb201
from harness.seeds import derive


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
    images, _ = SearchImages("digits", "halves", "darts", 1, "cpu").plain("valid", len(expected), 0)
    assert images.shape == expected.shape
    rows, wanted = (values.reshape(len(expected), -1).sum(1).sort().values for values in (images, expected))
    torch.testing.assert_close(rows, wanted, rtol=0, atol=1e-3)
