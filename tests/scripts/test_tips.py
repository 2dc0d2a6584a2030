"""The sweep resumes where it stopped; the dropout modes are those of Keras."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

from experiments import dropout_modes, tip_settings, tips
from experiments.arms import CONTROL
from experiments.foldstack.network import build_network
from experiments.harness.layer_modes import tutorial_outputs
from experiments.harness.runner import Run
from tests.scripts.test_scripts import REPOSITORY

OPTIONS = [
    "--folds=2",
    "--repeats=2",
    "--epochs=2",
    "--jobs=2",
    f"--data={REPOSITORY / 'data' / 'sonar.csv'}",
]


@pytest.fixture
def few(monkeypatch):
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
    """Count the cross-validations; can be told to fail."""
    calls = []
    real = Run.cross_validate

    def counted(*arguments, **options):
        if calls.count("stop") > 0 and len(calls) == 3:
            raise KeyboardInterrupt
        calls.append("trained")
        return real(*arguments, **options)

    monkeypatch.setattr(Run, "cross_validate", counted)
    return calls


def tables_in(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def test_an_interrupted_sweep_goes_on_to_the_same_bytes(tmp_path, few, trained, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    tips.main([*OPTIONS, f"--results={whole}"])
    assert trained == ["trained"] * 3  # the setting that two tips share only once
    trained[:] = ["stop"]
    with pytest.raises(SystemExit) as caught:
        tips.main([*OPTIONS, f"--results={broken}"])
    assert caught.value.code == 130
    assert "run it again to continue" in capsys.readouterr().err
    assert pd.read_csv(broken / "tips-folds.csv")["setting"].unique().tolist() == [0, 1]
    trained.clear()
    tips.main([*OPTIONS, f"--results={broken}"])
    assert trained == ["trained"]
    assert tables_in(broken) == tables_in(whole)


def test_a_sweep_of_anything_else_starts_afresh(tmp_path, few, trained):
    folder = [f"--results={tmp_path}"]
    tips.main([*OPTIONS, *folder])
    for change in ("--seed=8", "--epochs=1"):
        trained.clear()
        tips.main([*OPTIONS, *folder, change])
        assert len(trained) == 3
    trained.clear()
    tips.main([*OPTIONS, *folder, "--epochs=1"])
    assert trained == []
    record = json.loads((tmp_path / "tips-folds.json").read_text())
    record["versions"]["keras"] = "0"
    (tmp_path / "tips-folds.json").write_text(json.dumps(record))
    tips.main([*OPTIONS, *folder, "--epochs=1"])
    assert len(trained) == 3
    trained.clear()
    record = json.loads((tmp_path / "tips-folds.json").read_text()) | {"commit": "another"}
    (tmp_path / "tips-folds.json").write_text(json.dumps(record))
    tips.main([*OPTIONS, *folder, "--epochs=1"])
    assert len(trained) == 3


def test_the_settings_of_every_tip(sonar):
    assert {tip: len(rows) for tip, rows in tips.TIPS.items()} == {1: 66, 2: 30, 3: 8, 4: 24, 5: 6}
    every = [setting for rows in tips.TIPS.values() for _, setting in rows]
    for _, _, pairs in tips.CLAIMS.values():
        assert all(setting in every for pair in pairs for setting in pair)
    wide = build_network({"n_features_in_": 60}, **tip_settings.with_width(2, 0.5))
    assert [layer.units for layer in wide.layers if hasattr(layer, "units")] == [120, 60, 1]
    assert [layer.rate for layer in wide.layers if hasattr(layer, "rate")] == [0.5, 0.5]
    decaying = build_network(
        {"n_features_in_": 60, "X_shape_": (187, 60)},
        {"epochs": 300, "batch_size": 16},
        **tip_settings.with_schedule(0.1, 0.95, 0.1),
    )
    schedule = decaying.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(0.1)
    assert float(schedule(300 * 12)) == pytest.approx(0.01)
    assert decaying.optimizer.momentum == 0.95


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    dropout_modes.main([*OPTIONS, "--epochs=20", f"--results={folder}"])
    return folder


def test_what_the_evaluation_sees(seen):
    observed = pd.read_csv(seen / "evaluation.csv").set_index("observation")["value"]
    assert observed["evaluation_largest_change"] == 0
    assert observed["training_standard_deviation"] > 0.01
    assert observed["layer_training_dropped"] == pytest.approx(0.2, abs=0.01)
    assert observed["layer_training_kept_value"] == pytest.approx(1.25)
    assert observed["layer_evaluation_smallest"] == observed["layer_evaluation_largest"] == 1
    for way in ("keras", "tutorial"):
        assert observed[f"{way}_training_mean_to_evaluation"] == pytest.approx(1, abs=0.01)
    assert observed["tutorial_output_largest_difference"] < 1e-5
    folds = pd.read_csv(seen / "evaluation-folds.csv")
    assert observed["monte_carlo_accuracy_difference"] == pytest.approx(
        100 * (folds["dropout_accuracy"] - folds["accuracy"]).mean()
    )
    assert not np.allclose(folds["dropout_log_loss"], folds["log_loss"])


def test_the_evaluation_gives_the_same_bytes_again(seen, tmp_path):
    dropout_modes.main([*OPTIONS, "--epochs=20", f"--results={tmp_path}"])
    assert tables_in(tmp_path) == tables_in(seen)


def test_the_tutorial_s_way_at_half_dropout():
    keras.utils.set_random_seed(0)
    network = build_network({"n_features_in_": 60}, visible_dropout=0.3, hidden_dropout=0.5)
    rows = np.random.default_rng(0).normal(size=(5, 60)).astype(np.float32)
    outputs = tutorial_outputs(network, rows)
    np.testing.assert_allclose(outputs, network(rows).numpy()[:, 0], atol=1e-6)
