"""The settings of the tips; dropout behaves as Keras' and the tutorial's."""

import numpy as np
import pandas as pd
import pytest

from experiments import tip_settings, tips
from experiments.arms import CONTROL, HIDDEN
from experiments.foldstack.network import build_network
from experiments.harness.layer_modes import tutorial_outputs
from tests.commands import run


def test_the_settings_of_every_tip():
    assert {tip: len(rows) for tip, rows in tips.TIPS.items()} == {1: 66, 2: 30, 3: 8, 4: 24, 5: 6}
    every = [setting for rows in tips.TIPS.values() for _, setting in rows]
    for tip, _, pair in tips.CLAIMS.values():
        assert 1 <= tip <= 5
        assert pair[0] != pair[1]
    further = [each for _, _, pair in tips.CLAIMS.values() for each in pair if each not in every]
    assert len(further) == 6  # the middles of ranges, which the grids lack
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
