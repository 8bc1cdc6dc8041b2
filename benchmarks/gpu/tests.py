"""The piece ``tests``: the tests in ``tests/gpu``, a file at a time, in processes that see the device."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.pieces import Case, Numbers, Run, Unavailable
from harness.packages import PROJECT

DEVICE = "NAS_GPU_TESTS"
"""The environment variable by which the tests know their device."""


def cases(run: Run) -> list[Case]:
    """Return the cases."""
    files = sorted((PROJECT / "tests" / "gpu").glob("test_*.py"))
    return [Case(file.stem, lambda: {"failed": 0}, partial(_tested, file, run)) for file in files]


def _tested(file: Path, run: Run) -> Numbers:
    """Run a file of tests. Other folders are not imported: their tests need packages that a machine may not have."""
    rest = run.end - time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", f"--confcutdir={file.parent}", f"--junitxml={report}"]
        environment = {**os.environ, DEVICE: run.device, "PYTHONPATH": str(PROJECT)}
        try:
            done = subprocess.run(
                [*command, "-p", "no:cacheprovider", str(file)],
                cwd=PROJECT,
                env=environment,
                timeout=rest if rest < 1e6 else None,
                capture_output=True,
                text=True,
            )
        except subprocess.TimeoutExpired:
            run.check({"seconds": rest})
            raise
        if not report.exists():
            raise Unavailable(f"pytest does not run: {(done.stdout + done.stderr).strip()[-300:]}")
        suite = ElementTree.parse(report).getroot()
    counts: Counter[str] = Counter()
    texts = {}
    for test in suite.iter("testcase"):
        outcome = next((part.tag for part in test if part.tag in ("failure", "error", "skipped")), "passed")
        counts[outcome] += 1
        if outcome != "passed":
            texts[str(test.get("name"))] = f"{outcome}: {test[0].get('message', '')}"[:300]
    return {
        "passed": counts["passed"],
        "failed": counts["failure"] + counts["error"],
        "skipped": counts["skipped"],
        "seconds": sum(float(test.get("time", 0)) for test in suite.iter("testcase")),
        "tests": texts,
    }
