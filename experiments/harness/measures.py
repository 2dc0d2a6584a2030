"""What predictions are scored by: names of people and of scikit-learn, and what is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import cross_validate

from experiments.harness.errors import InputError
from experiments.harness.settings import SCORES, SCORES_OF_NUMBERS

if TYPE_CHECKING:
    from experiments.harness.dataset import Dataset

UNEVEN = 0.6  # share of the largest class above which accuracy alone says little


class Measure(NamedTuple):
    """A measure of predictions; its column in the tables has its name."""

    name: str
    label: str
    scorer: str  # scikit-learn's, of two classes or of numbers
    of_several: str | None = None  # scikit-learn's, of more than two classes
    own: str | None = None  # the engine's name of the score, if it computes that itself
    sign: int = 1  # -1 if smaller is better; scikit-learn's scorers are then negative
    percent: bool = False

    @property
    def key(self) -> str:
        """Name of the score in the results of `foldstack.nested_cross_validate`."""
        return self.own or self.name

    def as_known(self, scores: np.ndarray) -> np.ndarray:
        """Return scores of the engine as people know them: losses are positive."""
        return scores if self.own else self.sign * scores

    def scorer_for(self, data: Dataset) -> str | Callable:
        """Return the scorer, as scikit-learn takes it."""
        if len(data.classes) > 2:
            return self.of_several or self.scorer
        if self.name == "f1":
            return make_scorer(f1_score, pos_label=rare_class(data), zero_division=0.0)
        return self.scorer


_MEASURES = (
    Measure("accuracy", "accuracy", "accuracy", own="score", percent=True),
    Measure("balanced_accuracy", "balanced accuracy", "balanced_accuracy", percent=True),
    Measure("roc_auc", "ROC AUC", "roc_auc", of_several="roc_auc_ovr"),
    Measure("f1", "F1", "f1", of_several="f1_macro"),
    Measure("log_loss", "log loss", "neg_log_loss", own="log_loss", sign=-1),
    Measure("r2", "R²", "r2", own="score"),
    Measure("mean_absolute_error", "mean absolute error", "neg_mean_absolute_error", sign=-1),
    Measure(
        "squared_error", "squared error", "neg_mean_squared_error", own="squared_error", sign=-1
    ),
)
MEASURES = {measure.name: measure for measure in _MEASURES}


def reported(data: Dataset, scoring: Sequence[str] | None) -> list[Measure]:
    """Return the measures to report, first the one that chooses.

    They are those asked for, then accuracy or R². Where the largest class has more than 60% of
    the rows the other measures of classes follow, and of numbers the mean absolute error.

    Raise `InputError` if one does not fit what is predicted.
    """
    possible, numbers = (SCORES, False) if data.classes else (SCORES_OF_NUMBERS, True)
    for name in scoring or ():
        if name not in possible:
            of = "of a number" if numbers else "of classes"
            raise InputError(f"`scoring` {of} must be among {', '.join(possible)}, got {name!r}")
    more = possible if numbers or data.guessing()["accuracy"] > UNEVEN else possible[:1]
    return [MEASURES[name] for name in dict.fromkeys([*(scoring or ()), *more])]


def tabulated(measures: Sequence[Measure]) -> list[Measure]:
    """Return the measures that tables have: the engine's own, then the others to report."""
    names = [measure.name for measure in measures]
    own = ("r2", "squared_error") if "r2" in names else ("accuracy", "log_loss")
    return [MEASURES[name] for name in dict.fromkeys([*own, *names])]


def chosen_by(metadata: Mapping) -> Measure:
    """Return the measure that a search has chosen by, from the metadata of its tables."""
    numbers = metadata["data"].get("task") == "regression"
    return MEASURES[metadata.get("scoring", ["r2" if numbers else "accuracy"])[0]]


def rare_class(data: Dataset) -> str:
    """Return the smaller of two classes, which F1 is of."""
    return min(data.classes, key=lambda label: np.count_nonzero(data.y == label))


def guessing(data: Dataset, measures: Sequence[Measure], splits: Sequence) -> dict:
    """Return what always guessing gets, by measure, and the class that is guessed.

    In every split the guess is the largest class of the training rows, with the shares of the
    classes as probabilities, or the mean of the training rows.
    """
    dummy = DummyClassifier(strategy="prior") if data.classes else DummyRegressor()
    scoring = {measure.name: measure.scorer_for(data) for measure in measures}
    scores = cross_validate(dummy, np.zeros((len(data.y), 1)), data.y, cv=splits, scoring=scoring)
    means = {m.name: m.sign * float(scores[f"test_{m.name}"].mean()) for m in measures}
    return means | data.guessing()
