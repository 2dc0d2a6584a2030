"""Tables appear whole, and the summary follows them."""

import pandas as pd
import pytest

from experiments.harness import tables
from experiments.harness.errors import InputError

RECORD = {"data": {"sha256": tables.SONAR_SHA256}}


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


def test_what_is_written_is_read_back_exactly(tmp_path):
    table = folds("hidden", [0.1 + 0.2, 1 / 3, 1.0, 0.0])
    tables.write_arm(tmp_path, table, RECORD | {"seed": 7})
    pd.testing.assert_frame_equal(tables.read_arm(tmp_path, "hidden"), table, check_exact=True)


def test_summary_has_a_row_for_each_arm_with_results(tmp_path):
    tables.write_arm(tmp_path, folds("hidden", [0.5, 0.7, 0.6, 0.6]), RECORD)
    tables.write_arm(tmp_path, folds("baseline", [0.9, 0.9, 0.8, 0.8]), RECORD)
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("experiment")
    assert summary.index.tolist() == ["baseline", "hidden"]
    assert summary.loc["hidden"].tolist() == pytest.approx([2, 2, 0.6, 0.005**0.5, 0.8216, 0.8359])
    assert summary.loc["baseline", "std_accuracy"] == pytest.approx(0.05)


def test_the_summary_is_of_one_data_set(tmp_path):
    tables.write_arm(tmp_path, folds("hidden", [0.5, 0.7, 0.6, 0.6]), RECORD)
    tables.write_arm(tmp_path, folds("baseline", [0.9, 0.9, 0.8, 0.8]), {"data": {"sha256": "x"}})
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert summary["experiment"].tolist() == ["baseline"]
    assert summary[["published_2016", "published_2017"]].isna().all(axis=None)


def test_only_the_tables_are_left_behind(tmp_path):
    tables.write_arm(tmp_path, folds("baseline", [0.9, 0.9, 0.8, 0.8]), RECORD)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "baseline.csv", "baseline.json", "summary.csv",
    ]  # fmt: skip


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    tables._write(path, "old\n")

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        tables._write(path, "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(tables.FOLD_COLUMNS) + "\n"])
def test_a_foreign_table_is_refused(tmp_path, text):
    (tmp_path / "baseline.csv").write_text(text)
    with pytest.raises(InputError, match="baseline"):
        tables.read_arm(tmp_path, "baseline")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write results"):
        tables.check_folder(tmp_path / "file")
