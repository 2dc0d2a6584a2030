"""The pipeline behaves as a scikit-learn user expects of a classifier."""

import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
from experiments.foldstack.backend import keras, tf
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, check_cv, cross_validate

from experiments.foldstack.classifier import KerasClassifier, build_pipeline
from tests.scripts.test_scripts import REPOSITORY

TINY = {"hidden_units": (4,)}


def test_it_is_a_classifier_so_an_integer_cv_is_stratified(sonar):
    pipeline = build_pipeline({})
    assert is_classifier(pipeline)
    assert isinstance(check_cv(10, sonar.y, classifier=is_classifier(pipeline)), StratifiedKFold)
    folds = cross_validate(
        build_pipeline(TINY, epochs=1), sonar.X, sonar.y, cv=10, return_indices=True
    )
    assert np.isfinite(folds["test_score"]).all()
    for test in folds["indices"]["test"]:
        assert 9 <= np.sum(sonar.y[test] == "R") <= 10


def test_a_seeded_fit_leaves_tensorflow_as_it_was():
    """Else the next fit without a seed is refused, in a process that begins with a seeded one."""
    code = """
import numpy as np
from experiments.foldstack.classifier import build_pipeline
X, y = np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10
for seed in (0, None):
    build_pipeline({"hidden_dropout": 0.5}, epochs=1, random_state=seed).fit(X, y)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_settings_are_parameters(sonar):
    pipeline = build_pipeline({"max_norm": 3})
    assert pipeline.get_params()["mlp__model__max_norm"] == 3
    assert pipeline.get_params()["mlp__model__hidden_dropout"] == 0.0
    changed = clone(pipeline).set_params(mlp__model__hidden_dropout=0.5, mlp__epochs=1)
    changed.fit(sonar.X, sonar.y)
    rates = [layer.rate for layer in changed[-1].model_.layers if hasattr(layer, "rate")]
    assert rates == [0.5, 0.5]
    assert changed.predict(sonar.X[:3]).tolist() <= ["R", "R", "R"]


def test_the_rest_of_scikit_learn_can_search_it(sonar):
    search = GridSearchCV(
        build_pipeline(TINY, epochs=1, random_state=0),
        {"mlp__model__visible_dropout": [0.0, 0.5]},
        cv=2,
    ).fit(sonar.X, sonar.y)
    assert set(search.cv_results_["param_mlp__model__visible_dropout"]) == {0.0, 0.5}
    assert search.best_estimator_.score(sonar.X, sonar.y) > 0


@pytest.mark.parametrize("same", [True, False])
def test_the_seed_decides_the_weights(sonar, same):
    fitted = [
        build_pipeline(TINY, epochs=1, random_state=seed).fit(sonar.X, sonar.y)
        for seed in (0, 0 if same else 1)
    ]
    first, second = (pipeline.predict_proba(sonar.X) for pipeline in fitted)
    assert np.array_equal(first, second) is same


class Watch(keras.layers.Layer):
    """Note the first feature of every batch that comes by in training."""

    seen: ClassVar = []

    def call(self, inputs):
        tf.py_function(lambda rows: Watch.seen.append(rows.numpy()[:, 0]), [inputs], [])
        return inputs


def build_watched(meta):
    network = keras.Sequential([keras.Input((1,)), Watch(), keras.layers.Dense(1, "sigmoid")])
    network.compile("sgd", "binary_crossentropy")
    return network


def test_rows_are_reshuffled_every_epoch_and_the_seed_decides_how():
    X, y = np.arange(10.0)[:, np.newaxis], np.array([0, 1] * 5)

    def orders(seed):
        Watch.seen.clear()
        classifier = KerasClassifier(
            build_watched, epochs=3, batch_size=4, random_state=seed, verbose=0
        )
        classifier.fit(X, y)
        assert [len(batch) for batch in Watch.seen] == [4, 4, 2] * 3
        return np.concatenate(Watch.seen).reshape(3, 10)

    first, again, other = orders(1), orders(1), orders(2)
    assert (np.sort(first, axis=1) == np.arange(10)).all()
    assert not any(np.array_equal(first[i], first[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
