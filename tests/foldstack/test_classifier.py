"""The pipeline behaves as a scikit-learn user expects of a classifier."""

import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, check_cv, cross_validate

from experiments.foldstack import KerasClassifier, build_pipeline
from experiments.foldstack.stack import keras, tf
from tests.conftest import SONAR

TINY = {"hidden_units": (4,)}


def test_an_integer_cv_is_stratified(sonar):
    pipeline = build_pipeline()
    assert is_classifier(pipeline)
    assert isinstance(check_cv(10, sonar.y, classifier=is_classifier(pipeline)), StratifiedKFold)
    folds = cross_validate(
        build_pipeline(**TINY, epochs=1), sonar.X, sonar.y, cv=10, return_indices=True
    )
    assert np.isfinite(folds["test_score"]).all()
    for test in folds["indices"]["test"]:
        assert 9 <= np.sum(sonar.y[test] == "R") <= 10


def test_a_seeded_fit_leaves_tensorflow_as_it_was():
    """Otherwise a fit without a seed would be refused after one with a seed."""
    code = """
import numpy as np
from experiments.foldstack import build_pipeline
X, y = np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10
for seed in (0, None):
    build_pipeline(hidden_dropout=0.5, epochs=1, random_state=seed).fit(X, y)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=SONAR.parents[1], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_settings_are_parameters(sonar):
    pipeline = build_pipeline(max_norm=3)
    changed = clone(pipeline).set_params(mlp__model__hidden_dropout=0.5, mlp__epochs=1)
    changed.fit(sonar.X, sonar.y)
    rates = [layer.rate for layer in changed[-1].model_.layers if hasattr(layer, "rate")]
    assert rates == [0.5, 0.5]
    assert changed.predict(sonar.X[:3]).tolist() <= ["R", "R", "R"]


def test_grid_search_takes_its_parameters(sonar):
    search = GridSearchCV(
        build_pipeline(**TINY, epochs=1, random_state=0),
        {"mlp__model__visible_dropout": [0.0, 0.5]},
        cv=2,
    ).fit(sonar.X, sonar.y)
    assert set(search.cv_results_["param_mlp__model__visible_dropout"]) == {0.0, 0.5}
    assert search.best_estimator_.score(sonar.X, sonar.y) > 0


@pytest.mark.parametrize("same", [True, False])
def test_the_seed_decides_the_weights(sonar, same):
    fitted = [
        build_pipeline(**TINY, epochs=1, random_state=seed).fit(sonar.X, sonar.y)
        for seed in (0, 0 if same else 1)
    ]
    first, second = (pipeline.predict_proba(sonar.X) for pipeline in fitted)
    assert np.array_equal(first, second) is same


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
        classifier = KerasClassifier(
            build_recorded, epochs=3, batch_size=4, random_state=seed, verbose=0
        )
        classifier.fit(X, y)
        assert [len(batch) for batch in Recorder.batches] == [4, 4, 2] * 3
        return np.concatenate(Recorder.batches).reshape(3, 10)

    first, again, other = orders(1), orders(1), orders(2)
    assert (np.sort(first, axis=1) == np.arange(10)).all()
    assert not any(np.array_equal(first[i], first[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
