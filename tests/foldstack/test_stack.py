"""A stack trains each copy as Keras would train it alone."""

import copy
import functools

import numpy as np
import pytest

from experiments.foldstack import stack as stack_module
from experiments.foldstack.draws import Draws
from experiments.foldstack.network import build_network
from experiments.foldstack.recipe import Recipe, Unstackable, dropout, keras, tf
from experiments.foldstack.stack import Samples, Stack

L, SGD = keras.layers, keras.optimizers.SGD
smoothed = functools.partial(keras.losses.BinaryCrossentropy, label_smoothing=0.1)
META = {"n_features_in_": 60}
CONTROL = {"max_norm": 3, "learning_rate": 0.1, "momentum": 0.9}
HIDDEN = CONTROL | {"hidden_dropout": 0.2}
DROPPING = HIDDEN | {"visible_dropout": 0.3, "max_norm": 1}


def everything_else():
    """A network of the parts that the arms do not use."""
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 30, 0.5)
    return compiled(
        L.Dense(7, kernel_initializer="he_normal", kernel_constraint="unit_norm"),
        L.LeakyReLU(0.1),
        L.Dense(6, activation="tanh", use_bias=False, kernel_initializer="orthogonal"),
        L.Dense(5, bias_constraint="non_neg", bias_initializer="ones"),
        L.Activation("elu"),
        out(),
        loss=smoothed(),
        optimizer=SGD(decay, momentum=0.9, nesterov=True),
    )


def draws(copies, seed=0):
    return Draws([[seed, i] for i in (range(copies) if isinstance(copies, int) else copies)])


def random_data(rows, features=60):
    generator = np.random.default_rng(1)
    X = generator.normal(size=(len(rows), max(rows), features)).astype(np.float32)
    y = (X[..., :1] + generator.normal(size=(*X.shape[:2], 1)) > 0).astype(np.float32)
    return X, y


def compiled(*layers, loss="binary_crossentropy", optimizer=None, **more):
    network = keras.Sequential([keras.Input((60,)), *layers])
    network.compile(loss=loss, optimizer=optimizer or SGD(0.1), **more)
    return network


def out(**options):
    return L.Dense(1, activation="sigmoid", **options)


def stack_of(network, n_copies, batch_size=16, **options):
    return Stack(Recipe(network), n_copies, batch_size, **options)


def trained(stack, X, y, rows, epochs, seed=0):
    drawn = draws(len(rows), seed)
    samples = Samples(X, y, np.array(rows))
    return stack.train(stack.initial_weights(drawn), samples, drawn, epochs=epochs)


BUILDERS = {
    "baseline": lambda: build_network(META),
    "control": lambda: build_network(META, **CONTROL),
    "everything else": everything_else,
}


@pytest.mark.parametrize(
    ("name", "precision", "epochs", "tolerance"),
    [
        *((name, "float64", 10, 1e-8) for name in BUILDERS),
        ("baseline", "float32", 10, 1e-4),
        ("control", "float32", 5, 1e-4),
    ],
    indirect=["precision"],
)
@pytest.mark.usefixtures("precision")
def test_each_copy_trains_as_keras_fit_does(sonar, name, epochs, tolerance):
    """In double precision, too: training is chaotic where a relu switches, and at the control's
    learning rate float32 rounding grows to 0.1 within 20 epochs whoever trains."""
    rows = [187, 188, 187]
    orders = [np.roll(np.arange(208), 50 * i)[:188] for i in range(3)]
    X, y = sonar.X[orders], (sonar.y == "R")[orders, np.newaxis]
    X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    stack = stack_of(BUILDERS[name](), 3, batch_size=16)
    drawn = draws(3)
    start = stack.initial_weights(drawn)
    twins = copy.deepcopy(drawn)
    twins.masks(np.zeros((3, 0)))
    orders = twins.orders(np.array(rows), epochs, 192)
    weights = stack.train(start, Samples(X, y, np.array(rows)), drawn, epochs=epochs)
    for i, number in enumerate(rows):
        alone = BUILDERS[name]()
        alone.set_weights([stacked[i] for stacked in start])
        for epoch in range(epochs):
            order = orders[epoch, i, :number]
            alone.fit(X[i][order], y[i][order], batch_size=16, shuffle=False, verbose=0)
        for stacked, expected, before in zip(weights, alone.get_weights(), start, strict=True):
            np.testing.assert_allclose(stacked[i], expected, atol=tolerance)
            assert np.abs(expected - before[i]).max() > 1e-3


