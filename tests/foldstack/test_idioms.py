"""What people do with Keras networks in scikit-learn works, or is refused by name."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import DataConversionWarning, FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneOut,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from experiments.foldstack import (
    KerasClassifier,
    KerasRegressor,
    StackedSearchCV,
    build_pipeline,
    cross_validate,
)
from experiments.foldstack.engine import Options, _train_on_worker
from experiments.foldstack.recipe import Unstackable, keras
from experiments.foldstack.tasks import as_data, split_tasks

IRIS = load_iris(return_X_y=True)
FAST = {"verbose": 0, "epochs": 25, "batch_size": 10, "random_state": 0}


def build(meta, hidden_layer_dim=16, dropout=0.0, activation="softmax", l2=0.0):
    """Leave loss and optimizer to the estimator, as scikeras' tutorials do."""
    network = keras.Sequential([keras.Input((meta["n_features_in_"],))])
    network.add(keras.layers.Dense(hidden_layer_dim, activation="relu", kernel_regularizer=None))
    network.add(keras.layers.Dropout(dropout))
    n_outputs = meta["n_classes_"] if activation == "softmax" else 1
    network.add(keras.layers.Dense(n_outputs, activation=activation))
    return network


def classifier(**options):
    options = {"optimizer": "adam", "optimizer__learning_rate": 0.02} | FAST | options
    return KerasClassifier(build, **options)


def iris_pipeline(**options):
    options = {"loss": "sparse_categorical_crossentropy"} | options
    return make_pipeline(StandardScaler(), classifier(**options))


def shuffled(n_samples):
    return np.random.default_rng(0).permutation(n_samples)


def test_iris_with_integer_labels_strings_and_one_hot():
    X, y = (each[shuffled(150)] for each in IRIS)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    one_hot = iris_pipeline(loss="categorical_crossentropy")
    for estimator, target in (
        (iris_pipeline(), y),
        (iris_pipeline(), names),
        (one_hot, y),
        (one_hot, np.eye(3, dtype=int)[y]),
        (build_pipeline(epochs=30, learning_rate=0.05, random_state=0), names),
        (build_pipeline(epochs=30, learning_rate=0.05, random_state=0), np.eye(3, dtype=int)[y]),
    ):
        scores = cross_validate(estimator, X, target, cv=3, return_estimator=True)
        assert scores["test_score"].min() > 0.85
        assert (scores["test_log_loss"] < 0.5).all()
        assert not scores["collapsed"].any()
        assert scores["estimator"][0].predict(X[:2]).shape == target[:2].shape


def test_three_classes_for_one_sigmoid_are_refused():
    X, y = IRIS
    estimator = classifier(model__activation="sigmoid", loss="binary_crossentropy")
    with pytest.raises(ValueError, match=r"the network has 1 output\(s\) for 3 classes"):
        cross_validate(estimator, X, y, cv=3)


def regressor(**options):
    def network(meta):
        layers = [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(32, activation="relu")]
        layers.append(keras.layers.Dense(meta["n_outputs_"]))
        return keras.Sequential(layers)

    options = {"loss": "mse", "optimizer": "adam", "optimizer__learning_rate": 0.1} | options
    return KerasRegressor(network, **(FAST | {"epochs": 60} | options))


def test_regression_on_the_diabetes_table():
    X, y = load_diabetes(return_X_y=True)
    built = build_pipeline(task="regression", learning_rate=1e-4, epochs=60, random_state=0)
    for estimator in (make_pipeline(StandardScaler(), regressor()), built):
        scoring = {"r2": "r2", "mae": "neg_mean_absolute_error"}
        ours = cross_validate(estimator, X, y, cv=3, scoring=scoring, return_estimator=True)
        plain = cross_validate(estimator, X, y, cv=3, return_train_score=True)
        np.testing.assert_allclose(plain["test_score"], ours["test_r2"], atol=1e-6)
        assert (ours["test_r2"] > 0.2).all()
        assert (plain["train_score"] > plain["test_score"] - 0.1).all()
        theirs = sklearn_cross_validate(estimator, X, y, cv=3, scoring=scoring)
        assert abs(theirs["test_mae"].mean() - ours["test_mae"].mean()) < 5
    both = np.column_stack([y, y[::-1]])
    scores = cross_validate(regressor(), X, both, cv=3, return_estimator=True)
    assert scores["estimator"][0].predict(X[:4]).shape == (4, 2)
    with pytest.raises(ValueError, match=r"1 output\(s\) for 2 target"):
        cross_validate(
            KerasRegressor(lambda meta: build(meta, activation=None), loss="mse"), X, both, cv=3
        )


