"""Many independent copies of one Keras model, as one model.

A cross-validation trains the same small network again and again on slightly different
rows. Here the copies lie side by side along a leading axis: a Dense kernel becomes
(copies, inputs, units), a batch (copies, rows, inputs), a product one batched product.
One step of training moves every copy on, and the whole of training is one compiled loop.

No copy sees another: each has its own rows, order of rows, initial weights and dropout
masks, and the loss is the sum of the copies' losses, so the gradient of a copy's weights
is that of its own loss. Each may have dropout rates, max-norms, a learning rate and a
momentum of its own, too. What is summed over a whole array in training, as a gradient
clipped by its norm would be, has no stacked form and is refused.
"""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.foldstack.backend import keras, tf
from experiments.harness.errors import Unstackable

ELEMENTWISE = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
)
CONSTRAINTS = (
    keras.constraints.MaxNorm,
    keras.constraints.UnitNorm,
    keras.constraints.NonNeg,
)
ORDER_ENTRIES = 2**18  # row numbers handed to the compiled loop at a time, 1 MiB
PREDICT_ENTRIES = 2**21  # activations of the widest layer at a time, 8 MiB


class Hyperparameters(NamedTuple):
    """What may differ between copies of one stack.

    Of one network, numbers; of a stack, arrays of these with a leading axis of copies.

    Attributes
    ----------
    dropout : sequence of float
        Rate of each Dropout layer that drops anything.
    max_norm : sequence of float
        Largest norm of each MaxNorm constraint, in the order of the weights.
    learning_rate : float
        0 if the optimiser follows a schedule, which all copies then share.
    momentum : float
    """

    dropout: Sequence[float]
    max_norm: Sequence[float]
    learning_rate: float
    momentum: float


