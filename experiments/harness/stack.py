"""Many independent copies of one Keras model, as one Keras model.

A cross-validation trains the same small network again and again on slightly different
rows. Here the copies lie side by side along a leading axis: a Dense kernel becomes
(copies, inputs, units), a batch (copies, rows, inputs), a product one batched product.
One step of training moves every copy on, and the whole of training is one compiled loop.

No copy sees another: each has its own rows, order of rows, initial weights and dropout
masks, and the loss is the sum of the copies' losses, so the gradient of a copy's weights
is that of its own loss. What is summed over a whole array in training, as a gradient
clipped by its norm would be, has no stacked form and is refused.
"""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.harness.backend import keras, tf
from experiments.harness.errors import Unstackable

ELEMENTWISE = (
    keras.layers.Dropout,
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


class StackedDense(keras.layers.Layer):
    """The Dense layers of many copies: (copies, rows, inputs) → (copies, rows, units).

    Parameters
    ----------
    dense : keras.layers.Dense
        Built; gives units, activation, bias and constraints.
    """

    def __init__(self, dense: keras.layers.Dense):
        super().__init__(name=dense.name)
        self.units = dense.units
        self.activation = dense.activation
        self.use_bias = dense.use_bias
        self.kernel_constraint = _stacked_constraint(dense, dense.kernel_constraint)
        self.bias_constraint = _stacked_constraint(dense, dense.bias_constraint)

    def build(self, input_shape):
        """Create a kernel (copies, inputs, units) and a bias (copies, units)."""
        copies, _, inputs = input_shape
        self.kernel = self.add_weight(
            shape=(copies, inputs, self.units),
            initializer="zeros",
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(copies, self.units), initializer="zeros", constraint=self.bias_constraint
            )

    def call(self, inputs):
        """Multiply each copy's rows by its own kernel."""
        outputs = keras.ops.matmul(inputs, self.kernel)
        if self.use_bias:
            outputs = outputs + keras.ops.expand_dims(self.bias, 1)
        return self.activation(outputs)


class Stack:
    """Copies of one network, ready to be trained from given weights, as often as wanted.

    It holds no state of training, so that threads can share it: weights go in and come out
    as lists of arrays, those of `keras.Model.get_weights` with a leading axis of copies.

    A copy's initial weights and order of rows are the same in whatever stack it is. Its
    dropout masks are not: they are slices of masks drawn for the stack as a whole.

    Parameters
    ----------
    network : keras.Sequential
        Built and compiled, with one output.
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
        self.stacked = stack_network(network, copies)
        self._initializers = _initializers(network)
        self._widest = max(variable.shape[-1] for variable in network.trainable_variables)
        self._loss = _loss(network)
        self._update = _update_rule(network.optimizer)
        weights = [tf.TensorSpec(v.shape, v.dtype) for v in self.stacked.trainable_variables]
        masks = [tf.TensorSpec(v.shape, v.dtype) for v in self.stacked.non_trainable_variables]
        data = tf.TensorSpec((copies, None, self.features), self.dtype)
        self._train = tf.function(self._train_epochs, autograph=False).get_concrete_function(
            weights, weights, masks, tf.TensorSpec((), tf.int64),
            data, tf.TensorSpec((copies, None), self.dtype),
            tf.TensorSpec((None, copies, batch_size), self.dtype),
            tf.TensorSpec((None, copies, batch_size), tf.int32),
        )  # fmt: skip
        self._predict = tf.function(self._probabilities, autograph=False).get_concrete_function(
            weights, masks, data
        )
        self._sample = tf.function(self._mean_of_passes, autograph=False)

    def initial_weights(self, generators: Sequence[np.random.Generator]) -> list[np.ndarray]:
        """Draw each copy's weights with the network's own initialisers.

        Each is called at the shape of one copy: at the stacked shape it would take the
        number of copies for part of its fan.
        """
        stacks = [np.empty(v.shape, v.dtype) for v in self.stacked.trainable_variables]
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
            self._mask_seeds(generators),
            tf.constant(0, tf.int64),
        )
        shares = tf.constant(self._shares(rows, batches), self.dtype)
        data = tf.convert_to_tensor(X, self.dtype), tf.constant(y, self.dtype), shares
        for done in range(0, epochs, at_once):
            now = min(at_once, epochs - done)
            order = _orders(rows, generators, now, batches * self.batch_size)
            order = order.reshape(now, self.copies, batches, self.batch_size).swapaxes(1, 2)
            order = tf.constant(order.reshape(-1, self.copies, self.batch_size))
            *state, probabilities = self._train(*state, *data, order)
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
        masks = [tf.zeros(v.shape, v.dtype) for v in self.stacked.non_trainable_variables]
        parts = [self._predict(weights, masks, part) for part in self._parts(X)]
        return np.concatenate(parts, axis=1)

    def predict_with_dropout(
        self,
        weights: Sequence,
        X: np.ndarray,
        generators: Sequence[np.random.Generator],
        passes: int,
    ) -> np.ndarray:
        """Predict with dropout on and average over passes (Monte Carlo dropout).

        Parameters are those of `predict` and `train`; returns the mean probabilities, a
        float32 array of shape (copies, rows).
        """
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        passes = tf.constant(passes)
        parts = [
            self._sample(weights, self._mask_seeds(generators), part, passes)
            for part in self._parts(X)
        ]
        return np.concatenate(parts, axis=1)

    def _parts(self, X):
        """Cut the rows into pieces that need little memory to predict."""
        X = tf.convert_to_tensor(X, self.dtype)
        step = max(1, PREDICT_ENTRIES // (self.copies * self._widest))
        return [X[:, row : row + step] for row in range(0, X.shape[1], step)]

    def _train_epochs(self, weights, velocities, masks, step, X, y, shares, order):
        """Take a step for each batch of each epoch in `order`: one compiled loop."""
        constraints = [v.constraint for v in self.stacked.trainable_variables]
        batches = tf.shape(shares)[0]

        def take_step(i, weights, velocities, masks, step, seen):
            rows, share = order[i], shares[i % batches]
            x_batch = tf.gather(X, rows, batch_dims=1)
            y_batch = tf.gather(y, rows, batch_dims=1)[..., tf.newaxis]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                predicted, masks = self.stacked.stateless_call(
                    weights, masks, x_batch, training=True
                )
                losses = self._loss(y_batch, predicted)
                if losses.shape.rank != 2:
                    raise Unstackable("a loss other than of one value for each row")
                loss = tf.reduce_sum(losses * share)
            gradients = tape.gradient(loss, weights)
            moved = [
                self._update(*each, step)
                for each in zip(weights, velocities, gradients, strict=True)
            ]
            weights = tuple(
                weight if constraint is None else constraint(weight)
                for (weight, _), constraint in zip(moved, constraints, strict=True)
            )
            velocities = tuple(velocity for _, velocity in moved)
            if self.watched:
                seen = tf.cond(
                    i % batches == batches - 1,
                    lambda: seen.write(i // batches, self._probabilities(weights, masks, X)),
                    lambda: seen,
                )
            return i + 1, weights, velocities, tuple(masks), step + 1, seen

        steps = tf.shape(order)[0]
        seen = tf.TensorArray(self.dtype, steps // batches if self.watched else 0)
        _, weights, velocities, masks, step, seen = tf.while_loop(
            lambda i, *_: i < steps,
            take_step,
            (0, tuple(weights), tuple(velocities), tuple(masks), step, seen),
        )
        seen = seen.stack() if self.watched else tf.zeros(0)
        return list(weights), list(velocities), list(masks), step, seen

    def _probabilities(self, weights, masks, X):
        predicted, _ = self.stacked.stateless_call(weights, masks, X, training=False)
        return predicted[..., 0]

    def _mean_of_passes(self, weights, masks, X, passes):
        def one_more(i, masks, total):
            predicted, masks = self.stacked.stateless_call(weights, masks, X, training=True)
            return i + 1, masks, total + predicted[..., 0]

        start = (0, masks, tf.zeros(tf.shape(X)[:2], self.dtype))
        _, _, total = tf.while_loop(lambda i, *_: i < passes, one_more, start)
        return total / tf.cast(passes, self.dtype)

    def _mask_seeds(self, generators):
        """Start the Dropout layers' random numbers from every copy's generator."""
        variables = self.stacked.non_trainable_variables
        words = [generator.integers(2**32, size=2) for generator in generators]
        seeds = np.random.SeedSequence(np.concatenate(words).tolist())
        starts = seeds.generate_state(len(variables)) % 2**31
        return [
            tf.cast(tf.constant([int(start), 0]), v.dtype)
            for start, v in zip(starts, variables, strict=True)
        ]

    def _shares(self, rows, batches):
        """Weight each row by 1 / (rows of its copy in its batch), padding by 0."""
        position = np.arange(batches * self.batch_size).reshape(batches, 1, self.batch_size)
        present = position < rows[:, np.newaxis]
        return present / present.sum(axis=-1, keepdims=True)


def stack_network(network: keras.Sequential, copies: int) -> keras.Sequential:
    """Turn a network into one of as many copies: (copies, rows, features) → (copies, rows, 1).

    Raises
    ------
    Unstackable
        If a layer, or a part of one, has no stacked form.
    """
    if not isinstance(network, keras.Sequential):
        raise Unstackable(f"a model of type {type(network).__name__}, other than Sequential,")
    if len(network.input_shape) != 2:
        raise Unstackable(f"input of shape {network.input_shape}, other than rows of numbers,")
    layers = [keras.Input((None, network.input_shape[-1]), batch_size=copies)]
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
            if not layer.trainable or layer.lora_enabled:
                raise Unstackable(f"{name}, frozen or with LoRA,")
            layers.append(StackedDense(layer))
        elif type(layer) in ELEMENTWISE and getattr(layer, "noise_shape", None) is None:
            layers.append(type(layer).from_config(layer.get_config()))
        else:
            raise Unstackable(name)
    if network.output_shape[-1] != 1:
        raise Unstackable(f"a network of {network.output_shape[-1]} outputs, other than 1,")
    return keras.Sequential(layers)


def _stacked_constraint(dense, constraint):
    """Make a constraint of one copy's weights apply to each copy's: axes move up by one."""
    if constraint is None:
        return None
    if type(constraint) not in CONSTRAINTS:
        raise Unstackable(f"constraint {type(constraint).__name__} of layer {dense.name!r}")
    config = constraint.get_config()
    if "axis" in config:
        axis = config["axis"]
        axes = [axis] if isinstance(axis, int) else axis
        config["axis"] = [a + 1 if a >= 0 else a for a in axes]
    return type(constraint).from_config(config)


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
    """Give SGD's rule as a function (weight, velocity, gradient, step) → weight, velocity.

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
    schedule = optimizer._learning_rate  # the schedule itself; the public name gives its value
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        rate = optimizer.get_config()["learning_rate"]

        def schedule(step):
            return tf.constant(rate, tf.float64)  # to be cast, so not rounded before

    def update(weight, velocity, gradient, step):
        rate = tf.cast(schedule(step), weight.dtype)
        momentum = keras.ops.cast(optimizer.momentum, weight.dtype)  # as Keras rounds it
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
