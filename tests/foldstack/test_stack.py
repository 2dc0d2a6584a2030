"""A stack trains each copy as Keras would train it alone."""

import copy

import numpy as np
import pytest

from experiments.foldstack import stack as stack_module
from experiments.foldstack.network import build_network
from experiments.foldstack.stack import (
    Stack,
    Unstackable,
    blueprint,
    dropout,
    keras,
    read_hyperparameters,
    tf,
)

META = {"n_features_in_": 60}
CONTROL = {"max_norm": 3, "learning_rate": 0.1, "momentum": 0.9}
HIDDEN = CONTROL | {"hidden_dropout": 0.2}


def everything_else():
    """A network of the parts that the arms do not use."""
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((60,)),
            layers.Dense(7, kernel_initializer="he_normal", kernel_constraint="unit_norm"),
            layers.LeakyReLU(0.1),
            layers.Dense(6, activation="tanh", use_bias=False, kernel_initializer="orthogonal"),
            layers.Dense(5, bias_constraint="non_neg", bias_initializer="ones"),
            layers.Activation("elu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 30, 0.5)
    network.compile(
        loss=keras.losses.BinaryCrossentropy(label_smoothing=0.1),
        optimizer=keras.optimizers.SGD(decay, momentum=0.9, nesterov=True),
    )
    return network


def generators(number, seed=0):
    return [np.random.default_rng([seed, i]) for i in range(number)]


def random_data(rows, features=60):
    generator = np.random.default_rng(1)
    X = generator.normal(size=(len(rows), max(rows), features)).astype(np.float32)
    y = (X[..., 0] + generator.normal(size=X.shape[:2]) > 0).astype(np.float32)
    return X, y


@pytest.fixture
def double_precision():
    for precision in ("float64", "float32"):
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)
        if precision == "float64":
            yield


BUILDERS = {
    "baseline": lambda: build_network(META),
    "control": lambda: build_network(META, **CONTROL),
    "everything else": everything_else,
}


@pytest.mark.parametrize("name", BUILDERS)
def test_each_copy_trains_as_keras_fit_does(sonar, name, double_precision):
    """In double precision: training is chaotic where a relu switches, and at the control's
    learning rate float32 rounding grows to 0.1 within 20 epochs whoever trains."""
    compare_with_fit(sonar, BUILDERS[name], epochs=20, tolerance=1e-8)


@pytest.mark.parametrize(("name", "epochs"), [("baseline", 20), ("control", 5)])
def test_each_copy_trains_as_keras_fit_does_in_float32(sonar, name, epochs):
    compare_with_fit(sonar, BUILDERS[name], epochs, tolerance=1e-4)


def compare_with_fit(sonar, build, epochs, tolerance):
    rows = [187, 188, 187]
    X = np.stack([sonar.X[np.roll(np.arange(208), 50 * i)[:188]] for i in range(3)])
    X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    y = np.stack([(sonar.y == "R")[np.roll(np.arange(208), 50 * i)[:188]] for i in range(3)])
    stack = Stack(build(), 3, batch_size=16)
    drawn = generators(3)
    start = stack.initial_weights(drawn)

    twins = copy.deepcopy(drawn)
    stack._mask_seeds(twins)
    orders = stack_module._orders(np.array(rows), twins, epochs, 192)

    trained = stack.train(start, X, y, rows, drawn, epochs=epochs)
    for i, number in enumerate(rows):
        alone = build()
        alone.set_weights([weights[i] for weights in start])
        for epoch in range(epochs):
            order = orders[epoch, i, :number]
            alone.fit(X[i][order], y[i][order], batch_size=16, shuffle=False, verbose=0)
        for stacked, expected, before in zip(trained, alone.get_weights(), start, strict=True):
            np.testing.assert_allclose(stacked[i], expected, atol=tolerance)
            assert np.abs(expected - before[i]).max() > 1e-3