class Stack:
    """Copies of one network, ready to be trained from given weights, as often as wanted.

    It holds no state of training, so that threads can share it: weights go in and come out
    as lists of arrays, those of `keras.Model.get_weights` with a leading axis of copies.

    A copy's initial weights and order of rows are the same in whatever stack it is. Its
    dropout masks are not: they are slices of masks drawn for the stack as a whole.

    Parameters
    ----------
    network : keras.Sequential
        Built and compiled, with one output. All copies are of its `blueprint`.
    copies : int
    batch_size : int
        Rows of each copy in a step.
    watched : bool
        Whether training also predicts all rows after every epoch.

    Raises
    ------
    Unstackable
        If a layer, constraint, regulariser, loss or optimiser has no stacked form.
    """

    def __init__(
        self, network: keras.Sequential, copies: int, batch_size: int, *, watched: bool = False
    ):
        self.copies = copies
        self.batch_size = batch_size
        self.watched = watched
        self.features = network.input_shape[-1]
        self.dtype = network.compute_dtype
        self.hyperparameters = hyperparameters(network)
        self._layers = _stackable_layers(network)
        self._shapes = [tuple(variable.shape) for variable in network.trainable_variables]
        self._initializers = _initializers(network)
        self._constraints = [variable.constraint for variable in network.trainable_variables]
        self._loss = _loss(network)
        self._update = _update_rule(network.optimizer)
        weights = [tf.TensorSpec((copies, *shape), self.dtype) for shape in self._shapes]
        own = Hyperparameters(
            *(tf.TensorSpec((copies, *np.shape(value)), tf.float64)
              for value in self.hyperparameters)
        )  # fmt: skip
        masks = tf.TensorSpec((len(self.hyperparameters.dropout),), tf.int32)
        data = tf.TensorSpec((copies, None, self.features), self.dtype)
        self._train = tf.function(self._train_epochs, autograph=False).get_concrete_function(
            weights, weights, tf.TensorSpec((), tf.int64), own, masks,
            data, tf.TensorSpec((copies, None), self.dtype),
            tf.TensorSpec((None, copies, batch_size), self.dtype),
            tf.TensorSpec((None, copies, batch_size), tf.int32),
        )  # fmt: skip
        self._predict = tf.function(self._probabilities, autograph=False).get_concrete_function(
            weights, data
        )
        self._sample = tf.function(self._mean_of_passes, autograph=False)

    def initial_weights(self, generators: Sequence[np.random.Generator]) -> list[np.ndarray]:
        """Draw each copy's weights with the network's own initialisers.

        Each is called at the shape of one copy: at the stacked shape it would take the
        number of copies for part of its fan.
        """
        stacks = [np.empty((self.copies, *shape), self.dtype) for shape in self._shapes]
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
        rows: Sequence[int],
        generators: Sequence[np.random.Generator],
        *,
        epochs: int,
        own: Sequence[Hyperparameters] | None = None,
        after: Callable[[int, np.ndarray], None] = lambda epochs, probabilities: None,
    ) -> list:
        """Train every copy, on its own rows in its own order, reshuffled every epoch.

        Parameters
        ----------
        weights : list of arrays of shape (copies, ...)
            Where training starts.
        X : float32 array or tensor of shape (copies, most rows, features)
        y : float32 array of shape (copies, most rows)
            Targets.
        rows : int array of shape (copies,)
            How many of the rows are each copy's own; those behind them are padding. All
            must give the same number of batches.
        generators : sequence of copies numpy Generators
            Each copy's order of rows and share in the dropout masks.
        epochs : int
        own : sequence of copies Hyperparameters, or None
            Each copy's own; None takes the network's for all.
        after : callable
            Called every few epochs with their number and, of a watched stack, float32
            probabilities of shape (epochs, copies, most rows), dropout off.

        Returns
        -------
        list of tensors of shape (copies, ...)
            The trained weights.
        """
        rows = np.asarray(rows)
        batches = -(-rows // self.batch_size)
        if (batches != batches[0]).any():
            raise ValueError(f"copies of {rows.min()} to {rows.max()} rows need as many batches")
        batches = int(batches[0])
        at_once = max(1, ORDER_ENTRIES // (self.copies * batches * self.batch_size))
        state = (
            [tf.constant(stack) for stack in weights],
            [tf.zeros(stack.shape, self.dtype) for stack in weights],
            tf.constant(0, tf.int64),
        )
        fixed = self._per_copy(own), self._mask_seeds(generators)
        shares = tf.constant(self._shares(rows, batches), self.dtype)
        data = tf.convert_to_tensor(X, self.dtype), tf.constant(y, self.dtype), shares
        for done in range(0, epochs, at_once):
            now = min(at_once, epochs - done)
            order = _orders(rows, generators, now, batches * self.batch_size)
            order = order.reshape(now, self.copies, batches, self.batch_size).swapaxes(1, 2)
            order = tf.constant(order.reshape(-1, self.copies, self.batch_size))
            *state, probabilities = self._train(*state, *fixed, *data, order)
            after(now, probabilities.numpy())
        return state[0]

    def predict(self, weights: Sequence, X: np.ndarray) -> np.ndarray:
        """Predict with every copy, dropout off.

        Parameters
        ----------
        weights : list of arrays or tensors of shape (copies, ...)
        X : float32 array or tensor of shape (copies, rows, features)

        Returns
        -------
        float32 array of shape (copies, rows)
            Probability of the second class.
        """
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        parts = [self._predict(weights, part) for part in self._parts(X)]
        return np.concatenate(parts, axis=1)

    def predict_with_dropout(
        self,
        weights: Sequence,
        X: np.ndarray,
        generators: Sequence[np.random.Generator],
        passes: int,
        own: Sequence[Hyperparameters] | None = None,
    ) -> np.ndarray:
        """Predict with dropout on and average over passes (Monte Carlo dropout).

        Parameters are those of `predict` and `train`; returns the mean probabilities, a
        float32 array of shape (copies, rows).
        """
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        own, passes = self._per_copy(own), tf.constant(passes)
        parts = [
            self._sample(weights, own, self._mask_seeds(generators), part, passes)
            for part in self._parts(X)
        ]
        return np.concatenate(parts, axis=1)

    def _parts(self, X):
        """Cut the rows into pieces that need little memory to predict."""
        X = tf.convert_to_tensor(X, self.dtype)
        widest = max(shape[-1] for shape in self._shapes)
        step = max(1, PREDICT_ENTRIES // (self.copies * widest))
        return [X[:, row : row + step] for row in range(0, X.shape[1], step)]

    def _train_epochs(self, weights, velocities, step, own, masks, X, y, shares, order):
        """Take a step for each batch of each epoch in `order`: one compiled loop."""
        batches = tf.shape(shares)[0]
        bounds = iter(tf.unstack(own.max_norm, axis=1))
        constraints = [_stacked_constraint(each, bounds) for each in self._constraints]

        def take_step(i, weights, velocities, step, seen):
            rows, share = order[i], shares[i % batches]
            x_batch = tf.gather(X, rows, batch_dims=1)
            y_batch = tf.gather(y, rows, batch_dims=1)[..., tf.newaxis]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                predicted = self._outputs(weights, x_batch, own.dropout, masks, step)
                losses = self._loss(y_batch, predicted)
                if losses.shape.rank != 2:
                    raise Unstackable("a loss other than of one value for each row")
                loss = tf.reduce_sum(losses * share)
            gradients = tape.gradient(loss, weights)
            moved = [
                self._update(*each, step, own)
                for each in zip(weights, velocities, gradients, strict=True)
            ]
            weights = tuple(
                constraint(weight)
                for (weight, _), constraint in zip(moved, constraints, strict=True)
            )
            velocities = tuple(velocity for _, velocity in moved)
            if self.watched:
                seen = tf.cond(
                    i % batches == batches - 1,
                    lambda: seen.write(i // batches, self._probabilities(weights, X)),
                    lambda: seen,
                )
            return i + 1, weights, velocities, step + 1, seen

        steps = tf.shape(order)[0]
        seen = tf.TensorArray(self.dtype, steps // batches if self.watched else 0)
        _, weights, velocities, step, seen = tf.while_loop(
            lambda i, *_: i < steps,
            take_step,
            (0, tuple(weights), tuple(velocities), step, seen),
        )
        return list(weights), list(velocities), step, seen.stack() if self.watched else tf.zeros(0)

    def _outputs(self, weights, X, rates=None, masks=None, step=None):
        """Run rows (copies, rows, features) through every copy; with dropout if given rates."""
        weights, dropouts, outputs = iter(weights), 0, X
        for layer in self._layers:
            if isinstance(layer, keras.layers.Dense):
                outputs = tf.matmul(outputs, next(weights))
                if layer.use_bias:
                    outputs = outputs + next(weights)[:, tf.newaxis]
                outputs = layer.activation(outputs)
            elif not isinstance(layer, keras.layers.Dropout):
                outputs = layer(outputs)
            elif rates is not None:
                seed = tf.stack([masks[dropouts], tf.cast(step, tf.int32)])
                outputs = dropout(outputs, rates[:, dropouts], seed)
                dropouts += 1
        return outputs

    def _probabilities(self, weights, X):
        return self._outputs(weights, X)[..., 0]

    def _mean_of_passes(self, weights, own, masks, X, passes):
        def one_more(i, total):
            return i + 1, total + self._outputs(weights, X, own.dropout, masks, i)[..., 0]

        start = (0, tf.zeros(tf.shape(X)[:2], self.dtype))
        _, total = tf.while_loop(lambda i, *_: i < passes, one_more, start)
        return total / tf.cast(passes, self.dtype)

    def _per_copy(self, own):
        """Lay the copies' hyperparameters side by side."""
        own = [self.hyperparameters] * self.copies if own is None else own
        return Hyperparameters(
            *(tf.constant(np.array(values, np.float64)) for values in zip(*own, strict=True))
        )

    def _mask_seeds(self, generators):
        """Draw a seed for each Dropout layer's masks from every copy's generator."""
        words = [generator.integers(2**32, size=2) for generator in generators]
        seeds = np.random.SeedSequence(np.concatenate(words).tolist())
        number = len(self.hyperparameters.dropout)
        return tf.constant(seeds.generate_state(number) % 2**31, tf.int32)

    def _shares(self, rows, batches):
        """Weight each row by 1 / (rows of its copy in its batch), padding by 0."""
        position = np.arange(batches * self.batch_size).reshape(batches, 1, self.batch_size)
        present = position < rows[:, np.newaxis]
        return present / present.sum(axis=-1, keepdims=True)


def hyperparameters(network: keras.Sequential) -> Hyperparameters:
    """Read what may differ between copies of one stack from a compiled network.

    Raises
    ------
    Unstackable
        If a layer has no stacked form.
    """
    layers = _stackable_layers(network)
    constraints = [variable.constraint for variable in network.trainable_variables]
    optimizer = network.optimizer
    return Hyperparameters(
        dropout=[layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)],
        max_norm=[each.max_value for each in constraints if _is_max_norm(each)],
        learning_rate=0.0 if _schedule(optimizer) else optimizer.get_config()["learning_rate"],
        momentum=float(np.float32(getattr(optimizer, "momentum", 0))),  # as Keras rounds it
    )


def blueprint(network: keras.Sequential) -> str:
    """Describe a compiled network but for its hyperparameters.

    Networks of one description, input width included, can be copies of one stack.
    """
    layers = [(type(layer).__name__, _configuration(layer)) for layer in _stackable_layers(network)]
    optimizer = network.optimizer.get_config() | {"name": "", "momentum": 0}
    if not _schedule(network.optimizer):
        optimizer["learning_rate"] = 0
    loss = network.loss
    if isinstance(loss, keras.losses.Loss):
        loss = type(loss).__name__, loss.get_config()
    parts = network.input_shape, layers, type(network.optimizer).__name__, optimizer, loss
    return json.dumps(parts, default=repr)


def _configuration(layer):
    """Describe a layer but for its name and what may differ between copies."""
    config = layer.get_config() | {"name": "", "rate": 0}
    for part in ("kernel_constraint", "bias_constraint"):
        if _is_max_norm(getattr(layer, part, None)):
            config[part] = "MaxNorm", getattr(layer, part).axis
    return config


def dropout(inputs: tf.Tensor, rates: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Drop each copy's units at its own rate, and multiply what is kept by 1 / (1 − rate).

    Keras' Dropout has one rate for a whole array; at that rate, this gives what it gives.

    Parameters
    ----------
    inputs : float tensor of shape (copies, rows, units)
    rates : float64 tensor of shape (copies,)
    seed : int32 tensor of shape (2,)
    """
    random = tf.random.stateless_uniform(tf.shape(inputs), seed, dtype=inputs.dtype)
    kept = inputs * _over(1 / (1 - rates), inputs)
    return tf.where(random >= _over(rates, inputs), kept, tf.zeros((), inputs.dtype))


def _over(values, array):
    """Shape one value for each copy to go with the copies' arrays."""
    values = tf.cast(values, array.dtype)
    return tf.reshape(values, [-1] + [1] * (len(array.shape) - 1))


def _is_max_norm(constraint):
    return type(constraint) is keras.constraints.MaxNorm


def _schedule(optimizer):
    """Give the schedule that the learning rate follows, if it does."""
    schedule = optimizer._learning_rate  # the public name gives its value
    is_one = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    return schedule if is_one else None


def _stackable_layers(network):
    """Check that every layer has a stacked form, and leave out those that never do anything."""
    if not isinstance(network, keras.Sequential):
        raise Unstackable(f"a model of type {type(network).__name__}, other than Sequential,")
    if len(network.input_shape) != 2:
        raise Unstackable(f"input of shape {network.input_shape}, other than rows of numbers,")
    if network.output_shape[-1] != 1:
        raise Unstackable(f"a network of {network.output_shape[-1]} outputs, other than 1,")
    for layer in network.layers:
        name = f"layer {layer.name!r} of type {type(layer).__name__}"
        if layer.dtype_policy.name != network.compute_dtype:
            raise Unstackable(f"precision {layer.dtype_policy.name!r} of {name}")
        if getattr(layer, "activity_regularizer", None) is not None:
            raise Unstackable(f"the activity regulariser of {name}")
        if type(layer) is keras.layers.Dense:
            for part in ("kernel_regularizer", "bias_regularizer"):
                if getattr(layer, part) is not None:
                    raise Unstackable(f"the {part} of {name}")
            for constraint in (layer.kernel_constraint, layer.bias_constraint):
                if constraint is not None and type(constraint) not in CONSTRAINTS:
                    raise Unstackable(f"constraint {type(constraint).__name__} of {name}")
            if not layer.trainable or layer.lora_enabled:
                raise Unstackable(f"{name}, frozen or with LoRA,")
        elif type(layer) is keras.layers.Dropout:
            if layer.noise_shape is not None:
                raise Unstackable(f"the noise shape of {name}")
        elif type(layer) not in ELEMENTWISE:
            raise Unstackable(name)
    return [
        layer
        for layer in network.layers
        if not isinstance(layer, keras.layers.Dropout) or layer.rate > 0
    ]


def _stacked_constraint(constraint, bounds):
    """Make a constraint of one copy's weights apply to each copy's: axes move up by one.

    Copies' largest norms are taken from the iterator `bounds`.
    """
    if constraint is None:
        return lambda weights: weights
    config = constraint.get_config()
    if "axis" in config:
        axes = [config["axis"]] if isinstance(config["axis"], int) else config["axis"]
        config["axis"] = [axis + 1 if axis >= 0 else axis for axis in axes]
    if not _is_max_norm(constraint):
        return type(constraint).from_config(config)
    largest = next(bounds)
    return lambda weights: keras.constraints.MaxNorm(_over(largest, weights), config["axis"])(
        weights
    )


def _initializers(network):
    """List, in the order of the weights, functions of (shape, seed)."""
    found = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            found.append(_seeded(layer, layer.kernel_initializer))
            if layer.use_bias:
                found.append(_seeded(layer, layer.bias_initializer))
    return found


def _seeded(layer, initializer):
    if not isinstance(initializer, keras.initializers.Initializer):
        raise Unstackable(f"initialiser {initializer!r} of layer {layer.name!r}")
    config = initializer.get_config()

    def initialize(shape, seed):
        if "seed" in config:
            return type(initializer).from_config(config | {"seed": seed})(shape)
        return initializer(shape)

    return initialize


def _loss(network):
    """Give the loss as a function of (copies, rows, 1) targets and outputs, one value a row."""
    loss = network.loss
    if network._compile_config.config["loss_weights"]:  # serialising it would warn of a lambda
        raise Unstackable("a weighted loss")
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        if loss.reduction != "sum_over_batch_size":
            raise Unstackable(f"loss {loss.name!r} with reduction {loss.reduction!r}")
        return loss.call
    if callable(loss):
        return loss
    raise Unstackable(f"loss {loss!r}")


def _update_rule(optimizer):
    """Give SGD's rule as a function (weight, velocity, gradient, step, own) → weight, velocity.

    It is that of `keras.optimizers.SGD`, elementwise and so the same for every copy. Keras'
    own cannot be called on weights that are passed in (`stateless_apply`) under TensorFlow.
    """
    name = type(optimizer).__name__
    if type(optimizer) is not keras.optimizers.SGD:
        raise Unstackable(f"optimiser {name}")
    for part in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema",
                 "loss_scale_factor", "gradient_accumulation_steps"):  # fmt: skip
        if getattr(optimizer, part):
            raise Unstackable(f"{part} of optimiser {name}")
    schedule = _schedule(optimizer)

    def update(weight, velocity, gradient, step, own):
        rate = (
            tf.cast(schedule(step), weight.dtype) if schedule else _over(own.learning_rate, weight)
        )
        momentum = _over(own.momentum, weight)
        change = velocity = momentum * velocity - rate * gradient
        if optimizer.nesterov:
            change = momentum * velocity - rate * gradient
        return weight + change, velocity

    return update


def _orders(rows, generators, epochs, width):
    """Shuffle each copy's row numbers for each epoch: (epochs, copies, width), padded by 0.

    One epoch after another is drawn from a copy's generator, so that the order does not
    depend on how many are asked for at once.
    """
    orders = np.zeros((epochs, len(rows), width), np.int32)
    for copy, (number, generator) in enumerate(zip(rows, generators, strict=True)):
        numbers = np.tile(np.arange(number, dtype=np.int32), (epochs, 1))
        orders[:, copy, :number] = generator.permuted(numbers, axis=1)
    return orders
