"""Many independent copies of one Keras model, trained as one model.

The copies are stacked along a leading axis: a Dense kernel has the shape (n_copies, n_inputs,
n_units), a batch (n_copies, batch_size, n_features), and a product is one batched product. One
training step advances every copy, and the whole of training is one compiled loop.

The copies are independent: each has its own samples, order of samples, initial weights and
dropout masks, and the loss is the sum of the copies' losses, so that the gradient of a copy's
weights is that of its own loss. The copies may also differ in dropout rates, max-norms,
learning rate and momentum. What is computed from a whole array during training, such as
clipping a gradient by its norm, has no stacked form and is refused.
"""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import constraints, layers

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"foldstack needs Keras' TensorFlow backend, but Keras uses {keras.backend.backend()!r}; "
        "set the environment variable KERAS_BACKEND=tensorflow before Keras is imported"
    )

ELEMENTWISE = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
LAYERS = (layers.Dense, layers.Dropout, *ELEMENTWISE)
REFUSED_OPTIONS = ("activity_regularizer", "kernel_regularizer", "bias_regularizer", "noise_shape")
CONSTRAINTS = (constraints.MaxNorm, constraints.UnitNorm, constraints.NonNeg)
ORDER_ENTRIES = 2**18  # sample numbers passed to the compiled loop at a time, 1 MiB
PREDICT_ENTRIES = 2**21  # activations of the widest layer at a time, 8 MiB


class Unstackable(ValueError):
    """A part of a model or an estimator, which the message names, has no stacked form."""

    def __init__(self, part: str):
        super().__init__(
            f"{part} has no stacked form; use scikit-learn's own `cross_validate` or "
            "`RandomizedSearchCV` instead"
        )


class Hyperparameters(NamedTuple):
    """What may differ between the copies of a stack; for a stack, with a leading copy axis."""

    dropout: Sequence[float]  # rate of each Dropout layer with a rate above 0
    max_norm: Sequence[float]  # of each MaxNorm constraint, in the order of the weights
    learning_rate: float  # 0 if the optimizer follows a schedule, which all copies then share
    momentum: float


