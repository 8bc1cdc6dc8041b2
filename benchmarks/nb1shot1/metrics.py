"""Read NAS-Bench-101's ``ModelMetrics`` messages, in the wire format of protocol buffers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.sources.values import is_impossible
from harness.errors import UserError

_EVALUATION = 1
_SECONDS, _VALID, _TEST = 2, 4, 5
_FIXED = {1: struct.Struct("<d"), 5: struct.Struct("<f")}


class Evaluation(NamedTuple):
    """The final evaluation of one training."""

    seconds: float
    """Training time without evaluations."""
    valid: float
    test: float
    """Accuracies from 0 to 1."""


def final_evaluation(message: bytes) -> Evaluation:
    """Return the last of the three evaluations of a training: before its first step, halfway, at its end.

    Raises :class:`UserError`, a clause, if the message is malformed or lacks this evaluation.
    """
    evaluations = [value for number, value in fields(message) if number == _EVALUATION]
    if len(evaluations) != 3:
        raise UserError(f"it has {len(evaluations)} evaluations instead of 3")
    return [_evaluation(value) for value in evaluations][-1]


def _evaluation(value: int | float | bytes) -> Evaluation:
    if not isinstance(value, bytes):
        raise UserError("one of its evaluations is no message")
    numbers = dict(fields(value))
    try:
        evaluation = Evaluation(*(float(numbers[number]) for number in (_SECONDS, _VALID, _TEST)))
    except (KeyError, ValueError, OverflowError):
        raise UserError("one of its evaluations lacks the training time or an accuracy") from None
    if is_impossible(evaluation.seconds, "seconds") or math.isnan(evaluation.seconds):
        raise UserError(f"a training time of {evaluation.seconds} seconds")
    for accuracy in evaluation[1:]:
        if is_impossible(100 * accuracy, "accuracy") or math.isnan(accuracy):
            raise UserError(f"an accuracy of {accuracy}, which is no share of 1")
    return evaluation


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield number and value of every field, in order. Raises :class:`UserError`, a clause, if the message is malformed."""
    at = 0
    try:
        while at < len(message):
            tag, at = _varint(message, at)
            number, wire = tag >> 3, tag & 7
            value: int | float | bytes
            if wire == 0:
                value, at = _varint(message, at)
            elif wire in _FIXED:
                (value,) = _FIXED[wire].unpack_from(message, at)
                at += _FIXED[wire].size
            elif wire == 2:
                length, at = _varint(message, at)
                value = message[at : at + length]
                at += length
                if at > len(message):
                    raise IndexError
            else:
                raise UserError(f"its metrics have a field of unknown type {wire}")
            yield number, value
    except (IndexError, struct.error):
        raise UserError("its metrics stop within a field") from None


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return an integer of seven bits a byte, low bits first, and the position of its end."""
    value = shift = 0
    while True:
        if shift > 63:
            raise UserError("its metrics have an integer that is too long")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