def test_copies_with_different_hyperparameters_train_as_keras_fit_does(sonar):
    """Max-norms, learning rates and momenta are read from three different networks."""
    names = ("max_norm", "learning_rate", "momentum")
    values = ((0.5, 0.01, 0.9), (1, 0.05, 0.5), (3, 0.1, 0.0))
    networks = [build_network(META, **dict(zip(names, each, strict=True))) for each in values]
    assert len({Recipe(network).blueprint for network in networks}) == 1
    X, y = np.stack([sonar.X] * 3), np.stack([(sonar.y == "R")[:, np.newaxis]] * 3)
    of_each = [Recipe(network).hyperparameters for network in networks]
    assert of_each[0]["max_norm_1"] == 0.5
    options = {"batch_size": 208, "varying": of_each[0]}  # one batch: no order to differ in
    stack = stack_of(networks[1], 3, **options)
    start = stack.initial_weights(draws(3))
    samples = Samples(X, y, np.full(3, 208))
    weights = stack.train(start, samples, draws(3), epochs=20, hyperparameters=of_each)
    for i, network in enumerate(networks):
        network.set_weights([stacked[i] for stacked in start])
        network.fit(X[i], y[i], batch_size=208, epochs=20, shuffle=False, verbose=0)
        for stacked, expected in zip(weights, network.get_weights(), strict=True):
            np.testing.assert_allclose(stacked[i], expected, atol=1e-4)


def test_each_copy_has_its_own_dropout_rate():
    X, _ = random_data([400] * 3)
    rates = [(0.001, 0.001), (0.5, 0.001), (0.001, 0.9)]
    networks = [build_network(META, visible_dropout=v, hidden_dropout=h) for v, h in rates]
    of_each = [Recipe(network).hyperparameters for network in networks]
    names = [f"dropout_{i}" for i in range(3)]
    assert [[each[name] for name in names] for each in of_each] == [[v, h, h] for v, h in rates]
    stack = stack_of(networks[0], 3, batch_size=16, varying=names)
    weights = stack.initial_weights(draws(3))

    def moved(hyperparameters):
        mean = stack.predict_with_dropout(weights, X, draws(3), 1, hyperparameters)
        return np.abs(mean - stack.predict(weights, X)).mean(axis=(1, 2))

    one, half, most = moved(of_each)
    assert one < 0.1 * half < 0.1 * most
    assert (moved(None) < 0.1 * half).all()  # by default the first network's


def test_networks_that_differ_in_anything_else_share_no_stack():
    others = [{}, {"hidden_units": (60,)}, {"hidden_units": (60, 31)}, {"max_norm": 3}]
    others += [{"visible_dropout": 0.1}, {"hidden_dropout": 0.1}]
    optimizers = [SGD(keras.optimizers.schedules.ExponentialDecay(r, 10, 0.5)) for r in (0.1, 0.2)]
    networks = [build_network(META, **settings) for settings in others]
    networks += [build_network({"n_features_in_": 61}), everything_else()]
    networks += [compiled(out(), loss=loss) for loss in ("mse", smoothed())]
    networks += [compiled(out(), optimizer=o) for o in (*optimizers, SGD(0.1, nesterov=True))]
    assert len({Recipe(network).blueprint for network in networks}) == len(networks)
    same = [compiled(out(name="other"), optimizer=SGD(rate)) for rate in (0.1, 0.2)]
    same.append(compiled(L.Dropout(0.0), out()))
    assert len({Recipe(network).blueprint for network in same}) == 1


@pytest.mark.parametrize("settings", [CONTROL, HIDDEN], ids=["control", "hidden"])
def test_copies_are_independent(settings):
    rows = [40, 40, 40]
    X, y = random_data(rows)
    stack = stack_of(build_network(META, **settings), 3, batch_size=16)
    changed = X.copy()
    changed[[0, 2]] *= -3
    before, after = (trained(stack, data, y, rows, epochs=5) for data in (X, changed))
    for first, second in zip(before, after, strict=True):
        assert np.array_equal(first[1], second[1])
        assert not np.array_equal(first[0], second[0])