def test_an_epoch_visits_every_sample_once():
    rows = np.array([37, 40])
    orders = stack_module._orders(rows, generators(2), epochs=3, width=48)
    for i, number in enumerate(rows):
        for order in orders[:, i]:
            assert sorted(order[:number]) == list(range(number))
            assert not order[number:].any()
    assert not np.array_equal(orders[0], orders[1])
    at_once = generators(2)
    parts = [stack_module._orders(rows, at_once, epochs=n, width=48) for n in (1, 2)]
    assert np.array_equal(np.concatenate(parts), orders)


def test_copies_with_different_hyperparameters_train_as_keras_fit_does(sonar):
    """Max-norms, learning rates and momenta are read from three different networks."""
    networks = [
        build_network(META, max_norm=max_norm, learning_rate=rate, momentum=momentum)
        for max_norm, rate, momentum in ((0.5, 0.01, 0.9), (1, 0.05, 0.5), (3, 0.1, 0.0))
    ]
    assert len({blueprint(network) for network in networks}) == 1
    X, y = np.stack([sonar.X] * 3), np.stack([sonar.y == "R"] * 3)
    stack = Stack(networks[1], 3, batch_size=208)  # one batch: no order to differ in
    start = stack.initial_weights(generators(3))
    trained = stack.train(
        start,
        X,
        y,
        [208] * 3,
        generators(3),
        epochs=20,
        hyperparameters=[read_hyperparameters(network) for network in networks],
    )
    for i, network in enumerate(networks):
        network.set_weights([weights[i] for weights in start])
        network.fit(X[i], y[i], batch_size=208, epochs=20, shuffle=False, verbose=0)
        for stacked, expected in zip(trained, network.get_weights(), strict=True):
            np.testing.assert_allclose(stacked[i], expected, atol=1e-4)


def test_each_copy_has_its_own_dropout_rate():
    X, _ = random_data([400] * 3)
    rates = [(0.001, 0.001), (0.5, 0.001), (0.001, 0.9)]
    networks = [
        build_network(META, visible_dropout=visible, hidden_dropout=hidden)
        for visible, hidden in rates
    ]
    stack = Stack(networks[0], 3, batch_size=16)
    weights = stack.initial_weights(generators(3))
    of_each = [read_hyperparameters(network) for network in networks]
    assert [each.dropout for each in of_each] == [[v, h, h] for v, h in rates]

    def moved(hyperparameters):
        mean = stack.predict_with_dropout(weights, X, generators(3), 1, hyperparameters)
        return np.abs(mean - stack.predict(weights, X)).mean(axis=1)

    one, half, most = moved(of_each)
    assert one < 0.1 * half < 0.1 * most
    assert (moved(None) < 0.1 * half).all()  # by default the first network's


def test_networks_that_differ_in_anything_else_share_no_stack():
    others = [
        {"hidden_units": (60,)},
        {"hidden_units": (60, 31)},
        {"hidden_dropout": 0.1},
        {"visible_dropout": 0.1},
        {"max_norm": 3},
    ]
    networks = [build_network(META, **each) for each in [{}, *others]]
    networks += [build_network({"n_features_in_": 61}), everything_else()]
    for loss in ("mse", keras.losses.BinaryCrossentropy(label_smoothing=0.2)):
        networks.append(compiled(L.Dense(**OUT), loss=loss))
    networks.append(compiled(L.Dense(**OUT), optimizer=SGD(0.1, nesterov=True)))
    schedule = keras.optimizers.schedules.ExponentialDecay
    for rate in (0.1, 0.2):
        networks.append(compiled(L.Dense(**OUT), optimizer=SGD(schedule(rate, 10, 0.5))))
    assert len({blueprint(network) for network in networks}) == len(networks)
    same = [compiled(L.Dense(**OUT, name="other"), optimizer=SGD(rate)) for rate in (0.1, 0.2)]
    same.append(compiled(L.Dropout(0.0), L.Dense(**OUT)))
    assert len({blueprint(network) for network in same}) == 1