class Stack:
    """Copies of one network, which can be trained repeatedly from given weights.

    A stack holds no training state, so that threads can share it: weights are passed in and
    returned as lists of arrays, those of `keras.Model.get_weights` with a leading axis of
    copies. A copy's initial weights and order of samples do not depend on the stack that it
    is in. Its dropout masks do: they are slices of masks drawn for the whole stack.

    Parameters
    ----------
    network : keras.Sequential
        Built and compiled, with one output unit. All copies have its `blueprint`.
    n_copies : int
    batch_size : int
        Samples of each copy in a training step.
    record_epochs : bool, default=False
        Whether training also predicts all samples after every epoch.

    Attributes
    ----------
    n_features : int
    dtype : str
    hyperparameters : Hyperparameters
        Those of the network.

    Raises
    ------
    Unstackable
        If a layer, constraint, regularizer, loss or optimizer has no stacked form.
    """

    def __init__(self, network, n_copies, batch_size, *, record_epochs=False):
        self.n_copies = n_copies
        self.batch_size = batch_size
        self.record_epochs = record_epochs
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
        per_copy = Hyperparameters(
            *(tf.TensorSpec((n_copies, *np.shape(x)), tf.float64) for x in self.hyperparameters)
        )
        masks = tf.TensorSpec((len(self.hyperparameters.dropout),), tf.int32)
        weights = [tf.TensorSpec((n_copies, *shape), self.dtype) for shape in self._shapes]
        X = tf.TensorSpec((n_copies, None, self.n_features), self.dtype)
        y = tf.TensorSpec((n_copies, None), self.dtype)
        shares = tf.TensorSpec((None, n_copies, batch_size), self.dtype)
        order = tf.TensorSpec((None, n_copies, batch_size), tf.int32)
        step = tf.TensorSpec((), tf.int64)
        self._train = tf.function(self._train_epochs, autograph=False).get_concrete_function(
            weights, weights, step, per_copy, masks, X, y, shares, order
        )
        self._predict = tf.function(self._probabilities, autograph=False).get_concrete_function(
            weights, X
        )
        self._sample = tf.function(self._mean_of_passes, autograph=False)

    def initial_weights(self, generators: Sequence[np.random.Generator]) -> list[np.ndarray]:
        """Draw the weights of each copy with the network's initializers.

        An initializer is called at the shape of one copy: at the stacked shape it would
        count the copies as part of its fan. Returns arrays of shape (n_copies, ...).
        """
        stacks = [np.empty((self.n_copies, *shape), self.dtype) for shape in self._shapes]
        for copy, generator in enumerate(generators):
            seeds = generator.integers(2**31, size=len(stacks))
            for stack, initializer, seed in zip(stacks, self._initializers, seeds, strict=True):
                stack[copy] = initializer(stack.shape[1:], int(seed))
        return stacks

    def train(
        self,
        weights: Sequence[np.ndarray],
        X: np.ndarray,
        y: np.ndarray,
        n_samples: Sequence[int],
        generators: Sequence[np.random.Generator],
        *,
        epochs: int,
        hyperparameters: Sequence[Hyperparameters] | None = None,
        callback: Callable[[int, np.ndarray], None] = lambda epochs, probabilities: None,
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
        generators : sequence of Generator of shape (n_copies,)
            Each decides the order of a copy's samples, and takes part in the dropout masks.
        epochs : int
        hyperparameters : sequence of Hyperparameters of shape (n_copies,), optional
            Those of each copy; by default the network's.
        callback : callable, optional
            Called every few epochs with their number and, if the stack records epochs,
            float32 probabilities of shape (epochs, n_copies, max_samples), dropout off.

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
        n_batches = int(n_batches[0])
        at_once = max(1, ORDER_ENTRIES // (self.n_copies * n_batches * self.batch_size))
        state = (
            [tf.constant(stack) for stack in weights],
            [tf.zeros(stack.shape, self.dtype) for stack in weights],
            tf.constant(0, tf.int64),
        )
        fixed = self._per_copy(hyperparameters), self._mask_seeds(generators)
        shares = tf.constant(self._shares(n_samples, n_batches), self.dtype)
        data = tf.convert_to_tensor(X, self.dtype), tf.constant(y, self.dtype), shares
        for done in range(0, epochs, at_once):
            now = min(at_once, epochs - done)
            order = _orders(n_samples, generators, now, n_batches * self.batch_size)
            order = order.reshape(now, self.n_copies, n_batches, self.batch_size).swapaxes(1, 2)
            order = tf.constant(order.reshape(-1, self.n_copies, self.batch_size))
            *state, probabilities = self._train(*state, *fixed, *data, order)
            callback(now, probabilities.numpy())
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
        generators: Sequence[np.random.Generator],
        n_passes: int,
        hyperparameters: Sequence[Hyperparameters] | None = None,
    ) -> np.ndarray:
        """Predict with dropout on and average over passes (Monte Carlo dropout).

        Parameters
        ----------
        weights, X, generators, hyperparameters
            See `predict` and `train`.
        n_passes : int

        Returns
        -------
        float32 array of shape (n_copies, n_samples)
            Mean probability of the second class.
        """
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        hyperparameters, n_passes = self._per_copy(hyperparameters), tf.constant(n_passes)

        def sample(part):
            masks = self._mask_seeds(generators)
            return self._sample(weights, hyperparameters, masks, part, n_passes)

        return self._in_parts(sample, X)

    def _in_parts(self, predict, X):
        """Predict some of the samples at a time, which needs little memory."""
        X = tf.convert_to_tensor(X, self.dtype)
        widest = max(shape[-1] for shape in self._shapes)
        size = max(1, PREDICT_ENTRIES // (self.n_copies * widest))
        parts = [predict(X[:, start : start + size]) for start in range(0, X.shape[1], size)]
        return np.concatenate(parts, axis=1)

    def _train_epochs(self, weights, velocities, step, hyperparameters, masks, X, y, shares, order):
        """Take a step for each batch of each epoch in `order`, in one compiled loop."""
        n_batches = tf.shape(shares)[0]
        max_norms = iter(tf.unstack(hyperparameters.max_norm, axis=1))
        constrain = [_stacked_constraint(each, max_norms) for each in self._constraints]

        def take_step(i, weights, velocities, step, predictions):
            rows, share = order[i], shares[i % n_batches]
            x_batch = tf.gather(X, rows, batch_dims=1)
            y_batch = tf.gather(y, rows, batch_dims=1)[..., tf.newaxis]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                predicted = self._outputs(weights, x_batch, hyperparameters.dropout, masks, step)
                losses = self._loss(y_batch, predicted)
                if losses.shape.rank != 2:
                    raise Unstackable("a loss with other than one value per sample")
                loss = tf.reduce_sum(losses * share)
            gradients = tape.gradient(loss, weights)
            moved = [
                self._update(*each, step, hyperparameters)
                for each in zip(weights, velocities, gradients, strict=True)
            ]
            weights = tuple(
                rule(weight) for (weight, _), rule in zip(moved, constrain, strict=True)
            )
            velocities = tuple(velocity for _, velocity in moved)
            if self.record_epochs:
                predictions = tf.cond(
                    i % n_batches == n_batches - 1,
                    lambda: predictions.write(i // n_batches, self._probabilities(weights, X)),
                    lambda: predictions,
                )
            return i + 1, weights, velocities, step + 1, predictions

        n_steps = tf.shape(order)[0]
        n_epochs = n_steps // n_batches if self.record_epochs else 0
        _, weights, velocities, step, predictions = tf.while_loop(
            lambda i, *_: i < n_steps,
            take_step,
            (0, tuple(weights), tuple(velocities), step, tf.TensorArray(self.dtype, n_epochs)),
        )
        recorded = predictions.stack() if self.record_epochs else tf.zeros(0)
        return list(weights), list(velocities), step, recorded

    def _outputs(self, weights, X, rates=None, masks=None, step=None):
        """Compute the outputs of every copy, with dropout if rates are given."""
        weights, n_dropouts, outputs = iter(weights), 0, X
        for layer in self._layers:
            if isinstance(layer, layers.Dense):
                outputs = tf.matmul(outputs, next(weights))
                if layer.use_bias:
                    outputs = outputs + next(weights)[:, tf.newaxis]
                outputs = layer.activation(outputs)
            elif not isinstance(layer, layers.Dropout):
                outputs = layer(outputs)
            elif rates is not None:
                seed = tf.stack([masks[n_dropouts], tf.cast(step, tf.int32)])
                outputs = dropout(outputs, rates[:, n_dropouts], seed)
                n_dropouts += 1
        return outputs

    def _probabilities(self, weights, X):
        return self._outputs(weights, X)[..., 0]

    def _mean_of_passes(self, weights, hyperparameters, masks, X, n_passes):
        def one_more(i, total):
            outputs = self._outputs(weights, X, hyperparameters.dropout, masks, i)
            return i + 1, total + outputs[..., 0]

        start = (0, tf.zeros(tf.shape(X)[:2], self.dtype))
        _, total = tf.while_loop(lambda i, *_: i < n_passes, one_more, start)
        return total / tf.cast(n_passes, self.dtype)

    def _per_copy(self, hyperparameters):
        """Stack the copies' hyperparameters along a leading axis."""
        if hyperparameters is None:
            hyperparameters = [self.hyperparameters] * self.n_copies
        columns = zip(*hyperparameters, strict=True)
        return Hyperparameters(*(tf.constant(np.array(each, np.float64)) for each in columns))

    def _mask_seeds(self, generators):
        """Draw a seed for the masks of each Dropout layer from the generators of all copies."""
        words = [generator.integers(2**32, size=2) for generator in generators]
        seeds = np.random.SeedSequence(np.concatenate(words).tolist())
        n_dropouts = len(self.hyperparameters.dropout)
        return tf.constant(seeds.generate_state(n_dropouts) % 2**31, tf.int32)

    def _shares(self, n_samples, n_batches):
        """Weight each sample by 1 / (samples of its copy in its batch), padding by 0."""
        position = np.arange(n_batches * self.batch_size).reshape(n_batches, 1, self.batch_size)
        present = position < n_samples[:, np.newaxis]
        return present / present.sum(axis=-1, keepdims=True)


def read_hyperparameters(network: keras.Sequential) -> Hyperparameters:
    """Return a compiled network's hyperparameters: what may differ within a stack."""
    stackable = _stackable_layers(network)
    constrained = [variable.constraint for variable in network.trainable_variables]
    optimizer = network.optimizer
    return Hyperparameters(
        dropout=[layer.rate for layer in stackable if isinstance(layer, layers.Dropout)],
        max_norm=[each.max_value for each in constrained if _is_max_norm(each)],
        learning_rate=0.0 if _schedule(optimizer) else optimizer.get_config()["learning_rate"],
        momentum=float(np.float32(getattr(optimizer, "momentum", 0))),  # rounded as Keras does
    )


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


def dropout(inputs: tf.Tensor, rates: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Set units to 0 at the rate of each copy, and scale the others by 1 / (1 − rate).

    Keras' Dropout has one rate for a whole array; at that rate, the result is the same. Takes
    (n_copies, n_samples, n_units) inputs, float64 (n_copies,) rates and an int32 (2,) seed.
    """
    random = tf.random.stateless_uniform(tf.shape(inputs), seed, dtype=inputs.dtype)
    kept = inputs * _broadcast(1 / (1 - rates), inputs)
    return tf.where(random >= _broadcast(rates, inputs), kept, tf.zeros((), inputs.dtype))


def _broadcast(values, array):
    """Shape one value per copy so that it broadcasts over the copies' arrays."""
    values = tf.cast(values, array.dtype)
    return tf.reshape(values, [-1] + [1] * (len(array.shape) - 1))


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


def _stacked_constraint(constraint, max_norms):
    """Return the constraint for stacked weights; the iterator `max_norms` has each copy's norm."""
    if constraint is None:
        return lambda weights: weights
    config = constraint.get_config()
    if "axis" in config:  # axes move up by one, behind that of the copies
        axes = [config["axis"]] if isinstance(config["axis"], int) else config["axis"]
        config["axis"] = [axis + 1 if axis >= 0 else axis for axis in axes]
    if not _is_max_norm(constraint):
        return type(constraint).from_config(config)
    largest, axis = next(max_norms), config["axis"]
    return lambda weights: constraints.MaxNorm(_broadcast(largest, weights), axis)(weights)


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
            rate = _broadcast(hyperparameters.learning_rate, weight)
        momentum = _broadcast(hyperparameters.momentum, weight)
        change = velocity = momentum * velocity - rate * gradient
        if optimizer.nesterov:
            change = momentum * velocity - rate * gradient
        return weight + change, velocity

    return update


def _orders(n_samples, generators, epochs, width):
    """Shuffle each copy's sample numbers for each epoch: (epochs, n_copies, width), 0-padded.

    The epochs are drawn one after another from a copy's generator, so that the order does
    not depend on how many are drawn at once.
    """
    orders = np.zeros((epochs, len(n_samples), width), np.int32)
    for copy, (number, generator) in enumerate(zip(n_samples, generators, strict=True)):
        numbers = np.tile(np.arange(number, dtype=np.int32), (epochs, 1))
        orders[:, copy, :number] = generator.permuted(numbers, axis=1)
    return orders
