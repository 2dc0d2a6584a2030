"""Cross-validation gives what scikit-learn's gives, with a seed of its own for each network."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from experiments.harness.cross_validation import cross_validate, measure, network_seeds
from experiments.harness.pipeline import build_pipeline

TINY = {"hidden_units": (8,), "hidden_dropout": 0.2}


@pytest.fixture(scope="module")
def splits(sonar):
    return list(StratifiedKFold(3, shuffle=True, random_state=0).split(sonar.X, sonar.y))


def run(data, splits, jobs=1, seed=7, **options):
    pipeline = build_pipeline(TINY, epochs=2, random_state=seed)
    return cross_validate(pipeline, data.X, data.y, splits, jobs=jobs, **options)


def test_scores_are_those_of_the_estimators_on_their_splits(sonar, splits):
    scores = run(sonar, splits, return_estimator=True)
    for i, (train, test) in enumerate(splits):
        pipeline = scores["estimator"][i]
        for part, rows in [("train", train), ("test", test)]:
            X, y = sonar.X[rows], sonar.y[rows]
            assert scores[f"{part}_score"][i] == pipeline.score(X, y)
            expected = log_loss(y == "R", pipeline.predict_proba(X)[:, 1])
            assert scores[f"{part}_log_loss"][i] == pytest.approx(expected, abs=1e-6)


def test_the_scaler_never_sees_the_test_fold(sonar, splits):
    spoilt = sonar.X.copy()
    spoilt[splits[0][1]] = 1e6
    scores = cross_validate(
        build_pipeline(TINY, epochs=1, random_state=0),
        spoilt, sonar.y, splits[:1], jobs=1, return_estimator=True,
    )  # fmt: skip
    expected = StandardScaler().fit(sonar.X[splits[0][0]])
    assert np.array_equal(scores["estimator"][0]["standardize"].mean_, expected.mean_)
    assert np.array_equal(scores["estimator"][0]["standardize"].scale_, expected.scale_)


def test_same_seed_same_scores_however_many_processes(sonar, splits):
    one, two, other = (
        run(sonar, splits, jobs=1),
        run(sonar, splits, jobs=2),
        run(sonar, splits, seed=8),
    )
    for key in ("test_score", "train_score", "test_log_loss", "train_log_loss"):
        assert np.array_equal(one[key], two[key])
    assert not np.array_equal(one["test_log_loss"], other["test_log_loss"])


def test_every_network_has_a_seed_of_its_own():
    assert len(set(network_seeds(7, 1000))) == 1000
    assert network_seeds(7, 10) == network_seeds(7, 1000)[:10]
    assert network_seeds(7, 10) != network_seeds(8, 10)


def test_the_same_split_twice_gives_two_different_networks(sonar, splits):
    scores = run(sonar, [splits[0], splits[0]])
    assert scores["test_log_loss"][0] != scores["test_log_loss"][1]


def test_progress_counts_every_split(sonar, splits):
    finished = []
    run(sonar, splits, progress=finished.append)
    assert sum(finished) == len(splits)


def test_measure_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    y = generator.random(50) < 0.5
    probability = generator.random(50, dtype=np.float32)
    probability[:3] = 0, 1, 0.5
    measured = measure(y, probability)
    both = np.column_stack([1 - probability, probability])
    assert measured["score"] == accuracy_score(y, probability > 0.5)
    assert measured["log_loss"] == pytest.approx(log_loss(y, both), rel=1e-6)
