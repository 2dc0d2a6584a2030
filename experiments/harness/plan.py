"""How much `make tune` trains for a table of some size, and about how long that takes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from experiments.foldstack.halving import full_trainings, rung_epochs, rung_sizes
from experiments.foldstack.labels import LARGEST
from experiments.foldstack.preparation import MOST_CATEGORIES
from experiments.harness.errors import InputError
from experiments.harness.space import MODEL

# For a table like Sonar, the tutorial's batches of 16 and 300 epochs. For larger ones, batches grow
# with the square root of the rows, and epochs shrink so that a network takes at most so many steps.
SMALLEST_BATCH, MOST_EPOCHS, MOST_STEPS = 16, 300, 10_000
MANY_ROWS = 5_000  # of which three inner folds are enough to choose by
FEWEST_EPOCHS = 9  # one on the first of three rungs
# What MINUTES takes away first: folds make the answer less certain, not the network worse.
ECONOMIES = {"folds": 5, "inner_folds": 3, "candidates": 15}
WIDTHS = [(60, 30)]  # of the hidden layers, unless the space varies them
MOST_WEIGHTS = LARGEST // 4  # of a network that can be read again

# Seconds of one core, measured on an AMD EPYC of 2024; elsewhere half or twice as many.
STEP_SECONDS = 50e-6  # of a network's training step, whatever its size,
ROW_SECONDS = 1e-6  # of a row in it,
WEIGHT_SECONDS = 0.2e-9  # of each weight that a row meets
START_SECONDS = 40  # of importing, compiling and writing


@dataclass(frozen=True)
class Size:
    """What a plan depends on."""

    rows: int
    smallest_class: int  # rows
    weights: float  # of a candidate's network, on average


@dataclass(frozen=True)
class Plan:
    """How much a search trains; the fields are options of `make tune`."""

    candidates: int
    halvings: int
    folds: int
    inner_folds: int
    epochs: int
    batch_size: int

    def describe(self, pools: Sequence[Sequence[int]], size: Size, jobs: int) -> str:
        """Return the plan in one line; `pools` are the candidates that are halved separately."""
        rungs = zip(
            rung_sizes(pools, self.halvings)[1:],
            rung_epochs(self.epochs, self.halvings)[:-1],
            strict=True,
        )
        left = " and".join(f" {number} of them beyond epoch {epochs}" for number, epochs in rungs)
        minutes = max(1, round(self.seconds(size, jobs) / 60))
        parts = [
            f"plan: {_count(sum(map(len, pools)), 'candidate')}{left and ','}{left}",
            f"{_count(self.epochs, 'epoch')} in batches of {self.batch_size}",
            f"{self.folds} outer and {self.inner_folds} inner folds",
            f"about {_count(minutes, 'minute')} on {_count(jobs, 'core')}",
        ]
        return "; ".join(parts)

    def seconds(self, size: Size, jobs: int) -> float:
        """Estimate how long the search takes."""
        without = self.candidates // 3
        pools = range(without), range(self.candidates - without)
        searches, outer = self.folds + 1, 4 * self.folds
        step = self.batch_size * (ROW_SECONDS + size.weights * WEIGHT_SECONDS) + STEP_SECONDS
        inside = full_trainings(pools, self.halvings) * searches * (self.inner_folds - 1)
        rows = (inside + outer) * (1 - 1 / self.folds) * size.rows
        return START_SECONDS + rows / self.batch_size * self.epochs * step / jobs


def measure_size(X: np.ndarray | pd.DataFrame, smallest_class: int, space: Mapping) -> Size:
    """Return the size of a table's features and of the networks of a space."""
    if isinstance(X, pd.DataFrame):  # as `build_preparation` makes them into numbers
        numbers = X.select_dtypes("number")
        categories = X.drop(columns=numbers.columns).nunique().clip(upper=MOST_CATEGORIES)
        features = numbers.shape[1] + numbers.isna().any().sum() + categories.sum()
    else:
        features = X.shape[1]
    widths, weights = space.get(f"{MODEL}hidden_units", WIDTHS), [0]
    if isinstance(widths, list) and all(map(_are_widths, widths)):  # others are refused later
        layers = [(features, *units, 1) for units in widths]
        weights = [sum(inputs * units for inputs, units in pairwise(each)) for each in layers]
        if max(weights) > MOST_WEIGHTS:
            has = f"a network has {max(weights):,} weights"
            raise InputError(f"hidden_units: {has}; it may have {MOST_WEIGHTS:,}")
    return Size(len(X), int(smallest_class), float(np.mean(weights)))


def _are_widths(units):
    return isinstance(units, tuple) and all(isinstance(number, int) for number in units)


def make_plan(size: Size, given: Mapping[str, object], minutes: int | None, jobs: int) -> Plan:
    """Return the plan for a table.

    Parameters
    ----------
    size : Size
    given : mapping
        Options, those of a plan among them; what is not None overrules.
    minutes : int or None
        The plan is reduced until it takes about so long on this number of `jobs`.

    Raises
    ------
    InputError
        If the smallest plan takes longer.
    """
    batch_size = given["batch_size"] or max(SMALLEST_BATCH, 2 ** round(np.log2(size.rows) / 2))
    folds = given["folds"] or min(10, size.smallest_class)
    in_training = size.smallest_class - -(-size.smallest_class // folds)
    defaults = {
        "candidates": 30,
        "halvings": 2,
        "folds": folds,
        "inner_folds": max(2, min(5 if size.rows < MANY_ROWS else 3, in_training)),
        "epochs": max(FEWEST_EPOCHS, min(MOST_EPOCHS, MOST_STEPS * batch_size // size.rows)),
        "batch_size": batch_size,
    }
    given = {f.name: given[f.name] for f in fields(Plan) if given[f.name] is not None}
    for plan in _ever_cheaper(Plan(**defaults | given), given):
        seconds = plan.seconds(size, jobs)
        if minutes is None or seconds <= 60 * minutes:
            return plan
    least = math.ceil(seconds / 60)
    raise InputError(f"`minutes` must be at least {least} for this table, got {minutes}")


def _ever_cheaper(plan: Plan, given: Mapping[str, object]) -> Iterator[Plan]:
    """Yield the plan and ever cheaper ones, which leave what is given as it is."""
    yield plan
    for name, most in ECONOMIES.items():
        if name not in given:
            plan = replace(plan, **{name: min(most, getattr(plan, name))})
            yield plan
    while "epochs" not in given and plan.epochs > FEWEST_EPOCHS:
        plan = replace(plan, epochs=max(FEWEST_EPOCHS, plan.epochs // 2))
        yield plan


def _count(number, what):
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
