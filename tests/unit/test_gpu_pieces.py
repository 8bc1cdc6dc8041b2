"""The pieces that measure a GPU, each at a small size on a CPU: what they count, write, resume and print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.darts.macro import CIFAR
from benchmarks.darts.published import named
from benchmarks.darts.size import network_size
from benchmarks.gpu import networks, searches, steps, table, trainings
from benchmarks.gpu.__main__ import PIECES, main
from benchmarks.gpu.convolutions import bound, out_size
from benchmarks.gpu.counts import Autocast, Count, Work
from benchmarks.gpu.networks import Convolution
from benchmarks.gpu.pieces import DONE, FAILED, STOPPED, Case, Records, Run, Stopped, Unavailable, carry_out
from benchmarks.gpu.roofline import H200
from harness import tables
from harness.errors import UserError
from tests.unit.test_dependencies import MODULES, ROOT

HERE = Run("cpu", Path("unused"))


# What is counted


def test_the_counts_of_a_training_step_and_of_a_supernet() -> None:
    """Multiply-adds are those of the project's own formula. Casts of weights and of their gradients are kernels too."""
    work = networks.retraining("DARTS_V2", CIFAR, 96, True, True)
    auxiliary = 128 * 576 * 2 * 2 + 768 * 128 * 2 * 2 + 768 * 10  # 1x1 on 2 x 2 pixels, then 2x2 on them, a classifier
    assert work.macs / 96 == network_size(named("DARTS_V2")).macs + auxiliary
    assert (work.kernels, work.pointwise_kernels) == (3409, 1974)
    assert work.bytes / 96 / 1e6 == pytest.approx(305.0, abs=0.1)
    work = networks.supernet("nb201", "cifar10", 64, "one cell", 1)
    assert (work.kernels, work.pointwise_kernels) == (669, 313)
    assert work.bytes / 64 / 1e6 == pytest.approx(25.1, abs=0.1)


def test_kernels_and_bytes_of_a_convolution_with_a_relu() -> None:
    """Autocast casts the image and the weight; backward casts the gradients back."""
    conv, x = nn.Conv2d(4, 8, 3, padding=1, bias=False, device="meta"), torch.empty(2, 4, 5, 5, device="meta")
    with Autocast(), Count() as forward:
        y = torch.relu(conv(x))
    assert y.dtype == torch.bfloat16
    image, weight, output = 2 * 4 * 25, 4 * 8 * 9, 2 * 8 * 25
    assert forward.work == Work(
        kernels=4,  # two casts, the convolution, the ReLU
        bytes=6 * image + 6 * weight + 2 * (image + weight + output) + 2 * 2 * output,
        pointwise_kernels=3,
        pointwise_bytes=6 * image + 6 * weight + 4 * output,
        macs=output * 4 * 9,
    )
    with Count() as backward:
        y.sum().backward()
    assert backward.work.macs == 0 and backward.work.kernels >= 4


@pytest.mark.parametrize(
    ("work", "variant", "together", "seconds"),
    [
        (Work(macs=790e12), "eager", 4, 6.0),
        (Work(bytes=4.3e12, pointwise_bytes=2.15e12), "graph", 4, 1.0),
        (Work(bytes=4.3e12, pointwise_bytes=2.15e12), "compiled", 1, 0.5),
        (Work(kernels=1000, pointwise_kernels=600), "eager", 1, 5e-3),
        (Work(kernels=1000, pointwise_kernels=600), "graph", 1, 2.5e-3),
        (Work(kernels=1000, pointwise_kernels=600), "compiled graph", 2, 0.5e-3),
    ],
)
def test_the_roofline_is_the_slowest_of_three(work: Work, variant: Any, together: int, seconds: float) -> None:
    assert H200.seconds(work, variant, together) == pytest.approx(seconds)


def test_the_bound_of_a_convolution() -> None:
    shape = Convolution(batch=2, inputs=8, outputs=8, size=9, kernel=5, stride=2, padding=4, dilation=2, groups=8)
    layer = nn.Conv2d(8, 8, 5, 2, 4, 2, groups=8, bias=False, device="meta")
    assert layer(torch.empty(2, 8, 9, 9, device="meta")).shape[-1] == out_size(shape) == 5
    numbers = 2 * 8 * 81 + 2 * 8 * 25 + layer.weight.numel()
    assert bound(shape, H200) == pytest.approx(3 * 2 * numbers / 4.3e12)


# The flow of a piece


@dataclass
class Counted:
    """Cases that count how often they are measured."""

    times: dict[str, int] = field(default_factory=dict)

    def case(self, name: str, error: BaseException | None = None) -> Case:
        def measure() -> dict[str, float]:
            self.times[name] = self.times.get(name, 0) + 1
            if error is not None and self.times[name] == 1:
                raise error
            return {"us": 2.0}

        return Case(name, lambda: {"us": 1.0}, measure)


