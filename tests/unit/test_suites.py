"""The test classes for packages of users: optional, and with a clear error if pytest or hypothesis is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_a_missing_library_is_named_with_the_remedy(missing: str) -> None:
    done = python(f"import sys; sys.modules[{missing!r}] = None; import harness.testing.suites.spaces")
    last = done.stderr.splitlines()[-1]
    assert f"needs pytest and hypothesis, and {missing} is missing: pip install -e '.[testing]'" in last


def test_a_check_imports_neither() -> None:
    code = "import sys; from harness.run import main; sys.argv = ['run', '--check', 'random_search']\ntry: main()\nfinally: "
    done = python(code + "print({'pytest', 'hypothesis'} & set(sys.modules))")
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
