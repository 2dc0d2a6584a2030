"""Every loss, optimizer and regularizer with a stacked form trains as Keras' own `fit` does."""

import copy

import numpy as np
import pytest

from experiments.foldstack.draws import Draws
from experiments.foldstack.recipe import Recipe, keras
from experiments.foldstack.stack import Samples, Stack

L, O, R = keras.layers, keras.optimizers, keras.regularizers  # noqa: E741
EPOCHS, FEATURES = 20, 5
pytestmark = pytest.mark.usefixtures("precision")  # double
DECAY = O.schedules.ExponentialDecay(0.05, 20, 0.9)


def network(
    outputs=1,
    activation="sigmoid",
    loss="binary_crossentropy",
    optimizer=None,
    regularizers=(None, None),
):
    of_kernel, of_bias = regularizers
    layers = [
        L.Dense(6, activation="tanh", kernel_regularizer=of_kernel, bias_regularizer=of_bias),
        L.Dense(outputs, activation=activation, kernel_regularizer=of_kernel),
    ]
    built = keras.Sequential([keras.Input((FEATURES,)), *layers])
    built.compile(loss=loss, optimizer=optimizer or O.SGD(0.05, momentum=0.5))
    return built


def asymmetric(y, p):
    """A loss of one's own, which looks at columns as in Keras."""
    return keras.ops.square(y[:, 0] - p[:, 0]) * (1 + y[:, 0])


def targets(kind, shape, random):
    if kind == "numbers":
        return random.normal(size=(*shape, 2))
    classes = random.integers(3 if kind != "binary" else 2, size=shape)
    return np.eye(3)[classes] if kind == "one-hot" else classes[..., np.newaxis].astype(float)


CASES = {
    "binary cross-entropy": ("binary", lambda: network()),
    "binary cross-entropy of logits": (
        "binary",
        lambda: network(activation=None, loss=keras.losses.BinaryCrossentropy(from_logits=True)),
    ),
    "categorical cross-entropy": (
        "one-hot",
        lambda: network(3, "softmax", keras.losses.CategoricalCrossentropy(label_smoothing=0.1)),
    ),
    "sparse categorical cross-entropy": (
        "classes",
        lambda: network(3, "softmax", "sparse_categorical_crossentropy"),
    ),
    "several sigmoid outputs": ("one-hot", lambda: network(3)),
    "mean squared error": ("numbers", lambda: network(2, None, "mse")),
    "mean absolute error": ("numbers", lambda: network(2, None, "mae")),
    "Huber": ("numbers", lambda: network(2, None, keras.losses.Huber(0.5))),
    "log cosh": ("numbers", lambda: network(2, None, "log_cosh")),
    "a loss of one's own": ("binary", lambda: network(loss=asymmetric)),
    "SGD": ("binary", lambda: network(optimizer=O.SGD(0.1, weight_decay=0.01, clipvalue=0.01))),
    "SGD with nesterov": (
        "binary",
        lambda: network(optimizer=O.SGD(DECAY, momentum=0.9, nesterov=True)),
    ),
    "Adam": ("binary", lambda: network(optimizer=O.Adam(0.01, beta_1=0.8, epsilon=1e-5))),
    "Adam with a schedule": ("numbers", lambda: network(2, None, "mse", O.Adam(DECAY))),
    "AdamW": ("classes", lambda: network(3, "softmax", "sparse_categorical_crossentropy", "adamw")),
    "AdamW with a schedule": (
        "binary",
        lambda: network(optimizer=O.AdamW(DECAY, weight_decay=0.1, clipvalue=0.02)),
    ),
    "RMSprop": ("binary", lambda: network(optimizer=O.RMSprop(0.01))),
    "RMSprop, centered": (
        "numbers",
        lambda: network(2, None, "mse", O.RMSprop(DECAY, rho=0.8, momentum=0.5, centered=True)),
    ),
    "L1": ("binary", lambda: network(regularizers=(R.L1(0.01), None))),
    "L2": ("binary", lambda: network(regularizers=(R.L2(0.1), R.L2(0.2)), optimizer="adam")),
    "L1 and L2": ("numbers", lambda: network(2, None, "mse", None, (R.L1L2(0.01, 0.02), "l1"))),
}