@pytest.mark.parametrize("settings", [CONTROL, HIDDEN], ids=["control", "hidden"])
def test_copies_are_independent(settings):
    rows = [40, 40, 40]
    X, y = random_data(rows)
    stack = Stack(build_network(META, **settings), 3, batch_size=16)

    def train(X):
        drawn = generators(3)
        return stack.train(stack.initial_weights(drawn), X, y, rows, drawn, epochs=5)

    changed = X.copy()
    changed[[0, 2]] *= -3
    before, after = train(X), train(changed)
    for first, second in zip(before, after, strict=True):
        assert np.array_equal(first[1], second[1])
        assert not np.array_equal(first[0], second[0])


def test_max_norm_constrains_the_hidden_kernels_of_each_copy_only():
    rows = [40, 40]
    X, y = random_data(rows)

    def norms(max_norm):
        settings = HIDDEN | {"max_norm": max_norm, "learning_rate": 0.5}
        stack = Stack(build_network(META, **settings), 2, batch_size=16)
        drawn = generators(2)
        weights = stack.train(stack.initial_weights(drawn), X, y, rows, drawn, epochs=10)
        assert [tuple(w.shape) for w in weights[::2]] == [(2, 60, 60), (2, 60, 30), (2, 30, 1)]
        return [np.linalg.norm(kernel, axis=1) for kernel in weights[::2]]

    free, held = norms(None), norms(0.8)
    for layer in (0, 1):
        assert (held[layer] < 0.8 + 1e-5).all()
        assert (held[layer].max(axis=1) > 0.8 - 1e-3).all()  # the constraint is active
        assert (free[layer].max(axis=1) > 0.9).all()
    assert held[2].max() > 0.9


def test_dropout_masks_differ_between_copies_and_have_their_rates():
    rates = [0.3, 0.3, 0.3, 0.8]
    ones, rate_of_each = tf.ones((4, 500, 60)), tf.constant(rates, tf.float64)
    first, second = (np.array(dropout(ones, rate_of_each, tf.constant([5, i]))) for i in (0, 1))
    for one, rate in zip(first, rates, strict=True):
        assert (one == 0).mean() == pytest.approx(rate, abs=0.01)
        assert np.unique(one).tolist() == pytest.approx([0, 1 / (1 - rate)])
    for other in (first[1], first[2], second[0]):
        agreement = ((first[0] == 0) == (other == 0)).mean()
        assert agreement == pytest.approx(0.3**2 + 0.7**2, abs=0.01)  # that of chance


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.7])
def test_dropout_at_one_rate_equals_keras_dropout(rate):
    """To the bit: Keras draws the mask of a seed that it has not drawn from yet."""
    layer = keras.layers.Dropout(rate, seed=7)
    X, _ = random_data([50, 50, 50])
    expected = layer(X, training=True)
    ours = dropout(tf.constant(X), tf.constant([rate] * 3, tf.float64), tf.constant([7, 0]))
    assert np.array_equal(ours, expected)


