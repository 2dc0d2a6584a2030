"""Tables are written whole, the summary is derived from them, broken ones are refused."""

import errno

import pandas as pd
import pytest

from experiments.harness import files, store
from experiments.harness.errors import InputError
from experiments.harness.schema import ARMS, TABLES
from tests.conftest import POSIX_ONLY, contents

METADATA = {
    "data": {"file": "sonar.csv", "rows": 208, "sha256": store.SONAR_SHA256},
    **{"repeats": 2, "folds": 2, "epochs": 1, "seed": 7, "splits_sha256": "s"},
    **{"seeds": 1, "engine": "stacked", "settings": {}, "versions": {}},
}


def write(folder, experiment, accuracies, **metadata):
    splits = {"experiment": experiment, "repeat": [1, 1, 2, 2], "fold": [1, 2, 1, 2]} | {"seed": 1}
    table = pd.DataFrame(splits | {"n_train": 10, "n_test": 5, "accuracy": accuracies})
    others = {"log_loss": 0.5, "train_accuracy": 1.0, "train_log_loss": 0.1, "collapsed": 0}
    table = table.assign(**others)
    store.write_arm(folder, table, METADATA | metadata)
    return table


def test_a_written_table_is_read_back_exactly(tmp_path):
    table = write(tmp_path, "hidden", [0.1 + 0.2, 1 / 3, 1.0, 0.0])
    pd.testing.assert_frame_equal(store.read_table(tmp_path, "hidden"), table, check_exact=True)


def test_the_summary_has_a_row_for_each_arm_and_one_dataset(tmp_path):
    write(tmp_path, "hidden", [0.5, 0.7, 0.6, 0.6])
    write(tmp_path, "baseline", [0.9, 0.9, 0.8, 0.8])
    names = ["baseline", "hidden", "summary"]
    assert [*contents(tmp_path)] == [f"{name}.{end}" for name in names for end in ("csv", "json")]
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("experiment")
    assert summary.index.tolist() == ["baseline", "hidden"]
    assert summary.loc["hidden"].tolist() == pytest.approx([2, 2, 0.6, 0.005**0.5, 0.8216, 0.8359])
    assert summary.loc["baseline", "std_accuracy"] == pytest.approx(0.05)
    write(tmp_path, "visible", [0.9, 0.9, 0.8, 0.8], data=METADATA["data"] | {"sha256": "x"})
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert summary["experiment"].tolist() == ["visible"]
    assert summary[["published_2016", "published_2017"]].isna().all(axis=None)


OLD, NEW = (
    dict.fromkeys(("a.md", "b.md"), f"{when}. {files.GENERATED}".encode())
    for when in ("old", "new")
)


@pytest.mark.parametrize("cut", range(5))
def test_files_are_written_all_or_none_whenever_the_process_is_killed(tmp_path, monkeypatch, cut):
    """As by a kill: no clean-up runs. The next process to take the lock completes or undoes it."""
    old = OLD | {"gone.md": OLD["a.md"]}
    files.write_together(tmp_path, old)

    steps = iter(range(100))

    def counting(real):
        def step(*arguments):
            if next(steps) == cut:
                raise SystemExit
            return real(*arguments)

        return step

    for name in ("rename", "replace"):
        monkeypatch.setattr(files.Path, name, counting(getattr(files.Path, name)))
    monkeypatch.setattr(files.os, "fsync", counting(files.os.fsync))
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(SystemExit):
        files.write_together(tmp_path, NEW | {"gone.md": None})
    monkeypatch.undo()
    with files.locked(tmp_path):
        pass
    assert contents(tmp_path) == (old if cut <= 3 else NEW)


def test_every_committed_table_is_in_the_schema_with_all_its_columns(committed):
    present = {path.stem for path in (committed / "results").glob("*.csv")}
    assert present == {name for name, table in TABLES.items() if table.committed}
    for name in present:
        table = TABLES[name]
        columns = list(store.read_table(committed / "results", name))
        assert [column for column in columns if column not in table.columns] == []
        assert [column for column in table.columns if column in columns] == columns
        assert set(table.keys) <= set(columns)
    for table in TABLES.values():
        assert set(table.sources) <= set(TABLES)
        assert all(meaning.endswith(".") for meaning in table.columns.values())
    assert set(ARMS) <= set(TABLES)


@POSIX_ONLY
@pytest.mark.parametrize("reason", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_file_system_without_locks_takes_no_results(tmp_path, monkeypatch, reason):
    def flock(*_):
        raise OSError(getattr(errno, reason), "not here")

    monkeypatch.setattr("fcntl.flock", flock)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(InputError, match="its file system has no locks; set another"):
            files.check_folder(folder)
    files.remove_created()
    assert contents(tmp_path) == {}
