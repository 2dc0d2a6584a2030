"""Nested cross-validation: how good is the choice by cross-validation itself?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from experiments.harness.cross_validation import network_seeds, repeated_splits
from experiments.harness.errors import InputError
from experiments.harness.search import best_candidate, score_candidates, with_parameters
from experiments.harness.stacked_engine import Task, fit_and_score_side_by_side

Splits = Sequence[tuple[np.ndarray, np.ndarray]]
PREFIX = "mlp__model__"


def check_candidates(
    pipeline: Pipeline, candidates: Sequence[Mapping[str, object]], features: int
) -> None:
    """Make sure that each candidate's network can be built and trained.

    Raises
    ------
    InputError
        If a parameter is unknown or a value impossible; it names them.
    """
    for candidate in candidates:
        named = ", ".join(f"{name} = {value!r}" for name, value in candidate.items())
        try:
            changed = with_parameters(pipeline, candidate)
            changed[-1].training_parameters(rows=2)
            changed[-1].build(np.zeros((2, features), np.float32), np.array([0, 1]))
        except Exception as error:  # Keras raises what it likes
            raise InputError(f"{named}: {' '.join(str(error).split())}"[:500]) from error


def nested_splits(
    X: np.ndarray, y: np.ndarray, *, folds: int, inner_folds: int, seed: int
) -> tuple[Splits, list[Splits]]:
    """Draw outer folds, and inner ones within the training rows of each and of all rows.

    Returns
    -------
    outer : list of (train, test) row numbers
        The first repeat of `repeated_splits`, as the arms have it.
    inner : list of lists of (train, test) row numbers
        One list for each outer fold, then one for all rows.
    """
    outer = repeated_splits(X, y, folds=folds, repeats=1, seed=seed)
    cv = StratifiedKFold(inner_folds, shuffle=True, random_state=seed)
    inner = [
        [(rows[train], rows[test]) for train, test in cv.split(X[rows], y[rows])]
        for rows in (*(train for train, _ in outer), np.arange(len(y)))
    ]
    return outer, inner


def nested_cross_validate(
    pipeline: Pipeline,
    candidates: Sequence[Mapping[str, object]],
    X: np.ndarray,
    y: np.ndarray,
    outer: Splits,
    inner: Sequence[Splits],
    *,
    seed: int | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] = lambda finished: None,
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Choose in every outer fold by its inner folds, and score the choice on the outer one.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted; as it is, it is the baseline.
    candidates : sequence of mappings
    X, y : arrays of shape (rows, features) and (rows,)
    outer, inner : as of `nested_splits`

    Returns
    -------
    tuning : DataFrame
        A row for each outer fold (``fold`` from 1, 0 for all rows) and candidate:
        ``accuracy, std_accuracy, log_loss`` over the inner folds, ``collapsed`` networks,
        ``chosen``, the candidate's parameters.
    tuned : DataFrame
        A row for each outer fold: ``accuracy``, ``log_loss`` of the chosen on the rows held
        out, ``baseline_accuracy``, ``baseline_log_loss``, ``inner_accuracy`` that the choice
        was made by, ``candidate`` and its parameters.
    best : int
        The candidate chosen on all rows.
    """
    sizes = [len(splits) for splits in inner]
    scores = score_candidates(
        pipeline, candidates, X, y, [split for splits in inner for split in splits],
        seed=seed, jobs=jobs, progress=progress,
    )  # fmt: skip
    by_fold = {
        key: np.split(scores[key], np.cumsum(sizes)[:-1], axis=1)
        for key in ("test_score", "test_log_loss", "collapsed")
    }
    chosen = [best_candidate(fold) for fold in by_fold["test_score"]]
    settings = pd.DataFrame([_short_names(candidate) for candidate in candidates])
    tuning = []
    for number, fold in enumerate([*range(1, len(outer) + 1), 0]):
        accuracy = by_fold["test_score"][number]
        part = pd.DataFrame(
            {
                "fold": fold,
                "candidate": np.arange(len(candidates)),
                "accuracy": accuracy.mean(axis=1),
                "std_accuracy": accuracy.std(axis=1),
                "log_loss": by_fold["test_log_loss"][number].mean(axis=1),
                "collapsed": by_fold["collapsed"][number].sum(axis=1),
                "chosen": (np.arange(len(candidates)) == chosen[number]).astype(int),
            }
        )
        tuning.append(part.join(settings))

    tuned = _score_outer(pipeline, candidates, chosen[:-1], X, y, outer, seed, jobs)
    tuned["inner_accuracy"] = [
        fold[choice].mean() for fold, choice in zip(by_fold["test_score"], chosen, strict=True)
    ][:-1]
    tuned["candidate"] = chosen[:-1]
    return pd.concat(tuning, ignore_index=True), tuned.join(settings, on="candidate"), chosen[-1]


def _score_outer(pipeline, candidates, chosen, X, y, outer, seed, jobs):
    """Train the chosen, and the baseline, on each outer fold; both start from one seed."""
    seeds = network_seeds(seed, len(outer))
    winners = {choice: with_parameters(pipeline, candidates[choice]) for choice in set(chosen)}
    tasks = [
        Task(one, seed, *split)
        for ways in ([winners[choice] for choice in chosen], [pipeline] * len(outer))
        for one, seed, split in zip(ways, seeds, outer, strict=True)
    ]
    results = pd.DataFrame(fit_and_score_side_by_side(tasks, X, y, jobs=jobs))
    tuned, baseline = results[: len(outer)], results[len(outer) :].reset_index()
    return pd.DataFrame(
        {
            "repeat": 1,
            "fold": np.arange(1, len(outer) + 1),
            "n_train": [len(train) for train, _ in outer],
            "n_test": [len(test) for _, test in outer],
            "accuracy": tuned["test_score"],
            "log_loss": tuned["test_log_loss"],
            "collapsed": tuned["collapsed"].astype(int),
            "baseline_accuracy": baseline["test_score"],
            "baseline_log_loss": baseline["test_log_loss"],
        }
    )


def _short_names(candidate):
    return {name.removeprefix(PREFIX): value for name, value in candidate.items()}
