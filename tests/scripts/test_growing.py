"""A run trains what an earlier one has not, and goes on where it was interrupted."""

import json

import pandas as pd
import pytest

from experiments import tip_settings, tips
from experiments.arms import CONTROL
from experiments.harness import growing, store
from experiments.harness.runner import Run
from tests.commands import run
from tests.conftest import contents


@pytest.fixture
def three_settings(monkeypatch):
    """Three settings, one of them part of two tips."""
    rows = [
        ({"place": "inputs", "rate": r}, tip_settings.with_dropout("inputs", r))
        for r in (0, 0.2, 0.9)
    ]
    monkeypatch.setattr(tips, "TIPS", {1: rows, 3: rows[:1]})
    pair = tip_settings.with_dropout("inputs", 0.2), CONTROL
    claims = {
        "it helps": (1, "better", pair),
        "too much harms": (1, "worse", (rows[2][1], CONTROL)),
    }
    monkeypatch.setattr(tips, "CLAIMS", claims)


@pytest.fixture
def trained(monkeypatch):
    """Count the networks of each cross-validation; after "stop", the third ends in Ctrl-C."""
    calls = []
    real = Run.cross_validate

    def counted(this, pipeline, splits=None, **options):
        if calls[:1] == ["stop"] and len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(len(splits))
        return real(this, pipeline, splits, **options)

    monkeypatch.setattr(Run, "cross_validate", counted)
    return calls


SETTINGS = {"hidden": 1, "stopping": 1, "remedies": 2, "tips": 3}


@pytest.mark.parametrize("command", SETTINGS)
@pytest.mark.usefixtures("three_settings")
def test_only_the_missing_repeats_are_trained(command, tmp_path, trained, capsys):
    settings = SETTINGS[command]
    run(command, tmp_path / "grown", repeats=2, folds=4)
    run(command, tmp_path / "grown", repeats=3, folds=4)
    assert trained == [8] * settings + [4] * settings
    run(command, tmp_path / "at once", repeats=3, folds=4)
    assert contents(tmp_path / "grown", "*.csv") == contents(tmp_path / "at once", "*.csv")
    assert capsys.readouterr().err == ""
    trained.clear()
    for repeats in (3, 2):  # no more than is there: all again
        run(command, tmp_path / "grown", repeats=repeats, folds=4)
    assert trained == [12] * settings + [8] * settings
    name = "tips-folds" if command == "tips" else command
    number = 12 * settings
    replaced = f"{command}: replaces {tmp_path / 'grown' / name}.csv of {number} networks\n"
    assert capsys.readouterr().err == replaced
    assert pd.read_csv(tmp_path / "grown" / f"{name}.csv")["repeat"].nunique() == 2


def test_only_the_missing_seeds_are_trained(tmp_path, trained):
    run("hidden", tmp_path / "grown", repeats=2, folds=4)
    run("hidden", tmp_path / "grown", repeats=3, folds=4, seeds=2)
    assert trained == [8, 4 + 12]
    run("hidden", tmp_path / "at once", repeats=3, folds=4, seeds=2)
    assert contents(tmp_path / "grown", "*.csv") == contents(tmp_path / "at once", "*.csv")
    table = pd.read_csv(tmp_path / "grown" / "hidden.csv")
    assert table.groupby("seed")["log_loss"].nunique().tolist() == [12, 12]
    assert table["log_loss"].nunique() == 24  # every seed trains networks of its own


@pytest.mark.usefixtures("three_settings")
def test_settings_that_test_a_claim_have_more_networks(tmp_path, trained, monkeypatch):
    rows = [({"place": "inputs", "rate": 0.3}, tip_settings.with_dropout("inputs", 0.3))]
    monkeypatch.setattr(tips, "TIPS", tips.TIPS | {4: rows})
    run("tips", tmp_path, repeats=4, folds=2, seeds=2)
    assert sorted(trained) == [6, 16, 16, 16]
    networks = pd.read_csv(tmp_path / "tips.csv").set_index("rate")["networks"]
    assert networks[0.3] == 6


