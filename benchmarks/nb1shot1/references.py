"""Errors that a regret is counted from: the best mean of the recorded set, and the two single trainings that papers used."""

from __future__ import annotations

from typing import Final

from harness.problem import Reference

PUBLISHED: Final = {
    1: {"test": 0.0544871688, "valid": 0.0492788553},
    2: {"test": 0.0575921535, "valid": 0.0515825152},
    3: {"test": 0.0533854365, "valid": 0.0484775901},
}
"""Constants of the paper's code: the smallest error of any single training in a space, so no mean can reach them."""


def references(space: int, dataset: str, best: dict[str, float], single: dict[str, float]) -> list[Reference]:
    """Return every reference of a space, split by split. This project's regrets use the first reference of each split.

    Args:
        best: for each split, the largest mean accuracy over a cell's trainings, percent.
        single: for each split, the largest accuracy of any single training, percent.
    """
    entries = []
    for split, mean in best.items():
        entries += [
            Reference(split, "best mean of a cell's trainings (the headline)", 100 - mean, 0.0),
            Reference(split, "best single training of the recorded set", 100 - single[split], single[split] - mean),
        ]
        if dataset == "cifar10":
            error = 100 * PUBLISHED[space][split]
            entries.append(
                Reference(split, "constant of the original repository, for the whole space", error, 100 - error - mean)
            )
    return entries