def test_a_grid_over_optimizer_units_dropout_batch_size_and_epochs():
    X, y = IRIS
    grid = {
        "kerasclassifier__optimizer": ["adam", "rmsprop"],
        "kerasclassifier__model__hidden_layer_dim": [8, 16],
        "kerasclassifier__model__dropout": [0.0, 0.2],
        "kerasclassifier__batch_size": [10, 20],
        "kerasclassifier__epochs": [5, 30],
        "standardscaler": [StandardScaler(), MinMaxScaler()],
    }
    search = StackedSearchCV(iris_pipeline(), grid, cv=3, random_state=0, return_train_score=True)
    search.fit(X, y)
    results = search.cv_results_
    assert len(results["params"]) == 64
    assert search.best_score_ > 0.93
    assert search.best_params_["kerasclassifier__epochs"] == 30
    assert {"mean_fit_time", "std_score_time", "split2_test_score", "mean_train_score"} <= {
        *results
    }
    assert search.score(X, y) > 0.93
    assert search.refit_time_ > 0


def test_early_stopping_inside_cross_validation(sonar):
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    estimator = build_pipeline(epochs=100, learning_rate=0.1, random_state=0)
    estimator.set_params(mlp__callbacks=stop, mlp__validation_split=0.2)
    rows = shuffled(208)
    scores = cross_validate(
        estimator, sonar.X[rows], sonar.y[rows], cv=5, return_curves=True, return_estimator=True
    )
    assert (scores["n_epochs"] < 100).all()
    assert len(set(scores["n_epochs"])) > 1
    ends = np.isfinite(scores["curves"]["test_score"]).sum(axis=1)
    assert np.array_equal(ends, scores["n_epochs"])
    assert scores["test_score"].mean() > 0.7
    routed = classifier(
        model__activation="sigmoid",
        loss="binary_crossentropy",
        callbacks=keras.callbacks.EarlyStopping,
        callbacks__monitor="loss",
        callbacks__patience=2,
        callbacks__min_delta=0.05,
    )
    assert (cross_validate(routed, sonar.X, sonar.y, cv=3)["n_epochs"] < 25).all()


@pytest.mark.parametrize("monitor", ["val_loss", "val_auc", "accuracy"])
def test_monitors_that_are_not_measured_are_refused(monitor):
    stop = keras.callbacks.EarlyStopping(monitor)
    with pytest.raises(Unstackable, match=f"monitor '{monitor}' of EarlyStopping"):
        cross_validate(iris_pipeline(callbacks=[stop]), *IRIS)


def test_scorers_by_name_callable_list_and_dict(sonar):
    estimator = build_pipeline(epochs=10, random_state=0)
    options = {"cv": 4, "return_estimator": True, "return_train_score": True}
    scoring = ["roc_auc", "f1_macro", "neg_log_loss", "balanced_accuracy"]
    scores = cross_validate(estimator, sonar.X, sonar.y, scoring=scoring, **options)
    indices = cross_validate(estimator, sonar.X, sonar.y, return_indices=True, cv=4)["indices"]
    for name in scoring:
        scorer = sklearn.metrics.get_scorer(name)
        for i, fitted in enumerate(scores["estimator"]):
            for part in ("train", "test"):
                rows = indices[part][i]
                expected = scorer(fitted, sonar.X[rows], sonar.y[rows])
                assert scores[f"{part}_{name}"][i] == pytest.approx(expected, abs=1e-5)
    own = make_scorer(lambda y, labels: accuracy_score(y, labels) * 2)
    plain = cross_validate(estimator, sonar.X, sonar.y, cv=4)
    for given, key in ((own, "test_score"), ({"twice": own}, "test_twice")):
        doubled = cross_validate(estimator, sonar.X, sonar.y, cv=4, scoring=given)
        assert np.array_equal(doubled[key], 2 * plain["test_score"])
    X, y = IRIS
    ovr = cross_validate(iris_pipeline(), X, y, cv=3, scoring="roc_auc_ovr")
    assert (ovr["test_score"] > 0.95).all()

    def elsewhere(fitted, X, y):
        return roc_auc_score(y[:1], fitted.predict(X[:1]))

    with pytest.raises(ValueError, match="samples that it is given only"):
        cross_validate(estimator, sonar.X, sonar.y, scoring=elsewhere, error_score="raise")
    for scoring, key in ((elsewhere, "test_score"), ({"other": elsewhere}, "test_other")):
        with pytest.warns(UserWarning, match="samples that it is given only"):
            failed = cross_validate(estimator, sonar.X, sonar.y, scoring=scoring, error_score=-1)
        assert failed[key].tolist() == [-1] * 5


