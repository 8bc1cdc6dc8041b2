"""Every test works on small invented tables in temporary folders; the real data are for golden values only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from reports import report
from tests import made_digits, made_sources, official_files

# One property runs in several classes, which inherit it. Speed is measured by tox -e bench.
SHARED = hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.differing_executors], deadline=None)
hypothesis.settings.register_profile("fixed", SHARED, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("random", SHARED, max_examples=500)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

REAL_DATA = os.environ.get("NAS_DATA", "")


@pytest.fixture(scope="session")
def made_data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a data folder with two invented tables, plain columns and digits, and their cache; once per session."""
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    official_files.columns_table(data / "made_columns.parquet")
    made_digits.table(tmp_path_factory.mktemp("build"), data)
    return data, cache


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with NAS-Bench-201 and NATS-Bench in their official layouts, read-only; written once per session."""
    return made_sources.write(tmp_path_factory.mktemp("published"))


@pytest.fixture
def made(made_data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Show this process and its children the invented tables only. Return the cache."""
    monkeypatch.setenv("NAS_DATA", str(made_data[0]))
    monkeypatch.setenv("NAS_CACHE", str(made_data[1]))
    return made_data[1]


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write pages without figures, which take most of the time. For tests that read the text."""
    monkeypatch.setattr(report, "PLOTS", ())


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs ``python -m harness.run`` with arguments, as a user would."""

    def run(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness.run", *map(str, arguments)], capture_output=True, text=True, timeout=timeout
        )

    return run
