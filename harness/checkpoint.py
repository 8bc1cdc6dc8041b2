"""The checkpoint of a long run: its state; for a search also the ledger, the trace and the harness's books."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.books import Books
from harness.budget import Ledger
from harness.outcome import Probe, Proposal, Trace
from harness.safe_file import Damaged, SafeFile


class File:
    """The checkpoint of one run. If it is damaged or of another run, a warning says so and the run starts from the beginning.

    Args:
        path: the file.
        run_id: the run whose state it contains.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.path, self.run_id = path, run_id
        self._file = SafeFile(path, "the search")

    def save(self, state: bytes, ledger: Ledger, trace: Trace, books: Books) -> None:
        """Replace the state of a search on disk. A write that fails leaves the last good file, and the search continues."""
        header = {
            "budget": ledger.snapshot(),
            "queries": books.queries[: len(trace.accuracy)],
            "trained": books.trained,
            "seconds": list(trace.seconds),
            "accuracy": list(trace.accuracy),
            "proposals": [[proposal.queries, proposal.seconds, list(proposal.arch)] for proposal in trace.proposals],
            "probes": [[list(probe.arch), probe.shared, probe.loss] for probe in trace.probes],
            "scalars": trace.scalars,
        }
        self._write(header, state)

    def load(self, ledger: Ledger, trace: Trace, books: Books) -> bytes | None:
        """Return the state saved last, and fill ledger, trace and books. None if there is no usable file."""
        content = self._read()
        if content is None:
            return None
        header, state = content
        ledger.restore(header["budget"])
        books.queries[:] = [(tuple(arch), fidelity) for arch, fidelity in header["queries"]]
        books.trained.update(header["trained"])
        trace.seconds[:], trace.accuracy[:] = header["seconds"], header["accuracy"]
        trace.proposals[:] = [Proposal(queries, seconds, tuple(arch)) for queries, seconds, arch in header["proposals"]]
        trace.probes[:] = [Probe(tuple(arch), shared, loss) for arch, shared, loss in header["probes"]]
        trace.scalars[:] = header["scalars"]
        return state

    def save_training(self, state: bytes) -> None:
        """Replace the state of a training from scratch, which has no ledger, on disk."""
        self._write({}, state)

    def load_training(self) -> bytes | None:
        """Return the state saved last by :meth:`save_training`. None if there is no usable file."""
        content = self._read()
        return content and content[1]

    def forget(self) -> None:
        """Delete the file: the run is finished and stored."""
        self._file.forget()

    def _write(self, header: Mapping[str, Any], state: bytes) -> None:
        text = json.dumps({"run": self.run_id, **header}, default=lambda number: number.item()).encode()
        self._file.save(struct.pack("<Q", len(text)) + text + state)

    def _read(self) -> tuple[Mapping[str, Any], bytes] | None:
        """Return header and state. If the file is not usable, print why and return None."""
        try:
            content = self._file.load()
        except (Damaged, OSError) as error:
            self._refuse("is damaged" if isinstance(error, Damaged) else f"cannot be read ({error.strerror})")
            return None
        if content is None:
            return None
        (length,) = struct.unpack_from("<Q", content)
        header: Mapping[str, Any] = json.loads(content[8 : 8 + length])
        if header.get("run") != self.run_id:
            self._refuse("is the checkpoint of another run")
            return None
        return header, content[8 + length :]

    def _refuse(self, why: str) -> None:
        print(f"warning: {self.path} {why}; this run starts from the beginning", file=sys.stderr, flush=True)
