"""The plan of a search: how much is trained for a table of some size."""

from dataclasses import asdict, fields

import numpy as np
import pandas as pd
import pytest

from experiments.harness.errors import InputError
from experiments.harness.plan import Plan, Size, make_plan, measure_size
from experiments.harness.space import SPACE

NOTHING = dict.fromkeys(field.name for field in fields(Plan))


def plan(rows, minutes=None, smallest=50, jobs=2, **given):
    return make_plan(Size(rows, smallest, 5000), NOTHING | given, minutes, jobs)


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs"),
    [
        (10, 16, 300),
        (208, 16, 300),
        (768, 32, 300),
        (5_404, 64, 118),
        (20_000, 128, 64),
        (1_000_000, 1024, 10),
    ],
)
def test_batches_grow_and_epochs_shrink_with_the_rows(rows, batch_size, epochs):
    made = plan(rows)
    assert (made.batch_size, made.epochs) == (batch_size, epochs)
    rest = {"candidates": 30, "halvings": 2, "folds": 10, "inner_folds": 5 if rows < 5000 else 3}
    assert asdict(made).items() >= rest.items()


def test_what_is_given_overrules():
    given = {"candidates": 7, "halvings": 0, "folds": 4, "inner_folds": 2, "epochs": 5}
    given |= {"batch_size": 100}
    assert asdict(plan(20_000, **given)) == given
    assert plan(20_000, batch_size=32).epochs == 16  # as many steps


@pytest.mark.parametrize(("smallest", "folds"), [(50, (10, 5)), (5, (5, 4)), (3, (3, 2))])
def test_a_rare_class_reduces_the_folds(smallest, folds):
    made = plan(208, smallest=smallest)
    assert (made.folds, made.inner_folds) == folds


def test_minutes_bound_the_search():
    size = Size(20_000, 9_000, 5000)
    whole = make_plan(size, NOTHING, None, 2)
    minutes = whole.seconds(size, 2) / 60
    assert make_plan(size, NOTHING, int(minutes) + 1, 2) == whole
    found = [make_plan(size, NOTHING, bound, 2) for bound in (5, 3, 2)]
    assert all(made.seconds(size, 2) <= 60 * n for made, n in zip(found, (5, 3, 2), strict=True))
    assert found[0].epochs == whole.epochs
    assert found[2].epochs < whole.epochs
    assert make_plan(size, NOTHING | {"folds": 10}, 3, 2).folds == 10
    with pytest.raises(InputError, match=r"`minutes` must be at least \d+ for this table, got 1"):
        make_plan(Size(10**8, 9_000, 5000), NOTHING, 1, 2)


def test_more_cores_take_less_time():
    size = Size(20_000, 9_000, 5000)
    made = make_plan(size, NOTHING, None, 2)
    assert made.seconds(size, 1) > 1.5 * made.seconds(size, 2)


def test_the_networks_are_as_wide_as_the_space_says():
    X = np.zeros((30, 10))
    three = [10 * a + a * b + b for a, b in ((30, 15), (60, 30), (120, 60))]
    assert measure_size(X, 5, SPACE) == Size(30, 5, np.mean(three))
    assert measure_size(X, 5, {"mlp__model__momentum": [0.9]}).weights == 600 + 1800 + 30
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": np.array(["x", "y"], object)})
    assert measure_size(frame, 1, {"mlp__model__hidden_units": [(1,)]}).weights == 4 + 1


def test_the_plan_in_one_line():
    size = Size(208, 97, 5000)
    made = make_plan(size, NOTHING, None, 2)
    assert made.describe([range(10), range(10, 30)], size, 2) == (
        "plan: 30 candidates, 11 of them beyond epoch 34 and 5 of them beyond epoch 100; "
        "300 epochs in batches of 16; 10 outer and 5 inner folds; "
        "about 2 minutes on 2 cores"
    )
    one = plan(208, candidates=1, halvings=0, epochs=1)
    line = one.describe([range(1)], Size(1, 1, 1), 1)
    assert line.startswith("plan: 1 candidate; 1 epoch in batches of 16; 10 outer")
    assert line.endswith("about 1 minute on 1 core")
