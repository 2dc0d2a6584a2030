"""Either engine gives what scikit-learn's gives, with a seed of its own for each network."""

import numpy as np
import pytest
from experiments.foldstack.backend import keras
from experiments.foldstack.cross_validation import cross_validate, network_seeds
from sklearn.feature_selection import SelectKBest
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from experiments.foldstack.classifier import build_pipeline
from experiments.foldstack.engine import Task, _plan, fit_and_score_side_by_side
from experiments.foldstack.metrics import measure
from experiments.harness.errors import Unstackable

TINY = {"hidden_units": (8,), "hidden_dropout": 0.2}


SCORES = ("test_score", "train_score", "test_log_loss", "train_log_loss", "collapsed")
both_engines = pytest.mark.parametrize("engine", ["stacked", "scikit-learn"])


@pytest.fixture(scope="module")
def splits(sonar):
    return list(StratifiedKFold(3, shuffle=True, random_state=0).split(sonar.X, sonar.y))


def run(data, splits, jobs=1, seed=7, **options):
    pipeline = build_pipeline(TINY, epochs=2, random_state=seed)
    return cross_validate(pipeline, data.X, data.y, splits, jobs=jobs, **options)


@both_engines
def test_scores_are_those_of_the_estimators_on_their_splits(sonar, splits, engine):
    scores = run(sonar, splits, engine=engine, return_estimator=True)
    for i, (train, test) in enumerate(splits):
        pipeline = scores["estimator"][i]
        for part, rows in [("train", train), ("test", test)]:
            X, y = sonar.X[rows], sonar.y[rows]
            assert scores[f"{part}_score"][i] == pipeline.score(X, y)
            expected = log_loss(y == "R", pipeline.predict_proba(X)[:, 1])
            assert scores[f"{part}_log_loss"][i] == pytest.approx(expected, abs=1e-6)


@both_engines
def test_the_scaler_never_sees_the_test_fold(sonar, splits, engine):
    spoilt = sonar.X.copy()
    spoilt[splits[0][1]] = 1e6
    scores = cross_validate(
        build_pipeline(TINY, epochs=1, random_state=0),
        spoilt, sonar.y, splits[:1], engine=engine, jobs=1, return_estimator=True,
    )  # fmt: skip
    expected = StandardScaler().fit(sonar.X[splits[0][0]])
    assert np.array_equal(scores["estimator"][0]["standardize"].mean_, expected.mean_)
    assert np.array_equal(scores["estimator"][0]["standardize"].scale_, expected.scale_)


@both_engines
def test_same_seed_same_scores_whatever_the_jobs(sonar, splits, engine):
    one, two, other = (
        run(sonar, splits, engine=engine, jobs=1),
        run(sonar, splits, engine=engine, jobs=2),
        run(sonar, splits, engine=engine, seed=8),
    )
    for key in SCORES:
        assert np.array_equal(one[key], two[key])
    assert not np.array_equal(one["test_log_loss"], other["test_log_loss"])


def test_every_network_has_a_seed_of_its_own():
    assert len(set(network_seeds(7, 1000))) == 1000
    assert network_seeds(7, 10) == network_seeds(7, 1000)[:10]
    assert network_seeds(7, 10) != network_seeds(8, 10)


@both_engines
def test_the_same_split_twice_gives_two_different_networks(sonar, splits, engine):
    scores = run(sonar, [splits[0], splits[0]], engine=engine)
    assert scores["test_log_loss"][0] != scores["test_log_loss"][1]


@both_engines
def test_progress_counts_every_network(sonar, splits, engine):
    finished = []
    run(sonar, splits, engine=engine, progress=finished.append)
    assert sum(finished) == pytest.approx(len(splits))


def test_engines_agree_without_dropout_and_shuffling_aside(sonar, splits):
    """One batch an epoch leaves no order to differ in, zero epochs of dropout no masks."""
    pipeline = build_pipeline(
        {"hidden_units": (), "learning_rate": 0.5}, epochs=200, batch_size=-1, random_state=0
    )  # logistic regression: convex, so initial weights hardly matter either
    stacked, reference = (
        cross_validate(pipeline, sonar.X, sonar.y, splits, engine=engine, jobs=1)
        for engine in ("stacked", "scikit-learn")
    )
    np.testing.assert_allclose(stacked["test_score"], reference["test_score"], atol=0.05)
    np.testing.assert_allclose(stacked["train_log_loss"], reference["train_log_loss"], rtol=0.05)


def test_folds_of_different_numbers_of_batches_train_as_they_would_alone(sonar):
    pipeline = build_pipeline({"hidden_units": (8,)}, epochs=3)
    numbers = np.random.default_rng(0).permutation(208)
    tasks = [Task(pipeline, i, numbers[:n], numbers[n:]) for i, n in enumerate([32, 33, 47, 48])]
    together = fit_and_score_side_by_side(tasks, sonar.X, sonar.y)
    for i, task in enumerate(tasks):
        alone = fit_and_score_side_by_side([task], sonar.X, sonar.y)[0]
        for key in SCORES:
            assert together[i][key] == pytest.approx(alone[key], abs=1e-5)


