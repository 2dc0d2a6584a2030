"""Search for the best settings by cross-validation, all candidates' networks in stacks."""

import numbers
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import ParameterGrid, ParameterSampler, StratifiedKFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from experiments.foldstack.classifier import KerasClassifier
from experiments.foldstack.cross_validation import network_seeds
from experiments.foldstack.engine import Task, fit_and_score_side_by_side


def score_candidates(
    pipeline: Pipeline,
    candidates: Sequence[Mapping[str, object]],
    X: np.ndarray,
    y: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    seed: int | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] = lambda finished: None,
) -> dict[str, np.ndarray]:
    """Cross-validate the pipeline with each candidate's parameters, on the same splits.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted; its last step is a `KerasClassifier`.
    candidates : sequence of mappings
        Parameters as of ``pipeline.set_params``.
    X, y : arrays of shape (rows, features) and (rows,)
    splits : sequence of (train, test) index arrays
    seed : int or None
        Every network's seed is drawn from it.

    Returns
    -------
    dict of arrays of shape (candidates, splits)
        As of `fit_and_score_side_by_side`.
    """
    seeds = iter(network_seeds(seed, len(candidates) * len(splits)))
    tasks = [
        Task(changed, next(seeds), *split)
        for changed in (with_parameters(pipeline, candidate) for candidate in candidates)
        for split in splits
    ]
    results = fit_and_score_side_by_side(tasks, X, y, jobs=jobs, progress=progress)
    shape = len(candidates), len(splits)
    return {key: np.array([one[key] for one in results]).reshape(shape) for key in results[0]}


def with_parameters(pipeline: Pipeline, parameters: Mapping[str, object]) -> Pipeline:
    """Clone a pipeline and set parameters.

    Of the classifier these are the network's, the epochs and the batch size: what else
    scikeras takes has no effect on a network that comes compiled.

    Raises
    ------
    ValueError
        If a parameter is unknown, or would have no effect.
    """
    last = pipeline.steps[-1][0] + "__"
    for name in parameters:
        if "__" not in name:
            raise ValueError(f"{name} cannot be tuned, it is a whole step of the pipeline")
        part = name.removeprefix(last)
        if part != name and part not in ("epochs", "batch_size") and not part.startswith("model__"):
            raise ValueError(f"{name} cannot be tuned, it has no effect on the stacked networks")
    return clone(pipeline).set_params(**parameters)