@pytest.mark.parametrize(
    ("error", "code", "key"),
    [
        (RuntimeError("CUDA out of\nmemory"), FAILED, "failed"),
        (Unavailable("a graph needs CUDA"), DONE, "unavailable"),
        (UserError("CIFAR-10 is missing"), FAILED, "failed"),
        (Stopped({"share done": 0.5}), STOPPED, "measured"),
        (KeyboardInterrupt(), None, ""),
    ],
)
def test_the_same_command_goes_on(error: BaseException, code: int | None, key: str, tmp_path: Path) -> None:
    """Finished cases stay; what failed, stopped or was killed is measured again."""
    counted, run = Counted(), Run("cpu", tmp_path)
    cases = [counted.case("a"), counted.case("b", error), counted.case("c")]
    if code is None:
        with pytest.raises(KeyboardInterrupt):
            carry_out("facts", cases, run, "a CPU")
    else:
        assert carry_out("facts", cases, run, "a CPU") == code
        assert key in Records(tmp_path, "facts").cases["b"]
    assert carry_out("facts", cases, run, "a CPU") == DONE
    assert counted.times == {"a": 1, "b": 2, "c": 1}
    records = Records(tmp_path, "facts").cases
    assert all(records[name] == {"finished": True, "predicted": {"us": 1.0}, "measured": {"us": 2.0}} for name in "abc")


def test_a_process_that_has_lost_the_device_stops_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """No other case fails for that reason. What failed before is tried last, and is no reason to go on."""
    counted, run = Counted(), Run("cpu", tmp_path)
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    cases = [counted.case("a", error), counted.case("b"), counted.case("c", error)]
    codes = [carry_out("facts", cases, run, "a CPU", lambda kind: False) for _ in range(2)]
    assert codes == [STOPPED, FAILED] and counted.times == {"a": 1, "b": 1, "c": 1}
    assert carry_out("facts", cases, run, "a CPU") == DONE


def test_no_case_begins_after_the_minutes(tmp_path: Path) -> None:
    counted = Counted()
    run = Run("cpu", tmp_path, end=time.monotonic() - 1)
    assert carry_out("facts", [counted.case("a")], run, "a CPU") == STOPPED
    assert not counted.times and not (tmp_path / "facts.json").exists()


def test_measurements_of_two_devices_are_not_mixed(tmp_path: Path) -> None:
    carry_out("facts", [Counted().case("a")], Run("cpu", tmp_path), "a CPU")
    with pytest.raises(UserError, match=r"facts\.json was measured on a CPU, and this is NVIDIA H200; pass another --out"):
        carry_out("facts", [Counted().case("a")], Run("cuda", tmp_path), "NVIDIA H200")
    (tmp_path / "facts.json").write_text("{")
    with pytest.raises(UserError, match=r"facts\.json cannot be read .*; delete it"):
        Records(tmp_path, "facts")


