"""Both functions score as scikit-learn does, with a different seed for each network."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from experiments.foldstack import cross_validate, cross_validate_sequentially, repeated_splits
from experiments.foldstack.engine import STACK_BYTES, STACK_COPIES, _plan, fit_and_score
from experiments.foldstack.metrics import measure
from experiments.foldstack.network import build_pipeline, keras
from experiments.foldstack.recipe import PACKET, Unstackable
from experiments.foldstack.tasks import Task, as_data, network_seeds

TINY = {"hidden_units": (8,), "hidden_dropout": 0.2}
SCORES = ("test_score", "train_score", "test_log_loss", "train_log_loss", "collapsed")
both = pytest.mark.parametrize("validate", [cross_validate, cross_validate_sequentially])


@pytest.fixture(scope="module")
def splits(sonar):
    return list(StratifiedKFold(3, shuffle=True, random_state=0).split(sonar.X, sonar.y))


def run(data, splits, validate=cross_validate, n_jobs=1, seed=7, **options):
    pipeline = build_pipeline(**TINY, epochs=2, random_state=seed)
    if validate is cross_validate:
        options["return_train_score"] = True
    return validate(pipeline, data.X, data.y, cv=splits, n_jobs=n_jobs, **options)


@both
def test_scores_are_those_of_the_returned_estimators(sonar, splits, validate):
    scores = run(sonar, splits, validate, return_estimator=True)
    for i, (train, test) in enumerate(splits):
        pipeline = scores["estimator"][i]
        for part, rows in [("train", train), ("test", test)]:
            X, y = sonar.X[rows], sonar.y[rows]
            assert scores[f"{part}_score"][i] == pipeline.score(X, y)
            expected = log_loss(y == "R", pipeline.predict_proba(X)[:, 1])
            assert scores[f"{part}_log_loss"][i] == pytest.approx(expected, abs=1e-6)


@both
def test_the_scaler_never_sees_the_test_fold(sonar, splits, validate):
    corrupted = sonar.X.copy()
    corrupted[splits[0][1]] = 1e6
    pipeline = build_pipeline(**TINY, epochs=1, random_state=0)
    scores = validate(pipeline, corrupted, sonar.y, cv=splits[:1], n_jobs=1, return_estimator=True)
    scaler, expected = scores["estimator"][0][0], StandardScaler().fit(sonar.X[splits[0][0]])
    assert np.array_equal([scaler.mean_, scaler.scale_], [expected.mean_, expected.scale_])


@both
def test_the_scores_depend_on_the_seed_and_not_on_n_jobs(sonar, splits, validate):
    one, two = (run(sonar, splits, validate, n_jobs=n_jobs) for n_jobs in (1, 2))
    other = run(sonar, splits, validate, seed=8)
    for key in SCORES:
        assert np.array_equal(one[key], two[key])
    assert not np.array_equal(one["test_log_loss"], other["test_log_loss"])


def test_network_seeds_differ():
    assert len(set(network_seeds(7, 1000))) == 1000
    assert network_seeds(7, 10) == network_seeds(7, 1000)[:10] != network_seeds(8, 10)


@both
def test_every_network_has_its_own_seed_and_counts_as_progress(sonar, splits, validate):
    finished = []
    scores = run(sonar, [splits[0]] * 2, validate, progress=finished.append)
    assert scores["test_log_loss"][0] != scores["test_log_loss"][1]
    assert sum(finished) == pytest.approx(2)


def test_both_functions_agree_if_nothing_is_random(sonar, splits):
    """One batch has no order, and the problem is convex: the initial weights hardly matter."""
    pipeline = build_pipeline(
        hidden_units=(), learning_rate=0.5, epochs=200, batch_size=-1, random_state=0
    )
    options = {"cv": splits, "n_jobs": 1}
    stacked = cross_validate(pipeline, sonar.X, sonar.y, return_train_score=True, **options)
    reference = cross_validate_sequentially(pipeline, sonar.X, sonar.y, **options)
    np.testing.assert_allclose(stacked["test_score"], reference["test_score"], atol=0.05)
    np.testing.assert_allclose(stacked["train_log_loss"], reference["train_log_loss"], rtol=0.05)


def test_splits_with_different_numbers_of_batches_train_as_they_would_alone(sonar):
    pipeline = build_pipeline(hidden_units=(8,), epochs=3)
    numbers = np.random.default_rng(0).permutation(208)
    tasks = [Task(pipeline, i, numbers[:n], numbers[n:]) for i, n in enumerate([32, 33, 47, 48])]
    data = as_data(pipeline, sonar.X, sonar.y)
    together = fit_and_score(tasks, data)
    for i, task in enumerate(tasks):
        alone = fit_and_score([task], data)[0]
        for key in ("test_score", "test_log_loss", "collapsed"):
            assert together[i][key] == alone[key]


@pytest.mark.parametrize(
    ("number", "batch_size", "n_bytes", "n_jobs", "copies"),
    [
        (1, 16, 1, 2, [2]),  # a single network rounds otherwise
        (10, 16, 1, 2, [5, 5]),
        (100, 16, 1, 2, [50, 50]),
        (100, 16, 1, 16, [7] * 15),  # a 16th would not make it faster
        (500, 16, 1, 2, [63] * 8),
        (10, 10, 1, 2, [8, 8]),  # 80 numbers are five whole packets
        (10, 7, 1, 2, [16]),
        (10, 16, 2**26, 2, [3] * 4),  # the data of 4 networks is as large as may be
        (2, 16, 2**26, 1, [2]),
        (2, 10, 2**26, 2, [4]),  # of one size, whatever the number
        (3, 16, 10**9, 2, [1, 1, 1]),
    ],
)
def test_stacks_keep_all_cores_busy_and_round_alike(number, batch_size, n_bytes, n_jobs, copies):
    plan = _plan(list(range(number)), batch_size, n_bytes, n_jobs)
    assert [len(numbers) for numbers in plan] == copies
    assert sorted({n for numbers in plan for n in numbers}) == list(range(number))


@pytest.mark.parametrize("batch_size", [16, 10, 7])
def test_all_stacks_are_of_one_size_that_rounds_alike(batch_size):
    for number, n_jobs in itertools.product((1, 2, 9, 64, 100, 333), (1, 2, 16, 200)):
        first, *others = _plan(list(range(number)), batch_size, 1, n_jobs)
        assert {len(numbers) for numbers in others} <= {len(first)}
        assert 2 <= len(first) <= STACK_COPIES
        assert len(first) * batch_size % PACKET == 0


@pytest.mark.parametrize(("batch_size", "n_bytes"), [(10, 2**26), (7, 2**25), (16, 10**9)])
def test_if_data_is_too_large_stacks_depend_on_it_alone(batch_size, n_bytes):
    plans = [_plan([*range(n)], batch_size, n_bytes, jobs) for n in (1, 9, 99) for jobs in (1, 16)]
    (size,) = {len(numbers) for plan in plans for numbers in plan}
    assert size == max(1, STACK_BYTES // n_bytes)


@pytest.mark.parametrize("batch_size", [16, 10])
def test_neither_the_number_of_networks_nor_of_jobs_changes_a_bit(sonar, batch_size):
    pipeline = build_pipeline(
        epochs=4, batch_size=batch_size, visible_dropout=0.3, hidden_dropout=0.2, max_norm=1
    )
    pipeline.set_params(mlp__random_state=7)

    def scores(n_repeats, n_jobs, **options):
        X, y = sonar.X[3:], sonar.y[3:]  # 205 rows fill no whole packets
        cv = repeated_splits(X, y, n_splits=5, n_repeats=n_repeats, seed=7)
        options |= {"cv": cv, "n_jobs": n_jobs, "return_train_score": True}
        return cross_validate(pipeline, X, y, **options)

    plain = scores(4, 2, dropout_passes=3)
    curved = scores(4, 1, dropout_passes=3, return_curves=True)
    for n_repeats, n_jobs in ((1, 1), (2, 8), (4, 8)):
        got = scores(n_repeats, n_jobs, dropout_passes=3, return_curves=True)
        for key in (*SCORES, "dropout_score", "dropout_log_loss"):
            for expected in (plain, curved):
                assert np.array_equal(got[key], expected[key][: 5 * n_repeats])
        for key, curve in got["curves"].items():
            assert np.array_equal(curve, curved["curves"][key][: 5 * n_repeats])


def test_curves_end_at_the_scores(sonar, splits):
    plain, curved = run(sonar, splits), run(sonar, splits, return_curves=True)
    for key in ("test_score", "train_score", "test_log_loss", "train_log_loss"):
        curve = curved["curves"][key]
        assert curve.shape == (len(splits), 2)
        np.testing.assert_allclose(curve[:, -1], curved[key], atol=1e-6)
        assert np.array_equal(plain[key], curved[key])
        assert not np.array_equal(curve[:, 0], curve[:, 1])


@both
def test_a_network_that_predicts_one_class_is_flagged(sonar, splits, validate):
    for rate, expected in ((1e5, True), (0.01, False)):
        pipeline = build_pipeline(hidden_units=(4,), learning_rate=rate, epochs=2, random_state=0)
        scores = validate(pipeline, sonar.X, sonar.y, cv=splits[:2], n_jobs=1)
        assert scores["collapsed"].tolist() == [expected] * 2


def test_pipelines_with_one_step_and_with_three(sonar, splits):
    pipeline = build_pipeline(**TINY, epochs=1, random_state=0)
    alone = Pipeline(pipeline.steps[1:])
    longer = Pipeline([("select", SelectKBest(k=7)), *pipeline.steps])
    for changed, features in ((alone, 60), (longer, 7)):
        scores = cross_validate(changed, sonar.X, sonar.y, cv=splits, return_estimator=True)
        for i, (_, test) in enumerate(splits):
            estimator = scores["estimator"][i]
            assert estimator[-1].n_features_in_ == features
            assert estimator.score(sonar.X[test], sonar.y[test]) == scores["test_score"][i]


IGNORED = {
    "shuffle": False,
    "fit__initial_epoch": 1,
    "callbacks": keras.callbacks.TerminateOnNaN,
}


@pytest.mark.parametrize("parameter", IGNORED)
def test_parameters_that_a_stack_would_ignore_are_for_the_other_function(sonar, splits, parameter):
    value = IGNORED[parameter]
    pipeline = build_pipeline(**TINY, epochs=2, random_state=0)
    pipeline.set_params(**{f"mlp__{parameter}": value})
    with pytest.raises(Unstackable, match=f"parameter {parameter}=|callback TerminateOnNaN"):
        cross_validate(pipeline, sonar.X, sonar.y, cv=splits)
    options = {"cv": splits[:1], "n_jobs": 1, "return_estimator": True}
    scores = cross_validate_sequentially(pipeline, sonar.X, sonar.y, **options)
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
    measured, both = measure(y, probability), np.column_stack([1 - probability, probability])
    assert measured["score"] == accuracy_score(y, probability > 0.5)
    assert measured["log_loss"] == pytest.approx(log_loss(y, both), rel=1e-6)


def test_measure_takes_many_networks_and_ignores_padding():
    y = np.array([[True, False, True], [True, True, False]])
    probability = np.array([[0.9, 0.2, 0.9], [0.9, np.nan, 0.1]], np.float32)
    measured = measure(y, probability, np.array([[True, True, False], [True, False, True]]))
    assert measured["score"].tolist() == [1, 1]
    assert measured["log_loss"] == pytest.approx([-np.log([0.9, 0.8]).mean(), -np.log(0.9)])
    assert measured["collapsed"].tolist() == [False, False]
    assert measure(y, probability)["collapsed"].tolist() == [False, True]
    assert measure(y[0], np.full(3, 0.6, np.float32))["collapsed"]


def test_cv_and_inputs_are_those_of_scikit_learn(sonar):
    pipeline = build_pipeline(**TINY, epochs=1, random_state=0)
    frame, labels = pd.DataFrame(sonar.X), pd.Series(sonar.y)
    labels.index = np.arange(208)[::-1]  # taken by position
    expected = cross_validate(pipeline, sonar.X, sonar.y, cv=StratifiedKFold(3))
    for cv in (3, StratifiedKFold(3).split(sonar.X, sonar.y)):
        scores = cross_validate(pipeline, frame, labels, cv=cv)
        assert np.array_equal(scores["test_log_loss"], expected["test_log_loss"])


def test_other_estimators_and_single_classes_are_refused(sonar):
    with pytest.raises(TypeError, match=r"foldstack.KerasClassifier or KerasRegressor.* got SVC"):
        cross_validate(SVC(), sonar.X, sonar.y)
    with pytest.raises(ValueError, match=r"all the 5 fits failed.* of one class only"):
        cross_validate(build_pipeline(epochs=1), sonar.X, ["R"] * 208)
