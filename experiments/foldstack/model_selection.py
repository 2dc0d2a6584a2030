"""Cross-validation and hyperparameter search, with the networks of all splits in stacks."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets

from .engine import Options, fit_and_score, use_one_thread
from .tasks import (
    Data,
    Task,
    as_data,
    candidate_tasks,
    check_estimator,
    gather,
    network_seeds,
    split_samples,
    split_tasks,
    with_params,
)


def cross_validate(
    estimator: BaseEstimator,
    X,
    y,
    *,
    groups=None,
    scoring: str | Callable | Iterable | Mapping | None = None,
    cv: int | Iterable | None = None,
    n_jobs: int | None = None,
    params: Mapping[str, object] | None = None,
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: float | str = np.nan,
    seeds: Sequence[int] | None = None,
    return_curves: bool = False,
    dropout_passes: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict:
    """Fit and score a clone of the estimator on every split, with the networks in stacks.

    It differs from `sklearn.model_selection.cross_validate` in one respect: the network of
    each split gets a seed of its own, derived from the network's ``random_state``. An integer
    ``random_state`` would otherwise give every split the same initial weights.

    Within ``joblib.parallel_config(backend="dask")`` the stacks are trained on the workers
    of the Dask cluster, else in threads.

    Parameters
    ----------
    estimator : Pipeline, KerasClassifier or KerasRegressor
        Unfitted; the last step of a pipeline is one of the others.
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        Taken by position, and passed on to the first step of the pipeline as it is.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Class labels, one-hot classes, or numbers.
    groups : array-like of shape (n_samples,), optional
        Passed to ``cv.split``.
    scoring : str, callable, list, dict or None, default=None
        As in scikit-learn, computed from what the network predicts for the test samples. None
        means accuracy or R².
    cv : int, cross-validation splitter, iterable of (train, test) or None, default=None
        As in scikit-learn: a number of folds, not shuffled (None: 5), a splitter, or arrays of
        indices or masks.
    n_jobs : int or None, default=None
        Number of threads. None means that of an active `joblib.parallel_config`, or one per
        core; -1 means one per core. The scores do not depend on it.
    params : dict, optional
        Parameters of fitting, as in scikit-learn: ``<step>__sample_weight``, or, with metadata
        routing, what the steps, the scorer and the splitter have requested.
    return_train_score, return_estimator, return_indices : bool, default=False
        Whether to return the scores of the training samples, the fitted estimators, the splits.
    error_score : float or "raise", default=nan
        Score of a network that cannot be trained. A part that has no stacked form is always an
        error.
    seeds : sequence of int of shape (n_splits,), optional
        The seed of each split's network. By default, ``network_seeds(random_state, n_splits)``.
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
        ``test_score``, or ``test_<name>`` of each scorer, and on request ``train_``; without
        `scoring` also ``test_log_loss`` of a classifier, ``test_squared_error`` of a
        regressor. ``collapsed`` (see `measure`; on the training samples); ``build_time``,
        ``fit_time`` and ``score_time`` (seconds, an equal share of the stack's); ``n_epochs``
        if training can stop early. On request ``dropout_score`` and ``dropout_log_loss``;
        ``estimator``, a list; ``indices``, a dict of the lists ``train`` and ``test``;
        ``curves``, a dict of arrays of shape (n_splits, epochs).

    Raises
    ------
    Unstackable
        If a part of the estimator has no stacked form; the message names the part.
    TypeError
        If the estimator is not such a one.
    ValueError
        If no network can be trained, or a Dask worker has other code or packages.
    """
    scorer = None
    if scoring is not None:
        scorer = check_scoring(estimator, scoring, raise_exc=error_score == "raise")
    of_fit, of_split, of_score = _routed(estimator, y, cv, scorer, groups, params or {})
    data = as_data(estimator, X, y, of_fit)
    options = Options(
        estimator=return_estimator,
        train_score=return_train_score,
        curves=return_curves,
        dropout_passes=dropout_passes,
        scorer=scorer,
        score_params=of_score,
        error_score=error_score,
    )
    tasks = split_tasks(estimator, data, cv, seeds, of_split)
    results = gather(fit_and_score(tasks, data, options, n_jobs, progress))
    if return_indices:
        results["indices"] = {
            "train": [task.train for task in tasks],
            "test": [task.test for task in tasks],
        }
    return results


def _routed(estimator, y, cv, scorer, groups, params):
    """Return the parameters of fitting, splitting and scoring, as scikit-learn divides them."""
    if not get_config()["enable_metadata_routing"]:
        return params, {"groups": groups}, {}
    if groups is not None:
        raise ValueError("with metadata routing, pass `groups` in `params`")
    router = MetadataRouter(owner="cross_validate")
    cv = check_cv(cv, y, classifier=is_classifier(estimator))
    parts = {
        "estimator": (estimator, "fit"),
        "splitter": (cv, "split"),
        "scorer": (scorer, "score"),
    }
    for name, (part, method) in parts.items():
        if part is not None:
            mapping = MethodMapping().add(caller="fit", callee=method)
            router.add(**{name: part}, method_mapping=mapping)
    routed = process_routing(router, "fit", **params)
    return tuple(dict(routed.get(name, {}).get(method, {})) for name, (_, method) in parts.items())


class StackedSearchCV(BaseSearchCV):
    """Random or grid search over an estimator's parameters, as scikit-learn does it.

    The networks of all candidates and splits train in stacks. The rest is that of
    `GridSearchCV` and `RandomizedSearchCV`: splits, scores, ``cv_results_``, choice, methods.

    Parameters
    ----------
    estimator : Pipeline, KerasClassifier or KerasRegressor
        See `cross_validate`.
    param_distributions : dict or list of dicts
        Parameter names with lists, or distributions with a method ``rvs``.
    n_iter : int or None, default=None
        Number of candidates to draw, at most as many as the lists allow. None means the whole
        grid, or 30 if there are distributions.
    scoring, cv, n_jobs, error_score, return_train_score
        See `cross_validate`.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all samples; the name of the scorer that decides
        if there are several, or a function that maps ``cv_results_`` to an index.
    verbose : int, default=0
        Whether to print how many networks are trained.
    random_state : int, RandomState or None, default=None
        Decides candidates and networks.

    Attributes
    ----------
    cv_results_ : dict of arrays of shape (n_candidates,)
        As in scikit-learn, and ``collapsed``, a number of networks.
    best_index_, best_params_, best_score_, best_estimator_, scorer_, refit_time_, n_splits_
        As in scikit-learn. The score is that of the splits that chose the candidate:
        optimistic.
    """

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=None,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.random_state = random_state
        self.error_score = error_score
        self.return_train_score = return_train_score

    def fit(self, X, y=None, **params):
        """Search, then fit the best candidate to all samples.

        Parameters
        ----------
        X, y
            See `cross_validate`.
        **params
            ``groups``, and parameters of fitting; see ``params`` of `cross_validate`.

        Returns
        -------
        StackedSearchCV

        Raises
        ------
        TypeError
            If the estimator is not such a one.
        ValueError
            If there is no such parameter, no network can be trained, or a part of the
            estimator has no stacked form (`Unstackable`).
        """
        check_estimator(self.estimator)
        if y is None:
            raise ValueError("StackedSearchCV requires y to be passed, but the target y is None")
        scorer, refit_metric = self._get_scorers()
        routed = self._get_routed_params_for_fit(params)
        data = as_data(self.estimator, X, y, routed.estimator.fit)
        if is_classifier(self.estimator):
            check_classification_targets(data.y)
        splits = split_samples(self.estimator, data, self.cv, routed.splitter.split)
        self.n_splits_ = len(splits)
        seed = self.random_state
        if isinstance(seed, np.random.RandomState):
            seed = int(seed.randint(2**31))
        options = Options(
            train_score=self.return_train_score,
            scorer=None if self.scoring is None else scorer,
            score_params=routed.scorer.score,
            error_score=self.error_score,
        )
        self.cv_results_ = {}

        def evaluate(candidates):
            if self.verbose > 0:
                print(
                    f"Fitting {len(splits)} folds for each of {len(candidates)} candidates, "
                    f"totalling {len(splits) * len(candidates)} fits"
                )
            tasks = candidate_tasks(self.estimator, candidates, splits, seed)
            results = fit_and_score(tasks, data, options, self.n_jobs)
            self.cv_results_ = self._table(candidates, results)

        self._run_search(evaluate, seed)
        names = [name.removeprefix("mean_test_") for name in self.cv_results_]
        self.multimetric_ = "mean_test_score" not in self.cv_results_
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(dict.fromkeys(names))
            refit_metric = self.refit
        if self.refit or not self.multimetric_:
            of_best = self.refit, refit_metric, self.cv_results_
            self.best_index_ = self._select_best_index(*of_best)
            if not callable(self.refit):
                self.best_score_ = self.cv_results_[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = self.cv_results_["params"][self.best_index_]
        if self.refit:
            started = time.perf_counter()
            best = with_params(self.estimator, self.best_params_)
            self.best_estimator_ = _fit(best, data, seed)
            self.refit_time_ = time.perf_counter() - started
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        self.scorer_ = getattr(scorer, "_scorers", scorer)
        return self

    def _run_search(self, evaluate_candidates, seed=None):
        candidates = draw_candidates(self.param_distributions, self.n_iter, seed)
        evaluate_candidates(candidates)

    def _table(self, candidates, results):
        """Return ``cv_results_``; scikit-learn makes it from the result of each network."""
        prefixes = ("test", "train") if self.return_train_score else ("test",)
        for result in results:
            for part in prefixes:
                scores = {
                    name.removeprefix(f"{part}_"): score
                    for name, score in result.items()
                    if name.startswith(f"{part}_")
                }
                # Without `scoring` there are further measures; the search has one score.
                result[f"{part}_scores"] = scores.get("score", scores)
        columns = [f"{part}_scores" for part in prefixes] + ["fit_time", "score_time"]
        out = [{name: result[name] for name in columns} for result in results]
        collapsed = np.reshape([result["collapsed"] for result in results], (len(candidates), -1))
        return self._format_results(
            candidates, self.n_splits_, out, {"collapsed": collapsed.sum(axis=1)}
        )


def draw_candidates(
    space: Mapping | Sequence[Mapping], n_candidates: int | None, seed: int | None
) -> list[dict[str, object]]:
    """Draw candidates by `sklearn.model_selection.ParameterSampler`, as dicts in the space's order.

    If the space has lists only, no candidate is drawn twice, and there may be fewer; None means
    all of them, in the order of the grid. With distributions, None means 30.
    """
    spaces = [space] if isinstance(space, Mapping) else space
    if not any(hasattr(values, "rvs") for each in spaces for values in each.values()):
        if n_candidates is None:
            return list(ParameterGrid(spaces))
        n_candidates = min(n_candidates, len(ParameterGrid(spaces)))
    n_candidates = 30 if n_candidates is None else n_candidates
    names = dict.fromkeys(name for each in spaces for name in each)
    drawn = ParameterSampler(spaces, n_candidates, random_state=seed)
    return [{name: _plain(each[name]) for name in names if name in each} for each in drawn]


def _plain(value):
    """Return a number of Python's for one of NumPy's, which JSON cannot hold."""
    return value.item() if isinstance(value, np.generic) else value


def check_candidates(
    estimator: BaseEstimator, candidates: Sequence[Mapping[str, object]], X, y
) -> None:
    """Check that the network of each candidate can be built and trained.

    Parameters
    ----------
    estimator : Pipeline
        Unfitted.
    candidates : sequence of mappings
        Parameters of the estimator.
    X, y
        Samples of all classes.

    Raises
    ------
    ValueError
        If a parameter is unknown or a value impossible; the message names the candidate.
    """
    use_one_thread()  # before the first network starts TensorFlow
    for candidate in candidates:
        named = ", ".join(f"{name} = {value!r}" for name, value in candidate.items())
        try:
            changed = with_params(estimator, candidate)
            changed[-1].training(n_samples=len(y))
            changed[-1].build(changed[:-1].fit_transform(X), y)
        except Exception as error:  # Keras raises errors of any type
            raise ValueError(f"{named}: {' '.join(str(error).split())}"[:1000]) from error


def fit_candidate(
    estimator: BaseEstimator,
    params: Mapping,
    X: np.ndarray,
    y: np.ndarray,
    *,
    seed: int | None = None,
) -> BaseEstimator:
    """Return a clone of the pipeline with these parameters, fitted to all samples."""
    return _fit(with_params(estimator, params), as_data(estimator, X, y), seed)


def _fit(estimator: BaseEstimator, data: Data, seed: int | None) -> BaseEstimator:
    """Return a clone of the estimator, fitted to all samples in a stack of its own."""
    rows = np.arange(len(data.y))
    task = Task(estimator, network_seeds(seed, 1)[0], rows, rows)
    (result,) = fit_and_score([task], data, Options(estimator=True), n_jobs=1)
    return result["estimator"]
