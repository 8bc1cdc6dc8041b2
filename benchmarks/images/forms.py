"""The published forms of the image data sets: file names, checksums, and where their authors publish them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, NamedTuple

from benchmarks.images.decode import Batch, binary_batch, python_batch


class Member(NamedTuple):
    """A file of a data set, and its published MD5; empty if none is published."""

    name: str
    md5: str = ""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form in which a data set is published: an archive, and the folder that it unpacks to."""

    key: str
    """Name of the imported table."""
    dataset: str
    name: str
    """Name of the data set in captions."""
    kind: str
    archive: str = ""
    md5: str = ""
    """MD5 of the archive; empty if none is published."""
    folder: str = ""
    train: tuple[Member, ...] = ()
    test: tuple[Member, ...] = ()
    counts: tuple[int, int]
    """Images in the training and the test part."""
    classes: int
    decode: Callable[[IO[bytes]], Batch] | None = None
    """Decode one member; None if a single file has all columns."""
    size: str
    published: str
    remark: str

    @property
    def label(self) -> str:
        """Return the name of the data set and of the form."""
        return f"{self.name}, {self.kind}"


TORONTO = "www.cs.toronto.edu/~kriz/cifar.html"

FORMS = (
    Form(
        key="cifar10-python",
        dataset="cifar10",
        name="CIFAR-10",
        kind="python version",
        archive="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        folder="cifar-10-batches-py",
        train=(
            Member("data_batch_1", "c99cafc152244af753f735de768cd75f"),
            Member("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            Member("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            Member("data_batch_4", "634d18415352ddfa80567beed471001a"),
            Member("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        ),
        test=(Member("test_batch", "40351d587109b95175f43aff81a1287e"),),
        counts=(50_000, 10_000),
        classes=10,
        decode=partial(python_batch, labels="labels", side=32),
        size="163 MB",
        published=TORONTO,
        remark="the archive, or the folder cifar-10-batches-py that it unpacks to",
    ),
    Form(
        key="cifar10-binary",
        dataset="cifar10",
        name="CIFAR-10",
        kind="binary version",
        archive="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        folder="cifar-10-batches-bin",
        train=tuple(Member(f"data_batch_{number}.bin") for number in range(1, 6)),
        test=(Member("test_batch.bin"),),
        counts=(50_000, 10_000),
        classes=10,
        decode=partial(binary_batch, label_bytes=1),
        size="162 MB",
        published=TORONTO,
        remark="the archive, or the folder cifar-10-batches-bin, whose files have no published checksum",
    ),
    Form(
        key="cifar10-jpeg75",
        dataset="cifar10",
        name="CIFAR-10 (JPEG-75)",
        kind="JPEG quality 75 in an NPZ",
        counts=(50_000, 10_000),
        classes=10,
        size="18 MB",
        published="nowhere; columns header, payload, offsets, labels, n_train",
        remark="lossy: accuracies on it do not compare with published ones. Used if CIFAR-10 itself is missing",
    ),
    Form(
        key="cifar100-python",
        dataset="cifar100",
        name="CIFAR-100",
        kind="python version",
        archive="cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder="cifar-100-python",
        train=(Member("train", "16019d7e3df5f24257cddd939b257f8d"),),
        test=(Member("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
        counts=(50_000, 10_000),
        classes=100,
        decode=partial(python_batch, labels="fine_labels", side=32),
        size="161 MB",
        published=TORONTO,
        remark="the archive, or the folder cifar-100-python that it unpacks to",
    ),
    Form(
        key="cifar100-binary",
        dataset="cifar100",
        name="CIFAR-100",
        kind="binary version",
        archive="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        folder="cifar-100-binary",
        train=(Member("train.bin"),),
        test=(Member("test.bin"),),
        counts=(50_000, 10_000),
        classes=100,
        decode=partial(binary_batch, label_bytes=2),
        size="161 MB",
        published=TORONTO,
        remark="the archive, or the folder cifar-100-binary, whose files have no published checksum",
    ),
    Form(
        key="imagenet16-120",
        dataset="imagenet16-120",
        name="ImageNet16-120",
        kind="batches of ImageNet16",
        folder="ImageNet16",
        train=(
            Member("train_data_batch_1", "27846dcaa50de8e21a7d1a35f30f0e91"),
            Member("train_data_batch_2", "c7254a054e0e795c69120a5727050e3f"),
            Member("train_data_batch_3", "4333d3df2e5ffb114b05d2ffc19b1e87"),
            Member("train_data_batch_4", "1620cdf193304f4a92677b695d70d10f"),
            Member("train_data_batch_5", "348b3c2fdbb3940c4e9e834affd3b18d"),
            Member("train_data_batch_6", "6e765307c242a1b3d7d5ef9139b48945"),
            Member("train_data_batch_7", "564926d8cbf8fc4818ba23d2faac7564"),
            Member("train_data_batch_8", "f4755871f718ccb653440b9dd0ebac66"),
            Member("train_data_batch_9", "bb6dd660c38c58552125b1a92f86b5d4"),
            Member("train_data_batch_10", "8f03f34ac4b42271a294f91bf480f29b"),
        ),
        test=(Member("val_data", "3410e3017fdaefba8d5073aaa65e4bd6"),),
        counts=(151_700, 6_000),
        classes=120,
        decode=partial(python_batch, labels="labels", side=16, classes=120),
        size="about 1 GB",
        published="image-net.org (downsampled ImageNet, 16x16); README of github.com/D-X-Y/NAS-Bench-201",
        remark="a folder with train_data_batch_1 ... 10 and val_data, any name; the first 120 classes are kept",
    ),
)
"""The preferred form of each data set comes first."""

SPLIT_COLUMNS = "nb201_splits.npz"
SPLIT_TEXTS = {
    "cifar10": "cifar-split.txt",
    "cifar100": "cifar100-test-split.txt",
    "imagenet16-120": "imagenet-16-120-test-split.txt",
}
