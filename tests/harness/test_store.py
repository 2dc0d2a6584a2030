"""Tables are written whole, the summary follows them, and broken ones are refused."""

import pandas as pd
import pytest

from experiments.harness import files, store
from experiments.harness.errors import InputError
from experiments.harness.schema import ARMS, TABLES

METADATA = {
    "data": {"file": "sonar.csv", "rows": 208, "sha256": store.SONAR_SHA256},
    "versions": {},
    "repeats": 2,
    "folds": 2,
    "epochs": 1,
    "seed": 7,
    "splits_sha256": "s",
    "engine": "stacked",
    "settings": {},
}


def folds(experiment, accuracies):
    return pd.DataFrame(
        {
            "experiment": experiment,
            "repeat": [1, 1, 2, 2],
            "fold": [1, 2, 1, 2],
            "n_train": 10,
            "n_test": 5,
            "accuracy": accuracies,
            "log_loss": 0.5,
            "train_accuracy": 1.0,
            "train_log_loss": 0.1,
            "collapsed": 0,
        }
    )


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != files.LOCK}


def test_what_is_written_is_read_back_exactly(tmp_path):
    table = folds("hidden", [0.1 + 0.2, 1 / 3, 1.0, 0.0])
    store.write_arm(tmp_path, table, METADATA | {"seed": 7})
    pd.testing.assert_frame_equal(store.read_table(tmp_path, "hidden"), table, check_exact=True)


def test_summary_has_a_row_for_each_arm_with_results(tmp_path):
    store.write_arm(tmp_path, folds("hidden", [0.5, 0.7, 0.6, 0.6]), METADATA)
    store.write_arm(tmp_path, folds("baseline", [0.9, 0.9, 0.8, 0.8]), METADATA)
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("experiment")
    assert summary.index.tolist() == ["baseline", "hidden"]
    assert summary.loc["hidden"].tolist() == pytest.approx([2, 2, 0.6, 0.005**0.5, 0.8216, 0.8359])
    assert summary.loc["baseline", "std_accuracy"] == pytest.approx(0.05)


def test_the_summary_is_of_one_data_set(tmp_path):
    store.write_arm(tmp_path, folds("hidden", [0.5, 0.7, 0.6, 0.6]), METADATA)
    store.write_arm(
        tmp_path,
        folds("baseline", [0.9, 0.9, 0.8, 0.8]),
        METADATA | {"data": METADATA["data"] | {"sha256": "x"}},
    )
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert summary["experiment"].tolist() == ["baseline"]
    assert summary[["published_2016", "published_2017"]].isna().all(axis=None)


def test_only_the_tables_are_left_behind(tmp_path):
    store.write_arm(tmp_path, folds("baseline", [0.9, 0.9, 0.8, 0.8]), METADATA)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != files.LOCK) == [
        "baseline.csv",
        "baseline.json",
        "summary.csv",
        "summary.json",
    ]


def test_a_failed_write_leaves_the_old_files(tmp_path, monkeypatch):
    files.write_together(tmp_path, {"a.csv": "old", "b.csv": "old"})

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device"):
        files.write_together(tmp_path, {"a.csv": "new", "b.csv": "new"})
    assert contents(tmp_path) == {"a.csv": "old", "b.csv": "old"}


@pytest.mark.parametrize("cut", range(5))
def test_files_are_written_all_or_none_wherever_it_is_cut_off(tmp_path, monkeypatch, cut):
    """As by a kill: no clean-up runs. The next to take the lock finishes it or undoes it."""
    old, new = (dict.fromkeys(("a.csv", "b.csv"), when) for when in ("old", "new"))
    files.write_together(tmp_path, old | {"gone.csv": "old"})

    class Killed(BaseException):
        pass

    steps = iter(range(100))

    def counting(real):
        def step(*arguments):
            if next(steps) == cut:
                raise Killed
            return real(*arguments)

        return step

    for name in ("rename", "replace"):
        monkeypatch.setattr(files.Path, name, counting(getattr(files.Path, name)))
    monkeypatch.setattr(files.os, "fsync", counting(files.os.fsync))
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(Killed):
        files.write_together(tmp_path, new | {"gone.csv": None})
    monkeypatch.undo()
    with files.locked(tmp_path):
        pass
    left = contents(tmp_path)
    assert left == (old | {"gone.csv": "old"} if cut <= 3 else new)


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", ",".join(list(TABLES["baseline"].columns)) + "\n"]
)
def test_a_foreign_table_is_refused(tmp_path, text):
    (tmp_path / "baseline.csv").write_text(text)
    with pytest.raises(InputError, match="baseline"):
        store.read_table(tmp_path, "baseline")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write results"):
        files.check_folder(tmp_path / "file")


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