def test_class_weights_and_sample_weights_count_as_in_keras(sonar):
    y = sonar.y == "R"
    few = np.r_[np.flatnonzero(y)[:20], np.flatnonzero(~y)]
    X, y = sonar.X[few], y[few]
    plain = build_pipeline(epochs=30, random_state=0)
    balanced = build_pipeline(epochs=30, random_state=0).set_params(mlp__class_weight="balanced")
    weights = np.where(y, len(y) / 2 / y.sum(), len(y) / 2 / (~y).sum())
    recall = [
        cross_validate(estimator, X, y, cv=5, scoring="recall", params=params)["test_score"].mean()
        for estimator, params in (
            (plain, None),
            (balanced, None),
            (plain, {"mlp__sample_weight": weights}),
        )
    ]
    assert recall[0] + 0.05 < recall[1]
    assert recall[2] == pytest.approx(recall[1], abs=0.06)
    with pytest.raises(TypeError, match="takes `sample_weight`, not 'epochs'"):
        cross_validate(plain, X, y, params={"mlp__epochs": 3})


def test_metadata_is_routed(sonar):
    weights, groups = np.linspace(0.1, 1, 208), np.arange(208) // 4
    folds = GroupKFold(4, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        network = build_pipeline(epochs=3, random_state=0)
        network[-1].set_fit_request(sample_weight=True)
        network[0].set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        params = {"sample_weight": weights, "groups": groups}
        scores = cross_validate(
            network,
            sonar.X,
            sonar.y,
            cv=folds,
            scoring=scorer,
            params=params,
            return_estimator=True,
            return_indices=True,
        )
        for i, fitted in enumerate(scores["estimator"]):
            train, test = (scores["indices"][part][i] for part in ("train", "test"))
            scaler = StandardScaler().fit(sonar.X[train], sample_weight=weights[train])
            assert np.array_equal(fitted[0].mean_, scaler.mean_)
            predicted = fitted.predict(sonar.X[test])
            expected = accuracy_score(sonar.y[test], predicted, sample_weight=weights[test])
            assert scores["test_score"][i] == pytest.approx(expected)
        search = StackedSearchCV(network, {"mlp__epochs": [1, 2]}, cv=folds, scoring=scorer)
        search.fit(sonar.X, sonar.y, **params)
        assert search.n_splits_ == 4


def test_groups_time_series_and_single_samples(sonar):
    rows = shuffled(208)
    X, y, groups = sonar.X[rows], sonar.y[rows], np.arange(208) // 7
    estimator = build_pipeline(epochs=5, random_state=0)
    by_group = cross_validate(estimator, X, y, groups=groups, cv=GroupKFold(5))
    assert by_group["test_score"].shape == (5,)
    growing = cross_validate(estimator, X, y, cv=TimeSeriesSplit(4), return_indices=True)
    assert [len(train) for train in growing["indices"]["train"]] == [44, 85, 126, 167]
    assert np.isfinite(growing["test_log_loss"]).all()
    left_out = cross_validate(estimator, X[:30], y[:30], cv=LeaveOneOut())
    assert {*left_out["test_score"]} <= {0.0, 1.0}
    masks = [(np.arange(208) >= 50, np.arange(208) < 50)]
    numbers = [(np.arange(50, 208), np.arange(50))]
    ours, theirs = (cross_validate(estimator, X, y, cv=cv) for cv in (masks, numbers))
    assert ours["test_log_loss"] == theirs["test_log_loss"]


def passengers(n_samples=200):
    random = np.random.default_rng(0)
    age = random.normal(40, 15, n_samples)
    sex = random.choice(["female", "male"], n_samples)
    port = random.choice(["C", "Q", "S"], n_samples).astype(object)
    survived = np.where((sex == "female") + random.normal(0, 0.3, n_samples) > 0.5, "yes", "no")
    age[random.random(n_samples) < 0.2] = np.nan
    port[:3] = None
    frame = pd.DataFrame({"age": age, "sex": sex, "port": port})
    frame.index = shuffled(n_samples)  # means nothing
    return frame, pd.Series(survived, name="survived", index=shuffled(n_samples))


@pytest.mark.parametrize("dense", [True, False])
def test_a_frame_with_missing_cells_and_categories(dense):
    X, y = passengers()
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=not dense)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("text", make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), ["sex"]),
            ("port", encoder, ["port"]),
        ],
        sparse_threshold=0 if dense else 1,
    )
    columns.set_params(text__simpleimputer__missing_values=None)
    network = classifier(model__activation="sigmoid", loss="binary_crossentropy")
    estimator = make_pipeline(columns, network)
    ours = cross_validate(estimator, X, y, cv=4, return_estimator=True)
    theirs = sklearn_cross_validate(estimator, X, y, cv=4)
    assert abs(ours["test_score"].mean() - theirs["test_score"].mean()) < 0.05
    assert ours["test_score"].mean() > 0.9
    assert list(ours["estimator"][0].feature_names_in_) == ["age", "sex", "port"]
    search = StackedSearchCV(estimator, {"kerasclassifier__model__hidden_layer_dim": [4, 8]}, cv=3)
    search.fit(X, y)
    assert list(search.feature_names_in_) == ["age", "sex", "port"]
    assert search.predict(X).shape == (200,)


