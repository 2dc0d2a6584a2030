"""What a Keras network is to a stack: the stacked form of its layers, loss and optimizer."""

import itertools
import json
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# TensorFlow reads this once, when it is imported, and by itself uses oneDNN only on processors
# with AVX-512. With AVX2, products of small matrices are twice as fast with it.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
chosen = os.environ.get(ONEDNN)
os.environ[ONEDNN] = chosen or "1"
try:
    import keras
    import tensorflow as tf
    from keras import constraints, layers, optimizers, regularizers
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
REFUSED_OPTIONS = ("activity_regularizer", "noise_shape")
CONSTRAINTS = (constraints.MaxNorm, constraints.UnitNorm, constraints.NonNeg)
REGULARIZERS = (regularizers.L1, regularizers.L2, regularizers.L1L2)
PACKET = 16  # numbers that TensorFlow may compute at once, rounded otherwise than single ones


class Unstackable(ValueError):
    """A part of a model or an estimator, which the message names, has no stacked form."""

    def __init__(self, part: str):
        super().__init__(
            f"{part} has no stacked form; use scikit-learn's own `cross_validate` or "
            "`RandomizedSearchCV` instead"
        )


class Recipe:
    """All that a stack needs to know of a network; its copies may differ in hyperparameters.

    Parameters
    ----------
    network : keras.Sequential
        Built and compiled.
    n_targets : int, default=1
        Numbers in the target of a sample: 1 for a class index, one per class if one-hot.

    Attributes
    ----------
    n_features, n_outputs, n_targets : int
    dtype : str
    hyperparameters : dict
        What may differ between the copies of a stack: ``dropout_<i>``, the rate of the i-th
        Dropout layer with a rate above 0; ``max_norm_<i>``, ``l1_<i>`` and ``l2_<i>`` of the
        i-th weight with such a constraint or regularizer; those of the optimizer, such as
        ``learning_rate``, ``momentum`` or ``weight_decay``. There is no ``learning_rate`` if
        it follows a schedule, which all copies share.
    blueprint : str
        Describes the network without its hyperparameters. Networks with the same blueprint
        can be copies of one stack.
    initializers : list of callables
        Map the shape of each weight and (n_copies,) seeds to an array for each copy.
    row_losses : callable
        Maps targets (n_rows, n_targets) and outputs (n_rows, n_outputs) to (n_rows,) losses.

    Raises
    ------
    Unstackable
        If a layer, constraint, regularizer, loss or optimizer has no stacked form.
    """

    def __init__(self, network: keras.Sequential, n_targets: int = 1):
        self.layers = _stackable_layers(network)
        self.n_features, self.n_outputs = network.input_shape[-1], network.output_shape[-1]
        self.n_targets = n_targets
        self.dtype = network.compute_dtype
        variables = network.trainable_variables
        self.shapes = [tuple(variable.shape) for variable in variables]
        self.initializers = [
            _initializer(layer, variable.name)
            for layer in network.layers
            for variable in layer.trainable_variables
        ]
        dropouts = [layer for layer in self.layers if isinstance(layer, layers.Dropout)]
        self.dropout_units = [layer.input.shape[-1] for layer in dropouts]
        self.row_losses = _row_losses(network, n_targets)
        self._optimizer, self._rule = network.optimizer, _rule(network.optimizer)
        self.n_slots = self._rule.n_slots
        self._constraints = [variable.constraint for variable in variables]
        self._regularizers = [variable.regularizer for variable in variables]
        self.hyperparameters = {
            **{f"dropout_{i}": layer.rate for i, layer in enumerate(dropouts)},
            **_numbered("max_norm", filter(_is_max_norm, self._constraints), "max_value"),
            **_numbered("l1", self._regularizers, "l1"),
            **_numbered("l2", self._regularizers, "l2"),
            **_optimizer_hyperparameters(network.optimizer, self._rule.hyperparameters),
        }
        self.blueprint = self._describe(network)

    def _describe(self, network):
        described = [(type(layer).__name__, _configuration(layer)) for layer in self.layers]
        optimizer = network.optimizer.get_config() | {"name": ""}
        for name in self.hyperparameters.keys() & optimizer.keys():
            optimizer[name] = 0
        loss = network.loss
        if isinstance(loss, keras.losses.Loss):
            loss = type(loss).__name__, loss.get_config()
        sizes = network.input_shape, self.n_targets
        parts = sizes, described, type(network.optimizer).__name__, optimizer, loss
        return json.dumps(parts, default=repr)

    def outputs(self, weights, X, hyperparameters=None, masks=()) -> tf.Tensor:
        """Compute the outputs of every copy, (n_copies * n_samples, n_outputs).

        Takes stacked weights and (n_copies, n_samples, n_features) inputs; there is dropout if
        hyperparameters and a mask for each layer are given. The rows of all copies come in one
        array, behind the last product already, so that a loss sees them as it does in Keras.
        """
        weights, masks, outputs = iter(weights), enumerate(masks), X
        last = max(
            (i for i, layer in enumerate(self.layers) if not isinstance(layer, ELEMENTWISE)),
            default=0,
        )
        for position, layer in enumerate(self.layers):
            if isinstance(layer, layers.Dense):
                outputs = tf.matmul(outputs, next(weights))
                if layer.use_bias:
                    outputs = _add_bias(outputs, next(weights))
            elif isinstance(layer, layers.Dropout):
                if hyperparameters:
                    i, kept = next(masks)
                    outputs = dropout(outputs, kept, hyperparameters[f"dropout_{i}"])
            else:
                outputs = layer(outputs)
            if position == last:
                outputs = tf.reshape(outputs, (-1, self.n_outputs))
            if isinstance(layer, layers.Dense):
                outputs = layer.activation(outputs)
        return outputs

    def penalties(self, weights, hyperparameters) -> tf.Tensor:
        """Return the regularization loss of each copy, (n_copies,), or 0 if there is none."""
        numbers = {"l1": itertools.count(), "l2": itertools.count()}
        norms, total = {"l1": tf.abs, "l2": tf.square}, tf.constant(0, self.dtype)
        for stacked, regularizer in zip(weights, self._regularizers, strict=True):
            for name, norm in norms.items():
                if hasattr(regularizer, name):
                    factor = hyperparameters[f"{name}_{next(numbers[name])}"]
                    summed = tf.reduce_sum(norm(stacked), axis=range(1, stacked.shape.rank))
                    total += _broadcast(_single(factor), summed) * summed
        return total

    def update(self, weights, slots, gradients, step, hyperparameters) -> tuple[list, list]:
        """Return the weights and the optimizer's slots after a step, constraints applied.

        `slots` holds `n_slots` stacked arrays like each weight, first to last.
        """
        rule, optimizer = self._rule, self._optimizer
        schedule = _schedule(optimizer)
        constrain = _stacked_constraints(self._constraints, hyperparameters)
        updated, updated_slots = [], []
        for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):

            def value(name, of=lambda given: given, like=weight):
                return _broadcast(of(hyperparameters[name]), like)

            rate = tf.cast(schedule(step), weight.dtype) if schedule else value("learning_rate")
            if optimizer.clipvalue is not None:
                gradient = tf.clip_by_value(gradient, -optimizer.clipvalue, optimizer.clipvalue)
            if "weight_decay" in hyperparameters:
                weight -= weight * value("weight_decay", _single) * rate
            own = slots[i * self.n_slots : (i + 1) * self.n_slots]
            weight, own = rule.step(optimizer, weight, own, gradient, rate, step, value)
            updated.append(constrain[i](weight))
            updated_slots += own
        return updated, updated_slots


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