def train(recipe, rows, y, weights=None, seed=0, **options):
    """Train two copies; return initial weights, data, orders, trained weights."""
    X = np.random.default_rng(1).normal(size=(2, max(rows), FEATURES))
    stack = Stack(recipe, 2, 8, **options)
    draws = Draws([[seed, i] for i in range(2)])
    start = stack.initial_weights(draws)
    twins = copy.deepcopy(draws)
    twins.masks(np.zeros((2, 0)))
    orders = twins.orders(np.array(rows), EPOCHS, 40)
    trained = stack.train(start, Samples(X, y, np.array(rows), weights), draws, epochs=EPOCHS)
    return start, X, orders, trained


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_a_stack_trains_as_keras_does(name, weighted):
    """Rows 38 and 40 fill the last of five batches in part and as a whole."""
    kind, build = CASES[name]
    random, rows = np.random.default_rng(0), [38, 40]
    y = targets(kind, (2, 40), random)
    weights = random.uniform(0, 3, (2, 40)) if weighted else None
    start, X, orders, trained = train(Recipe(build(), y.shape[-1]), rows, y, weights)
    for i, number in enumerate(rows):
        alone = build()
        alone.set_weights([stacked[i] for stacked in start])
        for epoch in range(EPOCHS):
            order = orders[epoch, i, :number]
            options = {"sample_weight": weights[i][order]} if weighted else {}
            options |= {"batch_size": 8, "shuffle": False, "verbose": 0}
            alone.fit(X[i][order], y[i][order], **options)
        for stacked, expected, before in zip(trained, alone.get_weights(), start, strict=True):
            np.testing.assert_allclose(stacked[i], expected, rtol=0, atol=1e-8)
            assert np.abs(expected - before[i]).max() > 1e-4


VARYING = {
    "SGD": lambda: [
        O.SGD(0.1, momentum=0.0, weight_decay=0.1),
        O.SGD(0.02, momentum=0.9, weight_decay=0),
    ],
    "Adam": lambda: [O.Adam(0.01, beta_1=0.5), O.Adam(0.002, beta_2=0.9)],
    "AdamW": lambda: [O.AdamW(0.01, weight_decay=0.1), O.AdamW(0.02, weight_decay=0.01)],
    "RMSprop": lambda: [O.RMSprop(0.01, rho=0.5), O.RMSprop(0.002, momentum=0.5)],
}


@pytest.mark.parametrize("name", VARYING)
def test_copies_may_differ_in_hyperparameters(name):
    built = [
        network(optimizer=optimizer, regularizers=(R.L1L2(l1, 0.01), R.L2(l2)))
        for optimizer, l1, l2 in zip(VARYING[name](), (0.01, 0.0), (0.1, 0.2), strict=True)
    ]
    recipes = [Recipe(each) for each in built]
    assert recipes[0].blueprint == recipes[1].blueprint
    of_each = [recipe.hyperparameters for recipe in recipes]
    stack = Stack(recipes[0], 2, 40, varying=of_each[0])
    random = np.random.default_rng(0)
    X, y = random.normal(size=(2, 40, FEATURES)), targets("binary", (2, 40), random)
    start = stack.initial_weights(Draws([0, 1]))
    samples, draws = Samples(X, y, np.full(2, 40)), Draws([0, 1])
    trained = stack.train(start, samples, draws, epochs=EPOCHS, hyperparameters=of_each)
    for i, alone in enumerate(built):
        alone.set_weights([stacked[i] for stacked in start])
        alone.fit(X[i], y[i], batch_size=40, epochs=EPOCHS, verbose=0)
        for stacked, expected in zip(trained, alone.get_weights(), strict=True):
            np.testing.assert_allclose(stacked[i], expected, rtol=0, atol=1e-8)


def test_networks_that_share_no_stack():
    optimizers = [O.SGD(0.1), O.SGD(0.1, weight_decay=0.1), O.SGD(0.1, clipvalue=1.0), O.Adam(0.1)]
    optimizers += [O.Adam(0.1, epsilon=1e-3), O.AdamW(0.1), O.RMSprop(), O.RMSprop(centered=True)]
    built = [network(optimizer=optimizer) for optimizer in optimizers]
    built += [network(regularizers=(R.L1(0.1), None)), network(regularizers=(R.L2(0.1), None))]
    built += [network(3), network(3, loss="mse")]
    recipes = [Recipe(each, each.output_shape[-1]) for each in built]
    assert len({recipe.blueprint for recipe in recipes}) == len(built)
    classes = network(3, "softmax", "mse")
    assert Recipe(classes, 3).blueprint != Recipe(classes, 1).blueprint
