"""The scripts as a user runs them, at toy size."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import arms, baseline, control, hidden, visible
from experiments.harness.schema import TABLES
from experiments.harness.timing import time_process

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = {"baseline": baseline, "visible": visible, "hidden": hidden, "control": control}
TOY = ["--folds=2", "--repeats=2", "--epochs=1", "--jobs=1"]


def run(name, folder, *options):
    data = REPOSITORY / "data" / "sonar.csv"
    SCRIPTS[name].main([*TOY, f"--data={data}", f"--results={folder}", *options])


def run_as_a_process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.parametrize("engine", ["stacked", "scikit-learn"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_end_to_end(tmp_path, capsys, name, engine):
    run(name, tmp_path, f"--engine={engine}")
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
    assert ("2016: 8" in printed[1]) == (name != "control")  # the tutorial has no control
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["settings"]["learning_rate"] == (0.01 if name == "baseline" else 0.1)
    assert record["seed"] == 7
    assert record["versions"]["keras"]
    assert len(record["data"]["sha256"]) == 64


def test_all_arms_share_their_splits(tmp_path):
    for name in SCRIPTS:
        run(name, tmp_path)
    run("baseline", tmp_path / "other", "--seed=8")
    records = [*(tmp_path / f"{name}.json" for name in SCRIPTS), tmp_path / "other/baseline.json"]
    splits = [json.loads(path.read_text())["splits_sha256"] for path in records]
    assert len(splits) == len(SCRIPTS) + 1
    assert len(set(splits[:-1])) == 1
    assert splits[-1] != splits[0]


def test_the_seed_decides_everything(tmp_path):
    for folder, options in {"a": [], "b": [], "c": ["--seed=8"]}.items():
        run("hidden", tmp_path / folder, *options)
    first, second, other = ((tmp_path / f / "hidden.csv").read_bytes() for f in "abc")
    assert first == second
    assert first != other


def test_curves_and_where_the_time_goes_on_request(tmp_path, capsys):
    run("hidden", tmp_path, "--epochs=3", "--curves", "--verbose")
    curves = pd.read_csv(tmp_path / "hidden-curves.csv")
    assert len(curves) == 2 * 2 * 3
    last = curves[curves["epoch"] == 3].reset_index()
    folds = pd.read_csv(tmp_path / "hidden.csv")
    for column in ("repeat", "fold", "accuracy", "train_accuracy"):
        assert last[column].equals(folds[column])
    seconds = capsys.readouterr().out.splitlines()[-1]
    for part in ("import", "building", "training", "scoring", "writing"):
        assert f"{part} " in seconds


def test_collapsed_networks_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(arms.BASELINE, "learning_rate", 3)
    run("baseline", tmp_path)
    assert ", 3 of 4 networks collapsed" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "baseline.csv")["collapsed"].sum() == 3


def test_a_loss_that_is_not_finite_is_refused(tmp_path, capsys, monkeypatch):
    run("baseline", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    monkeypatch.setitem(arms.BASELINE, "learning_rate", 1e5)
    with pytest.raises(SystemExit) as caught:
        run("baseline", tmp_path)
    assert caught.value.code == 2
    assert "4 of 4 networks diverged, their loss is not finite" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("engine", ["stacked", "scikit-learn"])
def test_a_process_prints_the_result_and_nothing_else(tmp_path, engine):
    done = run_as_a_process(
        "experiments.baseline", *TOY, "--jobs=2", f"--results={tmp_path}", f"--engine={engine}"
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds=1"], "`folds` must be a whole number of at least 2, got 1; see --help"),
        (["--epochs=ten"], "`epochs` must be a whole number from 1 to 2147483647, got 'ten'"),
        (["--seed=-1"], "`seed` must be a whole number from 0 to 4294967295, got -1"),
        (["--engine=abacus"], "`engine` must be one of stacked, scikit-learn, got 'abacus'"),
        (["--repeat=3"], "unrecognized arguments: --repeat=3"),
        (["--data=none.csv"], "cannot read none.csv: No such file or directory"),
        (["--folds=98"], "data/sonar.csv: class 'R' has 97 rows, fewer than the 98 folds"),
        (["--engine=scikit-learn", "--curves"], "--curves needs --engine stacked"),
        (["--results=README.md"], "cannot write results to README.md"),
    ],
)
def test_a_mistake_is_answered_at_once_in_one_line(tmp_path, options, message):
    for package in ("tensorflow", "keras", "sklearn"):
        (tmp_path / f"{package}.py").write_text("raise SystemExit('imported too early')")
    done = run_as_a_process("experiments.visible", *options, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"visible: {message}")
    assert done.stderr.count("\n") == 1


def test_a_broken_table_of_another_arm_is_told_before_the_training(tmp_path, capsys):
    (tmp_path / "hidden.csv").write_text("experiment\nhidden\n")
    with pytest.raises(SystemExit) as caught:
        run("baseline", tmp_path)
    assert caught.value.code == 2
    assert (
        "hidden.csv: it has no column 'repeat'; run its command again, or remove it"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "baseline.csv").exists()


@pytest.mark.parametrize("text", ["{", "{}", None])
def test_a_broken_record_of_another_arm_is_told_before_the_training(tmp_path, capsys, text):
    run("hidden", tmp_path)
    (tmp_path / "hidden.json").unlink()
    if text is not None:
        (tmp_path / "hidden.json").write_text(text)
    with pytest.raises(SystemExit) as caught:
        run("baseline", tmp_path)
    assert caught.value.code == 2
    assert "hidden.json" in capsys.readouterr().err
    assert not (tmp_path / "baseline.csv").exists()


def test_help_explains_every_option():
    text = run_as_a_process("experiments.hidden", "--help").stdout
    for option in ["repeats", "folds", "epochs", "seed", "jobs", "data", "results", "engine"]:
        assert f"--{option} " in text
    assert "20% dropout after each of the two hidden layers" in text


def test_the_benchmark_reads_what_an_arm_says_of_its_time():
    row = time_process("stacked", 4, 1, ["experiments.baseline", *TOY])
    assert 0 < row["training_seconds"] < row["process_seconds"]
    assert row["peak_memory_mib"] > 100