def test_inputs_are_taken_by_position(sonar):
    estimator = build_pipeline(epochs=2, random_state=0)
    expected = cross_validate(estimator, sonar.X, sonar.y, cv=3)
    frame, series = pd.DataFrame(sonar.X), pd.Series(sonar.y)
    series.index = frame.index = shuffled(208)
    for X, y in (
        (frame, series),
        (sonar.X.tolist(), sonar.y.tolist()),
        (sparse.csr_matrix(sonar.X), sonar.y),
    ):
        one = estimator
        if sparse.issparse(X):
            one = build_pipeline(epochs=2, random_state=0).set_params(standardize__with_mean=False)
        scores = cross_validate(one, X, y, cv=3)
        if one is estimator:
            assert np.array_equal(scores["test_log_loss"], expected["test_log_loss"])
    with pytest.warns(DataConversionWarning, match="column-vector"):
        column = cross_validate(estimator, sonar.X, sonar.y[:, np.newaxis], cv=3)
    assert np.array_equal(column["test_log_loss"], expected["test_log_loss"])


def test_nested_cross_validation_by_cross_val_score():
    X, y = IRIS
    grid = {"kerasclassifier__model__hidden_layer_dim": [4, 16]}
    search = StackedSearchCV(iris_pipeline(), grid, cv=3, random_state=0)
    assert cross_val_score(search, X, y, cv=3).mean() > 0.9


def test_permutation_importance_calibration_pickling_and_voting(sonar):
    estimator = build_pipeline(hidden_units=(8,), epochs=30, random_state=0)
    search = StackedSearchCV(estimator, {"mlp__model__hidden_units": [(8,), (4,)]}, cv=3)
    search.set_params(random_state=0).fit(sonar.X, sonar.y)
    importance = permutation_importance(search, sonar.X, sonar.y, n_repeats=2, random_state=0)
    assert importance.importances_mean.shape == (60,)
    again = pickle.loads(pickle.dumps(search))  # noqa: S301
    assert np.array_equal(again.predict_proba(sonar.X), search.predict_proba(sonar.X))
    calibrated = CalibratedClassifierCV(estimator, cv=2).fit(sonar.X, sonar.y)
    assert calibrated.predict_proba(sonar.X).shape == (208, 2)
    votes = VotingClassifier([("network", estimator), ("linear", LogisticRegression())])
    assert votes.fit(sonar.X, sonar.y).score(sonar.X, sonar.y) > 0.7


class Sampler(BaseEstimator):
    """What an imbalanced-learn sampler is to a pipeline."""

    def fit_resample(self, X, y):
        return X, y

    fit = transform = fit_resample


def compiled(meta):
    network = build(meta)
    network.compile("sgd", "sparse_categorical_crossentropy")
    return network


def test_an_optimizer_without_effect_is_refused():
    for options in ({"optimizer": "adam"}, {"optimizer__learning_rate": 0.1}):
        with pytest.raises(ValueError, match=r"`optimizer.*` has no effect: `model` has compiled"):
            cross_validate(KerasClassifier(compiled, **FAST, **options), *IRIS)
    changed = build_pipeline().set_params(mlp__optimizer="adam")
    with pytest.raises(ValueError, match="`optimizer` has no effect: `build_network` trains with"):
        cross_validate(changed, *IRIS)

    def own(meta, compile_kwargs):
        network = build(meta)
        network.compile(**compile_kwargs)
        return network

    options = FAST | {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}
    assert cross_validate(KerasClassifier(own, **options), *IRIS)["test_score"].mean() > 0.5


