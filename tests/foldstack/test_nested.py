"""Nested cross-validation: inner splits choose, outer splits score."""

import numpy as np
import pytest

from experiments import foldstack

RATE = "mlp__model__learning_rate"


def test_inner_splits_never_contain_outer_test_samples(sonar):
    outer, inner = foldstack.nested_splits(sonar.X, sonar.y, n_splits=4, n_inner_splits=3, seed=0)
    assert len(inner) == 5
    for (train, test), splits in zip(outer, inner[:-1], strict=True):
        for inner_train, inner_test in splits:
            assert not set(test) & (set(inner_train) | set(inner_test))
            assert sorted([*inner_train, *inner_test]) == sorted(train)
    assert sorted(np.concatenate([test for _, test in inner[-1]])) == list(range(208))


def test_inner_splits_choose_and_outer_splits_score(sonar):
    pipeline = foldstack.build_pipeline(hidden_units=(8,), epochs=10, random_state=7)
    candidates = [{RATE: 1e-6}, {RATE: 0.05}, {RATE: 1e-5}]
    outer, inner = foldstack.nested_splits(sonar.X, sonar.y, n_splits=2, n_inner_splits=2, seed=0)
    done, groups = [], {"slow": [0, 2], "fast": [1]}
    arrays = (sonar.X, sonar.y, outer, inner)
    scores = foldstack.nested_cross_validate(
        pipeline, candidates, *arrays, groups=groups, seed=7, progress=done.append
    )
    assert sum(done) == pytest.approx(3 * 3 * 2)
    assert scores["inner"]["mean_test_score"].shape == (3, 3)
    assert scores["chosen"].tolist() == [1, 1, 1]
    assert scores["inner_score"].tolist() == scores["inner"]["mean_test_score"][:2, 1].tolist()
    ways = scores["outer"]
    assert set(ways) == {"chosen", "baseline", "slow", "fast"}
    assert ways["baseline"]["candidate"].tolist() == [-1, -1]
    assert set(ways["slow"]["candidate"]) <= {0, 2}
    assert ways["chosen"]["test_score"].tolist() == ways["fast"]["test_score"].tolist()
    alone = foldstack.cross_validate(pipeline, sonar.X, sonar.y, cv=outer)
    np.testing.assert_allclose(ways["baseline"]["test_log_loss"], alone["test_log_loss"], rtol=1e-5)


def test_numbers_are_split_without_regard_to_their_size_and_scored(sonar):
    y = sonar.X[:, 0] * 100
    splits = {"n_splits": 2, "n_inner_splits": 2, "seed": 0, "task": "regression"}
    outer, inner = foldstack.nested_splits(sonar.X, y, **splits)
    assert sorted(np.concatenate([test for _, test in outer])) == list(range(208))
    pipeline = foldstack.build_pipeline(task="regression", hidden_units=(8,), epochs=10)
    candidates = [{RATE: 1e9}, {RATE: 0.005}, {RATE: 1e-6}]  # the first diverges
    chosen = {}
    for score in ("score", "squared_error", "mae"):
        scores = foldstack.nested_cross_validate(
            pipeline,
            candidates,
            *(sonar.X, y, outer, inner),
            scoring={"mae": "neg_mean_absolute_error"},
            choose_by=score,
            seed=7,
        )
        chosen[score] = scores["chosen"].tolist()
        inner_scores = scores["inner"][f"mean_test_{score}"]
        assert np.isnan(inner_scores[:, 0]).all()
        assert scores["inner_score"].tolist() == inner_scores[:2, 1].tolist()
        assert (scores["outer"]["chosen"]["test_mae"] < 0).all()
    assert set(map(tuple, chosen.values())) == {(1, 1, 1)}


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ({"mlp__model__droput": 0.2}, "mlp__model__droput = 0.2: there is no parameter"),
        ({RATE: -1}, f"{RATE} = -1: `learning_rate` must be"),
        ({"mlp": None}, "mlp = None: the estimator must be a foldstack.KerasClassifier"),
    ],
)
def test_impossible_candidates_are_named(candidate, message):
    with pytest.raises(ValueError, match=message):
        foldstack.check_candidates(
            foldstack.build_pipeline(),
            [{RATE: 0.1}, candidate],
            X=np.zeros((2, 3)),
            y=np.array([0, 1]),
        )
