"""The pipeline behaves as a scikit-learn user expects of a classifier."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, check_cv, cross_validate

from experiments.harness.pipeline import build_pipeline

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