@pytest.mark.usefixtures("three_settings")
def test_an_interrupted_run_is_continued_to_the_same_bytes(tmp_path, trained, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run("tips", whole, repeats=2)
    assert len(trained) == 3  # the setting that two tips share only once
    trained[:] = ["stop"]
    with pytest.raises(SystemExit, match="130"):
        run("tips", broken, repeats=2)
    assert "run it again to continue" in capsys.readouterr().err
    assert pd.read_csv(broken / ".tips-folds-part.csv")["setting"].unique().tolist() == [0, 1]
    assert not (broken / "tips-folds.csv").exists()
    trained.clear()
    run("tips", broken, repeats=2)
    assert len(trained) == 1
    assert contents(broken, "*.csv") == contents(whole, "*.csv")  # the hidden table is gone


def test_a_long_run_of_an_arm_is_saved_on_the_way(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(growing, "AT_ONCE", 8)
    run("hidden", tmp_path / "whole", repeats=5, folds=4)
    assert trained == [8, 8, 4]
    trained[:] = ["stop"]
    with pytest.raises(SystemExit, match="130"):
        run("hidden", tmp_path / "broken", repeats=5, folds=4)
    assert not (tmp_path / "broken" / "hidden.csv").exists()
    trained.clear()
    run("hidden", tmp_path / "broken", repeats=5, folds=4)
    assert trained == [4]
    assert contents(tmp_path / "broken", "*.csv") == contents(tmp_path / "whole", "*.csv")


def test_learning_curves_are_continued_with_their_seeds(tmp_path, trained, monkeypatch):
    """The curves of an interrupted run are not saved: their networks are trained again."""
    monkeypatch.setattr(growing, "AT_ONCE", 8)
    options = {"repeats": 2, "folds": 4, "seeds": 3, "curves": True}
    run("hidden", tmp_path / "whole", **options)
    assert trained == [8, 8, 8]
    trained[:] = ["stop"]
    with pytest.raises(SystemExit, match="130"):
        run("hidden", tmp_path / "broken", **options)
    trained.clear()
    run("hidden", tmp_path / "broken", **options)
    assert trained == [8, 8]
    assert contents(tmp_path / "broken", "*.csv") == contents(tmp_path / "whole", "*.csv")


def test_early_stopping_continues_with_the_same_patience_only(tmp_path, trained):
    run("stopping", tmp_path, repeats=1, folds=4)
    path = tmp_path / "stopping.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"patience": 3}))
    run("stopping", tmp_path, repeats=2, folds=4)
    assert trained == [4, 8]


def test_only_the_same_run_is_continued(tmp_path, trained, capsys):
    def trained_by(**options):
        trained.clear()
        run("baseline", tmp_path, **options)
        return sum(trained)

    assert trained_by(repeats=1, folds=4) == 4
    for changed in ({"seed": 8}, {"epochs": 3}, {"folds": 3}):
        options = {"repeats": 2, "folds": 4} | changed
        assert trained_by(**options) == 2 * options["folds"]
        run("baseline", tmp_path, repeats=1, folds=4)
    capsys.readouterr()
    path = tmp_path / "baseline.json"
    for key, what in [
        ("code", "the training code"),
        ("processor", "the kind of processor"),
        ("versions", "the versions of the packages"),
        ("settings", "the settings"),
        ("commit", None),
    ]:
        run("baseline", tmp_path, repeats=1, folds=4)
        metadata = json.loads(path.read_text())
        other = {"keras": "0"} if isinstance(metadata[key], dict) else "another"
        path.write_text(json.dumps(metadata | {key: other}))
        capsys.readouterr()
        assert trained_by(repeats=2, folds=4) == (8 if what else 4)
        line = (
            f"baseline: replaces {tmp_path / 'baseline'}.csv of 4 networks, which differ in {what}"
        )
        assert capsys.readouterr().err == (f"{line}\n" if what else "")


def test_missing_learning_curves_are_trained_anew(tmp_path, trained):
    for options in ({}, {"curves": True}, {"curves": True, "repeats": 3, "seeds": 2}):
        run("control", tmp_path / "grown", **{"repeats": 2, "folds": 4} | options)
    assert trained == [8, 8, 4, 12]  # the curves are those of the first seed
    run("control", tmp_path / "at once", repeats=3, folds=4, seeds=2, curves=True)
    assert contents(tmp_path / "grown", "*.csv") == contents(tmp_path / "at once", "*.csv")
    name, kind = "control-curves", "network-curves"
    curves = store.read_table(tmp_path / "grown", name, kind)
    metadata = store.read_metadata(tmp_path / "grown", name, kind)
    curves = curves[curves["repeat"] != 2]
    store.write_part(tmp_path / "grown", name, kind, curves, metadata)
    trained.clear()
    run("control", tmp_path / "grown", repeats=3, folds=4, seeds=2, curves=True)
    assert trained == [4]
