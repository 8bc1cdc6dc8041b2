"""A long search on disk: its own state, its ledger and its trace, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.budget import Budget
from harness.cache import atomic, explain
from harness.outcome import Probe, Proposal, Trace

_DIGEST = 32


class File:
    """The checkpoint of one run. A damaged one is reported, and the run begins anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warned = False

    def save(self, state: bytes, budget: Budget, trace: Trace) -> None:
        """Replaces what was kept. A write that fails leaves the last good one, and the search goes on."""
        kept = {
            "budget": budget.snapshot(),
            "seconds": list(trace.seconds),
            "accuracy": list(trace.accuracy),
            "proposals": [[one.queries, one.seconds, list(one.arch)] for one in trace.proposals],
            "probes": [[list(one.arch), one.shared] for one in trace.probes],
            "scalars": trace.scalars,
        }
        header = json.dumps(kept).encode()
        content = struct.pack("<Q", len(header)) + header + state
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self.path) as temporary:
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            if not self._warned:
                print(f"warning: {explain(error, 'keep a checkpoint')}; the search goes on", file=sys.stderr, flush=True)
            self._warned = True

    def load(self, budget: Budget, trace: Trace) -> bytes | None:
        """The state kept last; fills the ledger and the trace. None where there is nothing, or nothing usable."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        content = data[_DIGEST:]
        if hashlib.sha256(content).digest() != data[:_DIGEST]:
            print(f"warning: {self.path} is damaged; this search begins anew", file=sys.stderr, flush=True)
            return None
        (length,) = struct.unpack_from("<Q", content)
        kept: Mapping[str, Any] = json.loads(content[8 : 8 + length])
        budget.restore(kept["budget"])
        trace.seconds[:], trace.accuracy[:] = kept["seconds"], kept["accuracy"]
        trace.proposals[:] = [Proposal(queries, seconds, tuple(arch)) for queries, seconds, arch in kept["proposals"]]
        trace.probes[:] = [Probe(tuple(arch), shared) for arch, shared in kept["probes"]]
        trace.scalars[:] = kept["scalars"]
        return content[8 + length :]

    def forget(self) -> None:
        """Deletes it: the run is finished and stored."""
        self.path.unlink(missing_ok=True)
