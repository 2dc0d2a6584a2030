"""The tips resume where they stopped; dropout behaves as Keras' and the tutorial's."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments import tip_settings, tips
from experiments.arms import CONTROL, HIDDEN
from experiments.foldstack.network import build_network
from experiments.harness.layer_modes import tutorial_outputs
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
    pairs = [(tip_settings.with_dropout("inputs", 0.2), CONTROL), (rows[2][1], CONTROL)]
    monkeypatch.setattr(tips, "CLAIMS", {"it helps": (1, "better", pairs)})


@pytest.fixture
def trained(monkeypatch):
    """List the cross-validations; a list that starts with "stop" ends in Ctrl-C at its third."""
    calls = []
    real = Run.cross_validate

    def counted(*arguments, **options):
        if calls[:1] == ["stop"] and len(calls) == 3:
            raise KeyboardInterrupt
        calls.append("trained")
        return real(*arguments, **options)

    monkeypatch.setattr(Run, "cross_validate", counted)
    return calls


@pytest.mark.usefixtures("three_settings")
def test_an_interrupted_run_is_resumed_to_the_same_bytes(tmp_path, trained, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run("tips", whole)
    assert trained == ["trained"] * 3  # the setting that two tips share only once
    trained[:] = ["stop"]
    with pytest.raises(SystemExit, match="130"):
        run("tips", broken)
    assert "run it again to continue" in capsys.readouterr().err
    assert pd.read_csv(broken / "tips-folds.csv")["setting"].unique().tolist() == [0, 1]
    trained.clear()
    run("tips", broken)
    assert trained == ["trained"]
    assert contents(broken, "*.csv") == contents(whole, "*.csv")


@pytest.mark.usefixtures("three_settings")
def test_only_the_same_run_is_resumed(tmp_path, trained):
    path = tmp_path / "tips-folds.json"
    changes = [({}, 3), ({}, 0), ({"seed": 8}, 3), ({"seed": 8, "epochs": 2}, 3)]
    for options, expected in [*changes, (changes[-1][0], 0)]:
        trained.clear()
        run("tips", tmp_path, **options)
        assert len(trained) == expected
    for key in ("versions", "commit"):
        metadata = json.loads(path.read_text())
        changed = metadata["versions"] | {"keras": "0"} if key == "versions" else "another"
        path.write_text(json.dumps(metadata | {key: changed}))
        trained.clear()
        run("tips", tmp_path, **options)
        assert len(trained) == 3


def test_the_settings_of_every_tip():
    assert {tip: len(rows) for tip, rows in tips.TIPS.items()} == {1: 66, 2: 30, 3: 8, 4: 24, 5: 6}
    every = [setting for rows in tips.TIPS.values() for _, setting in rows]
    for _, _, pairs in tips.CLAIMS.values():
        assert all(setting in every for pair in pairs for setting in pair)
    wide = {"hidden_units": (120, 60), "hidden_dropout": 0.5}
    assert tip_settings.with_width(2, 0.5) == CONTROL | wide
    schedule = {"learning_rate": 0.05, "momentum": 0.95, "learning_rate_decay": 0.1}
    assert tip_settings.with_schedule(0.05, 0.95, 0.1) == HIDDEN | schedule


def test_observations_of_dropout(tmp_path):
    run("evaluation", tmp_path, epochs=20)
    observed = pd.read_csv(tmp_path / "evaluation.csv").set_index("observation")["value"]
    assert observed["evaluation_largest_change"] == 0
    assert observed["training_standard_deviation"] > 0.01
    assert observed["layer_training_dropped"] == pytest.approx(0.2, abs=0.01)
    assert observed["layer_training_kept_value"] == pytest.approx(1.25)
    assert observed["layer_evaluation_smallest"] == observed["layer_evaluation_largest"] == 1
    for way in ("keras", "tutorial"):
        assert observed[f"{way}_training_mean_to_evaluation"] == pytest.approx(1, abs=0.01)
    assert observed["tutorial_output_largest_difference"] < 1e-5
    folds = pd.read_csv(tmp_path / "evaluation-folds.csv")
    assert observed["monte_carlo_accuracy_difference"] == pytest.approx(
        100 * (folds["dropout_accuracy"] - folds["accuracy"]).mean()
    )
    assert not np.allclose(folds["dropout_log_loss"], folds["log_loss"])


def test_the_tutorial_s_scaling_of_weights_equals_keras_scaling_in_training():
    network = build_network({"n_features_in_": 60}, visible_dropout=0.3, hidden_dropout=0.5)
    rows = np.random.default_rng(0).normal(size=(5, 60)).astype(np.float32)
    outputs = tutorial_outputs(network, rows)
    np.testing.assert_allclose(outputs, network(rows).numpy()[:, 0], atol=1e-6)