def test_a_step_that_resamples_is_refused_by_name():
    estimator = Pipeline([("over", Sampler()), ("network", classifier())])
    with pytest.raises(TypeError, match="step 'over' of type Sampler resamples"):
        cross_validate(estimator, *IRIS)


def test_a_bare_estimator_and_arguments_of_the_builder():
    X, y = IRIS
    options = {"loss": "sparse_categorical_crossentropy"}
    plain, routed = (
        cross_validate(classifier(**options, **units), X, y, cv=3, return_estimator=True)
        for units in ({"hidden_layer_dim": 5}, {"model__hidden_layer_dim": 5})
    )
    assert np.array_equal(plain["test_log_loss"], routed["test_log_loss"])
    assert plain["estimator"][0].model_.layers[0].units == 5
    for name in ("hidden_layer_dim", "model__hidden_layer_dim"):
        search = StackedSearchCV(classifier(**options, hidden_layer_dim=1), {name: [1, 8]}, cv=3)
        assert search.fit(X, y).best_params_ == {name: 8}
    with pytest.raises(ValueError, match=r"no parameter hidden; there are .*hidden_layer_dim"):
        StackedSearchCV(classifier(**options), {"hidden": [2, 8]}).fit(X, y)


def test_what_cannot_be_trained_gets_the_error_score():
    X, y = (each[shuffled(150)] for each in IRIS)
    X = X.copy()
    X[:10] = np.nan
    folds = [(np.arange(75, 150), np.arange(50, 75)), (np.arange(75), np.arange(75, 150))]
    with pytest.warns(FitFailedWarning, match="1 fits failed out of a total of 2.*contains NaN"):
        scores = cross_validate(
            iris_pipeline(), X, y, cv=folds, return_train_score=True, return_curves=True
        )
    assert np.isnan([scores["test_score"][1], scores["train_score"][1]]).all()
    assert np.isnan(scores["curves"]["test_score"]).all(axis=1).tolist() == [False, True]
    assert scores["test_score"][0] > 0.7
    with pytest.raises(ValueError, match="contains NaN"):
        cross_validate(iris_pipeline(), X, y, cv=folds, error_score="raise")
    with pytest.raises(ValueError, match="all the 1 fits failed"):
        cross_validate(iris_pipeline(), X, y, cv=folds[1:])


def test_a_worker_of_a_cluster_tells_what_failed_as_a_thread_does():
    X, y = (each[shuffled(150)] for each in IRIS)
    X = X.copy()
    X[:10] = np.nan
    folds = [(np.arange(75), np.arange(75, 150)), (np.arange(75, 150), np.arange(50, 75))]
    data = as_data(iris_pipeline(), X, y)
    tasks = split_tasks(iris_pipeline(), data, folds, seeds=[1, 2])
    planned = tasks + tasks[-1:] * 6  # as `_plan` fills up stacks
    failed, trained, *_ = _train_on_worker(planned, Options(error_score=np.nan), data)
    assert "contains NaN" in str(failed)
    expected = cross_validate(iris_pipeline(), X, y, cv=folds[1:], seeds=[2])
    assert trained["test_log_loss"] == expected["test_log_loss"]
    (alone,) = _train_on_worker(tasks[:1], Options(error_score=np.nan), data)
    assert "contains NaN" in str(alone)


def test_a_search_by_several_scorers(capsys):
    X, y = IRIS
    grid = {"kerasclassifier__model__hidden_layer_dim": [1, 16]}
    options = {"scoring": ["accuracy", "neg_log_loss"], "cv": 3, "random_state": 0}
    search = StackedSearchCV(iris_pipeline(), grid, refit="neg_log_loss", verbose=1, **options)
    search.fit(X, y)
    assert capsys.readouterr().out.startswith(
        "Fitting 3 folds for each of 2 candidates, totalling 6"
    )
    assert search.best_score_ == search.cv_results_["mean_test_neg_log_loss"].max()
    assert set(search.scorer_) == {"accuracy", "neg_log_loss"}
    chosen = StackedSearchCV(iris_pipeline(), grid, refit=lambda results: 0, **options).fit(X, y)
    assert chosen.best_params_ == {"kerasclassifier__model__hidden_layer_dim": 1}
    without = StackedSearchCV(iris_pipeline(), grid, refit=False, **options).fit(X, y)
    assert not hasattr(without, "best_estimator_")
    with pytest.raises(ValueError, match="refit"):
        StackedSearchCV(iris_pipeline(), grid, **options).fit(X, y)
