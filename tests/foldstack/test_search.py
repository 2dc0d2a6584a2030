"""StackedSearchCV keeps scikit-learn's conventions."""

import functools

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.utils.estimator_checks import estimator_checks_generator

from experiments.foldstack import StackedSearchCV, build_pipeline, draw_candidates
from experiments.foldstack.engine import fit_and_score
from experiments.foldstack.tasks import as_data, candidate_tasks, gather

UNITS, DROPOUT = "mlp__model__hidden_units", "mlp__model__hidden_dropout"
RATE = "mlp__model__learning_rate"
SPACE = {UNITS: [(8,), (4, 4)], DROPOUT: [0.0, 0.2]}


def pipeline(epochs=5):
    return build_pipeline(hidden_units=(8,), epochs=epochs, random_state=0)


def stratified_folds():
    return StratifiedKFold(2, shuffle=True, random_state=0)


def test_the_search_keeps_the_conventions_of_scikit_learn(sonar):
    search = StackedSearchCV(pipeline(), SPACE, cv=3, random_state=0, n_jobs=2)
    search.fit(sonar.X, sonar.y)
    results = search.cv_results_
    assert len(results["params"]) == 4  # all there are
    splits = np.array([results[f"split{number}_test_score"] for number in range(3)])
    assert results["mean_test_score"] == pytest.approx(splits.mean(axis=0))
    assert results["rank_test_score"][search.best_index_] == 1
    assert search.best_params_ == results["params"][search.best_index_]
    assert results[f"param_{UNITS}"].tolist() == [one[UNITS] for one in results["params"]]
    assert search.best_score_ == results["mean_test_score"].max()
    parameters = search.best_estimator_[-1].get_params()
    assert parameters["model__hidden_units"] == search.best_params_[UNITS]
    assert search.score(sonar.X, sonar.y) == accuracy_score(sonar.y, search.predict(sonar.X))
    assert search.predict_proba(sonar.X).shape == (208, 2)
    again = StackedSearchCV(pipeline(), SPACE, cv=3, random_state=0, n_jobs=1).fit(sonar.X, sonar.y)
    assert np.array_equal(again.cv_results_["mean_test_score"], results["mean_test_score"])


def name_of(part):
    """Return the name of a check without its address: test workers compare the names."""
    while isinstance(part, functools.partial):
        part = part.func
    return getattr(part, "__name__", type(part).__name__)


SEARCH_OPTIONS = {"cv": 2, "random_state": 0, "n_jobs": 1, "error_score": "raise"}
ESTIMATOR = StackedSearchCV(
    build_pipeline(hidden_units=(8,), learning_rate=0.1, epochs=20),
    {DROPOUT: [0.0]},
    **SEARCH_OPTIONS,
)
REGRESSOR = StackedSearchCV(
    build_pipeline(task="regression", hidden_units=(8,), learning_rate=0.02, epochs=20),
    {DROPOUT: [0.0]},
    **SEARCH_OPTIONS,
)
CHECKS = [
    check
    for estimator in (ESTIMATOR, REGRESSOR)
    for check in estimator_checks_generator(estimator, mark="skip")
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name_of)
def test_the_search_passes_scikit_learn_s_checks(estimator, check):
    check(estimator)


def test_the_search_refuses_what_it_cannot_train(sonar):
    search = StackedSearchCV(pipeline(), SPACE, cv=KFold(2), error_score="raise")
    with pytest.raises(ValueError, match="the training samples are of one class only"):
        search.fit(sonar.X, sonar.y)
    with pytest.raises(TypeError, match=r"must be a foldstack.KerasClassifier or KerasRegressor"):
        StackedSearchCV(LogisticRegression(), {"C": [1]}).fit(sonar.X, sonar.y)
    for name in ("mlp__model__hidden", "mlp__unit", "scale__with_mean"):
        expected = f"there is no parameter {name}; there are .*mlp__model__hidden_units"
        with pytest.raises(ValueError, match=expected):
            StackedSearchCV(pipeline(), {name: [1]}).fit(sonar.X, sonar.y)


def test_the_search_takes_groups_splitters_and_lists_of_spaces(sonar):
    options = {"random_state": np.random.RandomState(0), "n_jobs": 1}
    spaces, folds = [{UNITS: [(8,)]}, {DROPOUT: [0.2]}], GroupKFold(2, shuffle=True, random_state=0)
    search = StackedSearchCV(pipeline(1), spaces, cv=folds, **options)
    search.fit(sonar.X, sonar.y, groups=np.arange(208) // 4)
    assert {*search.cv_results_} >= {f"param_{UNITS}", f"param_{DROPOUT}"}
    assert search.n_splits_ == 2
    splits = list(stratified_folds().split(sonar.X, sonar.y))
    search = StackedSearchCV(pipeline(1), {DROPOUT: [0.2]}, cv=splits, **options)
    assert search.fit(sonar.X, sonar.y).predict(sonar.X[:3]).shape == (3,)


def test_a_clear_winner_wins_as_in_a_grid_search(sonar):
    grid, folds = {RATE: [1e-6, 0.05]}, stratified_folds()
    stacked = StackedSearchCV(pipeline(20), grid, cv=folds, random_state=0).fit(sonar.X, sonar.y)
    grid_search = GridSearchCV(pipeline(20), grid, cv=folds).fit(sonar.X, sonar.y)
    assert stacked.best_params_ == grid_search.best_params_


def test_candidates_are_scored_as_they_would_be_alone(sonar):
    splits = list(stratified_folds().split(sonar.X, sonar.y))
    other = {DROPOUT: 0.4, RATE: 0.1, "mlp__model__momentum": 0.9, "mlp__model__max_norm": 0.5}
    candidates = [{DROPOUT: 0.2, "mlp__model__max_norm": 1}, other, {UNITS: (4,)}]
    data = as_data(pipeline(), sonar.X, sonar.y)
    tasks = candidate_tasks(pipeline(), candidates, splits, seed=3)
    scores = gather(fit_and_score(tasks, data))
    assert scores["test_score"].shape == (3 * 2,)
    for number in (2, 4):  # the first two candidates are copies of one stack
        fewer = gather(fit_and_score(tasks[:number], data))
        for key in ("test_score", "test_log_loss"):
            assert np.array_equal(fewer[key], scores[key][:number])


def test_candidates_are_drawn_from_lists_and_distributions():
    assert len(draw_candidates(SPACE, 30, 0)) == 4
    drawn = draw_candidates({"rate": stats.loguniform(0.001, 0.1)}, 30, 0)
    assert len({one["rate"] for one in drawn}) == 30
    assert list(draw_candidates(SPACE, 1, 0)[0]) == list(SPACE)  # parameters in this order
    assert drawn == draw_candidates({"rate": stats.loguniform(0.001, 0.1)}, 30, 0)