@pytest.mark.parametrize(
    ("number", "entries", "copies"),
    [
        (1, 1, [1]),
        (2, 1, [1, 1]),
        (10, 208 * 60, [5, 5]),
        (100, 208 * 60, [50, 50]),
        (101, 208 * 60, [26] * 4),
        (150, 208 * 60, [38] * 4),
        (10, 100_000 * 60, [5, 5]),
        (3, 10**9, [1, 1, 1]),
    ],
)
def test_stacks_are_even_in_number_of_one_size_and_bounded(number, entries, copies):
    plan = _plan(list(range(number)), entries)
    assert [len(numbers) for numbers in plan] == copies
    assert sorted({n for numbers in plan for n in numbers}) == list(range(number))


def test_curves_end_at_the_scores(sonar, splits):
    plain, curved = run(sonar, splits), run(sonar, splits, return_curves=True)
    for key in ("test_score", "train_score", "test_log_loss", "train_log_loss"):
        curve = curved["curves"][key]
        assert curve.shape == (len(splits), 2)
        np.testing.assert_allclose(curve[:, -1], curved[key], atol=1e-6)
        assert np.array_equal(plain[key], curved[key])
        assert not np.array_equal(curve[:, 0], curve[:, 1])


@both_engines
def test_a_network_that_gives_one_class_is_told(sonar, splits, engine):
    dead = build_pipeline({"hidden_units": (4,), "learning_rate": 1e5}, epochs=2, random_state=0)
    alive = build_pipeline({"hidden_units": (4,)}, epochs=2, random_state=0)
    for pipeline, expected in ((dead, True), (alive, False)):
        scores = cross_validate(pipeline, sonar.X, sonar.y, splits[:2], engine=engine, jobs=1)
        assert scores["collapsed"].tolist() == [expected] * 2


def test_the_classifier_may_stand_alone_and_other_steps_before_it(sonar, splits):
    pipeline = build_pipeline(TINY, epochs=1, random_state=0)
    alone = Pipeline(pipeline.steps[1:])
    longer = Pipeline([("select", SelectKBest(k=7)), *pipeline.steps])
    for changed, features in ((alone, 60), (longer, 7)):
        scores = cross_validate(changed, sonar.X, sonar.y, splits, return_estimator=True)
        for estimator, (_, test), score in zip(
            scores["estimator"], splits, scores["test_score"], strict=True
        ):
            assert estimator[-1].n_features_in_ == features
            assert estimator.score(sonar.X[test], sonar.y[test]) == score


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("class_weight", "balanced"), ("validation_split", 0.1), ("shuffle", False),
     ("fit__initial_epoch", 1), ("callbacks", [1])],
)  # fmt: skip
def test_parameters_that_would_be_ignored_are_refused(sonar, splits, parameter, value):
    pipeline = build_pipeline(TINY, epochs=1).set_params(**{f"mlp__{parameter}": value})
    with pytest.raises(Unstackable, match=f"parameter {parameter}="):
        cross_validate(pipeline, sonar.X, sonar.y, splits)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("class_weight", "balanced"), ("validation_split", 0.1), ("shuffle", False),
     ("fit__initial_epoch", 1), ("callbacks", keras.callbacks.TerminateOnNaN)],
)  # fmt: skip
def test_the_other_engine_takes_them(sonar, splits, parameter, value):
    pipeline = build_pipeline(TINY, epochs=2, random_state=0).set_params(
        **{f"mlp__{parameter}": value}
    )
    scores = cross_validate(
        pipeline, sonar.X, sonar.y, splits[:1], engine="scikit-learn", jobs=1,
        return_estimator=True,
    )  # fmt: skip
    assert 0.3 < scores["test_score"][0] <= 1
    assert scores["estimator"][0][-1].get_params()[parameter] == value


def test_an_error_in_one_stack_ends_the_others(sonar, splits):
    def fail(_):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run(sonar, splits, progress=fail)


def test_measure_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    y = generator.random(50) < 0.5
    probability = generator.random(50, dtype=np.float32)
    probability[:3] = 0, 1, 0.5
    measured = measure(y, probability)
    both = np.column_stack([1 - probability, probability])
    assert measured["score"] == accuracy_score(y, probability > 0.5)
    assert measured["log_loss"] == pytest.approx(log_loss(y, both), rel=1e-6)


def test_measure_takes_many_networks_and_leaves_out_padding():
    y = np.array([[True, False, True], [True, True, False]])
    probability = np.array([[0.9, 0.2, 0.9], [0.9, np.nan, 0.1]], np.float32)
    measured = measure(y, probability, np.array([[True, True, False], [True, False, True]]))
    assert measured["score"].tolist() == [1, 1]
    assert measured["log_loss"] == pytest.approx([-np.log([0.9, 0.8]).mean(), -np.log(0.9)])
    assert measured["collapsed"].tolist() == [False, False]
    assert measure(y, probability)["collapsed"].tolist() == [False, True]
    assert measure(y[0], np.full(3, 0.6, np.float32))["collapsed"]
