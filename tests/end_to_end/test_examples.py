"""The examples and the README's text, through the real command line: a user's method, benchmark, protocol and folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
README = (PROJECT / "README.md").read_text()

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs ``python -m harness.run`` in a user's folder, with other folders on Python's search path."""

    def run(*arguments: object, folder: Path = tmp_path, on_path: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(map(str, filter(None, (PROJECT, on_path))))
        return subprocess.run(
            [sys.executable, "-m", "harness.run", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
        )

    return run


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example package as pip does, without a network, and return the folder."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLES / "my_benchmark" / "pyproject.toml").read_text())["project"]
    info = site / f"my_benchmark-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (site / "my_benchmark").symlink_to(EXAMPLES / "my_benchmark" / "my_benchmark")
    return site


def table(out: Path, protocol: str) -> str:
    return (out / protocol / "table.md").read_text()


def test_the_readme_shows_the_examples_as_they_are() -> None:
    assert (EXAMPLES / "my_method.py").read_text() in README
    for name in ("my_method.py", "my_weight_sharing.py", "my_benchmark", "my_protocol.toml"):
        assert f"examples/{name}" in README


def test_my_method_keeps_the_contract_and_stands_next_to_another(elsewhere: Command, tmp_path: Path) -> None:
    assert elsewhere("--check", EXAMPLES / "my_method.py").returncode == 0
    both = f"{EXAMPLES / 'my_method.py'},random_search"
    done = elsewhere("--protocol", "smoke", "--methods", both, "--set", "my_method.warmup=5", "--seeds", 2, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "| my_method[warmup=5] " in (text := table(tmp_path / "out", "smoke")) and "| random search " in text


@pytest.mark.slow
def test_my_weight_sharing_trains_and_is_judged(elsewhere: Command, tmp_path: Path) -> None:
    file = EXAMPLES / "my_weight_sharing.py"
    call = ("--protocol", "smoke", "--benchmarks", "nb201/digits", "--methods", file, "--seeds", 1, "--out", "out")
    done = elsewhere(*call, "--set", f"{file}.epochs=2")
    assert done.returncode == 0, done.stderr
    assert "| my_weight_sharing[epochs=2] " in table(tmp_path / "out", "smoke")


def test_my_benchmark_is_installed_and_one_command_makes_a_table(elsewhere: Command, installed: Path, tmp_path: Path) -> None:
    assert "my_benchmark/images" in elsewhere("--list", on_path=installed).stdout
    methods = ("--methods", "random_search,local_search")
    done = elsewhere("--benchmarks", "my_benchmark/images", *methods, "--out", "out", on_path=installed)
    assert done.returncode == 0, done.stderr
    text = table(tmp_path / "out", "common")
    assert (
        "| random search " in text
        and "Common rules: 100 queries" in text
        and "an invented table of 1 024 architectures" in text
    )


def test_my_benchmark_keeps_the_contract(elsewhere: Command, installed: Path) -> None:
    for name in ("my_benchmark/images", "my_benchmark", "my_benchmark.benchmark:benchmarks"):
        done = elsewhere("--check", name, on_path=installed)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "my_benchmark/images keeps the contract"


@pytest.mark.slow
def test_my_benchmark_passes_its_tests_which_inherit_the_suites(installed: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "my_benchmark" / "tests")]
    path = os.pathsep.join(map(str, (PROJECT, installed)))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stdout
    assert (done.stdout + done.stderr).count(".") >= 16


@pytest.mark.slow
def test_my_protocol_rules_my_benchmark(elsewhere: Command, installed: Path, tmp_path: Path) -> None:
    protocol = EXAMPLES / "my_protocol.toml"
    call = ("--protocol", protocol, "--methods", f"{EXAMPLES / 'my_method.py'},random_search", "--seeds", 3, "--out", "out")
    done = elsewhere(*call, on_path=installed)
    assert done.returncode == 0, done.stderr
    assert "| my_method " in table(tmp_path / "out", "my-rules")


@pytest.mark.slow
def test_every_row_and_a_users_row(elsewhere: Command, installed: Path, tmp_path: Path) -> None:
    call = ("--all", "--methods", EXAMPLES / "my_method.py", "--benchmarks", "my_benchmark/images", "--seeds", 2)
    done = elsewhere(*call, "--out", "out", on_path=installed)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in table(tmp_path / "out", "common").splitlines() if line.startswith("| ")]
    assert {"my_method", "random search", "BOHB (NB201 2020)", "REINFORCE (0.5)"} <= set(rows)


@pytest.mark.slow
def test_a_users_packages_with_the_names_of_ours_are_named_and_not_used(elsewhere: Command, tmp_path: Path) -> None:
    for name in ("methods", "benchmarks", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise AssertionError('not to be imported')")
    done = elsewhere("--protocol", "smoke", "--benchmarks", "nb201/digits", "--methods", "random_search", "--out", "out")
    assert done.returncode == 0, done.stderr
    for name in ("methods", "benchmarks", "reports"):
        assert f"not used: {tmp_path / name} has the name of" in done.stderr
    assert "| random search " in table(tmp_path / "out", "smoke")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "./exits.py"], "exits.py cannot be imported: SystemExit: 0"),
        (["--methods", "mine"], "no method 'mine'; did you mean './mine.py'"),
        (["--methods", "random_search", "--set", "lr=0.1"], "did you mean random_search.lr=0.1"),
        (["--methods", "random_search", "--set", "darts.lr=0.1"], "--set darts.lr=0.1 changes no row"),
        (["--protocol", "./bad.toml"], "bad.toml: [x] needs a table [x.judge]"),
        (["--protocol", "./none.toml"], "none.toml cannot be read as a protocol file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(elsewhere: Command, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "bad.toml").write_text("[x]\nseed = 3\n")
    done = elsewhere(*arguments)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
