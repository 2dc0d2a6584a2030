"""The pipeline behaves as a scikit-learn user expects of a classifier."""

from typing import ClassVar

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import StratifiedKFold, check_cv, cross_validate

from experiments.foldstack import KerasClassifier, build_pipeline
from experiments.foldstack import cross_validate as cross_validate_stacked
from experiments.foldstack.recipe import keras, tf
from tests.conftest import run_python

TINY = {"hidden_units": (4,), "epochs": 1}


def test_an_integer_cv_is_stratified(sonar):
    pipeline = build_pipeline(**TINY)
    assert is_classifier(pipeline)
    assert isinstance(check_cv(5, sonar.y, classifier=is_classifier(pipeline)), StratifiedKFold)
    folds = cross_validate(pipeline, sonar.X, sonar.y, cv=5, return_indices=True)
    assert np.isfinite(folds["test_score"]).all()
    for test in folds["indices"]["test"]:
        assert 19 <= np.sum(sonar.y[test] == "R") <= 20


def test_a_seeded_fit_restores_tensorflow_s_state():
    """Otherwise a fit without a seed would be refused after one with a seed."""
    code = """
import numpy as np
from experiments.foldstack import build_pipeline
X, y = np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10
for seed in (0, None):
    build_pipeline(hidden_dropout=0.5, epochs=1, random_state=seed).fit(X, y)
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


def test_settings_are_parameters(sonar):
    changed = clone(build_pipeline()).set_params(mlp__model__hidden_dropout=0.5, mlp__epochs=1)
    changed.fit(sonar.X, sonar.y)
    rates = [layer.rate for layer in changed[-1].model_.layers if hasattr(layer, "rate")]
    assert rates == [0.5, 0.5]
    assert set(changed.predict(sonar.X)) <= {"M", "R"}


def test_the_seed_decides_the_weights(sonar):
    first, same, other = (
        build_pipeline(**TINY, random_state=seed).fit(sonar.X, sonar.y).predict_proba(sonar.X)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_unit_of_a_target_is_nothing_to_its_network():
    """In a stack as in a fit, for one target or two."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] + 0.1 * X[:, 1]
    pipeline = build_pipeline(task="regression", **TINY | {"epochs": 30}, random_state=0)
    small, large, both = (
        cross_validate_stacked(pipeline, X, target, cv=3, return_estimator=True)
        for target in (y, 1e4 * y + 1e6, np.column_stack([y, 1e4 * y + 1e6]))
    )
    assert small["test_score"].min() > 0.5
    assert np.allclose(small["test_score"], large["test_score"], atol=1e-4)
    assert both["test_score"].min() > 0.5
    split = check_cv(3).split(X)
    for fitted, score, (_, test) in zip(
        large["estimator"], large["test_score"], split, strict=True
    ):
        assert np.isclose(fitted.score(X[test], 1e4 * y[test] + 1e6), score, atol=1e-5)
    fitted = clone(pipeline).fit(X, 1e4 * y + 1e6)
    assert fitted.score(X, 1e4 * y + 1e6) > 0.5


class Recorder(keras.layers.Layer):
    """Record the first feature of every training batch."""

    batches: ClassVar = []

    def call(self, inputs):
        tf.py_function(lambda rows: Recorder.batches.append(rows.numpy()[:, 0]), [inputs], [])
        return inputs


def build_recorded(meta):
    network = keras.Sequential([keras.Input((1,)), Recorder(), keras.layers.Dense(1, "sigmoid")])
    network.compile("sgd", "binary_crossentropy")
    return network


def test_samples_are_reshuffled_every_epoch_from_the_seed():
    X, y = np.arange(10.0)[:, np.newaxis], np.array([0, 1] * 5)

    def orders(seed):
        Recorder.batches.clear()
        KerasClassifier(build_recorded, epochs=3, batch_size=4, random_state=seed, verbose=0).fit(
            X, y
        )
        assert [len(batch) for batch in Recorder.batches] == [4, 4, 2] * 3
        return np.concatenate(Recorder.batches).reshape(3, 10)

    first, again, other = orders(1), orders(1), orders(2)
    assert (np.sort(first, axis=1) == np.arange(10)).all()
    assert len(np.unique(first, axis=0)) == 3
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
