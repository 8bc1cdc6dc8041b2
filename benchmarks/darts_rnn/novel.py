"""The text that ships with the package: the chapters of a novel in the public domain; see ``data/README.md``."""

from __future__ import annotations

import hashlib
import lzma
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.darts_rnn import texts

_FOLDER: Final = Path(__file__).parent / "data"


class Novel:
    """The three texts as numbers of tokens, with the columns of :class:`benchmarks.darts_rnn.library.PtbLibrary`'s table.

    The vocabulary is that of the training text, and ``<unk>`` for other words.
    """

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return ``train``, ``valid`` or ``test``, int32; or ``vocabulary``, the bytes of a line for each type."""
        if name == "vocabulary":
            return np.frombuffer("\n".join(self._numbers).encode(), np.uint8)
        return texts.numbered(texts.tokens(self._texts[name]), self._numbers)

    @cached_property
    def checksum(self) -> str:
        """Return the SHA-256 of the texts."""
        return hashlib.sha256("\n".join(self._texts.values()).encode()).hexdigest()

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {part: lzma.decompress((_FOLDER / f"pride.{part}.txt.xz").read_bytes()).decode() for part in texts.PARTS}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return texts.vocabulary([*texts.tokens(self._texts["train"]), texts.UNKNOWN])
