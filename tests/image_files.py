"""Small image data sets in the layouts of the published files, and their forms."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.images.forms import FORMS, Form, Member

Parts = dict[str, tuple[np.ndarray, np.ndarray]]
"""Images and labels that ``load`` must return, of ``train`` and ``test``."""

BATCH = 6


def write(folder: Path, key: str) -> tuple[Form, Path, Path | None, Parts]:
    """Write a folder and its archive in the layout of the form ``key``. Return form, folder, archive and content."""
    form = next(form for form in FORMS if form.key == key)
    rng = np.random.default_rng(len(key))
    home = folder / form.folder
    home.mkdir(parents=True)
    content: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"train": [], "test": []}
    members: dict[str, tuple[Member, ...]] = {}
    side = 16 if form.classes == 120 else 32
    for part in ("train", "test"):
        written = []
        for name, md5 in getattr(form, part):
            images = rng.integers(0, 256, (BATCH, 3, side, side), dtype=np.uint8)
            labels = rng.integers(0, form.classes, BATCH)
            raw, included = _spelled(form, images, labels)
            (home / name).write_bytes(raw)
            written.append(Member(name, hashlib.md5(raw).hexdigest() if md5 else ""))
            content[part].append((images[included], labels[included]))
        members[part] = tuple(written)
    parts = {part: (np.concatenate([x for x, _ in b]), np.concatenate([y for _, y in b])) for part, b in content.items()}
    counts = len(parts["train"][1]), len(parts["test"][1])
    form = replace(form, counts=counts, train=members["train"], test=members["test"])
    if not form.archive:
        return form, home, None, parts
    archive = folder / form.archive
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(home, form.folder)
    return replace(form, md5=hashlib.md5(archive.read_bytes()).hexdigest()), home, archive, parts


def jpeg_columns(path: Path, train: int, test: int) -> tuple[Form, Parts]:
    """Write an NPZ of JPEG images with a common header. Return its form, and each image as Pillow decodes it."""
    from PIL import Image

    rng = np.random.default_rng(5)
    bodies, decoded = [], []
    header = b""
    for _ in range(train + test):
        stream = io.BytesIO()
        smooth = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(smooth).save(stream, "JPEG", quality=75)
        raw = stream.getvalue()
        scan = raw.index(b"\xff\xda")
        end = scan + 2 + struct.unpack(">H", raw[scan + 2 : scan + 4])[0]
        header = raw[:end]
        bodies.append(raw[end:])
        decoded.append(np.asarray(Image.open(io.BytesIO(raw))).transpose(2, 0, 1))
    labels = rng.integers(0, 10, train + test).astype(np.uint8)
    np.savez(
        path,
        header=np.frombuffer(header, np.uint8),
        payload=np.frombuffer(b"".join(bodies), np.uint8),
        offsets=np.cumsum([0, *map(len, bodies)]).astype(np.uint32),
        labels=labels,
        n_train=train,
    )
    form = replace(next(form for form in FORMS if form.decode is None), counts=(train, test))
    images = np.stack(decoded)
    return form, {"train": (images[:train], labels[:train]), "test": (images[train:], labels[train:])}


def _spelled(form: Form, images: np.ndarray, labels: np.ndarray) -> tuple[bytes, slice | np.ndarray]:
    """Return the bytes of a batch, and the rows of its images in the data set."""
    everything = slice(None)
    if form.key.endswith("binary"):
        coarse = [b"\x07"] if form.dataset == "cifar100" else []
        records = [b"".join([*coarse, bytes([y]), x.tobytes()]) for x, y in zip(images, labels.tolist(), strict=True)]
        return b"".join(records), everything
    if form.dataset == "imagenet16-120":
        official = labels + 1
        official[0] = 700  # one of the 880 classes that are left out
        batch = {"data": images.reshape(BATCH, -1), "labels": official.tolist(), "mean": images.reshape(BATCH, -1).mean(0)}
        return pickle.dumps(batch, protocol=2 if images[0, 0, 0, 0] % 2 else 4), np.arange(1, BATCH)
    return python2_pickle(
        images.reshape(BATCH, -1), "labels" if form.classes == 10 else "fine_labels", labels.tolist()
    ), everything


def python2_pickle(data: np.ndarray, name: str, labels: list[int]) -> bytes:
    """Return a batch as Python 2 pickled it, with bytes as text; Python 3 cannot write that."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    shape = b"J" + struct.pack("<i", data.shape[0]) + b"J" + struct.pack("<i", data.shape[1]) + b"\x86"
    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    state = b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", data.nbytes) + data.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return (
        b"\x80\x02}("
        + text(b"data")
        + array
        + state
        + text(name.encode())
        + numbers
        + text(b"batch_label")
        + text(b"made")
        + b"u."
    )
