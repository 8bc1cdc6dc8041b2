"""The entropy of weights on operations, between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def entropy(tables: Sequence[Tensor]) -> float:
    """Return the mean over rows of ``-sum p ln p / ln n`` for rows of n options: 1 if all are equal, and 0 ln 0 is 0.

    Rows of one option decide nothing and are skipped.
    """
    several = [table for table in tables if table.shape[-1] > 1]
    rows = torch.cat([-torch.xlogy(table, table).sum(-1).flatten() / math.log(table.shape[-1]) for table in several])
    return float(rows.mean())