def test_max_norm_constrains_the_hidden_kernels_of_each_copy_only():
    X, y = random_data([40, 40])

    def norms(max_norm):
        settings = HIDDEN | {"max_norm": max_norm, "learning_rate": 0.5}
        stack = stack_of(build_network(META, **settings), 2, batch_size=16)
        weights = trained(stack, X, y, [40, 40], epochs=10)
        assert [tuple(w.shape) for w in weights[::2]] == [(2, 60, 60), (2, 60, 30), (2, 30, 1)]
        return [np.linalg.norm(kernel, axis=1) for kernel in weights[::2]]

    free, held = norms(None), norms(0.8)
    for layer in (0, 1):
        assert (held[layer] < 0.8 + 1e-5).all()
        assert (held[layer].max(axis=1) > 0.8 - 1e-3).all()  # the constraint is active
        assert (free[layer].max(axis=1) > 0.9).all()
    assert held[2].max() > 0.9


@pytest.mark.parametrize("rate", [0.1, 0.15, 0.3, 0.6, 0.9])
def test_dropout_equals_keras_dropout_with_the_same_mask(rate):
    layer = keras.layers.Dropout(rate, seed=7)
    X, _ = random_data([50, 50, 50])
    expected = layer(X, training=True).numpy()
    kept = expected != 0
    for rates in (rate, tf.constant([rate] * 3, tf.float64)):
        assert np.array_equal(dropout(tf.constant(X), kept, rates), expected)


@pytest.mark.usefixtures("precision")  # double
def test_training_with_dropout_is_keras_training_with_the_same_masks(sonar):
    """Keras' loss, gradients and optimizer; the masks and orders of the stack."""
    network = build_network(META, **DROPPING)
    stack, rows = stack_of(network, 2, batch_size=16), np.array([187, 188])
    X, y = np.stack([sonar.X] * 2), np.stack([(sonar.y == "R")[:, None]] * 2).astype(float)
    drawn = draws(2)
    start = stack.initial_weights(drawn)
    twins = copy.deepcopy(drawn)
    trained = stack.train(start, Samples(X, y, rows), drawn, epochs=5)
    masks = twins.masks(np.array([[0.3, 0.2, 0.2]] * 2))
    masks = masks.draw(5 * 12, [(16, units) for units in (60, 60, 30)])
    orders = twins.orders(rows, 5, 192).reshape(5, 2, 12, 16)
    for i, n_samples in enumerate(rows):
        network.set_weights([stacked[i] for stacked in start])
        network.optimizer = SGD(0.1, momentum=0.9)
        for step in range(5 * 12):
            epoch, batch = divmod(step, 12)
            order = orders[epoch, i, batch][: min(16, n_samples - 16 * batch)]
            kept = iter(each[step, i, : len(order)] for each in masks)
            with tf.GradientTape() as tape:
                outputs = tf.constant(X[i][order])
                for layer in network.layers:
                    if isinstance(layer, L.Dropout):
                        outputs = outputs * next(kept) / (1 - layer.rate)
                    else:
                        outputs = layer(outputs)
                loss = keras.losses.binary_crossentropy(y[i][order], outputs)
                loss = tf.reduce_mean(loss)
            weights = network.trainable_variables
            network.optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        for stacked, expected in zip(trained, network.get_weights(), strict=True):
            np.testing.assert_allclose(stacked[i], expected, atol=1e-8)


def test_dropout_moves_outputs_as_keras_dropout_does():
    """Mean and standard deviation over many passes of one network, unit by unit."""
    network = build_network(META, visible_dropout=0.3, hidden_dropout=0.5)
    stack, X = stack_of(network, 2, batch_size=16), random_data([16] * 2)[0]
    weights = stack.initial_weights(draws(2))
    network.set_weights([stacked[0] for stacked in weights])
    many = np.repeat(X[0], 2000, axis=0)
    theirs = network(many, training=True).numpy().reshape(16, 2000)
    ours = stack.predict_with_dropout(weights, np.stack([many] * 2), draws(2), 1)
    ours = ours[0].reshape(16, 2000)
    error = np.sqrt((ours.var(axis=1) + theirs.var(axis=1)) / 2000)
    assert (np.abs(ours.mean(axis=1) - theirs.mean(axis=1)) < 4 * error).all()
    np.testing.assert_allclose(ours.std(axis=1), theirs.std(axis=1), rtol=0.1)