def test_without_a_gpu_the_command_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert main(["facts", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "finds no CUDA device here; use --device cpu" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Watched(Run):
    """A run that counts how often it looks at the time. Its minutes are over at look number ``last``."""

    last: int = 0
    looks: list[Any] = field(default_factory=list)

    def check(self, measured: Any) -> None:
        self.looks.append(measured)
        if len(self.looks) == self.last:
            raise Stopped(measured)


LOOKS = {"searches": 20, "trainings": 1}
"""By piece, the step or the epoch after which the minutes are over: the second epoch of a search has begun."""


@pytest.mark.parametrize(
    ("piece", "make", "result"), [("searches", searches.cases, "cell"), ("trainings", trainings.cases, "accuracy, %")]
)
def test_long_work_goes_on_where_it_stopped(
    piece: str, make: Callable[[Run], list[Case]], result: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as uninterrupted work does, and its seconds are those of all parts."""
    from methods.one_shot.parts import search

    monkeypatch.setattr(search, "CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setitem(searches.SHORT, "batch", 64)
    out = tmp_path / piece
    first, second, alone = Watched("cpu", out, last=LOOKS[piece]), Watched("cpu", out), Watched("cpu", tmp_path / "alone")
    assert carry_out(piece, make(first)[:1], first, "a CPU") == STOPPED
    (before,) = Records(out, piece).cases.values()
    assert not before["finished"] and before["measured"]["seconds"] > 0
    assert list((out / "checkpoints").iterdir())
    assert carry_out(piece, make(second)[:1], second, "a CPU") == DONE
    carry_out(piece, make(alone)[:1], alone, "a CPU")
    (after,), (expected,) = Records(out, piece).cases.values(), Records(tmp_path / "alone", piece).cases.values()
    assert after["measured"][result] == expected["measured"][result]
    assert len(second.looks) < len(alone.looks), "it went on from where it was"
    assert after["measured"]["seconds"] > before["measured"]["seconds"]


# The whole flow on a machine that has little


BARE = '''
import importlib.abc, importlib.machinery, sys
BLOCKED = {blocked!r}
class Blocker(importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        """A blocked package is there, since it may have data, and cannot be imported."""
        if name in BLOCKED:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            if spec is not None:
                spec.loader = self
            return spec
    def create_module(self, spec):
        raise ModuleNotFoundError("not on a bare machine: " + spec.name, name=spec.name)
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Blocker())
'''


def blocked() -> set[str]:
    """Return the packages that the project declares, without PyTorch, what PyTorch needs, and pytest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    names = {text.partition(">")[0] for text in texts} - {"torch", "numpy", "pytest", "jinja2"}
    return {MODULES.get(name, name) for name in names} | {"click"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carry out all pieces in Python processes that can import PyTorch, NumPy and pytest only. Return the results."""
    folder, out = tmp_path_factory.mktemp("bare"), tmp_path_factory.mktemp("gpu")
    (folder / "sitecustomize.py").write_text(BARE.format(blocked=blocked()))
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    code = (
        "import benchmarks.gpu.tests as t; from benchmarks.gpu.__main__ import PIECES, main; all = t.cases\n"
        "PIECES['tests'] = lambda run: [case for case in all(run) if case.name == 'test_gpu_trainings']\n"
        f"for piece in PIECES: assert main([piece, '--device', 'cpu', '--out', {str(out)!r}]) == 0, piece\n"
        f"try:\n import typer\nexcept ModuleNotFoundError: print('bare')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0 and done.stdout.endswith("bare\n"), done.stdout + done.stderr
    return out


def measured(out: Path, piece: str) -> dict[str, Any]:
    cases = json.loads((out / f"{piece}.json").read_text())["cases"]
    return {name: record["measured"] for name, record in cases.items() if "measured" in record}


def test_every_piece_works_on_a_bare_machine(bare: Path) -> None:
    assert {file.stem for file in bare.glob("*.json")} == set(PIECES)
    assert measured(bare, "facts")["copy"]["GB/s"] > 0
    tests = measured(bare, "tests")["test_gpu_trainings"]
    assert tests["failed"] == 0 and tests["passed"] == 1
    assert all("needs CUDA" in text for text in tests["tests"].values()) and tests["skipped"] == len(tests["tests"]) == 3
    rows = [case["shapes"] for case in measured(bare, "convolutions").values()]
    assert len(rows) == 4 and len({len(row) for row in rows}) == 1 and all(shape["us"] > 0 for row in rows for shape in row)
    assert all(search["cell"].startswith("|") for search in measured(bare, "searches").values())
    assert all(training["epochs"] == 2 and training["accuracy, %"] > 10 for training in measured(bare, "trainings").values())


def test_steps_of_all_kinds_are_timed(bare: Path) -> None:
    cases = measured(bare, "steps")
    eager, together = cases["DARTS_V2, eager, batch 16"], cases["DARTS_V2, eager, batch 16, 2 processes"]
    assert {"nb201 rsps, eager, batch 64", "DARTS_V2, plain float32 loop, batch 16"} < set(cases)
    assert all(case["images/s"] > 0 and case["peak GiB of each"] == "needs CUDA" for case in cases.values())
    work = networks.retraining("DARTS_V2", steps._recipe(16, True).macro(10, 1, 8), 16, True, reduced=False)
    assert work.kernels < eager["kernels"] == together["kernels"] < 3 * work.kernels  # it has an optimiser, too
    unavailable = json.loads((bare / "steps.json").read_text())["cases"]
    texts = [record["unavailable"] for record in unavailable.values() if "unavailable" in record]
    assert sorted(texts) == ["MPS needs CUDA", "a graph needs CUDA", "compilation needs CUDA"]


def test_the_table_has_predictions_and_measurements(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--device", "cpu", "--out", str(bare)]) == 0
    text = (bare / "table.md").read_text()
    assert capsys.readouterr().out == text
    assert all(f"## {piece}\n" in text for piece in PIECES) and "Measured on a CPU" in text
    line = next(line for line in text.splitlines() if line.startswith("| copy |"))
    assert line.split(" | ")[2] == "10" and float(line.split(" | ")[3].strip(" |").replace(",", "")) > 0
    assert "| DARTS_V2, compiled, batch 16 | unavailable | – | compilation needs CUDA |" in text


@pytest.mark.usefixtures("made")
def test_cells_of_searches_have_the_accuracy_of_the_table() -> None:
    """Only of searches on its images. The text of a cell divides no columns."""
    cell = tables.open("nb201/cifar10")[11]
    result = {"space": "nb201", "cell": cell, "seconds": 1.0}
    records = {name: {"predicted": {}, "measured": {**result, "data": name}} for name in ("cifar10", "digits")}
    rows = [row for row in table._rows([], records) if "accuracy" in row[1]]
    expected = tables.open("nb201/cifar10").accuracy(cell, "cifar10", "test")
    assert rows == [("cifar10", "test accuracy in the table, %", "–", f"{expected:.2f}")]
    assert table._line(["a", cell]).count("|") == 3


def test_the_page_has_the_predicted_table() -> None:
    """Two of its lines are computed again here."""
    page = (ROOT / "docs" / "gpu.md").read_text()
    cases = {case.name: case for case in steps.cases(Run("cuda", Path()))}
    for name in ("DARTS_V2, eager, batch 96", "nb201 rsps, eager, batch 64"):
        rows = list(table._rows([cases[name]], {}))
        assert rows and all(f"| {' | '.join(row[:3])} |" in page for row in rows), rows