def _single(value):
    """Round as Keras does where it casts a Python number: to single precision first."""
    if tf.is_tensor(value):
        return tf.cast(tf.cast(value, tf.float32), value.dtype)
    return float(np.float32(value))


def _numbered(name, parts, attribute):
    """Return the attribute of each of the parts that have it, numbered."""
    values = (float(getattr(part, attribute)) for part in parts if hasattr(part, attribute))
    return {f"{name}_{i}": value for i, value in enumerate(values)}


def _configuration(layer):
    """Describe a layer without its name and hyperparameters."""
    config = layer.get_config() | {"name": "", "rate": 0}
    for part in ("kernel", "bias"):
        if _is_max_norm(constraint := getattr(layer, f"{part}_constraint", None)):
            config[f"{part}_constraint"] = "MaxNorm", constraint.axis
        if regularizer := getattr(layer, f"{part}_regularizer", None):
            config[f"{part}_regularizer"] = type(regularizer).__name__
    return config


def _is_max_norm(constraint):
    return type(constraint) is constraints.MaxNorm


def _stackable_layers(network):
    """Check that every layer has a stacked form; return those that have an effect."""
    if not isinstance(network, keras.Sequential):
        raise Unstackable(f"a model of type {type(network).__name__}, other than Sequential,")
    if len(network.input_shape) != 2:
        raise Unstackable(f"input of shape {network.input_shape}, other than rows of numbers,")
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
        for kind, known in (("constraint", CONSTRAINTS), ("regularizer", REGULARIZERS)):
            for part in ("kernel", "bias"):
                chosen = getattr(layer, f"{part}_{kind}", None)
                if chosen is not None and type(chosen) not in known:
                    raise Unstackable(f"{kind} {type(chosen).__name__} of {name}")
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
    """Return the initializer of a layer's weight as a function of (shape, seeds).

    It is called at the shape of one copy: at the stacked shape it would count the copies as
    part of its fan. The function returns an array for each seed.
    """
    initializer = getattr(layer, f"{weight}_initializer")
    if not isinstance(initializer, keras.initializers.Initializer):
        raise Unstackable(f"initializer {initializer!r} of layer {layer.name!r}")
    config, kind = initializer.get_config(), type(initializer)

    def initialize(shape, seed):
        seeded = kind.from_config(config | {"seed": seed}) if "seed" in config else initializer
        return seeded(shape)

    if not kind.__module__.startswith("keras."):
        return lambda shape, seeds: [initialize(shape, int(seed)) for seed in seeds]
    if "seed" not in config:
        return lambda shape, seeds: np.tile(initializer(shape), (len(seeds), *[1] * len(shape)))

    @tf.function(autograph=False)
    def compiled(shape, seeds):
        dtype = keras.config.floatx()
        return tf.map_fn(
            lambda seed: initialize(shape, _Seed(seed)), seeds, fn_output_signature=dtype
        )

    def initialize_all(shape, seeds):  # called one by one, they cost ten epochs of training
        seeds = tf.constant([[seed, 0] for seed in seeds], tf.uint32)
        return compiled.get_concrete_function(shape, seeds)(seeds)

    return initialize_all