def bits_of_copies(network, batch_size, copies, **options):
    """Train some of 24 copies for 6 epochs; return the bits of weights and predictions."""
    X, y = random_data([96] * 24, features=network.input_shape[-1])
    X, y, drawn = X[copies], y[copies], draws(copies)
    stack = stack_of(network, len(copies), batch_size, **options)
    start = stack.initial_weights(drawn)
    weights = stack.train(start, Samples(X, y, np.full(len(copies), 90)), drawn, epochs=6)
    predicted = stack.predict(weights, X), stack.predict_with_dropout(weights, X, drawn, 3)
    return [each.view(np.int32) for each in (*(each.numpy() for each in weights), *predicted)]


@pytest.mark.parametrize(
    ("units", "batch_size", "sizes"),
    [((60, 30), 16, (2, 5, 16)), ((7,), 10, (8, 16)), ((33, 9), 64, (2, 3)), ((5,), 7, (16,))],
)
@pytest.mark.parametrize("settings", [{}, DROPPING], ids=["plain", "dropping"])
def test_a_copy_is_the_same_to_the_last_bit_in_every_stack(units, batch_size, sizes, settings):
    network = build_network({"n_features_in_": 9}, hidden_units=units, **settings)
    names = Recipe(network).hyperparameters
    expected = bits_of_copies(network, batch_size, np.arange(24))
    for size in sizes:
        copies = np.random.default_rng(size).permutation(24)[:size]
        for options in ({}, {"varying": names}, {"record_epochs": True}):
            bits = bits_of_copies(network, batch_size, copies, **options)
            for got, of_all in zip(bits, expected, strict=True):
                assert np.array_equal(got, of_all[copies])


@pytest.mark.parametrize(("batch_size", "copies"), [(16, [20, 3, 11, 0, 8]), (48, [7, 2])])
def test_parts_that_the_arms_do_not_use_are_the_same_to_the_last_bit_too(batch_size, copies):
    expected = bits_of_copies(everything_else(), batch_size, np.arange(24))
    bits = bits_of_copies(everything_else(), batch_size, np.array(copies))
    for got, of_all in zip(bits, expected, strict=True):
        assert np.array_equal(got, of_all[copies])


@pytest.mark.parametrize("steps", [1, 4, 13])  # of 6 in an epoch
def test_how_many_steps_a_loop_takes_at_a_time_changes_no_bit(monkeypatch, steps):
    network = build_network({"n_features_in_": 9}, hidden_units=(7,), **DROPPING)
    copies = np.array([4, 9])
    expected = bits_of_copies(network, 16, copies)
    monkeypatch.setattr(stack_module, "LOOP_BYTES", steps * 2 * 16 * (12 + 9 + 7))
    for record in (False, True):
        bits = bits_of_copies(network, 16, copies, record_epochs=record)
        for got, of_one_loop in zip(bits, expected, strict=True):
            assert np.array_equal(got, of_one_loop)


def test_dropout_masks_follow_the_seeds():
    X, y = random_data([40])
    stack = stack_of(build_network(META, **HIDDEN), 1, batch_size=16)
    start = stack.initial_weights(draws(1))
    drawn = [draws(1, seed) for seed in (1, 1, 2)]
    samples = Samples(X, y, np.array([40]))
    trained = [stack.train(start, samples, seeds, epochs=2)[0].numpy() for seeds in drawn]
    first, again, other = trained
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


class OwnInitializer(keras.initializers.Initializer):
    """What a user may write; it knows nothing of tensors."""

    def __init__(self, seed=None):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        return np.random.default_rng(self.seed).normal(size=shape)

    def get_config(self):
        return {"seed": self.seed}


