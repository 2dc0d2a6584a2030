"""Early stopping ends the training of each copy when Keras would, with the same weights."""

import copy

import numpy as np
import pytest

from experiments.foldstack.draws import Draws
from experiments.foldstack.recipe import Recipe, keras, tf
from experiments.foldstack.stack import Samples, Stack
from experiments.foldstack.stopping import Stopping

EPOCHS, ROWS, HELD_OUT = 40, [33, 37, 40], 10
pytestmark = pytest.mark.usefixtures("precision")  # double
Stop = keras.callbacks.EarlyStopping


def network():
    layers = [keras.layers.Dense(12, activation="relu", kernel_regularizer="l2")]
    layers += [keras.layers.Dense(1, activation="sigmoid")]
    built = keras.Sequential([keras.Input((4,)), *layers])
    optimizer = keras.optimizers.Adam(0.05)
    built.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return built


CALLBACKS = {
    "val_loss": lambda: [Stop(patience=2)],
    "the best weights": lambda: [Stop(patience=4, restore_best_weights=True)],
    "min_delta": lambda: [Stop(patience=1, min_delta=0.01, restore_best_weights=True)],
    "from an epoch on": lambda: [Stop(patience=1, start_from_epoch=12)],
    "baseline": lambda: [Stop(patience=3, baseline=0.2)],
    "val_accuracy": lambda: [Stop("val_accuracy", patience=3, restore_best_weights=True)],
    "loss": lambda: [Stop("loss", patience=1, min_delta=0.01)],
    "two": lambda: [Stop(patience=6), Stop("loss", min_delta=0.02, patience=2)],
    "never": lambda: [Stop(patience=EPOCHS, restore_best_weights=True)],
}


def in_order(arrays, orders):
    """Return the batches of all epochs, in the order that the stack has drawn for each."""

    def batches():
        for order in orders:
            for start in range(0, len(order), 8):
                yield tuple(array[order[start : start + 8]] for array in arrays)

    specs = tuple(tf.TensorSpec((None, *array.shape[1:]), tf.float64) for array in arrays)
    return tf.data.Dataset.from_generator(batches, output_signature=specs)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("name", CALLBACKS)
def test_each_copy_stops_as_keras_does(name, weighted):
    random = np.random.default_rng(3)
    X = random.normal(size=(3, 50, 4))
    y = (X[..., :1] + random.normal(size=(3, 50, 1)) > 0).astype(float)
    weights = random.uniform(0.5, 2, (3, 50)) if weighted else None
    callbacks = CALLBACKS[name]()
    stack = Stack(Recipe(network()), 3, 8, monitors=[each.monitor for each in callbacks])
    draws = Draws([5, 6, 7])
    start = stack.initial_weights(draws)
    twins = copy.deepcopy(draws)
    twins.masks(np.zeros((3, 0)))
    orders = twins.orders(np.array(ROWS), EPOCHS, 40)
    of = [None if weights is None else weights[:, part] for part in (slice(40), slice(40, 50))]
    samples = Samples(X[:, :40], y[:, :40], np.array(ROWS), of[0])
    validation = Samples(X[:, 40:], y[:, 40:], np.full(3, HELD_OUT), of[1])
    stopping = Stopping(callbacks, 3)
    trained = stack.train(
        start, samples, draws, epochs=EPOCHS, validation=validation, stopping=stopping
    )
    for i, rows in enumerate(ROWS):
        alone = network()
        alone.set_weights([stacked[i] for stacked in start])
        arrays = [X[i], y[i]] if weights is None else [X[i], y[i], weights[i]]
        batches = in_order(arrays, orders[:, i, :rows])
        held_out = tuple(array[40:] for array in arrays)
        options = {"epochs": EPOCHS, "steps_per_epoch": 5, "shuffle": False, "verbose": 0}
        options["callbacks"] = CALLBACKS[name]()
        history = alone.fit(batches, validation_data=held_out, validation_batch_size=8, **options)
        assert stopping.n_epochs[i] == len(history.epoch)
        for stacked, expected in zip(trained, alone.get_weights(), strict=True):
            np.testing.assert_allclose(stacked[i], expected, rtol=0, atol=1e-8)
    assert (stopping.n_epochs == EPOCHS).all() == (name == "never")
