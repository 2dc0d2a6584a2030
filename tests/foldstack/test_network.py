"""The builder makes the tutorial's networks: sizes, dropout, constraints, optimiser."""

import pytest

from experiments.arms import ARMS
from experiments.foldstack.network import build_network, build_pipeline, keras

META = {"n_features_in_": 60}


@pytest.mark.parametrize(
    ("arm", "dropout", "learning_rate", "momentum", "constrained"),
    [
        ("baseline", [], 0.01, 0.8, []),
        ("visible", [0], 0.1, 0.9, [(60, 60), (60, 30)]),
        ("hidden", [1, 3], 0.1, 0.9, [(60, 60), (60, 30)]),
        ("control", [], 0.1, 0.9, [(60, 60), (60, 30)]),
    ],
)
def test_the_networks_of_the_arms(arm, dropout, learning_rate, momentum, constrained):
    network = build_network(META, **ARMS[arm])
    dropping = {
        place: layer.rate
        for place, layer in enumerate(network.layers)
        if isinstance(layer, keras.layers.Dropout)
    }
    assert dropping == dict.fromkeys(dropout, 0.2)
    dense = [layer for place, layer in enumerate(network.layers) if place not in dropping]
    assert {type(layer) for layer in dense} == {keras.layers.Dense}
    assert [layer.units for layer in dense] == [60, 30, 1]
    assert [layer.activation.__name__ for layer in dense] == ["relu", "relu", "sigmoid"]
    for layer in dense:
        assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
        assert isinstance(layer.bias_initializer, keras.initializers.Zeros)
    assert network.count_params() == 60 * 60 + 60 + 60 * 30 + 30 + 30 + 1 == 5_521
    variables = [v for v in network.trainable_variables if v.constraint is not None]
    assert [v.shape for v in variables] == constrained
    for variable in variables:
        assert variable.constraint.get_config() == {"max_value": 3, "axis": 0}
    assert network.loss == "binary_crossentropy"
    assert isinstance(network.optimizer, keras.optimizers.SGD)
    config = network.optimizer.get_config()
    assert config["learning_rate"] == pytest.approx(learning_rate)
    assert (config["momentum"], config["nesterov"]) == (momentum, False)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("visible_dropout", 1.0, r"must be in \[0, 1\), got 1.0"),
        ("hidden_dropout", -0.1, "must be"),
        ("hidden_dropout", float("nan"), "must be"),
        ("momentum", 1, "must be"),
        ("max_norm", 0, "must be a positive number or None"),
        ("learning_rate", 0, "must be a positive number"),
        ("learning_rate", float("inf"), "must be a positive number"),
        ("learning_rate_decay", 0, r"must be in \(0, 1\] or None"),
        ("hidden_units", 60, "must be a sequence"),
    ],
)
def test_values_out_of_range_are_refused(setting, value, message):
    with pytest.raises(ValueError, match=f"`{setting}` {message}"):
        build_network(META, **{setting: value})


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


def test_unknown_settings_are_refused():
    message = r"unknown setting 'hidden_droput'; the settings are epochs, .*max_n"
    with pytest.raises(TypeError, match=message):
        build_pipeline(hidden_droput=0.5)
