"""The walk of reachable objects notices a secret wherever Python can hide it."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from harness.testing.reach import contents, is_judge, reachable

SECRET = 12.345
IMAGE = np.arange(1, 200, dtype=np.uint8)


def floats(root: object) -> set[float]:
    return {value for value in reachable(root) if isinstance(value, float)}


class Slotted:
    __slots__ = ("__secret",)

    def __init__(self, secret: Any) -> None:
        self.__secret = secret

    def method(self) -> None: ...


def closure(secret: Any) -> Callable[[], Any]:
    return lambda: secret


def default(secret: Any) -> Callable[..., Any]:
    def function(*, hidden: Any = secret) -> Any:
        return hidden

    return function


def generator(secret: Any) -> Any:
    yield secret
    yield secret


def begun(secret: Any) -> Any:
    running = generator(secret)
    next(running)
    return running


PLACES: dict[str, Callable[[Any], Any]] = {
    "list": lambda secret: [[secret]],
    "key": lambda secret: {(secret,): 0},
    "deque": lambda secret: deque([secret]),
    "slot": Slotted,
    "method": lambda secret: Slotted(secret).method,
    "builtin_method": lambda secret: [secret].append,
    "closure": closure,
    "default": default,
    "generator": begun,
    "partial": lambda secret: functools.partial(print, end=[secret]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_float_is_noticed(place: str) -> None:
    assert SECRET in floats(PLACES[place](SECRET))
    if place != "key":
        assert SECRET in floats(PLACES[place](np.array([1.0, SECRET])))


TENSORS: dict[str, Callable[[torch.Tensor], Any]] = {
    "tensor": lambda images: images,
    "slice": lambda images: images[:0],
    "array_of_a_slice": lambda images: images[:1].numpy(),
    "expanded": lambda images: images.expand(3, -1)[1:],
    "parameter": lambda images: torch.nn.Parameter(images.float()).detach().byte(),
    "buffer": lambda images: _module(images),
    "hook": lambda images: _hooked(images),
    "attribute": lambda images: _attached(images),
}


def _module(images: torch.Tensor) -> torch.nn.Module:
    inner = torch.nn.Linear(1, 1)
    inner.register_buffer("hidden", images[3:5])
    return torch.nn.Sequential(torch.nn.ReLU(), inner)


def _hooked(images: torch.Tensor) -> torch.nn.Module:
    module = torch.nn.Linear(1, 1)
    module.register_forward_hook(lambda *_: None if len(images) else 0)
    return module


def _attached(images: torch.Tensor) -> torch.Tensor:
    tensor = torch.zeros(1)
    tensor.hidden = images  # type: ignore[attr-defined]
    return tensor


@pytest.mark.parametrize("place", TENSORS)
def test_an_image_in_a_tensor_is_noticed(place: str) -> None:
    assert IMAGE.tobytes() in contents(list(reachable(TENSORS[place](torch.from_numpy(IMAGE.copy())))))


def test_a_gradient_is_noticed() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([0.0, 0.5])
    assert 0.5 in floats(torch.nn.ParameterList([parameter]))


def test_an_array_leads_to_the_array_that_it_was_cut_from() -> None:
    assert IMAGE.tobytes() in contents(list(reachable(IMAGE.copy()[5:6])))


def test_memory_that_many_tensors_share_is_walked_once() -> None:
    memory = torch.arange(64.0)
    values = list(reachable([memory[k : k + 1] for k in range(64)]))
    assert sum(isinstance(value, np.ndarray) for value in values) <= 2


def test_modules_and_classes_are_not_entered() -> None:
    class Public:
        secret = SECRET

    assert SECRET not in floats([np, Public, Public().__class__])


def test_a_judge_is_known_by_its_two_attributes() -> None:
    judge = type("Judge", (), {"score": None, "optimum": None})
    assert is_judge(judge()) and not is_judge(judge) and not is_judge(object())