class _Seed(keras.random.SeedGenerator):
    """A tensor in place of the seed that Keras makes of an integer."""

    def __init__(self, seed):
        self._seed = seed

    def next(self, ordered=True):
        return self._seed


def _row_losses(network, n_targets):
    """Return the loss as a function of targets and outputs, one value a row; refuse others."""
    loss = network.loss
    if network._compile_config.config["loss_weights"]:  # serialising it would warn of a lambda
        raise Unstackable("a weighted loss")
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    name = repr(getattr(loss, "name", None) or getattr(loss, "__name__", loss))
    if isinstance(loss, keras.losses.Loss):
        if loss.reduction != "sum_over_batch_size":
            raise Unstackable(f"loss {name} with reduction {loss.reduction!r}")
        loss = loss.call
    if not callable(loss):
        raise Unstackable(f"loss {name}")
    # Rows that influence each other would be those of all copies.
    random, dtype = np.random.default_rng(0), network.compute_dtype
    targets = tf.constant(random.integers(2, size=(8, n_targets)), dtype)
    outputs = tf.constant(random.uniform(0.1, 0.9, (8, network.output_shape[-1])), dtype)
    together = loss(targets, outputs)
    if together.shape != (8,):
        raise Unstackable(f"loss {name}, which has other than one value for each sample,")
    if getattr(loss, "__module__", "").startswith("keras."):
        return loss  # Keras' own have one value a row only if the rows are independent
    alone = [loss(targets[i : i + 1], outputs[i : i + 1])[0] for i in range(8)]
    if not np.allclose(together, alone, rtol=1e-4, atol=1e-6):
        raise Unstackable(f"loss {name}, in which the samples of a batch influence each other,")
    return loss


