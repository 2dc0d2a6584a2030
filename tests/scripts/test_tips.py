"""The sweep goes on where it stopped, and the evaluation sees what Keras does."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments import evaluation, figures, tips
from experiments.foldstack.backend import keras
from experiments.foldstack.network import build_network
from experiments.harness import sweep as sweep_module
from experiments.reporting import plots
from experiments.reporting.claims import mark_untrained, settle_tips
from tests.scripts.test_scripts import REPOSITORY

OPTIONS = ["--folds=2", "--repeats=2", "--epochs=2", "--jobs=2",
           f"--data={REPOSITORY / 'data' / 'sonar.csv'}"]  # fmt: skip


@pytest.fixture
def few(monkeypatch):
    """Three settings, one of them part of two tips."""
    rows = [({"place": "inputs", "rate": r}, tips.dropped("inputs", r)) for r in (0, 0.2, 0.9)]
    monkeypatch.setattr(tips, "TIPS", {1: rows, 3: rows[:1]})
    pairs = [(tips.dropped("inputs", 0.2), tips.CONTROL), (rows[2][1], tips.CONTROL)]
    monkeypatch.setattr(tips, "CLAIMS", {"it helps": (1, "better", pairs)})


@pytest.fixture
def trained(monkeypatch):
    """Count the cross-validations; can be told to fail."""
    calls = []
    real = sweep_module.cross_validate

    def counted(*arguments, **options):
        if calls.count("stop") > 0 and len(calls) == 3:
            raise KeyboardInterrupt
        calls.append("trained")
        return real(*arguments, **options)

    monkeypatch.setattr(sweep_module, "cross_validate", counted)
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
    assert "run it again to go on" in capsys.readouterr().err
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
    wide = build_network({"n_features_in_": 60}, **tips.widened(2, 0.5))
    assert [layer.units for layer in wide.layers if hasattr(layer, "units")] == [120, 60, 1]
    assert [layer.rate for layer in wide.layers if hasattr(layer, "rate")] == [0.5, 0.5]
    decaying = build_network(
        {"n_features_in_": 60, "X_shape_": (187, 60)},
        {"epochs": 300, "batch_size": 16},
        **tips.driven(0.1, 0.95, 0.1),
    )
    schedule = decaying.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(0.1)
    assert float(schedule(300 * 12)) == pytest.approx(0.01)
    assert decaying.optimizer.momentum == 0.95


@pytest.mark.parametrize(
    ("direction", "verdicts", "expected"),
    [
        ("better", ["better", "too close to call"], "reproduced"),
        ("better", ["worse", "too close to call"], "contradicted"),
        ("better", ["worse", "too close to call", "too close to call"], "too close to call"),
        ("better", ["better", "worse"], "in part"),
        ("better", ["better", "did not train", "too close to call"], "reproduced"),
        ("better", ["better", "did not train", "did not train"], "reproduced"),
        ("better", ["did not train"] * 2, "did not train"),
        ("worse", ["worse", "worse"], "reproduced"),
        ("worse", ["better", "too close to call"], "contradicted"),
        ("better", ["too close to call"] * 2, "too close to call"),
        ("neither", ["too close to call"] * 2, "reproduced"),
        ("neither", ["too close to call", "worse"], "reproduced"),
        ("neither", ["too close to call", "worse", "too wide"], "too close to call"),
        ("neither", ["worse", "worse", "too wide"], "contradicted"),
    ],
)
def test_tips_are_settled_by_their_rule(direction, verdicts, expected):
    pairs = pd.DataFrame(
        {
            "tip": 1, "claim": "c", "direction": direction, "networks": 4,
            "second_collapsed": [4 if verdict == "did not train" else 0 for verdict in verdicts],
            "difference": [0.1, -0.2, 0.0][: len(verdicts)],
            "these_low": -0.5, "these_high": 0.5, "new_low": -5.0, "new_high": 5.0,
            "these_family_low": [-1.5 if verdict == "too wide" else -0.8 for verdict in verdicts],
            "these_family_high": 0.8, "new_family_low": -6.0, "new_family_high": 6.0,
            "these_verdict": verdicts, "new_verdict": "too close to call",
        }
    )  # fmt: skip
    (claim,) = settle_tips(pairs).to_dict("records")
    assert claim["these_verdict"] == expected
    failed = verdicts.count("did not train")
    assert (f", {failed} did not train without it;" in claim["found"]) == (failed > 0)
    assert claim["new_verdict"] == "too close to call"
    trained = pairs[pairs["these_verdict"] != "did not train"]["difference"]
    trained = trained if len(trained) else pairs["difference"]
    best = {"better": trained.max(), "worse": trained.min(), "neither": -0.2}[direction]
    assert claim["estimate"] == best


def test_a_pair_of_which_half_collapsed_has_no_verdict():
    pairs = pd.DataFrame(
        {
            "networks": 4, "first_collapsed": [0, 2, 0], "second_collapsed": [1, 0, 3],
            "these_verdict": "worse", "new_verdict": "too close to call",
        }
    )  # fmt: skip
    marked = mark_untrained(pairs)
    assert marked["these_verdict"].tolist() == ["worse", "did not train", "did not train"]
    assert marked["new_verdict"].tolist()[1:] == ["did not train"] * 2


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    evaluation.main([*OPTIONS, "--epochs=20", f"--results={folder}"])
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
    evaluation.main([*OPTIONS, "--epochs=20", f"--results={tmp_path}"])
    assert tables_in(tmp_path) == tables_in(seen)


def test_the_tutorial_s_way_at_half_dropout():
    keras.utils.set_random_seed(0)
    network = build_network({"n_features_in_": 60}, visible_dropout=0.3, hidden_dropout=0.5)
    rows = np.random.default_rng(0).normal(size=(5, 60)).astype(np.float32)
    outputs = evaluation._tutorial_outputs(network, rows, keras.layers.Dropout)
    np.testing.assert_allclose(outputs, network(rows).numpy()[:, 0], atol=1e-6)


def test_a_figure_for_every_tip(committed):
    table = pd.read_csv(committed / "results" / "tips.csv")
    drawn = figures._draw_tips(table, plots)
    assert sorted(drawn) == [f"tip{number}" for number in range(1, 6)]
    lines = [len(figure.axes[0].containers) for _, figure in sorted(drawn.items())]
    assert lines == [3, 3, 1, 4, 1]