class StackedSearchCV(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Randomised search over a pipeline's parameters, as `RandomizedSearchCV` does it.

    The networks of all candidates and folds train in stacks. The candidate of the highest
    mean accuracy wins, the earlier one of two that are level, and is fitted to all rows.

    Parameters
    ----------
    estimator : Pipeline
        Its last step is this project's `KerasClassifier`; two classes.
    param_distributions : dict or list of dicts
        Parameter names to lists, or to distributions with a method ``rvs``.
    n_iter : int
        Candidates to draw; no more than the lists allow.
    cv : int, None, splitter or iterable of (train, test)
        A number of stratified, shuffled folds (None: 5), or what scikit-learn takes.
    random_state : int, RandomState or None
        Decides candidates, folds and networks.
    jobs : int or None
        Threads; None takes one per core.

    Attributes
    ----------
    cv_results_ : dict of arrays
        ``params, mean_test_score, std_test_score, rank_test_score, mean_train_score,
        split<i>_test_score, collapsed`` and ``param_<name>``, an entry for each candidate.
    best_index_ : int
    best_params_ : dict
    best_score_ : float
        Mean accuracy of the best candidate on the folds that chose it: optimistic.
    best_estimator_ : Pipeline
        Fitted to all rows.
    """

    def __init__(
        self, estimator, param_distributions, *, n_iter=30, cv=5, random_state=None, jobs=None
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.cv = cv
        self.random_state = random_state
        self.jobs = jobs

    def fit(self, X, y, groups=None):
        """Search, then fit the best candidate to all rows.

        Parameters
        ----------
        X : array of shape (rows, features)
            Without missing values, even if a step of the pipeline would fill them.
        y : array of shape (rows,)
            Class labels, two of them.
        groups : array of shape (rows,), optional
            Handed to ``cv.split``.
        """
        if not isinstance(self.estimator, Pipeline) or not isinstance(
            self.estimator[-1], KerasClassifier
        ):
            raise TypeError(
                "StackedSearchCV takes a Pipeline whose last step is a KerasClassifier of "
                "experiments.foldstack.classifier"
            )
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise ValueError(
                f"Only binary classification is supported; y has {len(self.classes_)} class(es)."
            )
        seed = self.random_state
        if isinstance(seed, np.random.RandomState):
            seed = int(seed.randint(2**31))
        candidates = draw_candidates(self.param_distributions, self.n_iter, seed)
        folds = 5 if self.cv is None else self.cv
        if isinstance(folds, numbers.Integral):
            folds = StratifiedKFold(folds, shuffle=True, random_state=seed)
        splits = list(check_cv(folds, y, classifier=True).split(X, y, groups))
        if any(len(np.unique(y[train])) < 2 for train, _ in splits):
            raise ValueError("a training fold has rows of one class only; use stratified folds")
        scores = score_candidates(
            self.estimator, candidates, X, y, splits, seed=seed, jobs=self.jobs
        )
        self.cv_results_ = _cv_results(candidates, scores)
        self.n_splits_ = len(splits)
        self.best_index_ = best_candidate(scores["test_score"])
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = self.cv_results_["mean_test_score"][self.best_index_]
        self.best_estimator_ = refit(self.estimator, self.best_params_, X, y, seed=seed)
        return self

    def predict(self, X):
        """Predict class labels, an array of shape (rows,)."""
        return self._of_best("predict", X)

    def predict_proba(self, X):
        """Predict probabilities of the classes, an array of shape (rows, 2)."""
        return self._of_best("predict_proba", X)

    def _of_best(self, method, X):
        check_is_fitted(self)
        return getattr(self.best_estimator_, method)(validate_data(self, X, reset=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def draw_candidates(
    space: Mapping[str, object] | Sequence[Mapping[str, object]], number: int, seed: int | None
) -> list[dict[str, object]]:
    """Draw candidates from a space with `sklearn.model_selection.ParameterSampler`.

    If all of it is lists, none is drawn twice, and there are no more than there are. A
    candidate's parameters are in the order of the space.
    """
    spaces = [space] if isinstance(space, Mapping) else space
    if not any(hasattr(values, "rvs") for one in spaces for values in one.values()):
        number = min(number, len(ParameterGrid(spaces)))
    names = dict.fromkeys(name for one in spaces for name in one)
    drawn = ParameterSampler(spaces, number, random_state=seed)
    return [{name: one[name] for name in names if name in one} for one in drawn]


def best_candidate(scores: np.ndarray) -> int:
    """Give the number of the candidate of the highest mean, the first of those level.

    Parameters
    ----------
    scores : array of shape (candidates, splits)
    """
    return int(scores.mean(axis=1).round(12).argmax())  # not by the last bit of a sum


def refit(
    pipeline: Pipeline,
    parameters: Mapping[str, object],
    X: np.ndarray,
    y: np.ndarray,
    *,
    seed: int | None = None,
) -> Pipeline:
    """Fit the pipeline with such parameters to all rows."""
    rows = np.arange(len(y))
    task = Task(with_parameters(pipeline, parameters), network_seeds(seed, 1)[0], rows, rows)
    (result,) = fit_and_score_side_by_side([task], X, y, jobs=1, return_estimator=True)
    return result["estimator"]


def _cv_results(candidates, scores):
    mean = scores["test_score"].mean(axis=1)
    results = {
        "params": candidates,
        "mean_test_score": mean,
        "std_test_score": scores["test_score"].std(axis=1),
        "rank_test_score": rankdata(-mean.round(12), method="min").astype(np.int32),
        "mean_train_score": scores["train_score"].mean(axis=1),
        "collapsed": scores["collapsed"].sum(axis=1),
    }
    for number, column in enumerate(scores["test_score"].T):
        results[f"split{number}_test_score"] = column
    for name in dict.fromkeys(name for candidate in candidates for name in candidate):
        values = np.empty(len(candidates), object)  # one by one: a tuple is one value
        for number, candidate in enumerate(candidates):
            values[number] = candidate.get(name)
        results[f"param_{name}"] = values
    return results
