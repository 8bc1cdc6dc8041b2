"""A Ray cluster of made-up nodes on this machine, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

from tests.chaos.test_kills import family

SETTINGS = {"prestart_worker_first_driver": False, "worker_register_timeout_seconds": 600, "agent_register_timeout_ms": 300_000}
"""Settings of Ray for many nodes on few cores: no process starts before an actor needs it, and each may start slowly."""


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Yield a cluster whose first node, that of the driver, has no room for runs."""
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": SETTINGS})
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def add(nodes: Any, **resources: int) -> Any:
    """Add a node with these resources. Return before the driver sees it."""
    return nodes.add_node(wait=False, **resources)


def lose(nodes: Any, node: Any) -> None:
    """End all processes of a node at once, as a machine that fails does. Ray's own way leaves time to finish a short run."""
    (raylet,) = node.all_processes["raylet"]
    for pid in family(raylet.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    nodes.remove_node(node, allow_graceful=False)
