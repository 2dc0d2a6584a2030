"""Many independent copies of one Keras model, trained as one model.

The copies are stacked along a leading axis: a Dense kernel has the shape (n_copies, n_inputs,
n_units), a batch (n_copies, batch_size, n_features), and a product is one batched product. One
training step advances every copy, and the steps run in a compiled loop.

The copies are independent: each has its own samples, order of samples, initial weights and
dropout masks, and the loss is the sum of the copies' losses, so that the gradient of a copy's
weights is that of its own loss. The copies may also differ in dropout rates, max-norms,
learning rate and momentum. What is computed from a whole array during training, such as
clipping a gradient by its norm, has no stacked form and is refused.
"""

import functools
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .draws import Draws

# TensorFlow reads this once, when it is imported, and by itself uses oneDNN only on processors
# with AVX-512. With AVX2, products of small matrices are twice as fast with it.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
chosen = os.environ.get(ONEDNN)
os.environ[ONEDNN] = chosen or "1"
try:
    import keras
    import tensorflow as tf
    from keras import constraints, layers
finally:
    if chosen is None:
        del os.environ[ONEDNN]

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"foldstack needs Keras' TensorFlow backend, but Keras uses {keras.backend.backend()!r}; "
        "set the environment variable KERAS_BACKEND=tensorflow before Keras is imported"
    )

ELEMENTWISE = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
LAYERS = (layers.Dense, layers.Dropout, *ELEMENTWISE)
REFUSED_OPTIONS = ("activity_regularizer", "kernel_regularizer", "bias_regularizer", "noise_shape")
CONSTRAINTS = (constraints.MaxNorm, constraints.UnitNorm, constraints.NonNeg)
LOOP_BYTES = 2**22  # of sample numbers and masks that a compiled loop gets at a time
PACKET = 16  # numbers that TensorFlow may compute at once, rounded otherwise than single ones
PREDICT_ENTRIES = 2**15  # activations of a copy's widest layer at a time


class Unstackable(ValueError):
    """A part of a model or an estimator, which the message names, has no stacked form."""

    def __init__(self, part: str):
        super().__init__(
            f"{part} has no stacked form; use scikit-learn's own `cross_validate` or "
            "`RandomizedSearchCV` instead"
        )


