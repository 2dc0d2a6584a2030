"""Cross-validation and randomised search, with the networks of all splits in stacks."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.model_selection import (
    ParameterGrid,
    ParameterSampler,
    StratifiedKFold,
    check_cv,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .engine import (
    Options,
    Task,
    best_index,
    check_estimator,
    fit_and_score,
    gather,
    network_seeds,
    score_candidates,
    split_tasks,
    use_one_thread,
    with_params,
)


def cross_validate(
    estimator: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    *,
    cv: int | Iterable | None = None,
    seeds: Sequence[int] | None = None,
    n_jobs: int | None = None,
    return_estimator: bool = False,
    return_curves: bool = False,
    dropout_passes: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict:
    """Fit and score a clone of the pipeline on every split, with the networks in stacks.

    It differs from `sklearn.model_selection.cross_validate` in one respect: the network of
    each split gets a seed of its own, derived from the classifier's ``random_state``. An
    integer ``random_state`` would otherwise give every split the same initial weights.

    Within ``joblib.parallel_config(backend="dask")`` the stacks are trained on the workers
    of the Dask cluster, else in threads.

    Parameters
    ----------
    estimator : Pipeline
        Unfitted; its last step is a `KerasClassifier`.
    X : array of shape (n_samples, n_features)
    y : array of shape (n_samples,)
        Class labels, two of them.
    cv : int, cross-validation splitter, iterable of (train, test) or None, default=None
        As in scikit-learn: a number of stratified folds, not shuffled (None: 5), a splitter,
        or index arrays.
    seeds : sequence of int of shape (n_splits,), optional
        The seed of each split's network. By default, ``network_seeds(random_state, n_splits)``.
    n_jobs : int or None, default=None
        Number of threads. None means that of an active `joblib.parallel_config`, or one per
        core; -1 means one per core. The scores do not depend on it.
    return_estimator : bool, default=False
        Whether to return the fitted pipelines.
    return_curves : bool, default=False
        Whether to return the scores after every epoch, dropout off.
    dropout_passes : int, default=0
        If not 0, also score the test samples with dropout kept on, averaged over this number
        of passes (Monte Carlo dropout).
    progress : callable, optional
        Called with the number of networks finished since the last call, possibly a fraction,
        from several threads.

    Returns
    -------
    dict of arrays of shape (n_splits,)
        ``test_score`` and ``train_score`` (accuracy), ``test_log_loss``, ``train_log_loss``
        and ``collapsed`` (on the training samples; see `measure`); ``build_time``,
        ``fit_time`` and ``score_time`` (seconds, an equal share of the stack's). On request
        ``dropout_score`` and ``dropout_log_loss``; ``estimator``, a list of pipelines;
        ``curves``, a dict of arrays of shape (n_splits, epochs).

    Raises
    ------
    Unstackable
        If a part of the pipeline has no stacked form; the message names the part.
    TypeError
        If the estimator is not such a pipeline.
    """
    X, y = np.asarray(X), np.asarray(y)
    options = Options(return_estimator, return_curves, dropout_passes)
    tasks = split_tasks(estimator, X, y, cv, seeds)
    return gather(fit_and_score(tasks, X, y, options, n_jobs, progress))


class StackedSearchCV(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Randomised search over a pipeline's parameters, as `RandomizedSearchCV` does it.

    The networks of all candidates and splits train in stacks. The candidate with the highest
    mean accuracy is chosen, the first on ties, and refitted to all samples.

    Parameters
    ----------
    estimator : Pipeline
        Its last step is a `KerasClassifier`.
    param_distributions : dict or list of dicts
        Parameter names with lists, or distributions with a method ``rvs``.
    n_iter : int, default=30
        Number of candidates to draw; at most as many as the lists allow.
    cv : int, cross-validation splitter, iterable of (train, test) or None, default=5
        A number of stratified, shuffled folds (None: 5), a splitter, or index arrays.
    random_state : int, RandomState or None, default=None
        Decides candidates, splits and networks.
    n_jobs : int or None, default=None
        See `cross_validate`.

    Attributes
    ----------
    cv_results_ : dict of arrays of shape (n_candidates,)
        ``params``, ``param_<name>``, ``mean_test_score``, ``std_test_score``,
        ``rank_test_score``, ``split<i>_test_score``, ``mean_train_score`` and ``collapsed``,
        a number of networks.
    best_index_ : int
    best_params_ : dict
    best_score_ : float
        Mean accuracy of the best candidate on the splits that chose it: optimistic.
    best_estimator_ : Pipeline
        Fitted to all samples.
    classes_ : array of shape (2,)
    n_splits_ : int
    """

    def __init__(
        self, estimator, param_distributions, *, n_iter=30, cv=5, random_state=None, n_jobs=None
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X, y, groups=None):
        """Search, then fit the best candidate to all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Without missing values, even if a step of the pipeline would impute them.
        y : array-like of shape (n_samples,)
            Class labels, two of them.
        groups : array-like of shape (n_samples,), optional
            Passed to ``cv.split``.

        Returns
        -------
        StackedSearchCV

        Raises
        ------
        TypeError
            If the estimator is not such a pipeline.
        ValueError
            If there are not two classes in y and in each training set, a parameter cannot be
            searched, or a part of the pipeline has no stacked form (`Unstackable`).
        """
        check_estimator(self.estimator)
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
        cv = 5 if self.cv is None else self.cv
        if isinstance(cv, int | np.integer):
            cv = StratifiedKFold(cv, shuffle=True, random_state=seed)
        splits = list(check_cv(cv, y, classifier=True).split(X, y, groups))
        if any(len(np.unique(y[train])) < 2 for train, _ in splits):
            raise ValueError("a training set has samples of one class only; use stratified splits")
        scores = score_candidates(
            self.estimator, candidates, X, y, splits, seed=seed, n_jobs=self.n_jobs
        )
        self.cv_results_ = _cv_results(candidates, scores)
        self.n_splits_ = len(splits)
        self.best_index_ = best_index(scores["test_score"])
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = self.cv_results_["mean_test_score"][self.best_index_]
        self.best_estimator_ = fit_candidate(self.estimator, self.best_params_, X, y, seed=seed)
        return self

    def predict(self, X):
        """Predict class labels with the best estimator: an array of shape (n_samples,)."""
        return self._best("predict", X)

    def predict_proba(self, X):
        """Predict class probabilities with the best estimator: an array (n_samples, 2)."""
        return self._best("predict_proba", X)

    def _best(self, method, X):
        check_is_fitted(self)
        return getattr(self.best_estimator_, method)(validate_data(self, X, reset=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def draw_candidates(
    space: Mapping | Sequence[Mapping], n_candidates: int, seed: int | None
) -> list[dict[str, object]]:
    """Draw candidates by `sklearn.model_selection.ParameterSampler`, as dicts in the space's order.

    If the space has lists only, no candidate is drawn twice, and there may be fewer.
    """
    spaces = [space] if isinstance(space, Mapping) else space
    if not any(hasattr(values, "rvs") for each in spaces for values in each.values()):
        n_candidates = min(n_candidates, len(ParameterGrid(spaces)))
    names = dict.fromkeys(name for each in spaces for name in each)
    drawn = ParameterSampler(spaces, n_candidates, random_state=seed)
    return [{name: each[name] for name in names if name in each} for each in drawn]


def check_candidates(
    estimator: Pipeline, candidates: Sequence[Mapping[str, object]], n_features: int
) -> None:
    """Check that the network of each candidate can be built and trained.

    Raises
    ------
    ValueError
        If a parameter is unknown or a value impossible; the message names the candidate.
    """
    use_one_thread()  # before the first network starts TensorFlow
    for candidate in candidates:
        named = ", ".join(f"{name} = {value!r}" for name, value in candidate.items())
        try:
            if unknown := sorted(set(candidate) - set(estimator.get_params())):
                raise ValueError(f"there is no parameter {unknown[0]}")
            changed = with_params(estimator, candidate)
            changed[-1].training_parameters(n_samples=2)
            X = changed[:-1].fit_transform(np.zeros((2, n_features), np.float32))
            changed[-1].build(X, np.array([0, 1]))
        except Exception as error:  # Keras raises errors of any type
            raise ValueError(f"{named}: {' '.join(str(error).split())}"[:500]) from error


def fit_candidate(
    estimator: Pipeline, params: Mapping, X: np.ndarray, y: np.ndarray, *, seed: int | None = None
) -> Pipeline:
    """Return a clone of the pipeline with these parameters, fitted to all samples."""
    rows = np.arange(len(y))
    task = Task(with_params(estimator, params), network_seeds(seed, 1)[0], rows, rows)
    (result,) = fit_and_score([task], X, y, Options(estimator=True), n_jobs=1)
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
        values = (candidate.get(name) for candidate in candidates)
        results[f"param_{name}"] = np.fromiter(values, object)  # a tuple is one value
    return results
