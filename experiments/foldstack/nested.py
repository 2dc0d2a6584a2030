"""Nested cross-validation: how good is the choice by cross-validation itself?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from experiments.foldstack.cross_validation import network_seeds, repeated_splits
from experiments.foldstack.engine import Task, fit_and_score_side_by_side
from experiments.foldstack.model_selection import best_candidate, score_candidates, with_parameters
from experiments.harness.errors import InputError

Splits = Sequence[tuple[np.ndarray, np.ndarray]]
PREFIX = "mlp__model__"
RATES = ("visible_dropout", "hidden_dropout")


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
            if unknown := sorted(set(candidate) - set(pipeline.get_params())):
                raise ValueError(f"there is no parameter {unknown[0]}")
            changed = with_parameters(pipeline, candidate)
            changed[-1].training_parameters(rows=2)
            X = changed[:-1].fit_transform(np.zeros((2, features), np.float32))
            changed[-1].build(X, np.array([0, 1]))
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
        was made by; if some candidates have dropout and others none, the same of the best of
        either kind, ``with_dropout_candidate, with_dropout_accuracy`` and
        ``without_dropout_…``; ``candidate`` and its parameters.
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
    kinds = {
        name: [members[best_candidate(fold[members])] for fold in by_fold["test_score"]]
        for name, members in _by_dropout(candidates).items()
    }
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

    ways = {"": chosen[:-1]} | {f"{name}_": choices[:-1] for name, choices in kinds.items()}
    tuned = _score_outer(pipeline, candidates, ways, X, y, outer, seed, jobs)
    inner_accuracy = [
        fold[choice].mean() for fold, choice in zip(by_fold["test_score"], chosen, strict=True)
    ]
    tuned.insert(tuned.columns.get_loc("baseline_log_loss") + 1, "inner_accuracy",
                 inner_accuracy[:-1])  # fmt: skip
    tuned["candidate"] = chosen[:-1]
    return pd.concat(tuning, ignore_index=True), tuned.join(settings, on="candidate"), chosen[-1]


def _by_dropout(candidates):
    """Divide the candidates into those with and without dropout; nothing if it is all or none."""
    kinds = {"with_dropout": [], "without_dropout": []}
    for number, candidate in enumerate(candidates):
        drops = any(candidate.get(PREFIX + rate) for rate in RATES)
        kinds["with_dropout" if drops else "without_dropout"].append(number)
    return kinds if all(kinds.values()) else {}


def _score_outer(pipeline, candidates, ways, X, y, outer, seed, jobs):
    """Train on each outer fold what each way chose, and the baseline; all start from one seed.

    Parameters
    ----------
    ways : mapping of beginnings of column names to a candidate for each outer fold
        ``""`` is the search's own.
    """
    seeds = network_seeds(seed, len(outer))
    baseline = len(candidates)
    pipelines = {
        choice: with_parameters(pipeline, candidates[choice])
        for choice in sorted({choice for choices in ways.values() for choice in choices})
    } | {baseline: pipeline}
    chosen = [*ways.values(), [baseline] * len(outer)]
    needed = sorted({one for choices in chosen for one in enumerate(choices)})
    tasks = [Task(pipelines[choice], seeds[fold], *outer[fold]) for fold, choice in needed]
    results = fit_and_score_side_by_side(tasks, X, y, jobs=jobs)
    scores = dict(zip(needed, results, strict=True))

    def column(choices, key):
        return [scores[one][key] for one in enumerate(choices)]

    own = ways[""]
    return pd.DataFrame(
        {
            "repeat": 1,
            "fold": np.arange(1, len(outer) + 1),
            "n_train": [len(train) for train, _ in outer],
            "n_test": [len(test) for _, test in outer],
            "accuracy": column(own, "test_score"),
            "log_loss": column(own, "test_log_loss"),
            "collapsed": np.array(column(own, "collapsed"), int),
            "baseline_accuracy": column(chosen[-1], "test_score"),
            "baseline_log_loss": column(chosen[-1], "test_log_loss"),
        }
        | {f"{name}candidate": choices for name, choices in ways.items() if name}
        | {
            f"{name}accuracy": column(choices, "test_score")
            for name, choices in ways.items()
            if name
        }
    )


def _short_names(candidate):
    return {name.removeprefix(PREFIX): value for name, value in candidate.items()}