class _Rule(NamedTuple):
    """How an optimizer of Keras moves a weight: elementwise, and so the same for every copy.

    Keras' own step cannot be taken for weights that are passed in (`stateless_apply`) under
    TensorFlow. ``step`` maps (optimizer, weight, slots, gradient, rate, step, value) to (weight,
    slots); ``value(name)`` is a hyperparameter, shaped like the weight.
    """

    step: Callable
    n_slots: int
    hyperparameters: tuple[str, ...]
    options: tuple[str, ...]  # what else may differ from Keras' defaults


def _sgd(optimizer, weight, slots, gradient, rate, step, value):
    momentum = value("momentum", _single)
    change = velocity = momentum * slots[0] - rate * gradient
    if optimizer.nesterov:
        change = momentum * velocity - rate * gradient
    return weight + change, [velocity]


def _adam(optimizer, weight, slots, gradient, rate, step, value):
    mean, square = slots
    step = tf.cast(step + 1, weight.dtype)
    scale = tf.sqrt(1 - value("beta_2", _single) ** step)
    scale /= 1 - value("beta_1", _single) ** step
    mean += (gradient - mean) * value("beta_1", lambda beta: 1 - beta)
    square += (tf.square(gradient) - square) * value("beta_2", lambda beta: 1 - beta)
    weight -= mean * (rate * scale) / (tf.sqrt(square) + optimizer.epsilon)
    return weight, [mean, square]


def _rmsprop(optimizer, weight, slots, gradient, rate, step, value):
    square, velocity, mean = slots
    rho, rest = value("rho"), value("rho", lambda rho: 1 - rho)
    square = rho * square + rest * tf.square(gradient)
    variance = square
    if optimizer.centered:
        mean = rho * mean + rest * gradient
        variance = square - tf.square(mean)
    velocity = value("momentum") * velocity + rate * gradient / tf.sqrt(
        variance + optimizer.epsilon
    )
    return weight - velocity, [square, velocity, mean]


RULES = {
    optimizers.SGD: _Rule(_sgd, 1, ("momentum",), ("nesterov",)),
    optimizers.Adam: _Rule(_adam, 2, ("beta_1", "beta_2"), ("epsilon",)),
    optimizers.AdamW: _Rule(_adam, 2, ("beta_1", "beta_2"), ("epsilon",)),
    optimizers.RMSprop: _Rule(_rmsprop, 3, ("rho", "momentum"), ("epsilon", "centered")),
}


def _rule(optimizer):
    """Return the rule of an optimizer, if it and all its options have a stacked form."""
    name, rule = type(optimizer).__name__, RULES.get(type(optimizer))
    if rule is None:
        raise Unstackable(f"optimizer {name}")
    followed = {"name", "learning_rate", "weight_decay", "clipvalue"}
    followed.update(rule.hyperparameters, rule.options)
    default = type(optimizer)().get_config()
    for option, value in optimizer.get_config().items():
        if value and value != default[option] and option not in followed:
            raise Unstackable(f"{option} of optimizer {name}")
    if getattr(optimizer, "_exclude_from_weight_decay", None) or getattr(
        optimizer, "_exclude_from_weight_decay_pattern", None
    ):
        raise Unstackable(f"weight decay of some weights only by optimizer {name}")
    return rule


def _optimizer_hyperparameters(optimizer, names):
    config = optimizer.get_config()
    found = {name: float(config[name]) for name in names}
    if not _schedule(optimizer):
        found["learning_rate"] = config["learning_rate"]
    if config["weight_decay"] is not None:
        found["weight_decay"] = config["weight_decay"]
    return found


def _schedule(optimizer):
    """Return the schedule that the learning rate follows, or None."""
    schedule = optimizer._learning_rate  # the public attribute is the current value
    is_schedule = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    return schedule if is_schedule else None