class Stack:
    """Copies of one network, which can be trained repeatedly from given weights.

    A stack holds no training state, so that threads can share it: weights are passed in and
    returned as lists of arrays, those of `keras.Model.get_weights` with a leading axis of
    copies. A copy's initial weights, order of samples and dropout masks do not depend on the
    stack that it is in, nor does the rounding: copies train to the same bits in every stack of
    at least 2 copies, if ``n_copies * batch_size`` is a multiple of `PACKET`.

    Parameters
    ----------
    network : keras.Sequential
        Built and compiled, with one output unit. All copies have its `blueprint`.
    n_copies : int
    batch_size : int
        Samples of each copy in a training step.
    varying : collection of str, default=()
        Names of the hyperparameters in which the copies may differ. In the others they are
        like the network, which trains faster.
    record_epochs : bool, default=False
        Whether training also predicts all samples after every epoch.

    Attributes
    ----------
    n_features : int
    dtype : str
    hyperparameters : dict
        Those of the network, see `read_hyperparameters`.

    Raises
    ------
    Unstackable
        If a layer, constraint, regularizer, loss or optimizer has no stacked form.
    """

    def __init__(self, network, n_copies, batch_size, *, varying=(), record_epochs=False):
        self.n_copies = n_copies
        self.batch_size = batch_size
        self.record_epochs = record_epochs
        self._varying = sorted(varying)
        self.n_features = network.input_shape[-1]
        self.dtype = network.compute_dtype
        self.hyperparameters = read_hyperparameters(network)
        self._layers = _stackable_layers(network)
        self._shapes = [tuple(variable.shape) for variable in network.trainable_variables]
        self._initializers = [
            _initializer(layer, variable.name)
            for layer in network.layers
            for variable in layer.trainable_variables
        ]
        self._constraints = [variable.constraint for variable in network.trainable_variables]
        self._loss = _loss(network)
        self._update = _update_rule(network.optimizer)
        dropouts = [layer for layer in self._layers if isinstance(layer, layers.Dropout)]
        self._dropout_units = [layer.input.shape[-1] for layer in dropouts]
        per_copy = {name: tf.TensorSpec((n_copies,), tf.float64) for name in varying}
        weights = [tf.TensorSpec((n_copies, *shape), self.dtype) for shape in self._shapes]
        X = tf.TensorSpec((n_copies, None, self.n_features), self.dtype)
        y = tf.TensorSpec((n_copies, None), self.dtype)
        step, batches = tf.TensorSpec((), tf.int64), (None, n_copies, batch_size)
        batch, order = tf.TensorSpec(batches, self.dtype), tf.TensorSpec(batches, tf.int32)
        masks = [tf.TensorSpec((None, n_copies, None, n), tf.bool) for n in self._dropout_units]
        steps = weights, weights, step, per_copy, X, order, batch, batch, masks
        compiled = functools.partial(tf.function, autograph=False)
        self._train = compiled(self._take_steps).get_concrete_function(*steps)
        without_dropout = compiled(lambda weights, X: self._outputs(weights, X)[..., 0])
        self._predict = without_dropout.get_concrete_function(weights, X)
        passes = weights, per_copy, X, masks, y
        adding = compiled(self._sum_of_passes)
        self._add_passes = functools.cache(lambda: adding.get_concrete_function(*passes))

    def initial_weights(self, draws: "Draws") -> list[np.ndarray]:
        """Draw the weights of each copy with the network's initializers.

        An initializer is called at the shape of one copy: at the stacked shape it would
        count the copies as part of its fan. Returns arrays of shape (n_copies, ...).
        """
        stacks = [np.empty((self.n_copies, *shape), self.dtype) for shape in self._shapes]
        for copy, seeds in enumerate(draws.initializer_seeds(len(stacks))):
            for stack, initializer, seed in zip(stacks, self._initializers, seeds, strict=True):
                stack[copy] = initializer(stack.shape[1:], int(seed))
        return stacks

    def train(
        self,
        weights: Sequence[np.ndarray],
        X: np.ndarray,
        y: np.ndarray,
        n_samples: Sequence[int],
        draws: "Draws",
        *,
        epochs: int,
        hyperparameters: Sequence[Mapping[str, float]] | None = None,
        callback: Callable[[int, np.ndarray | None], None] = lambda epochs, probabilities: None,
    ) -> list:
        """Train every copy on its own samples, reshuffled every epoch in an order of its own.

        Parameters
        ----------
        weights : list of arrays of shape (n_copies, ...)
            Initial weights.
        X : float32 array or tensor of shape (n_copies, max_samples, n_features)
        y : float32 array of shape (n_copies, max_samples)
            Targets.
        n_samples : int array of shape (n_copies,)
            Number of training samples of each copy; those behind them are padding. All
            copies must have the same number of batches.
        draws : Draws
            Decides the order of each copy's samples and its dropout masks.
        epochs : int
        hyperparameters : sequence of dict of shape (n_copies,), optional
            Those of each copy; by default the network's.
        callback : callable, optional
            Called every few epochs with their number and None; if the stack records epochs,
            after each with 1 and the probabilities as `predict` returns them.

        Returns
        -------
        list of tensors of shape (n_copies, ...)
            The trained weights.

        Raises
        ------
        ValueError
            If the copies differ in their number of batches.
        """
        n_samples = np.asarray(n_samples)
        n_batches = -(-n_samples // self.batch_size)
        if (n_batches != n_batches[0]).any():
            raise ValueError(
                "all copies must have the same number of batches, got "
                f"{n_batches.min()} to {n_batches.max()}"
            )
        n_batches = n_batches[0]
        X, y = tf.convert_to_tensor(X, self.dtype), np.asarray(y, self.dtype)
        shares = self._shares(n_samples, n_batches)
        per_copy, masks = self._prepare(hyperparameters, draws)
        mask_shapes = [(self.batch_size, units) for units in self._dropout_units]
        sample_bytes = 12 + sum(self._dropout_units)
        most_steps = max(1, LOOP_BYTES // (self.n_copies * self.batch_size * sample_bytes))
        most_epochs = 1 if self.record_epochs else max(1, most_steps // n_batches)
        weights = [tf.constant(stack) for stack in weights]
        velocities = [tf.zeros(stack.shape, self.dtype) for stack in weights]
        state = weights, velocities, tf.constant(0, tf.int64)
        for done in range(0, epochs, most_epochs):
            now = min(most_epochs, epochs - done)
            orders = draws.orders(n_samples, now, n_batches * self.batch_size)
            orders = orders.reshape(now, self.n_copies, n_batches, self.batch_size)
            orders = orders.swapaxes(1, 2).reshape(-1, self.n_copies, self.batch_size)
            for start in range(0, len(orders), most_steps):
                order = orders[start : start + most_steps]
                share = shares[np.arange(start, start + len(order)) % n_batches]
                targets = np.take_along_axis(y[np.newaxis], order, axis=2)
                batches = order, targets, share, masks.draw(len(order), mask_shapes)
                state = self._train(*state, per_copy, X, *batches)
            callback(now, self.predict(state[0], X) if self.record_epochs else None)
        return state[0]

    def predict(self, weights: Sequence, X: np.ndarray) -> np.ndarray:
        """Predict with every copy, dropout off.

        Parameters
        ----------
        weights : list of arrays or tensors of shape (n_copies, ...)
        X : float32 array or tensor of shape (n_copies, n_samples, n_features)

        Returns
        -------
        float32 array of shape (n_copies, n_samples)
            Probability of the second class.
        """
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        return self._in_parts(lambda part: self._predict(weights, part), X)

    def predict_with_dropout(
        self,
        weights: Sequence,
        X: np.ndarray,
        draws: "Draws",
        n_passes: int,
        hyperparameters: Sequence[Mapping[str, float]] | None = None,
    ) -> np.ndarray:
        """Predict with dropout on and average over passes (Monte Carlo dropout).

        Parameters
        ----------
        weights, X, draws, hyperparameters
            See `predict` and `train`.
        n_passes : int

        Returns
        -------
        float32 array of shape (n_copies, n_samples)
            Mean probability of the second class.
        """
        if not self._dropout_units:
            return self.predict(weights, X)
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        per_copy, masks = self._prepare(hyperparameters, draws)

        def sample(part):
            n_samples = part.shape[1]
            shapes = [(n_samples, units) for units in self._dropout_units]
            mask_bytes = self.n_copies * n_samples * sum(self._dropout_units)
            at_once, total = max(1, LOOP_BYTES // mask_bytes), tf.zeros(part.shape[:2], self.dtype)
            for done in range(0, n_passes, at_once):
                drawn = masks.draw(min(at_once, n_passes - done), shapes)
                total = self._add_passes()(weights, per_copy, part, drawn, total)
            return total / n_passes

        return self._in_parts(sample, X)

    def _in_parts(self, predict, X):
        """Predict some of the samples at a time, which needs little memory.

        How many does not depend on `n_copies`: products of other sizes round differently.
        """
        X = tf.convert_to_tensor(X, self.dtype)
        widest = max(shape[-1] for shape in self._shapes)
        size = PACKET * max(1, PREDICT_ENTRIES // (PACKET * widest))
        parts = [predict(X[:, start : start + size]) for start in range(0, X.shape[1], size)]
        return np.concatenate(parts, axis=1)

    def _take_steps(self, weights, velocities, step, per_copy, X, orders, targets, shares, masks):
        """Take a step for each batch, in one compiled loop."""
        hyperparameters = self.hyperparameters | per_copy
        constrain = _stacked_constraints(self._constraints, hyperparameters)

        def take_step(i, weights, velocities, step):
            x_batch = tf.gather(X, orders[i], batch_dims=1)
            y_batch = targets[i][..., tf.newaxis]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                kept = [each[i] for each in masks]
                predicted = self._outputs(weights, x_batch, hyperparameters, kept)
                losses = self._loss(y_batch, predicted)
                if losses.shape.rank != 2:
                    raise Unstackable("a loss with other than one value per sample")
                loss = tf.reduce_sum(losses * shares[i])
            gradients = tape.gradient(loss, weights)
            moved = [
                self._update(*each, step, hyperparameters)
                for each in zip(weights, velocities, gradients, strict=True)
            ]
            weights, velocities = zip(*moved, strict=True)
            weights = tuple(rule(each) for rule, each in zip(constrain, weights, strict=True))
            return i + 1, weights, velocities, step + 1

        state, n_steps = (0, tuple(weights), tuple(velocities), step), tf.shape(orders)[0]
        _, weights, velocities, step = tf.while_loop(
            lambda i, *_: i < n_steps, take_step, state, parallel_iterations=1
        )
        return list(weights), list(velocities), step

    def _outputs(self, weights, X, hyperparameters=None, masks=()):
        """Compute the outputs of every copy, with dropout if masks are given."""
        weights, masks, outputs = iter(weights), enumerate(masks), X
        for layer in self._layers:
            if isinstance(layer, layers.Dense):
                outputs = tf.matmul(outputs, next(weights))
                if layer.use_bias:
                    outputs = _add_bias(outputs, next(weights))
                outputs = layer.activation(outputs)
            elif not isinstance(layer, layers.Dropout):
                outputs = layer(outputs)
            elif hyperparameters:
                i, kept = next(masks)
                outputs = dropout(outputs, kept, hyperparameters[f"dropout_{i}"])
        return outputs

    def _sum_of_passes(self, weights, per_copy, X, masks, total):
        hyperparameters = self.hyperparameters | per_copy

        def one_more(i, total):
            outputs = self._outputs(weights, X, hyperparameters, [each[i] for each in masks])
            return i + 1, total + outputs[..., 0]

        n_passes = tf.shape(masks[0])[0]
        return tf.while_loop(lambda i, _: i < n_passes, one_more, (0, total))[1]

    def _prepare(self, hyperparameters, draws):
        """Stack the varying hyperparameters along an axis of copies; return them, and masks."""
        hyperparameters = hyperparameters or [self.hyperparameters] * self.n_copies
        values = {name: [each[name] for each in hyperparameters] for name in self._varying}
        per_copy = {name: tf.constant(each, tf.float64) for name, each in values.items()}
        numbers = range(len(self._dropout_units))
        rates = [[each[f"dropout_{i}"] for i in numbers] for each in hyperparameters]
        return per_copy, draws.masks(np.array(rates))

    def _shares(self, n_samples, n_batches):
        """Weight each sample by 1 / (samples of its copy in its batch), padding by 0."""
        position = np.arange(n_batches * self.batch_size).reshape(n_batches, 1, self.batch_size)
        present = position < n_samples[:, np.newaxis]
        return (present / present.sum(axis=-1, keepdims=True)).astype(self.dtype)


def read_hyperparameters(network: keras.Sequential) -> dict[str, float]:
    """Return a compiled network's hyperparameters: what may differ within a stack.

    ``dropout_<i>`` is the rate of the i-th Dropout layer with a rate above 0, ``max_norm_<i>``
    that of the i-th weight with such a constraint. ``learning_rate`` is missing if the optimizer
    follows a schedule, which the copies of a stack share.
    """
    stackable = _stackable_layers(network)
    rates = [layer.rate for layer in stackable if isinstance(layer, layers.Dropout)]
    constrained = [variable.constraint for variable in network.trainable_variables]
    norms = [each.max_value for each in constrained if _is_max_norm(each)]
    found = {f"dropout_{i}": rate for i, rate in enumerate(rates)}
    found |= {f"max_norm_{i}": norm for i, norm in enumerate(norms)}
    if not _schedule(network.optimizer):
        found["learning_rate"] = network.optimizer.get_config()["learning_rate"]
    momentum = np.float32(getattr(network.optimizer, "momentum", 0))  # rounded as Keras does
    return found | {"momentum": float(momentum)}


def blueprint(network: keras.Sequential) -> str:
    """Describe a compiled network without its hyperparameters.

    Networks with the same description, input width included, can be copies of one stack.
    """
    stackable = _stackable_layers(network)
    described = [(type(layer).__name__, _configuration(layer)) for layer in stackable]
    optimizer = network.optimizer.get_config() | {"name": "", "momentum": 0}
    if not _schedule(network.optimizer):
        optimizer["learning_rate"] = 0
    loss = network.loss
    if isinstance(loss, keras.losses.Loss):
        loss = type(loss).__name__, loss.get_config()
    parts = network.input_shape, described, type(network.optimizer).__name__, optimizer, loss
    return json.dumps(parts, default=repr)


def _configuration(layer):
    """Describe a layer without its name and hyperparameters."""
    config = layer.get_config() | {"name": "", "rate": 0}
    for part in ("kernel_constraint", "bias_constraint"):
        if _is_max_norm(getattr(layer, part, None)):
            config[part] = "MaxNorm", getattr(layer, part).axis
    return config


def dropout(inputs: tf.Tensor, kept: tf.Tensor, rate: float | tf.Tensor) -> tf.Tensor:
    """Set units to 0 that are not kept, and scale the others by 1 / (1 − rate), as Keras does.

    Takes (n_copies, n_samples, n_units) inputs and bools; `rate` is a number or has (n_copies,).
    """
    return inputs * (tf.cast(kept, inputs.dtype) * _broadcast(1 / (1 - rate), inputs))


def _broadcast(values, array):
    """Shape a value for each copy so that it broadcasts over the copies' arrays."""
    if not tf.is_tensor(values):
        return tf.constant(values, array.dtype)
    return tf.reshape(tf.cast(values, array.dtype), [-1] + [1] * (array.shape.rank - 1))


def _is_max_norm(constraint):
    return type(constraint) is constraints.MaxNorm


def _schedule(optimizer):
    """Return the schedule that the learning rate follows, or None."""
    schedule = optimizer._learning_rate  # the public attribute is the current value
    is_schedule = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    return schedule if is_schedule else None


def _stackable_layers(network):
    """Check that every layer has a stacked form; return those that have an effect."""
    if not isinstance(network, keras.Sequential):
        raise Unstackable(f"a model of type {type(network).__name__}, other than Sequential,")
    if len(network.input_shape) != 2:
        raise Unstackable(f"input of shape {network.input_shape}, other than rows of numbers,")
    if network.output_shape[-1] != 1:
        raise Unstackable(f"a network of {network.output_shape[-1]} outputs, other than 1,")
    for layer in network.layers:
        name = f"layer {layer.name!r} of type {type(layer).__name__}"
        if type(layer) not in LAYERS:
            raise Unstackable(name)
        if layer.dtype_policy.name != network.compute_dtype:
            raise Unstackable(f"precision {layer.dtype_policy.name!r} of {name}")
        if layer.non_trainable_weights:
            raise Unstackable(f"{name}, frozen or with LoRA,")
        for option in REFUSED_OPTIONS:
            if getattr(layer, option, None) is not None:
                raise Unstackable(f"the {option} of {name}")
        for option in ("kernel_constraint", "bias_constraint"):
            constraint = getattr(layer, option, None)
            if constraint is not None and type(constraint) not in CONSTRAINTS:
                raise Unstackable(f"constraint {type(constraint).__name__} of {name}")
    return [layer for layer in network.layers if getattr(layer, "rate", None) != 0]


@tf.custom_gradient
def _add_bias(outputs, bias):
    return outputs + bias[:, tf.newaxis], lambda upstream: (upstream, _sum_rows(upstream))


def _sum_rows(array):
    """Sum a (n_copies, n_rows, n_columns) array over its rows, each copy alike."""
    n_copies, n_rows, n_columns = array.shape
    if n_columns == 1 or n_columns % PACKET == 0:
        return tf.reduce_sum(array, axis=1)
    # reduce_sum takes several columns at once, in another order where they are of two copies.
    return tf.matmul(tf.ones((n_copies, 1, n_rows), array.dtype), array)[:, 0]


def _norms(weights, axes):
    squares = tf.square(weights)
    if axes == [1] and squares.shape.rank == 3:
        return tf.sqrt(_sum_rows(squares))[:, tf.newaxis]
    return tf.sqrt(tf.reduce_sum(squares, axes, keepdims=True))


def _stacked_constraints(of_weights, hyperparameters):
    """Return a function for each of the stacked weights that applies its constraint, as Keras."""
    n_norms, tiny = itertools.count(), keras.config.epsilon()

    def stacked(constraint):
        if not hasattr(constraint, "axis"):  # None or NonNeg
            return constraint or (lambda weights: weights)
        # The axes move up by one, behind that of the copies.
        axes = [constraint.axis] if isinstance(constraint.axis, int) else constraint.axis
        axes = [axis + 1 if axis >= 0 else axis for axis in axes]
        if not _is_max_norm(constraint):
            return lambda weights: weights / (tiny + _norms(weights, axes))
        largest = hyperparameters[f"max_norm_{next(n_norms)}"]

        def constrain(weights):
            norms = _norms(weights, axes)
            clipped = tf.clip_by_value(norms, 0, _broadcast(largest, norms))
            return weights * (clipped / (tiny + norms))

        return constrain

    return [stacked(constraint) for constraint in of_weights]


def _initializer(layer, weight):
    """Return the initializer of a layer's weight as a function of (shape, seed)."""
    initializer = getattr(layer, f"{weight}_initializer")
    if not isinstance(initializer, keras.initializers.Initializer):
        raise Unstackable(f"initializer {initializer!r} of layer {layer.name!r}")
    config = initializer.get_config()

    def initialize(shape, seed):
        if "seed" in config:
            return type(initializer).from_config(config | {"seed": seed})(shape)
        return initializer(shape)

    return initialize


def _loss(network):
    """Return the loss as a function of (n_copies, n_samples, 1) targets and outputs."""
    loss = network.loss
    if network._compile_config.config["loss_weights"]:  # serialising it would warn of a lambda
        raise Unstackable("a weighted loss")
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    if isinstance(loss, keras.losses.Loss):
        if loss.reduction != "sum_over_batch_size":
            raise Unstackable(f"loss {loss.name!r} with reduction {loss.reduction!r}")
        return loss.call
    if not callable(loss):
        raise Unstackable(f"loss {loss!r}")
    return loss


def _update_rule(optimizer):
    """Return the rule of SGD as a function.

    It maps (weight, velocity, gradient, step, hyperparameters) to (weight, velocity), and is
    that of `keras.optimizers.SGD`: elementwise, and so the same for every copy. Keras' own
    cannot be called on weights that are passed in (`stateless_apply`) under TensorFlow.
    """
    name = type(optimizer).__name__
    if type(optimizer) is not keras.optimizers.SGD:
        raise Unstackable(f"optimizer {name}")
    default = keras.optimizers.SGD().get_config()
    for option, value in optimizer.get_config().items():
        followed = option in ("name", "learning_rate", "momentum", "nesterov")
        if value and value != default[option] and not followed:
            raise Unstackable(f"{option} of optimizer {name}")
    schedule = _schedule(optimizer)

    def update(weight, velocity, gradient, step, hyperparameters):
        if schedule:
            rate = tf.cast(schedule(step), weight.dtype)
        else:
            rate = _broadcast(hyperparameters["learning_rate"], weight)
        momentum = _broadcast(hyperparameters["momentum"], weight)
        change = velocity = momentum * velocity - rate * gradient
        if optimizer.nesterov:
            change = momentum * velocity - rate * gradient
        return weight + change, velocity

    return update
