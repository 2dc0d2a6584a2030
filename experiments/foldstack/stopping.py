"""Early stopping by Keras' own callback, each copy of a stack by itself."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np

OPTIONS = ("monitor", "patience", "min_delta", "mode", "baseline", "start_from_epoch")
OPTIONS += ("restore_best_weights",)


def describe_stopping(callbacks: Sequence) -> str:
    """Describe EarlyStopping callbacks: copies whose descriptions are equal can share a stack."""
    return repr([[getattr(each, name, None) for name in OPTIONS] for each in callbacks])


class Stopping:
    """Ends the training of each copy when Keras would, with the weights that Keras would keep.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.EarlyStopping
        Every copy gets its own.
    n_copies : int

    Attributes
    ----------
    n_epochs : int array of shape (n_copies,)
        How many epochs each copy has been trained for.
    """

    def __init__(self, callbacks: Sequence, n_copies: int):
        self.n_epochs = np.zeros(n_copies, int)
        self._copies = [_Copy(callbacks, i) for i in range(n_copies)]

    def after_epoch(self, epoch: int, weights: Sequence, logs: Mapping[str, np.ndarray]) -> bool:
        """Tell the callbacks of the copies that still train; return whether none does any more.

        Parameters
        ----------
        epoch : int
            Number of epochs before this one.
        weights : list of arrays or tensors of shape (n_copies, ...)
        logs : dict of arrays of shape (n_copies,)
            What was measured, by Keras' names.
        """
        weights = [np.asarray(stack) for stack in weights]
        for i, one in enumerate(self._copies):
            if not one.stop_training:
                self.n_epochs[i] = epoch + 1
                one.after_epoch(epoch, weights, {name: of[i] for name, of in logs.items()})
        return all(one.stop_training for one in self._copies)

    def chosen_weights(self, weights: Sequence) -> list[np.ndarray]:
        """Return the weights of each copy at its end, given those of the stack at its end."""
        weights = [np.array(stack) for stack in weights]
        for i, one in enumerate(self._copies):
            one.end(weights)
            for stack, chosen in zip(weights, one.chosen, strict=True):
                stack[i] = chosen
        return weights


class _Copy:
    """What the callbacks of a copy see of its model."""

    def __init__(self, callbacks, number):
        self.stop_training = False
        self.chosen = None
        self._number = number
        self._callbacks = [copy.copy(callback) for callback in callbacks]
        for callback in self._callbacks:
            callback.verbose = 0
            if callback.mode == "auto" and callback.monitor == "val_accuracy":
                callback.mode = "max"  # Keras finds that in the metrics of its model
            callback.set_model(self)
            callback.on_train_begin()

    def after_epoch(self, epoch, weights, logs):
        self._weights = weights
        for callback in self._callbacks:
            callback.on_epoch_end(epoch, logs)
        if self.stop_training:
            self.end(weights)

    def end(self, weights):
        if self.chosen is None:
            self._weights = weights
            self.chosen = self.get_weights()
            for callback in self._callbacks:
                callback.on_train_end()

    def get_weights(self):
        return [stack[self._number].copy() for stack in self._weights]

    def set_weights(self, weights):
        self.chosen = weights
