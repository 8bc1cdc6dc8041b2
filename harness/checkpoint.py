"""A long search on disk: its own state, its ledger, its trace and the harness's books, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.books import Books
from harness.budget import Budget
from harness.cache import atomic, explain
from harness.outcome import Probe, Proposal, Trace

_DIGEST = 32


class File:
    """The checkpoint of one run. One that is damaged, or another run's, is reported, and the run starts from the beginning.

    Args:
        path: the file.
        run_id: whose search it holds.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.path, self.run_id = path, run_id
        self._warned = False

    def save(self, state: bytes, budget: Budget, trace: Trace, books: Books) -> None:
        """Replace what is on disk. A write that fails leaves the last good file, and the search goes on."""
        content = {
            "run": self.run_id,
            "budget": budget.snapshot(),
            "answers": books.answers[: len(trace.accuracy)],
            "trained": books.trained,
            "seconds": list(trace.seconds),
            "accuracy": list(trace.accuracy),
            "proposals": [[proposal.queries, proposal.seconds, list(proposal.arch)] for proposal in trace.proposals],
            "probes": [[list(probe.arch), probe.shared] for probe in trace.probes],
            "scalars": trace.scalars,
        }
        header = json.dumps(content, default=lambda number: number.item()).encode()
        data = struct.pack("<Q", len(header)) + header + state
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self.path) as temporary:
                temporary.write_bytes(hashlib.sha256(data).digest() + data)
        except OSError as error:
            if not self._warned:
                print(f"warning: {explain(error, 'keep a checkpoint')}; the search goes on", file=sys.stderr, flush=True)
            self._warned = True

    def load(self, budget: Budget, trace: Trace, books: Books) -> bytes | None:
        """Return the state saved last and fill ledger, trace and books. None where there is nothing usable."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._refuse(f"cannot be read ({error.strerror})")
            return None
        content = data[_DIGEST:]
        if hashlib.sha256(content).digest() != data[:_DIGEST]:
            self._refuse("is damaged")
            return None
        (length,) = struct.unpack_from("<Q", content)
        header: Mapping[str, Any] = json.loads(content[8 : 8 + length])
        if header.get("run") != self.run_id:
            self._refuse("is the checkpoint of another run")
            return None
        budget.restore(header["budget"])
        books.answers[:] = [(tuple(arch), fidelity) for arch, fidelity in header["answers"]]
        books.trained.update(header["trained"])
        trace.seconds[:], trace.accuracy[:] = header["seconds"], header["accuracy"]
        trace.proposals[:] = [Proposal(queries, seconds, tuple(arch)) for queries, seconds, arch in header["proposals"]]
        trace.probes[:] = [Probe(tuple(arch), shared) for arch, shared in header["probes"]]
        trace.scalars[:] = header["scalars"]
        return content[8 + length :]

    def _refuse(self, why: str) -> None:
        print(f"warning: {self.path} {why}; this run starts from the beginning", file=sys.stderr, flush=True)

    def forget(self) -> None:
        """Delete the file: the run is finished and stored."""
        self.path.unlink(missing_ok=True)
