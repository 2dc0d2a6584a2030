"""Nested cross-validation: inner splits choose, outer splits score."""

import numpy as np
import pytest

from experiments import foldstack
from experiments.foldstack import halving, nested

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
    assert scores["inner"]["epochs"].tolist() == [[10] * 3] * 3
    assert scores["best_params"] == candidates[1]
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


def test_halving_trains_the_best_of_each_group_to_the_end(sonar, monkeypatch):
    pipeline = foldstack.build_pipeline(hidden_units=(8,), epochs=20, random_state=7)
    candidates = [{RATE: rate} for rate in (1e-6, 0.05, 1e-5, 0.02, 2e-6, 3e-6, 1e-7)]
    outer, inner = foldstack.nested_splits(sonar.X, sonar.y, n_splits=2, n_inner_splits=2, seed=0)
    trained, real = [], nested.fit_and_score

    def recording(tasks, *arguments, **options):
        trained.append(tasks)
        return real(tasks, *arguments, **options)

    monkeypatch.setattr(nested, "fit_and_score", recording)
    done, groups = [], {"one": [0, 1, 2], "other": [3, 4, 5, 6]}
    options = {"groups": groups, "halvings": 1, "seed": 7}
    arrays = (sonar.X, sonar.y, outer, inner)
    scores = foldstack.nested_cross_validate(
        pipeline, candidates, *arrays, progress=done.append, **options
    )
    first, last, scored = trained
    assert [len(tasks) for tasks in trained[:2]] == [3 * 7 * 2, 3 * (1 + 2) * 2]
    assert {task.estimator["mlp"].epochs for task in first} == {7}
    assert {task.estimator["mlp"].epochs for task in last} == {20}
    assert sum(done) == pytest.approx(len(first) / 3 + len(last))
    assert not {task.seed for task in first} & {task.seed for task in last}
    assert (scores["inner"]["rung"].sum(axis=1) == 3).all()
    assert scores["inner"]["rung"][:, [1, 3]].all()
    assert set(scores["chosen"]) <= {1, 3}
    for fold, (_, test) in enumerate(outer):
        for tasks in (first, last):  # no outer test sample has a part in the choice
            for task in tasks[fold * len(tasks) // 3 : (fold + 1) * len(tasks) // 3]:
                assert not set(test) & {*task.train, *task.test}
        epochs = scores["inner"]["epochs"][fold]
        assert epochs[scores["inner"]["rung"][fold] == 0].tolist() == [7] * 4
        for way, found in scores["outer"].items():
            expected = 20 if way == "baseline" else epochs[found["candidate"][fold]]
            assert found["epochs"][fold] == expected
    assert {task.estimator["mlp"].epochs for task in scored} == {
        epochs for found in scores["outer"].values() for epochs in found["epochs"]
    }
    assert scores["best_params"] == candidates[scores["chosen"][-1]] | {
        "mlp__epochs": scores["inner"]["epochs"][-1, scores["chosen"][-1]]
    }
    again = foldstack.nested_cross_validate(pipeline, candidates, *arrays, n_jobs=1, **options)
    np.testing.assert_equal(again["inner"], scores["inner"])


def test_rungs_have_a_third_of_the_candidates_and_three_times_the_epochs():
    pools = halving.divide(30, {"without": range(10), "with": range(10, 30)})
    assert halving.rung_sizes(pools, 2) == [30, 4 + 7, 2 + 3]
    assert halving.rung_epochs(300, 2) == [34, 100, 300]
    assert halving.full_trainings(pools, 2) == pytest.approx(30 / 9 + 11 / 3 + 5)
    assert halving.full_trainings(pools, 0) == 30
    assert halving.divide(4, {"some": [1, 2]}) == [[1, 2], [0, 3]]


def test_the_best_third_of_every_pool_goes_on():
    scores = np.array([0.9, 0.8, 0.9, np.nan, 0.1, 0.2, 0.3, 0.2])
    assert halving.survivors(scores, [[0, 1, 2, 3], [4, 5, 6, 7]]) == [0, 5, 6]
    assert halving.survivors(scores, [[1], [3]]) == [1]


def test_the_best_tenth_of_the_curves_chooses_the_epochs():
    curves = np.full((2, 30), 0.5)
    curves[0, 4] = 1  # an accident
    curves[:, 12:15] = 0.7
    assert halving.best_part(curves) == slice(12, 15)
    assert halving.best_part(curves[:, :5]) == slice(4, 5)
    assert halving.best_part(np.ones((2, 300))) == slice(0, 30)


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