def test_initial_weights_are_what_the_initializers_draw_from_the_seeds():
    names = "glorot_uniform", "he_normal", "orthogonal", "truncated_normal", OwnInitializer()
    dense = [L.Dense(5, kernel_initializer=name, bias_initializer="ones") for name in names]
    stack, network = stack_of(compiled(*dense, out()), 3), compiled(*dense, out())
    seeds = draws(3).initializer_seeds(len(stack.recipe.shapes))
    for i, weights in enumerate(stack.initial_weights(draws(3))[: 2 * len(names)]):
        initializer = network.layers[i // 2].kernel_initializer
        for drawn, seed in zip(weights, seeds[:, i].tolist(), strict=True):
            like = type(initializer).from_config(initializer.get_config() | {"seed": seed})
            expected = np.ones(5) if i % 2 else np.asarray(like(drawn.shape))
            assert np.array_equal(drawn, expected.astype(drawn.dtype))


def test_initial_weights_are_drawn_at_the_shape_of_one_copy():
    stack = stack_of(build_network(META), 20, batch_size=16)
    weights = stack.initial_weights(draws(20))
    for kernel, (inputs, units) in zip(weights[::2], [(60, 60), (60, 30), (30, 1)], strict=True):
        limit = np.sqrt(6 / (inputs + units))  # glorot_uniform
        assert 0.95 * limit < np.abs(kernel).max() <= limit
        assert len(np.unique(kernel[:, 0, 0])) == 20
    assert not any(bias.any() for bias in weights[1::2])


def test_predictions_equal_those_of_each_network_and_do_not_depend_on_the_parts(monkeypatch):
    X, _ = random_data([50, 50])
    network = build_network(META, visible_dropout=0.2)
    stack = stack_of(network, 2, batch_size=16)
    weights = stack.initial_weights(draws(2))

    def predictions():
        dropping = stack.predict_with_dropout(weights, X, draws(2), n_passes=1000)
        return stack.predict(weights, X), dropping

    whole, dropping = predictions()
    for i in range(2):
        network.set_weights([stacked[i] for stacked in weights])
        np.testing.assert_allclose(whole[i], network.predict(X[i], verbose=0), atol=1e-6)
    monkeypatch.setattr(stack_module, "PREDICT_ENTRIES", 16 * 60)
    parts, dropping_parts = predictions()
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert not np.array_equal(dropping, dropping_parts)  # different masks
    np.testing.assert_allclose(dropping_parts, dropping, atol=0.03)
    assert np.abs(dropping - whole).max() < 0.1


def coupled(y, p):
    return keras.ops.mean((y - p) ** 2, axis=-1) / (0.1 + keras.ops.std(p))


def partly_decayed():
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def functional():
    inputs = keras.Input((60,))
    return keras.Model(inputs, L.Dense(1)(inputs))


@pytest.mark.parametrize(
    ("build", "part"),
    [
        (lambda: compiled(L.BatchNormalization(), out()), "BatchNormalization"),
        (lambda: compiled(L.GaussianDropout(0.1), out()), "GaussianDropout"),
        (lambda: compiled(L.Dropout(0.1, noise_shape=(1, 60)), out()), "Dropout"),
        (lambda: compiled(out(kernel_regularizer="orthogonal_regularizer")), "Orthogonal"),
        (lambda: compiled(out(activity_regularizer="l2")), "activity_regularizer"),
        (lambda: compiled(out(trainable=False)), "frozen"),
        (lambda: compiled(out(dtype="float16")), "precision 'float16'"),
        (lambda: compiled(out(kernel_constraint=keras.constraints.MinMaxNorm())), "MinMaxNorm"),
        (lambda: compiled(out(), optimizer=keras.optimizers.Nadam()), "Nadam"),
        (lambda: compiled(out(), optimizer=keras.optimizers.Adam(amsgrad=True)), "amsgrad"),
        (lambda: compiled(out(), optimizer=partly_decayed()), "weight decay of some weights only"),
        (lambda: compiled(out(), optimizer=SGD(clipnorm=1.0)), "clipnorm"),
        (lambda: compiled(out(), optimizer=SGD(use_ema=True)), "use_ema"),
        (lambda: compiled(out(), loss=keras.losses.MeanSquaredError("sum")), "reduction 'sum'"),
        (lambda: compiled(out(), loss=lambda y, p: keras.ops.mean(y - p)), "one value for each"),
        (lambda: compiled(out(), loss=coupled), "loss 'coupled', in which the samples of a batch"),
        (lambda: compiled(out(), loss=keras.losses.Dice()), "one value for each sample"),
        (lambda: compiled(out(), loss_weights=[2.0]), "weighted loss"),
        (functional, "Functional"),
    ],
)
def test_parts_without_a_stacked_form_are_named(build, part):
    expected = "has no stacked form; use scikit-learn's own `cross_validate`"
    with pytest.raises(Unstackable, match=expected) as caught:
        Recipe(build())
    assert part in str(caught.value)


def test_copies_with_different_numbers_of_batches_are_refused():
    stack = stack_of(build_network(META), 2, batch_size=16)
    X, y = random_data([32, 33])
    with pytest.raises(ValueError, match="batches"):
        trained(stack, X, y, [32, 33], epochs=1)
