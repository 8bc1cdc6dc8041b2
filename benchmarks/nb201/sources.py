"""The files that the benchmark's authors publish, as far as their packages and pages tell, and what is accepted instead."""

from __future__ import annotations

from benchmarks.tables.importing import Source


def sources() -> list[Source]:
    """Every known source, the preferred one first."""
    ids = "nb201/cifar10, nb201/cifar100, nb201/imagenet16-120"
    nats = "README of github.com/D-X-Y/NATS-Bench"
    nb201 = "README of github.com/D-X-Y/NAS-Bench-201; docs of github.com/D-X-Y/AutoDL-Projects"
    return [
        Source(
            "NATS-tss-v1_0-3ffb9-simple",
            "size not published",
            "checksum not published",
            nats,
            ids,
            "recommended: a folder, from NATS-tss-v1_0-3ffb9-simple.tar (unpack it); read one architecture at a time",
        ),
        Source(
            "NATS-tss-v1_0-3ffb9.pickle.pbz2",
            "size not published",
            "checksum not published (its name carries 3ffb9 of one)",
            nats,
            ids,
            "the same records in one file, which takes tens of GB of memory to import (estimate: 30 times its size)",
        ),
        Source(
            "NAS-Bench-201-v1_1-096897.pth",
            "4.7 GB",
            "MD5 ends in 096897",
            nb201,
            ids,
            "read whole: about 28 GB of memory (estimate: 6 times its size)",
        ),
        Source(
            "NAS-Bench-201-v1_0-e61699.pth",
            "2.2 GB",
            "MD5 ends in e61699",
            nb201,
            ids,
            "deprecated by its authors: 12-epoch records of CIFAR-10 only; read whole: about 13 GB of memory (estimate)",
        ),
        Source(
            "a .parquet, .csv or .npz of plain columns, any name",
            "about 4 MB",
            "no checksum",
            "nowhere, it is your own; docs/data.md names the columns",
            ids,
            "means over seeds only",
        ),
    ]
