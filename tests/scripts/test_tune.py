"""`make tune` and `make predict`: the tables, the network, and input that cannot be used."""

import keras
import numpy as np
import pandas as pd
import pytest

from experiments import engine_check, figures, predict, report, tune
from experiments.foldstack import build_pipeline, draw_candidates, export_network
from experiments.harness.dataset import read_rows
from experiments.harness.errors import InputError
from experiments.harness.space import read_space
from experiments.reporting.plots import plot_chosen
from tests.conftest import SONAR

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when saving
UNITS, DROPOUT = "mlp__model__hidden_units", "mlp__model__hidden_dropout"
SPACE = {UNITS: [(8,), (4, 4)], DROPOUT: [0.0, 0.2]}
TOY = ["--folds=3", "--inner-folds=2", "--candidates=3", "--epochs=5", "--jobs=2"]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A table as a reader might bring it, tuned at toy size."""
    folder = tmp_path_factory.mktemp("own")
    generator = np.random.default_rng(0)
    X = generator.normal(size=(90, 5))
    X[:, 3] = 7  # a constant column
    frame = pd.DataFrame(X, columns=["a", "b", "c", "fixed", "e"]).round(4)
    frame.to_csv(folder / "new.csv", index=False)
    frame.insert(1, "bought", np.where(X[:, 0] + X[:, 1] > 0, "yes", "no"))
    frame.to_csv(folder / "mine.csv", sep=";", index=False)
    tune.main(
        [
            *TOY,
            f"--data={folder / 'mine.csv'}",
            "--target=bought",
            f"--results={folder / 'results'}",
        ]
    )
    return folder


def test_the_search_is_held_to_a_grid_search(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engine_check, "GRID", {"mlp__model__hidden_dropout": [0.0, 0.9]})
    engine_check.main(
        [
            "--part=search",
            "--folds=3",
            "--epochs=10",
            "--jobs=1",
            f"--data={SONAR}",
            f"--results={tmp_path}",
        ]
    )
    table = pd.read_csv(tmp_path / "validation-search.csv")
    assert table["hidden_dropout"].tolist() == [0, 0.9]
    assert (table["p_holm"] >= 0.05).all()
    for column in ("stacked_search", "grid_search"):
        assert table[column][0] > table[column][1]
    assert "validation-search.csv" in capsys.readouterr().out


def test_settings_are_shown_in_the_order_of_the_space_and_of_their_size():
    (drawn,) = draw_candidates(SPACE, 1, 0)
    assert list(drawn) == list(SPACE)
    tuned = pd.DataFrame({"fold": [1, 2, 3], "units": ["(120, 60)", "(60,)", "none"]})
    axes = plot_chosen(tuned, ["units"]).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["none", "(60,)", "(120, 60)"]


def test_what_the_tuning_writes(own):
    tuning = pd.read_csv(own / "results" / "tuning.csv")
    tuned = pd.read_csv(own / "results" / "tuned.csv")
    assert len(tuning) == 4 * 3
    assert tuning.groupby("fold")["chosen"].sum().tolist() == [1] * 4
    best = tuning.groupby("fold")["accuracy"].max()
    chosen = tuning[tuning["chosen"] == 1].set_index("fold")["accuracy"]
    assert chosen.sort_index().tolist() == pytest.approx(best.tolist())
    assert tuned["inner_accuracy"].tolist() == pytest.approx(best[1:].tolist())
    chosen = tuning[(tuning["chosen"] == 1) & (tuning["fold"] > 0)]
    assert tuned["hidden_dropout"].tolist() == chosen["hidden_dropout"].tolist()
    rates = tuning.drop_duplicates("candidate").set_index("candidate")
    dropping = (rates[["visible_dropout", "hidden_dropout"]] > 0).any(axis=1)
    assert dropping.sum() == 2  # of three candidates one has none
    assert dropping[tuned["with_dropout_candidate"]].all()
    assert not dropping[tuned["without_dropout_candidate"]].any()
    for fold in tuned.itertuples():
        way = "with" if dropping[fold.candidate] else "without"
        assert fold.candidate == getattr(fold, f"{way}_dropout_candidate")
        assert fold.accuracy == getattr(fold, f"{way}_dropout_accuracy")
    figures.main([f"--results={own / 'results'}"])
    assert (own / "results" / "figures" / "tuned.png").exists()
    report.main([f"--results={own / 'results'}"])  # without any arm
    page = (own / "results" / "README.md").read_text()
    assert (
        "- Tuning: 3 outer folds with 2 inner folds each, 3 candidates, 5 epochs, seed 7." in page
    )
    assert "outer folds; 2 of the 3 candidates have dropout." in page
    assert "- Does dropout help? On the same folds, the best candidate with dropout reaches" in page
    assert "cylinder" not in page  # it is not of the Sonar data


def test_the_same_seed_tunes_to_the_same_bytes(own, tmp_path):
    tune.main(
        [*TOY, "--jobs=1", f"--data={own / 'mine.csv'}", "--target=bought", f"--results={tmp_path}"]
    )
    for name in ("tuning.csv", "tuned.csv"):
        assert (tmp_path / name).read_bytes() == (own / "results" / name).read_bytes()


def test_the_network_needs_nothing_of_ours_and_predicts_as_the_command_does(own, capsys):
    network = keras.saving.load_model(own / "results" / "tuned.keras", safe_mode=True)
    rows = pd.read_csv(own / "new.csv").to_numpy(np.float32)
    expected = network.predict(rows, verbose=0)[:, 0]
    predict.main(
        [
            f"--model={own / 'results' / 'tuned.keras'}",
            f"--data={own / 'new.csv'}",
            f"--results={own / 'results'}",
        ]
    )
    written = pd.read_csv(own / "results" / "predictions.csv")
    assert written["line"].tolist() == list(range(2, 92))
    np.testing.assert_allclose(written["probability of yes"], expected, rtol=1e-5)
    assert written["class"].tolist() == ["yes" if p > 0.5 else "no" for p in expected]
    assert "yes" in capsys.readouterr().out


def test_the_columns_are_found_by_name(own, tmp_path):
    frame = pd.read_csv(own / "new.csv")
    mixed = frame[["e", "fixed", "c", "b", "a"]].assign(more=1)
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    X, *_ = read_rows(tmp_path / "mixed.csv", list(frame.columns))
    assert np.array_equal(X, frame.to_numpy())
    frame[["a", "b"]].to_csv(tmp_path / "narrow.csv", index=False)
    with pytest.raises(InputError, match="no column 'c'; the network was trained on 5: 'a', 'b'"):
        read_rows(tmp_path / "narrow.csv", list(frame.columns))


def test_columns_without_names_are_not_left_out(tmp_path):
    (tmp_path / "wide.csv").write_text("1,2,3\n")
    assert read_rows(tmp_path / "wide.csv", [f"column {n}" for n in (1, 2, 3)])[0].shape == (1, 3)
    with pytest.raises(InputError, match="has 3 columns, the network was trained on 2"):
        read_rows(tmp_path / "wide.csv", ["column 1", "column 2"])


def test_columns_are_found_by_name_even_if_they_are_named_by_numbers(tmp_path):
    (tmp_path / "mixed.csv").write_text("column 2,column 1\n1,2\n")
    X, *_ = read_rows(tmp_path / "mixed.csv", ["column 1", "column 2"])
    assert X.tolist() == [[2, 1]]


def test_a_row_too_far_from_all_others_is_not_predicted(tmp_path, capsys):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 2)) / 1e9
    y = np.where(X[:, 0] > 0, "yes", "no")
    fitted = build_pipeline(hidden_units=(8,), epochs=5, random_state=0).fit(X, y)
    (tmp_path / "net.keras").write_bytes(export_network(fitted, ["a", "b"]))
    (tmp_path / "far.csv").write_text("a,b\n0,0\n1e30,1e30\n")
    with pytest.raises(SystemExit) as caught:
        predict.main(
            [
                f"--model={tmp_path / 'net.keras'}",
                f"--data={tmp_path / 'far.csv'}",
                f"--results={tmp_path / 'results'}",
            ]
        )
    assert caught.value.code == 2
    assert "far.csv, line 3: the network gives no probability" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_header_does_not_hinder_a_network_whose_columns_have_no_names(tmp_path):
    (tmp_path / "named.csv").write_text("a,b\n1,2\n3,4\n")
    X, lines, _ = read_rows(tmp_path / "named.csv", ["column 1", "column 2"])
    assert (X.tolist(), lines) == ([[1, 2], [3, 4]], [2, 3])


def test_a_search_whose_networks_diverge_writes_no_network(own, tmp_path, capsys):
    (tmp_path / "wild.toml").write_text("mlp__model__learning_rate = [1e30]\n")
    (tmp_path / "tuned.keras").write_text("of an earlier search")
    with pytest.raises(SystemExit) as caught:
        tune.main(
            [
                *TOY,
                f"--data={own / 'mine.csv'}",
                "--target=bought",
                f"--space={tmp_path / 'wild.toml'}",
                f"--results={tmp_path}",
            ]
        )
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert "3 of the 3 chosen networks diverged: the search space is too wide" in printed.out
    assert "dropout" not in printed.out  # it was not searched for
    assert printed.err.startswith("tune: no network was written: with the settings to use it")
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "tuned.keras").exists()
    assert pd.read_csv(tmp_path / "tuned.csv")["collapsed"].tolist() == [1, 1, 1]


def test_a_space_from_a_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        'mlp__model__max_norm = ["none", 3]\n'
        'mlp__model__hidden_dropout = ["none", 0.2]\n'
        "mlp__model__hidden_units = [[8], [4, 4]]\n"
        "mlp__model__learning_rate = {low = 0.001, high = 0.1, log = true}\n"
        "mlp__model__momentum = {low = 0.5, high = 0.9}\n"
    )
    space = read_space(path)
    assert space["mlp__model__max_norm"] == [None, 3]
    assert space["mlp__model__hidden_dropout"] == [0, 0.2]
    assert space["mlp__model__hidden_units"] == [(8,), (4, 4)]
    assert space["mlp__model__learning_rate"].support() == (0.001, 0.1)
    assert space["mlp__model__momentum"].support() == (0.5, 0.9)


def test_too_few_rows_for_the_inner_folds_are_told(tmp_path, capsys):
    path = tmp_path / "few.csv"
    path.write_text("1,a\n2,a\n3,a\n4,b\n5,b\n6,b\n")
    with pytest.raises(SystemExit) as caught:
        tune.main([*TOY, f"--data={path}", "--inner-folds=3", f"--results={tmp_path}"])
    assert caught.value.code == 2
    assert "the smaller class has 3 rows, too few" in capsys.readouterr().err
