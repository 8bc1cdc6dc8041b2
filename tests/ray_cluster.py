"""A Ray cluster of made-up nodes on this machine, for tests. Import it only where Ray is installed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import ray
from ray.cluster_utils import Cluster

from tests.chaos.test_kills import family


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Yield a cluster whose first node, that of the driver, has no room for runs."""
    ray.shutdown()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def lose(nodes: Any, node: Any) -> None:
    """End all processes of a node at once, as a machine that fails does. Ray's own way leaves time to finish a short run."""
    (raylet,) = node.all_processes["raylet"]
    for pid in family(raylet.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    nodes.remove_node(node, allow_graceful=False)
