"""Tokenisers that need no corpus and no download, and stop words.

The released code strips punctuation where the paper tokenises on spaces. This module has both, and the ``search`` table of a
protocol selects the three of the search space.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.errors import UserError

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
Words = tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]
_WORDS_AND_MARKS = re.compile(r"\w+|[^\w\s]")


def _nltk() -> Callable[[str], list[str]]:
    """Return NLTK's word tokeniser (Penn Treebank rules) for a full review: its sentence splitter would need a corpus."""
    try:
        from nltk.tokenize import NLTKWordTokenizer
    except ImportError:
        raise UserError("importing IMDb needs NLTK's word tokeniser: pip install nltk") from None
    tokenise: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return tokenise


TOKENISERS: Final[dict[str, Callable[[], Callable[[str], list[str]]]]] = {
    "spaces": lambda: str.split,
    "strip": lambda: lambda text: text.translate(_NO_PUNCTUATION).split(),
    "split": lambda: _WORDS_AND_MARKS.findall,
    "nltk": _nltk,
}
"""``spaces``: split on spaces; ``strip``: without punctuation, split on spaces; ``split``: words and single marks."""

RELEASED: Final = ("strip", "split", "nltk")
"""Tokenisers of the released code, in the paper's order; the paper has ``spaces`` in place of ``strip``."""


@cache
def stop_words() -> frozenset[str]:
    """Return scikit-learn's English stop words, in lower case."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


def encode(texts: Iterable[str], tokeniser: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], list[str]]:
    """Encode texts as numbers of their tokens.

    Returns:
        The token numbers of all texts, concatenated; the start of each text, and the end of the last (texts + 1,); the tokens
        by number.
    """
    split = TOKENISERS[tokeniser]()
    numbers: dict[str, int] = {}
    pieces, ends = [], [0]
    for text in texts:
        tokens = [numbers.setdefault(token, len(numbers)) for token in split(text)]
        pieces.append(np.array(tokens, np.int32))
        ends.append(ends[-1] + len(tokens))
    return np.concatenate(pieces), np.array(ends, np.int64), list(numbers)


def lowered(vocabulary: list[str]) -> Words:
    """Return for every token the first number with the same lower case, and whether its lower case is a stop word."""
    first: dict[str, int] = {}
    small = [token.lower() for token in vocabulary]
    same = np.array([first.setdefault(token, number) for number, token in enumerate(small)], np.int32)
    return same, np.array([token in stop_words() for token in small], np.bool_)
