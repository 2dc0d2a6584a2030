"""The scripts as a user runs them, at toy size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import arms, foldstack
from experiments.harness import cli, store
from experiments.harness.schema import ARMS, TABLES
from experiments.harness.timing import Way, time_ways
from tests.commands import arguments, run, run_and_fail
from tests.conftest import POSIX_ONLY, REPOSITORY, SONAR, contents, run_python

ENGINES = ["stacked", "scikit-learn"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ARMS)
def test_a_script_end_to_end(tmp_path, capsys, name, engine):
    run(name, tmp_path, engine=engine)
    printed = capsys.readouterr().out.splitlines()
    folds = pd.read_csv(tmp_path / f"{name}.csv")
    assert folds.columns.tolist() == list(TABLES["baseline"].columns)
    assert folds[["repeat", "fold"]].to_numpy().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert (folds["n_train"] + folds["n_test"] == 208).all()
    assert folds[["accuracy", "train_accuracy"]].stack().between(0, 1).all()
    assert np.isfinite(folds[["log_loss", "train_log_loss"]]).all(axis=None)
    mean, deviation = folds["accuracy"].mean(), folds["accuracy"].std(ddof=0)
    assert printed[0] == f"{name.capitalize()}: {100 * mean:.2f}% ({100 * deviation:.2f}%)"
    assert printed[-1].endswith(f"{name}.csv")
    assert printed[1].startswith("  mean: ")
    assert printed[2].startswith("  one run of 2 folds: ")
    assert ("2016: 8" in printed[3]) == (name != "control")  # the tutorial has no control
    metadata = json.loads((tmp_path / f"{name}.json").read_text())
    assert metadata["settings"]["learning_rate"] == (0.01 if name == "baseline" else 0.1)
    assert metadata["seed"] == 7
    assert metadata["versions"]["keras"]
    assert len(metadata["data"]["sha256"]) == 64


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_that_is_asked_for_trains(tmp_path, monkeypatch, engine):
    other = {"stacked": "cross_validate_sequentially", "scikit-learn": "cross_validate"}[engine]
    monkeypatch.setattr(foldstack, other, None)
    run("baseline", tmp_path, engine=engine)


def test_arms_share_their_splits_and_the_seed_decides_everything(tmp_path):
    runs = [*((name, name, 7) for name in ARMS), ("hidden", "again", 7), ("hidden", "other", 8)]
    splits, tables = {}, {}
    for name, folder, seed in runs:
        run(name, tmp_path / folder, seed=seed)
        path = tmp_path / folder / f"{name}.json"
        splits[folder] = json.loads(path.read_text())["splits_sha256"]
        tables[folder] = path.with_suffix(".csv").read_bytes()
    other = splits.pop("other")
    assert set(splits.values()) == {splits["hidden"]} != {other}
    assert tables["hidden"] == tables["again"] != tables["other"]


def test_curves_and_times_on_request(tmp_path, capsys):
    run("hidden", tmp_path, epochs=3, curves=True, verbose=True)
    curves = pd.read_csv(tmp_path / "hidden-curves.csv")
    assert len(curves) == 2 * 2 * 3
    last = curves[curves["epoch"] == 3].reset_index()
    folds = pd.read_csv(tmp_path / "hidden.csv")
    for column in ("repeat", "fold", "accuracy", "train_accuracy"):
        assert last[column].equals(folds[column])
    seconds = capsys.readouterr().out.splitlines()[-1]
    for part in ("import", "building", "training", "scoring", "writing"):
        assert f"{part} " in seconds


def test_collapsed_networks_are_counted_and_diverged_ones_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(arms.BASELINE, "learning_rate", 3)
    run("baseline", tmp_path)
    assert ", 3 of 4 networks collapsed" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "baseline.csv")["collapsed"].sum() == 3
    before = contents(tmp_path)
    monkeypatch.setitem(arms.BASELINE, "learning_rate", 1e5)
    _, error = run_and_fail(capsys, "baseline", tmp_path)
    assert "4 of 4 networks diverged, their loss is not finite" in error
    assert contents(tmp_path) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_process_prints_the_result_and_nothing_else(tmp_path, engine):
    options = arguments("baseline", engine=engine, jobs=2, results=tmp_path)
    done = run_python("-m", "experiments.baseline", *options)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 5)


@POSIX_ONLY
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter(tmp_path, closed):
    """The work is done; what would be printed goes nowhere, not into a file of the results."""
    options = arguments("baseline", results=tmp_path)
    call = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-m", "experiments.baseline"]
    assert subprocess.run([*call, *options], cwd=REPOSITORY).returncode == 0
    assert len(store.read_table(tmp_path, "baseline")) == 4
    bad = subprocess.run([*call, "--data=nowhere.csv"], cwd=REPOSITORY, capture_output=True)
    assert bad.returncode == 2
    assert (b"nowhere.csv" in bad.stderr) == ("2>&-" not in closed)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "the memory does not suffice"),
        (PermissionError(13, "Permission denied", "/x\x1b[31m"), r"Permission denied: /x\\x1b"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_errors_of_the_system_take_one_line(capsys, error, says):
    def fail():
        raise error

    with pytest.raises(SystemExit, match=r"^2$"):
        cli.run_command("baseline", fail)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says.replace("\\\\", "\\") in err


@pytest.mark.parametrize("name", ["MemoryError", "ResourceExhaustedError"])
def test_memory_that_runs_out(tmp_path, capsys, monkeypatch, name):
    def fail(*_, **__):
        raise type(name, (MemoryError if name == "MemoryError" else Exception,), {})

    monkeypatch.setattr(foldstack, "cross_validate", fail)
    monkeypatch.setattr(foldstack.engine, "STACK_BYTES", 2**20)
    _, error = run_and_fail(capsys, "baseline", tmp_path, jobs=2)
    assert "a stack of up to 21 networks needs about 4 MiB, and 2 train at once; set fewer" in error
    assert contents(tmp_path) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems demand UTF-8")
def test_a_file_whose_name_is_not_utf_8(tmp_path, capsys):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/mine\xe9.csv"))
    path.write_bytes(SONAR.read_bytes())
    run("baseline", tmp_path / "results", data=path)
    run("report", tmp_path / "results")
    assert "mine" in (tmp_path / "results" / "README.md").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--folds=1", "`folds` must be a whole number from 2 to 10000, got 1; see --help"),
        ("--folds=98", "data/sonar.csv: class 'R' has 97 rows, fewer than the 98 folds"),
        ("--data=none.csv", "cannot read none.csv: No such file or directory"),
        ("--results=README.md", "cannot write results to README.md"),
    ],
)
def test_user_errors_are_reported_before_tensorflow_is_imported(tmp_path, option, message):
    for package in ("tensorflow", "keras", "sklearn"):
        (tmp_path / f"{package}.py").write_text("raise SystemExit('imported too early')")
    done = run_python("-m", "experiments.visible", option, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"visible: {message}")


def test_the_benchmark_reads_the_times_that_an_arm_prints():
    way = Way("stacked", "experiments.baseline", 1, 4, arguments("baseline"))
    (row,) = time_ways([way])
    assert 0 < row["training_seconds"] < row["process_seconds"]
    assert row["peak_memory_mib"] > 100