def test_dropout_masks_follow_the_seeds():
    rows = [40, 40]
    X, y = random_data(rows)
    stack = Stack(build_network(META, **HIDDEN), 2, batch_size=16)
    start = stack.initial_weights(generators(2))
    first, again, other = (
        stack.train(start, X, y, rows, generators(2, seed), epochs=2)[0].numpy()
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_initial_weights_are_drawn_at_the_shape_of_one_copy():
    stack = Stack(build_network(META), 20, batch_size=16)
    weights = stack.initial_weights(generators(20))
    for kernel, (inputs, units) in zip(weights[::2], [(60, 60), (60, 30), (30, 1)], strict=True):
        limit = np.sqrt(6 / (inputs + units))  # glorot_uniform
        assert 0.95 * limit < np.abs(kernel).max() <= limit
        assert len(np.unique(kernel[:, 0, 0])) == 20
    assert not any(bias.any() for bias in weights[1::2])


def test_prediction_equals_that_of_each_network_also_in_parts(monkeypatch):
    X, _ = random_data([50, 50])
    network = build_network(META)
    stack = Stack(network, 2, batch_size=16)
    weights = stack.initial_weights(generators(2))
    whole = stack.predict(weights, X)
    for i in range(2):
        network.set_weights([stacked[i] for stacked in weights])
        np.testing.assert_allclose(whole[i], network.predict(X[i], verbose=0)[:, 0], atol=1e-6)
    monkeypatch.setattr(stack_module, "PREDICT_ENTRIES", 7 * 2 * 60)
    np.testing.assert_allclose(stack.predict(weights, X), whole, atol=1e-6)


def test_monte_carlo_dropout_does_not_depend_on_the_parts(monkeypatch):
    X, _ = random_data([50, 50])
    stack = Stack(build_network(META, visible_dropout=0.2), 2, batch_size=16)
    weights = stack.initial_weights(generators(2))
    whole = stack.predict_with_dropout(weights, X, generators(2), n_passes=2000)
    monkeypatch.setattr(stack_module, "PREDICT_ENTRIES", 7 * 2 * 60)
    parts = stack.predict_with_dropout(weights, X, generators(2), n_passes=2000)
    assert not np.array_equal(whole, parts)  # different masks
    np.testing.assert_allclose(parts, whole, atol=0.02)
    assert np.abs(whole - stack.predict(weights, X)).max() < 0.1


def compiled(*layers, loss="binary_crossentropy", optimizer=None, **more):
    network = keras.Sequential([keras.Input((60,)), *layers])
    network.compile(loss=loss, optimizer=optimizer or keras.optimizers.SGD(0.1), **more)
    return network


L, SGD = keras.layers, keras.optimizers.SGD
OUT = {"units": 1, "activation": "sigmoid"}


@pytest.mark.parametrize(
    ("build", "part"),
    [
        (lambda: compiled(L.BatchNormalization(), L.Dense(**OUT)), "BatchNormalization"),
        (lambda: compiled(L.GaussianDropout(0.1), L.Dense(**OUT)), "GaussianDropout"),
        (lambda: compiled(L.Dropout(0.1, noise_shape=(1, 60)), L.Dense(**OUT)), "Dropout"),
        (lambda: compiled(L.Dense(**OUT, kernel_regularizer="l2")), "kernel_regularizer"),
        (lambda: compiled(L.Dense(**OUT, activity_regularizer="l2")), "activity_regularizer"),
        (lambda: compiled(L.Dense(**OUT, trainable=False)), "frozen"),
        (lambda: compiled(L.Dense(**OUT, dtype="float16")), "precision 'float16'"),
        (lambda: compiled(L.Dense(2)), "2 outputs"),
        (
            lambda: compiled(L.Dense(**OUT, kernel_constraint=keras.constraints.MinMaxNorm())),
            "MinMaxNorm",
        ),
        (lambda: compiled(L.Dense(**OUT), optimizer=keras.optimizers.Adam()), "Adam"),
        (lambda: compiled(L.Dense(**OUT), optimizer=SGD(clipnorm=1.0)), "clipnorm"),
        (lambda: compiled(L.Dense(**OUT), optimizer=SGD(use_ema=True)), "use_ema"),
        (
            lambda: compiled(L.Dense(**OUT), loss=keras.losses.MeanSquaredError(reduction="sum")),
            "reduction 'sum'",
        ),
        (
            lambda: compiled(L.Dense(**OUT), loss=lambda y, p: keras.ops.mean((y - p) ** 2)),
            "one value per sample",
        ),
        (lambda: compiled(L.Dense(**OUT), loss_weights=[2.0]), "weighted loss"),
    ],
)
def test_parts_without_a_stacked_form_are_named(build, part):
    with pytest.raises(
        Unstackable, match="has no stacked form; use scikit-learn's own `cross_validate`"
    ) as caught:
        Stack(build(), 2, batch_size=16)
    assert part in str(caught.value)


def test_a_functional_model_is_refused():
    inputs = keras.Input((60,))
    network = keras.Model(inputs, L.Dense(1)(inputs))
    with pytest.raises(Unstackable, match="Functional"):
        read_hyperparameters(network)


def test_copies_with_different_numbers_of_batches_are_refused():
    stack = Stack(build_network(META), 2, batch_size=16)
    X, y = random_data([32, 33])
    with pytest.raises(ValueError, match="batches"):
        stack.train(stack.initial_weights(generators(2)), X, y, [32, 33], generators(2), epochs=1)
