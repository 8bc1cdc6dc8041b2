"""Import of NAS-Bench-101: the table equals the file, and a damaged record is refused by its number."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nb1shot1 import official
from benchmarks.nb1shot1.cell import OPS
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.metrics import fields, final_evaluation
from benchmarks.nb1shot1.queries import NB101Table
from benchmarks.nb1shot1.tfrecord import masked_crc32c, records
from harness import tables
from harness.cache import Table, cache_root
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture
from tests import nb101_files as files
from tests.nb101_files import Training, content, record_file, trainings

ROWS = [0, 7, 4_000, 30_000, 66_110]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()


def assert_has(table: Table, written: list[Training], seconds: bool = True) -> None:
    """The table has exactly these trainings, repeats in the order of the file."""
    row_of = {key: row for row, key in enumerate(distinct_cells().hashes)}
    for epochs in {training.epochs for training in written}:
        for name, dtype in (("valid", np.int16), ("test", np.int16), ("seconds", np.float64)):
            if name == "seconds" and not seconds:
                continue
            expected = np.full((len(row_of), 3), -1 if dtype == np.int16 else np.nan, dtype)
            repeats = dict.fromkeys((training.key for training in written), 0)
            for training in written:
                if training.epochs == epochs:
                    expected[row_of[training.key], repeats[training.key]] = getattr(training, name)
                    repeats[training.key] += 1
            np.testing.assert_array_equal(table.column(f"{name}/{epochs}"), expected)


@pytest.mark.parametrize(("epochs", "kind"), [((4, 12, 36, 108), official.FULL), ((108,), official.ONLY108)])
def test_what_was_written_is_read(tmp_path: Path, epochs: tuple[int, ...], kind: str) -> None:
    written = trainings(ROWS, epochs)
    table = LIBRARY.import_path(record_file(tmp_path / "made.tfrecord", written))
    assert_has(table, written)
    assert (table.meta["kind"], table.meta["n"], table.meta["epochs"]) == (kind, len(ROWS), list(epochs))
    assert table.meta["clock"]["kind"] == "recorded"
    assert table.meta["notes"][0] == "records of 5 of 66,111 cells"


def test_missing_trainings_stay_missing(tmp_path: Path) -> None:
    written = trainings(ROWS, (4, 108))[:-7]
    table = LIBRARY.import_path(record_file(tmp_path / "made.tfrecord", written))
    assert_has(table, written)
    assert table.meta["n"] < len(ROWS)


def test_cells_of_none_of_the_spaces_are_passed_over(tmp_path: Path) -> None:
    key = fingerprint(files.CHAIN)
    assert key not in distinct_cells().hashes
    written = trainings(ROWS)
    stranger = Training(key, files.CHAIN, 108, 9_000, 9_000, 1_000.0)
    assert_has(LIBRARY.import_path(record_file(tmp_path / "made.tfrecord", [stranger, *written])), written)
    with pytest.raises(UserError, match=r"no records of cells of the three spaces. Nothing was imported\."):
        LIBRARY.import_path(record_file(tmp_path / "strange.tfrecord", [stranger]))


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_checksums_of_messages_of_all_lengths(messages: list[bytes]) -> None:
    assert masked_crc32c(messages).tolist() == [files.masked(message) for message in messages]


def test_the_checksum_of_the_standards_own_example() -> None:
    crc = (int(masked_crc32c([b"123456789"])[0]) - 0xA282EAD8) & 0xFFFFFFFF
    assert (crc >> 17 | crc << 15) & 0xFFFFFFFF == 0xE3069283


def test_more_records_than_one_batch(tmp_path: Path) -> None:
    data = [str(number).encode() for number in range(10_000)]
    with record_file(tmp_path / "many", data).open("rb") as file:
        assert list(records(file)) == list(enumerate(data, 1))


def complete_file(tmp_path: Path) -> Path:
    return record_file(tmp_path / "complete.tfrecord", trainings(ROWS))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        LIBRARY.import_path(path)
    assert not list(cache_root().rglob("*.npy"))
    text = str(refused.value)
    assert text.startswith(str(path)) and text.endswith("Nothing was imported.")
    return text


@pytest.mark.parametrize(
    ("inside", "reason"), [(3, "the length of record 5"), (20, "the data of record 5"), (-2, "the data of record 5")]
)
def test_one_changed_bit_is_refused_with_the_records_number(tmp_path: Path, inside: int, reason: str) -> None:
    path = complete_file(tmp_path)
    begin, end = list(files.offsets(path))[4]
    damaged = files.flipped(path, (begin if inside > 0 else end) + inside, tmp_path / "damaged.tfrecord")
    assert f"{reason} do" in refusal(damaged)


@pytest.mark.parametrize(
    ("length", "reason"), [(5, "it stops within the header of record 15"), (40, "record 15 stops after 28 of ")]
)
def test_a_file_that_is_cut_is_refused_with_the_records_number(tmp_path: Path, length: int, reason: str) -> None:
    path = complete_file(tmp_path)
    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes(path.read_bytes()[: list(files.offsets(path))[14][0] + length])
    assert reason in refusal(cut)


TRAINING = trainings([7])[0]
ANOTHER = trainings([30_000])[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "it is no list of hash, epochs"),
        (b"\xff", "it is no list of hash, epochs"),
        (content(TRAINING, epochs=107), "a training of 107 epochs"),
        (content(TRAINING, adjacency="0110"), "are no cell from input to output"),
        (content(TRAINING, operations="input,output"), "are no cell from input to output"),
        (content(TRAINING, operations=7), "has no attribute"),
        (content(ANOTHER, hash=TRAINING.key), f"does not have the hash {TRAINING.key}"),
        (content(TRAINING, metrics="%"), "no base64"),
        (content(TRAINING, metrics=None), "no base64"),
        (content(TRAINING, metrics=""), "0 evaluations instead of 3"),
        (content(TRAINING._replace(seconds=-1.0)), "a training time of -0.3"),
        (content(TRAINING._replace(seconds=float("nan"))), "a training time of nan seconds"),
        (content(TRAINING._replace(valid=9_985)), "no share of 1"),
        (content(TRAINING._replace(test=100.5)), "no share of 9,984 images"),  # type: ignore[arg-type]
    ],
)
def test_a_foreign_record_is_refused_with_its_number(tmp_path: Path, data: bytes, reason: str) -> None:
    path = record_file(tmp_path / "made.tfrecord", [*trainings([4_000]), data])
    text = refusal(path)
    assert "record 4: " in text and reason in text


def test_a_fourth_repeat_is_refused(tmp_path: Path) -> None:
    assert "record 4: training number 4" in refusal(record_file(tmp_path / "made.tfrecord", trainings([7], repeats=4)))


def test_a_published_name_needs_the_published_content(tmp_path: Path) -> None:
    text = refusal(record_file(tmp_path / "nasbench_only108.tfrecord", trainings(ROWS)))
    assert "is not the published file: its SHA-256 begins with" in text and "4c39c3936e36" in text


def test_metrics_are_read_as_protocol_buffers_write_them() -> None:
    message = files.metrics(TRAINING)
    evaluation = final_evaluation(message)
    assert evaluation.seconds == TRAINING.seconds
    assert evaluation.valid == pytest.approx(TRAINING.valid / 9_984)
    assert evaluation.test == pytest.approx(TRAINING.test / 9_984)
    assert dict(fields(message))[2] == 8_555_530
    assert list(fields(b"\x08\x96\x01\x15" + struct.pack("<f", 0.5))) == [(1, 150), (2, 0.5)]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (files.metrics(TRAINING)[:-3], "stop within a field"),
        (files.metrics(TRAINING)[:40], "stop within a field"),
        (b"\x80", "stop within a field"),
        (b"\x0b", "unknown type 3"),
        (files.metrics(TRAINING, evaluations=2), "2 evaluations instead of 3"),
        (b"\x0a\x00" * 3, "lacks the training time"),
    ],
)
def test_malformed_metrics_are_refused(message: bytes, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        final_evaluation(message)


# -- plain columns ---------------------------------------------------------------------------------------------------------


def test_plain_columns_are_read_with_fitted_times(tmp_path: Path) -> None:
    written = trainings(ROWS, (4, 12, 36, 108))
    table = LIBRARY.import_path(files.columns_table(tmp_path / "plain", written))
    assert_has(table, written, seconds=False)
    clock = table.meta["clock"]
    assert clock["kind"] == "fitted" and clock["r2"] == pytest.approx(1) and clock["median_error"] == pytest.approx(0, abs=1e-9)
    assert clock["per_parameter"] == pytest.approx(1e-4) and clock["per_op"] == pytest.approx([30.0] * 3)
    longest = table.column("seconds/108")
    assert (longest > 1000).all() and (longest == longest[:, :1]).all()
    np.testing.assert_allclose(table.column("seconds/12"), longest / 9)


def test_empty_values_are_missing_records(tmp_path: Path) -> None:
    written = trainings(ROWS)
    path = files.columns_table(tmp_path / "plain", written, val_correct_108ep_r1=(2, None))
    table = LIBRARY.import_path(path)
    assert (table.column("valid/108") < 0).sum() == 3 * (66_111 - len(ROWS)) + 1
    assert table.meta["n"] == len(ROWS) - 1


def test_cells_of_none_of_the_spaces_are_counted(tmp_path: Path) -> None:
    stranger = Training(fingerprint(files.CHAIN), files.CHAIN, 108, 9_000, 9_000, 1.0)
    written = trainings(ROWS)
    table = LIBRARY.import_path(files.columns_table(tmp_path / "plain", [*written[:4], *[stranger] * 3, *written[4:]]))
    assert_has(table, written, seconds=False)
    assert table.meta["notes"][-1] == "skipped 1 cells outside the three spaces"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"val_correct_108ep_r0": (1, 9_985)}, "val_correct_108ep_r0 of row 1 is 9985.0"),
        ({"test_correct_108ep_r2": (0, 1.5)}, "test_correct_108ep_r2 of row 0 is 1.5"),
        ({"hash": (3, TRAINING.key[::-1])}, f"graph of row 3 does not have the hash {TRAINING.key[::-1]}"),
        ({"ops_inner": (2, "x")}, "row 2 is not a cell"),
        ({"n_vertices": (2, 9)}, "row 2 is not a cell"),
        ({"n_vertices": (2, None)}, "row 2 is not a cell"),
    ],
)
def test_impossible_columns_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    assert reason in refusal(files.columns_table(tmp_path / "plain", trainings(ROWS), **changes))


def test_without_recorded_times_plain_columns_cannot_be_charged(tmp_path: Path) -> None:
    path = files.columns_table(tmp_path / "plain", trainings(ROWS))
    (path.parent / "nb101_train_time_sample.parquet").unlink()
    assert "put nb101_train_time_sample.parquet into its folder" in refusal(path)


def test_recorded_times_alone_are_no_table(tmp_path: Path) -> None:
    assert "has training times only" in refusal(files.times_table(tmp_path))


def test_other_tables_are_not_recognised(tmp_path: Path) -> None:
    path = files.columns_table(tmp_path / "plain", trainings(ROWS), drop=["val_correct_108ep_r2"])
    assert LIBRARY.recognise(path) is None
    (tmp_path / "text.tfrecord").write_text("not a record file, but long enough to be looked at")
    assert "is no record file of NAS-Bench-101" in refusal(tmp_path / "text.tfrecord")


def test_the_richer_source_is_used(tmp_path: Path) -> None:
    data = tmp_path / "data"
    written = trainings(ROWS, (4, 12, 36, 108))
    files.columns_table(data / "plain", written)
    lines: list[str] = []
    table = LIBRARY.find_table(lines.append)
    assert table is not None and table.meta["kind"] == "plain columns" and len(lines) == 2
    record_file(data / "only.tfrecord", [training for training in written if training.epochs == 108])
    record_file(data / "full.tfrecord", written)
    table = LIBRARY.find_table(lines.append)
    assert (
        table is not None and table.meta["kind"] == official.FULL and any("importing full.tfrecord" in line for line in lines)
    )
    assert [state.text.split(",")[0] for state in LIBRARY.state()] == ["NAS-Bench-101", "NAS-Bench-101", "plain columns"]
    assert LIBRARY.find_table(print).path == table.path  # type: ignore[union-attr]


def test_no_torch_and_no_tensorflow_is_imported(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = record_file(tmp_path / "made.tfrecord", trainings(ROWS))
    code = (
        "import sys; from pathlib import Path; from benchmarks.nb1shot1 import official; import benchmarks.nb1shot1.library;"
        "official.sniff(Path(sys.argv[1]));"
        "assert not {'torch', 'tensorflow', 'google.protobuf', 'pandas'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=root)


def test_plain_queries_return_the_trainings_of_a_cell(tmp_path: Path) -> None:
    written = trainings(ROWS, (12, 108))
    table = tables.open("nb1shot1", record_file(tmp_path / "made.tfrecord", written))
    assert isinstance(table, NB101Table)
    for row in ROWS:
        cell, key = distinct_cells().cells[row], distinct_cells().hashes[row]
        ops = [OPS[op] for op in cell.ops]
        recorded = [training for training in written if (training.key, training.epochs) == (key, 12)]
        for seed, training in enumerate(recorded):
            for name in (row, key, (cell.matrix, ops), (np.array(cell.matrix), ["input", *ops, "output"])):
                assert table.info(name, epochs=12, seed=seed) == {
                    "train-all-time": training.seconds,
                    "valid-accuracy": 100 * training.valid / 9_984,
                    "test-accuracy": 100 * training.test / 9_984,
                }
        mean = sum(100 * training.test / 9_984 for training in recorded) / 3
        assert table.accuracy(key, epochs=12) == pytest.approx(mean) and key in table
        assert table.index(table.graph(key)) == row and table[row] == table.canonical(row) == key
    assert table.trials(epochs=12) == {0: 66_111 - len(ROWS), 3: len(ROWS)}
    assert ROWS[0] in table and 8 not in table and "0" * 32 not in table
    with pytest.raises(MissingRecord, match="no 36-epoch training of cifar10; there is 12 and 108"):
        table.info(7, epochs=36)
    with pytest.raises(MissingRecord, match=f"no 12-epoch training of cell {distinct_cells().hashes[8]}"):
        table.info(distinct_cells().hashes[8], epochs=12)
    with pytest.raises(MissingRecord, match="is in none of the spaces 1, 2, 3"):
        table.info((files.CHAIN.matrix, [OPS[0]]))
    with pytest.raises(InvalidArchitecture, match="no path"):
        table.info(([[0, 0], [0, 0]], []))
    with pytest.raises(InvalidArchitecture, match="no operation 'conv7x7'; there is conv3x3-bn-relu"):
        table.info(([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["conv7x7"]))
    with pytest.raises(InvalidArchitecture, match="open nb1shot1/1, nb1shot1/2, nb1shot1/3, or pass its matrix"):
        table.info((0, 0, 0, 0))
    with pytest.raises(MissingRecord, match="accuracies after the last epoch"):
        table.info(7, epoch=3)
    again = tables.open("nb1shot1/3")
    assert isinstance(again, NB101Table)
    assert again.table.path == table.table.path, "the table that a search would use"
