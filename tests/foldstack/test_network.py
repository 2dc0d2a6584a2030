"""The builder makes the tutorial's networks: sizes, dropout, constraints, optimiser."""

import numpy as np
import pytest

from experiments.arms import ARMS
from experiments.foldstack.network import build_network, build_pipeline, keras

META = {"n_features_in_": 60}


@pytest.mark.parametrize("arm", ARMS)
def test_parameters_and_layers(arm):
    network = build_network(META, **ARMS[arm])
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert network.count_params() == 60 * 60 + 60 + 60 * 30 + 30 + 30 + 1 == 5_521
    assert [layer.units for layer in dense] == [60, 30, 1]
    assert [layer.activation.__name__ for layer in dense] == ["relu", "relu", "sigmoid"]
    for layer in dense:
        assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
        assert isinstance(layer.bias_initializer, keras.initializers.Zeros)
    assert network.loss == "binary_crossentropy"


@pytest.mark.parametrize(
    ("arm", "layout"),
    [
        ("baseline", ["Dense", "Dense", "Dense"]),
        ("visible", ["Dropout", "Dense", "Dense", "Dense"]),
        ("hidden", ["Dense", "Dropout", "Dense", "Dropout", "Dense"]),
    ],
)
def test_positions_of_the_dropout_layers(arm, layout):
    network = build_network(META, **ARMS[arm])
    assert [type(layer).__name__ for layer in network.layers] == layout
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            assert layer.rate == 0.2


@pytest.mark.parametrize("arm", ["visible", "hidden"])
def test_max_norm_on_exactly_the_two_hidden_kernels(arm):
    network = build_network(META, **ARMS[arm])
    constrained = [v for v in network.trainable_variables if v.constraint is not None]
    assert [v.shape for v in constrained] == [(60, 60), (60, 30)]
    for variable in constrained:
        assert variable.constraint.get_config() == {"max_value": 3, "axis": 0}
    free = build_network(META, **ARMS["baseline"])
    assert all(v.constraint is None for v in free.trainable_variables)


def test_training_keeps_the_max_norm():
    def norms(max_norm):
        keras.utils.set_random_seed(0)
        network = build_network(META, max_norm=max_norm, learning_rate=0.5, momentum=0.9)
        X = np.random.default_rng(0).normal(size=(64, 60))
        network.fit(X, X[:, 0] > 0, epochs=5, verbose=0)
        return [np.linalg.norm(network.get_weights()[i], axis=0).max() for i in (0, 2)]

    assert max(norms(None)) > 1
    assert max(norms(0.5)) <= 0.5 + 1e-5


@pytest.mark.parametrize(
    ("arm", "learning_rate", "momentum"),
    [("baseline", 0.01, 0.8), ("visible", 0.1, 0.9), ("hidden", 0.1, 0.9)],
)
def test_optimiser(arm, learning_rate, momentum):
    optimizer = build_network(META, **ARMS[arm]).optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    config = optimizer.get_config()
    assert config["learning_rate"] == pytest.approx(learning_rate)
    assert config["momentum"] == momentum
    assert config["nesterov"] is False


def test_the_input_width_is_that_of_the_data():
    assert build_network({"n_features_in_": 7}).input_shape == (None, 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"visible_dropout": 1.0}, "`visible_dropout` must be in \\[0, 1\\), got 1.0"),
        ({"hidden_dropout": -0.1}, "`hidden_dropout` must be"),
        ({"hidden_dropout": float("nan")}, "`hidden_dropout` must be"),
        ({"momentum": 1}, "`momentum` must be"),
        ({"max_norm": 0}, "`max_norm` must be a positive number or None"),
        ({"learning_rate": float("inf")}, "`learning_rate` must be a positive number"),
        ({"learning_rate_decay": 0}, "`learning_rate_decay` must be in \\(0, 1\\] or None"),
        ({"hidden_units": 60}, "`hidden_units` must be a sequence"),
    ],
)
def test_values_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build_network(META, **settings)


@pytest.mark.parametrize(("batch_size", "steps"), [(16, 13), (None, 7), (-1, 1)])
def test_the_decay_counts_training_steps(batch_size, steps):
    """A batch size of None means 32, -1 all samples."""
    network = build_network(
        META | {"X_shape_": (208, 60)},
        {"epochs": 10, "batch_size": batch_size},
        learning_rate=0.1,
        learning_rate_decay=0.5,
    )
    assert float(network.optimizer._learning_rate(10 * steps)) == pytest.approx(0.05)


def test_an_unknown_setting_is_refused_with_those_that_exist():
    with pytest.raises(
        TypeError, match=r"unknown setting 'droput'; the settings are epochs, .*max_n"
    ):
        build_pipeline(droput=0.5)
    parameters = build_pipeline(max_norm=3).get_params()
    assert parameters["mlp__model__max_norm"] == 3
    assert parameters["mlp__model__hidden_dropout"] == 0.0
