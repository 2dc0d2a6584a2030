"""What the networks of a stack draw at random: each by itself, whatever it is trained with."""

from collections.abc import Sequence

import numpy as np

WORD = 2**16  # a unit is kept if 16 random bits are at least rate · 2¹⁶
WORDS = 4  # in 64 random bits


class Draws:
    """The random numbers of each copy of a stack, from a generator of its own.

    Parameters
    ----------
    seeds : sequence of int or of sequences of int, of shape (n_copies,)
    """

    def __init__(self, seeds: Sequence):
        self._generators = [np.random.default_rng(seed) for seed in seeds]

    def initializer_seeds(self, number: int) -> np.ndarray:
        """Draw seeds for the initial weights, of shape (n_copies, number)."""
        return np.array([each.integers(2**31, size=number) for each in self._generators])

    def masks(self, rates: np.ndarray) -> "Masks":
        """Return the source of masks for Dropout layers with (n_copies, n_layers) rates."""
        return Masks([each.integers(2**32, size=2).tolist() for each in self._generators], rates)

    def orders(self, n_samples: np.ndarray, epochs: int, width: int) -> np.ndarray:
        """Shuffle each copy's sample numbers for each epoch: (epochs, n_copies, width), 0-padded.

        The epochs are drawn one after another, so that an order does not depend on how many are
        drawn at once.
        """
        orders = np.zeros((epochs, len(n_samples), width), np.int32)
        numbers = np.tile(np.arange(width), (epochs, 1))
        for copy, (number, generator) in enumerate(zip(n_samples, self._generators, strict=True)):
            orders[:, copy, :number] = generator.permuted(numbers[:, :number], axis=1)
        return orders


class Masks:
    """The masks of every Dropout layer of each copy of a stack.

    Each layer of each copy has a random generator of its own (SFC64), seeded from the copy's:
    a mask depends neither on other copies and layers nor on how many are drawn at a time. Rates
    are rounded to multiples of 2⁻¹⁶, those above 1 − 2⁻¹⁶ to that.

    Parameters
    ----------
    seeds : sequence of sequences of int, of shape (n_copies,)
    rates : array of shape (n_copies, n_layers)
    """

    def __init__(self, seeds: Sequence[Sequence[int]], rates: np.ndarray):
        n_layers = np.shape(rates)[1]
        seeds = [np.random.SeedSequence(each).spawn(n_layers) for each in seeds]
        self._generators = [
            [np.random.SFC64(seed) for seed in of_layer] for of_layer in zip(*seeds, strict=True)
        ]
        thresholds = np.rint(np.transpose(rates) * WORD).clip(0, WORD - 1)
        self._thresholds = thresholds.astype(np.uint16)

    def draw(self, number: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """Draw the next `number` masks of each layer; `shapes` are those of one copy's mask.

        Returns a bool array of shape (number, n_copies, *shape) per layer, True for units kept.
        """
        return [
            self._draw(number, *each)
            for each in zip(self._generators, self._thresholds, shapes, strict=True)
        ]

    def _draw(self, number, generators, thresholds, shape):
        size = int(np.prod(shape))
        n_draws = -(-size // WORDS)  # a mask begins with fresh bits
        kept = np.empty((number, len(generators), size), bool)
        for copy, (generator, threshold) in enumerate(zip(generators, thresholds, strict=True)):
            words = generator.random_raw((number, n_draws)).view(np.uint16)
            np.greater_equal(words[:, :size], threshold, out=kept[:, copy])
        return kept.reshape(number, len(generators), *shape)
