"""Many independent copies of one Keras network, trained as one.

The copies are stacked along a leading axis: a Dense kernel has the shape (n_copies, n_inputs,
n_units), a batch (n_copies, batch_size, n_features), and a product is one batched product. One
training step advances every copy, and the steps run in a compiled loop.

The copies are independent: each has its own samples, order of samples, initial weights and
dropout masks, and the loss is the sum of the copies' losses, so that the gradient of a copy's
weights is that of its own loss. What is computed from a whole array during training, such as
clipping a gradient by its norm, has no stacked form; `Recipe` refuses it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from .draws import Draws
    from .recipe import Recipe
    from .stopping import Stopping

LOOP_BYTES = 2**22  # of sample numbers and masks that a compiled loop gets at a time
PREDICT_ENTRIES = 2**15  # activations of a copy's widest layer at a time


class Samples(NamedTuple):
    """The samples of every copy: the first `n_samples` of a copy count, the rest is padding."""

    X: np.ndarray  # (n_copies, max_samples, n_features), or a tensor
    y: np.ndarray  # (n_copies, max_samples, n_targets)
    n_samples: np.ndarray  # (n_copies,)
    weights: np.ndarray | None = None  # (n_copies, max_samples)


class Stack:
    """Copies of one network, which can be trained repeatedly from given weights.

    A stack holds no training state, so that threads can share it: weights are passed in and
    returned as lists of arrays, those of `keras.Model.get_weights` with a leading axis of
    copies. A copy's initial weights, order of samples and dropout masks do not depend on the
    stack that it is in, nor does the rounding: copies train to the same bits in every stack of
    at least 2 copies, if ``n_copies * batch_size`` is a multiple of 16.

    Parameters
    ----------
    recipe : Recipe
        Of the network; all copies have its blueprint.
    n_copies : int
    batch_size : int
        Samples of each copy in a training step.
    varying : collection of str, default=()
        Names of the hyperparameters in which the copies may differ. In the others they are
        like the network, which trains faster.
    record_epochs : bool, default=False
        Whether training also predicts all samples after every epoch.
    monitors : collection of str, default=()
        What to measure after every epoch for early stopping: ``loss``, ``val_loss``,
        ``val_accuracy``.
    """

    def __init__(
        self, recipe, n_copies, batch_size, *, varying=(), record_epochs=False, monitors=()
    ):
        self.recipe: Recipe = recipe
        self.n_copies = n_copies
        self.batch_size = batch_size
        self.record_epochs = record_epochs
        self._varying = sorted(varying)
        self._monitors = frozenset(monitors)
        self._dtype = recipe.dtype

        def spec(*shape, dtype=recipe.dtype):
            return tf.TensorSpec(shape, dtype)

        per_copy = {name: spec(n_copies, dtype=tf.float64) for name in varying}
        weights = [spec(n_copies, *shape) for shape in recipe.shapes]
        slots = [like for like in weights for _ in range(recipe.n_slots)]
        X, y = spec(n_copies, None, recipe.n_features), spec(n_copies, None, recipe.n_targets)
        share, step = spec(n_copies, None), spec(dtype=tf.int64)
        batch = None, n_copies, batch_size
        batches = spec(*batch, dtype=tf.int32), spec(*batch, recipe.n_targets), spec(*batch)
        portion = spec(None, n_copies)
        masks = [spec(None, n_copies, None, n, dtype=tf.bool) for n in recipe.dropout_units]
        total = spec(n_copies, None, recipe.n_outputs)

        def compiled(function, *arguments):
            return tf.function(function, autograph=False).get_concrete_function(*arguments)

        state = weights, slots, step
        self._train = compiled(self._take_steps, *state, per_copy, X, *batches, portion, masks)
        self._predict = compiled(self._outputs, weights, X)
        # Compiled when they are first needed.
        self._add_passes = functools.cache(
            lambda: compiled(self._sum_of_passes, weights, per_copy, X, masks, total)
        )
        if self._monitors - {"loss"}:
            self._validate = compiled(self._validation, weights, per_copy, X, y, share, share)

    def initial_weights(self, draws: "Draws") -> list[np.ndarray]:
        """Draw the weights of each copy with the network's initializers.

        Returns arrays of shape (n_copies, ...).
        """
        initializers, shapes = self.recipe.initializers, self.recipe.shapes
        seeds = draws.initializer_seeds(len(shapes)).T
        return [
            np.asarray(initializer(shape, of_weight), self._dtype)
            for initializer, shape, of_weight in zip(initializers, shapes, seeds, strict=True)
        ]

    def train(
        self,
        weights: Sequence[np.ndarray],
        samples: Samples,
        draws: "Draws",
        *,
        epochs: int,
        hyperparameters: Sequence[Mapping[str, float]] | None = None,
        validation: Samples | None = None,
        stopping: "Stopping | None" = None,
        callback: Callable[[int, np.ndarray | None], None] = lambda epochs, outputs: None,
    ) -> list:
        """Train every copy on its own samples, reshuffled every epoch in an order of its own.

        Parameters
        ----------
        weights : list of arrays of shape (n_copies, ...)
            Initial weights.
        samples : Samples
            All copies must have the same number of batches.
        draws : Draws
            Decides the order of each copy's samples and its dropout masks.
        epochs : int
        hyperparameters : sequence of dict of shape (n_copies,), optional
            Those of each copy; by default the network's.
        validation : Samples, optional
            What ``val_loss`` and ``val_accuracy`` are measured on.
        stopping : Stopping, optional
            Told the `monitors` of the stack after every epoch. Training ends when it has
            stopped every copy, and returns the weights that it chose.
        callback : callable, optional
            Called every few epochs with their number and None; if the stack records epochs,
            after each with 1 and the outputs as `predict` returns them.

        Returns
        -------
        list of tensors or arrays of shape (n_copies, ...)
            The trained weights.

        Raises
        ------
        ValueError
            If the copies differ in their number of batches.
        """
        n_samples = np.asarray(samples.n_samples)
        n_batches = -(-n_samples // self.batch_size)
        if (n_batches != n_batches[0]).any():
            raise ValueError(
                "all copies must have the same number of batches, got "
                f"{n_batches.min()} to {n_batches.max()}"
            )
        n_batches = n_batches[0]
        X, y = tf.convert_to_tensor(samples.X, self._dtype), np.asarray(samples.y, self._dtype)
        shares, portions = self._shares(n_samples, n_batches)
        hyperparameters = hyperparameters or [self.recipe.hyperparameters] * self.n_copies
        per_copy, masks = self._prepare(hyperparameters, draws)
        mask_shapes = [(self.batch_size, units) for units in self.recipe.dropout_units]
        sample_bytes = 12 + sum(self.recipe.dropout_units)
        most_steps = max(1, LOOP_BYTES // (self.n_copies * self.batch_size * sample_bytes))
        each_epoch = self.record_epochs or stopping is not None
        most_epochs = 1 if each_epoch else max(1, most_steps // n_batches)
        weights = [tf.constant(stack) for stack in weights]
        slots = [tf.zeros_like(like) for like in weights for _ in range(self.recipe.n_slots)]
        state, loss = (weights, slots, tf.constant(0, tf.int64)), 0
        for done in range(0, epochs, most_epochs):
            now = min(most_epochs, epochs - done)
            orders = draws.orders(n_samples, now, n_batches * self.batch_size)
            orders = orders.reshape(now, self.n_copies, n_batches, self.batch_size)
            orders = orders.swapaxes(1, 2).reshape(-1, self.n_copies, self.batch_size)
            for start in range(0, len(orders), most_steps):
                order = orders[start : start + most_steps]
                batch = np.arange(start, start + len(order)) % n_batches
                targets = np.take_along_axis(y[np.newaxis], order[..., np.newaxis], axis=2)
                share = shares[batch]
                if samples.weights is not None:
                    share = share * np.take_along_axis(samples.weights[np.newaxis], order, axis=2)
                drawn = masks.draw(len(order), mask_shapes)
                batches = order, targets, share.astype(self._dtype), portions[batch], drawn
                *state, part = self._train(*state, per_copy, X, *batches)
                loss = loss + part
            callback(now, self.predict(state[0], X) if self.record_epochs else None)
            if stopping is not None:
                logs = self._measure(state[0], per_copy, validation, loss)
                loss = 0
                if stopping.after_epoch(done, state[0], logs):
                    break
        return state[0] if stopping is None else stopping.chosen_weights(state[0])

    def predict(self, weights: Sequence, X: np.ndarray) -> np.ndarray:
        """Predict with every copy, dropout off.

        Parameters
        ----------
        weights : list of arrays or tensors of shape (n_copies, ...)
        X : float32 array or tensor of shape (n_copies, n_samples, n_features)

        Returns
        -------
        float32 array of shape (n_copies, n_samples, n_outputs)
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
        float32 array of shape (n_copies, n_samples, n_outputs)
            The mean output.
        """
        units = self.recipe.dropout_units
        if not units:
            return self.predict(weights, X)
        weights = [tf.convert_to_tensor(stack) for stack in weights]
        hyperparameters = hyperparameters or [self.recipe.hyperparameters] * self.n_copies
        per_copy, masks = self._prepare(hyperparameters, draws)

        def sample(part):
            n_samples = part.shape[1]
            shapes = [(n_samples, each) for each in units]
            at_once = max(1, LOOP_BYTES // (self.n_copies * n_samples * sum(units)))
            total = tf.zeros((*part.shape[:2], self.recipe.n_outputs), self._dtype)
            for done in range(0, n_passes, at_once):
                drawn = masks.draw(min(at_once, n_passes - done), shapes)
                total = self._add_passes()(weights, per_copy, part, drawn, total)
            return total / n_passes

        return self._in_parts(sample, X)

    def _in_parts(self, predict, X):
        """Predict some of the samples at a time, which needs little memory.

        How many does not depend on `n_copies`: products of other sizes round differently.
        """
        X = tf.convert_to_tensor(X, self._dtype)
        widest = max(shape[-1] for shape in self.recipe.shapes)
        size = 16 * max(1, PREDICT_ENTRIES // (16 * widest))
        parts = [predict(X[:, start : start + size]) for start in range(0, X.shape[1], size)]
        return np.concatenate(parts, axis=1)

    def _take_steps(
        self, weights, slots, step, per_copy, X, orders, targets, shares, portions, masks
    ):
        """Take a step for each batch, in one compiled loop.

        Returns the weights, slots and number of steps, and the loss of each copy if monitored.
        """
        recipe, hyperparameters = self.recipe, self.recipe.hyperparameters | per_copy

        def take_step(i, weights, slots, step, loss):
            x_batch = tf.gather(X, orders[i], batch_dims=1)
            y_batch = tf.reshape(targets[i], (-1, recipe.n_targets))
            with tf.GradientTape() as tape:
                tape.watch(weights)
                kept = [each[i] for each in masks]
                predicted = recipe.outputs(weights, x_batch, hyperparameters, kept)
                losses = recipe.row_losses(y_batch, predicted) * tf.reshape(shares[i], [-1])
                penalties = recipe.penalties(weights, hyperparameters)
                total = tf.reduce_sum(losses) + tf.reduce_sum(penalties)
            gradients = tape.gradient(total, weights)
            updated = recipe.update(weights, slots, gradients, step, hyperparameters)
            if "loss" in self._monitors:
                losses = tf.reduce_sum(tf.reshape(losses, (self.n_copies, -1)), axis=1)
                loss += portions[i] * (losses + penalties)
            return i + 1, *map(tuple, updated), step + 1, loss

        loss, n_steps = tf.zeros(self.n_copies, self._dtype), tf.shape(orders)[0]
        state = 0, tuple(weights), tuple(slots), step, loss
        _, weights, slots, step, loss = tf.while_loop(
            lambda i, *_: i < n_steps, take_step, state, parallel_iterations=1
        )
        return list(weights), list(slots), step, loss

    def _outputs(self, weights, X, *dropout):
        """Compute the outputs of every copy, (n_copies, n_samples, n_outputs)."""
        outputs = self.recipe.outputs(weights, X, *dropout)
        return tf.reshape(outputs, (self.n_copies, -1, self.recipe.n_outputs))

    def _sum_of_passes(self, weights, per_copy, X, masks, total):
        hyperparameters = self.recipe.hyperparameters | per_copy

        def one_more(i, total):
            kept = [each[i] for each in masks]
            return i + 1, total + self._outputs(weights, X, hyperparameters, kept)

        n_passes = tf.shape(masks[0])[0]
        return tf.while_loop(lambda i, _: i < n_passes, one_more, (0, total))[1]

    def _validation(self, weights, per_copy, X, y, shares, weighted_shares):
        """Return the loss and the accuracy of every copy on its validation samples, as Keras."""
        hyperparameters = self.recipe.hyperparameters | per_copy
        outputs = self.recipe.outputs(weights, X)
        targets = tf.reshape(y, (-1, self.recipe.n_targets))
        losses = tf.reshape(self.recipe.row_losses(targets, outputs), (self.n_copies, -1))
        loss = tf.reduce_sum(losses * weighted_shares, axis=1)
        loss += self.recipe.penalties(weights, hyperparameters)
        if self.recipe.n_outputs == 1:
            right = (outputs > 0.5) == (targets > 0.5)
        elif self.recipe.n_targets == 1:
            right = tf.argmax(outputs, axis=-1) == tf.cast(targets[:, 0], tf.int64)
        else:
            right = tf.argmax(outputs, axis=-1) == tf.argmax(targets, axis=-1)
        right = tf.cast(tf.reshape(right, (self.n_copies, -1)), self._dtype)
        return loss, tf.reduce_sum(right * shares, axis=1)

    def _measure(self, weights, per_copy, validation, loss):
        """Return the monitored values, each of shape (n_copies,), by their names in Keras."""
        logs = {"loss": np.asarray(loss)}
        if self._monitors - {"loss"}:
            X, y, n_samples, sample_weights = validation
            shares = np.arange(X.shape[1]) < n_samples[:, np.newaxis]
            shares = (shares / n_samples[:, np.newaxis]).astype(self._dtype)
            weighted = shares if sample_weights is None else shares * sample_weights
            measured = self._validate(weights, per_copy, X, y, shares, weighted)
            logs |= dict(zip(("val_loss", "val_accuracy"), map(np.asarray, measured), strict=True))
        return logs

    def _prepare(self, hyperparameters, draws):
        """Stack the varying hyperparameters along an axis of copies; return them, and masks."""
        values = {name: [each[name] for each in hyperparameters] for name in self._varying}
        per_copy = {name: tf.constant(each, tf.float64) for name, each in values.items()}
        numbers = range(len(self.recipe.dropout_units))
        rates = [[each[f"dropout_{i}"] for i in numbers] for each in hyperparameters]
        return per_copy, draws.masks(np.array(rates))

    def _shares(self, n_samples, n_batches):
        """Weight each sample by 1 / (samples of its copy in its batch), padding by 0.

        Returns arrays of shape (n_batches, n_copies, batch_size) and (n_batches, n_copies): the
        second is the share of a batch in the samples of its copy.
        """
        position = np.arange(n_batches * self.batch_size).reshape(n_batches, 1, self.batch_size)
        present = position < n_samples[:, np.newaxis]
        in_batch = present.sum(axis=-1)
        shares = (present / in_batch[..., np.newaxis]).astype(self._dtype)
        return shares, (in_batch / n_samples).astype(self._dtype)
