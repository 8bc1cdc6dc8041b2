"""What a report over 100 000 searches takes: ``tox -e bench``. Nothing here asserts a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import protocols
from harness.plan import make
from harness.store import Store
from tests import made_store

pytestmark = [pytest.mark.bench, pytest.mark.usefixtures("made")]

SEEDS = 12_600
"""Of each of eight rows: 100 800 searches."""
WRITE = """
import resource, sys
from pathlib import Path
from harness import protocols, provenance
from harness.plan import make
from harness.pages import write
from harness.store import Store
plan = make(protocols.protocol(sys.argv[1]), methods=sys.argv[2].split(","), benchmarks=[sys.argv[3]], seeds=int(sys.argv[4]))
with Store(Path(sys.argv[5])) as store:
    write(plan, store, Path(sys.argv[5]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
METHODS = "random_search,regularized_evolution,local_search,reinforce,bohb"


@pytest.mark.parametrize(
    ("protocol", "table", "most"),
    [("digits", "nb201/digits", 500), ("nb201-2020", "nb201/cifar10", 700)],  # MB; the second is judged on three targets
)
def test_a_report_over_100_000_searches(
    protocol: str, table: str, most: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make(protocols.protocol(protocol), methods=METHODS.split(","), benchmarks=[table], seeds=SEEDS)
    with Store(tmp_path, {"command": "c", "code": "1", "host": {}, "date": "d"}) as store:
        made_store.fill(store, plan)
    arguments = [protocol, METHODS, table, str(SEEDS), str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", WRITE, *arguments], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    with capsys.disabled():
        print(f"\nreport of {protocol}, {plan.total:,} searches: {seconds:.1f} s of CPU, {megabytes:.0f} MB")
    assert megabytes < most
