"""``python -m harness.data`` as a user calls it."""

from __future__ import annotations

import bz2
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import official_files

ROOT = Path(__file__).parents[2]


class Call:
    """An object whose pickle calls ``os.system``."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch owned",)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def run(tmp_path: Path, *arguments: object, **changes: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    environment = {**os.environ, "NAS_CACHE": str(tmp_path / "cache"), "NAS_DATA": str(tmp_path / "data"), **changes}
    command = [sys.executable, "-m", "harness.data", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)
    return done.returncode, done.stdout, done.stderr


def is_one_error(code: int, err: str) -> bool:
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    return code == 2 and len(errors) == 1 and err.splitlines()[-1] == errors[0] and "Traceback" not in err


def test_status_on_an_empty_machine_says_what_to_get_and_where_to_put_it(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "status", NAS_DATA="")
    assert (code, err) == (0, "")
    for words in (
        "nb201/cifar10, nb201/cifar100, nb201/imagenet16-120",
        "nothing found",
        "NATS-tss-v1_0-3ffb9-simple",
        "NAS-Bench-201-v1_1-096897.pth",
        "4.7 GB; MD5 ends in 096897",
        "github.com/D-X-Y/NATS-Bench",
        "set NAS_DATA=",
        str(tmp_path / "cache"),
    ):
        assert words in out
    assert not (tmp_path / "cache").exists()


def test_import_again_verify_and_a_damaged_table(tmp_path: Path, data: Path) -> None:
    path = official_files.nats_folder(data / "NATS-tss-v1_0-3ffb9-simple", 2, ("12",))
    code, out, err = run(tmp_path, "import", path)
    assert code == 0 and "NATS-Bench 1.0, 2 architectures" in out and "importing architectures" in err
    code, again, err = run(tmp_path, "import", path)
    assert code == 0 and again == out and err == "already imported, nothing to do\n"
    code, out, _ = run(tmp_path, "status")
    assert code == 0 and "in use: NATS-Bench 1.0, 2 architectures, imported" in out
    code, out, err = run(tmp_path, "verify")
    assert code == 0 and out.startswith("intact: ") and err == ""
    next((tmp_path / "cache").rglob("accuracy.npy")).write_bytes(b"damaged")
    code, out, err = run(tmp_path, "verify")
    assert is_one_error(code, err) and "accuracy is not what was imported; delete that folder and import again" in err


def test_status_names_what_will_be_imported(tmp_path: Path, data: Path) -> None:
    official_files.columns_table(data / "mine.npz")
    code, out, _ = run(tmp_path, "status")
    assert code == 0 and "plain columns, found, imported on first use" in out and str(data / "mine.npz") in out


def test_a_forbidden_pickle_runs_nothing(tmp_path: Path, data: Path) -> None:
    path = official_files.nats_folder(data / "simple", 1, ("12",))
    (path / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"12": Call()})))
    code, _, err = run(tmp_path, "import", path)
    assert is_one_error(code, err) and "asks for posix.system, which is not plain data. Nothing was imported." in err
    assert not (ROOT / "owned").exists() and not list((tmp_path / "cache").rglob("*.npy"))


def test_a_truncated_file(tmp_path: Path, data: Path) -> None:
    official_files.nas_bench_201(data / "whole.pth", 1)
    (data / "cut.pth").write_bytes((data / "whole.pth").read_bytes()[:-20_000])
    code, _, err = run(tmp_path, "import", data / "cut.pth")
    assert is_one_error(code, err) and "cut.pth is damaged: it stops before its end (" in err


def test_a_cache_that_cannot_be_written(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    path = official_files.columns_table(data / "mine.npz")
    code, _, err = run(tmp_path, "import", path, NAS_CACHE=str(tmp_path / "file"))
    assert is_one_error(code, err) and "cannot import" in err


@pytest.mark.parametrize("arguments", [("import",), ("import", "nowhere.pth"), ("imprt", "x"), ("status", "--nonsense")])
def test_a_wrong_call(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, _, err = run(tmp_path, *arguments)
    assert is_one_error(code, err)


def test_help_explains(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "--help")
    assert code == 0 and all(word in out for word in ("NAS_DATA", "NAS_CACHE", "status", "import", "verify"))


def test_a_table_is_chosen_and_the_choice_is_printed(tmp_path: Path, data: Path) -> None:
    official_files.columns_table(data / "mine.npz")
    environment = {**os.environ, "NAS_CACHE": str(tmp_path / "cache"), "NAS_DATA": str(data)}

    def search(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "harness.run",
            "--protocol",
            "nb201-2020",
            "--methods",
            "random_search",
            "--seeds",
            "2",
        ]
        options = ["--workers", "1", "--out", str(tmp_path / "out"), *arguments]
        return subprocess.run([*command, *options], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)

    done = search("--table", "plain")
    line = "nb201/cifar10: plain columns, 15,625 of 15,625 architectures, from mine.npz, chosen"
    assert done.returncode == 0 and line in done.stderr.splitlines()
    wrong = search("--table", "natz")
    assert is_one_error(wrong.returncode, wrong.stderr) and "no table 'natz'; there is nb201: plain columns" in wrong.stderr
