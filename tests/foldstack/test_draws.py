"""What a network draws is its own: its order of samples, its masks."""

import numpy as np
import pytest

from experiments.foldstack.draws import Draws

RATES = [0.1, 0.2, 0.5, 0.9]


def masks(seeds, rates, number, shape):
    """Return masks of shape (n_layers, n_copies, number, *shape)."""
    drawn = Draws(seeds).masks(np.array(rates)).draw(number, [shape] * len(rates[0]))
    return np.array(drawn).swapaxes(1, 2)


def test_an_epoch_visits_every_sample_once():
    rows = np.array([37, 40])
    orders = Draws([1, 2]).orders(rows, epochs=3, width=48)
    for i, number in enumerate(rows):
        for order in orders[:, i]:
            assert sorted(order[:number]) == list(range(number))
            assert not order[number:].any()
    assert not np.array_equal(orders[0], orders[1])
    in_parts = Draws([1, 2])
    parts = [in_parts.orders(rows, epochs=n, width=48) for n in (1, 2)]
    assert np.array_equal(np.concatenate(parts), orders)


def test_units_are_dropped_at_the_rate_of_each_copy_and_layer():
    rates = [RATES, RATES[::-1]]
    dropped = 1 - masks([1, 2], rates, 500, (16, 50)).mean(axis=(2, 3, 4))
    for measured, rate in zip(dropped.ravel(), np.transpose(rates).ravel(), strict=True):
        assert abs(measured - rate) < 4 * np.sqrt(rate * (1 - rate) / (500 * 16 * 50))


def test_rates_are_exact_to_two_to_the_power_of_minus_16():
    """All 2¹⁶ values of the random bits, seen through the thresholds."""
    values = np.arange(2**16, dtype=np.uint16).view(np.uint64)
    for rate in (0.0, 2**-16, 0.2, 1 / 3, 0.5, 1 - 2**-16, 1 - 1e-9):
        source = Draws([1]).masks(np.array([[rate]]))
        source._generators = [
            [type("Counter", (), {"random_raw": lambda _, n: values.reshape(n)})()]
        ]
        (kept,) = source.draw(1, [(2**16,)])
        assert abs(1 - kept.mean() - rate) <= 2**-16


def test_masks_are_independent_between_units_steps_layers_and_networks():
    drawn = masks([1, 2], [[0.3] * 2] * 2, 400, (16, 30))
    pairs = {
        "layers": (drawn[0], drawn[1]),
        "networks": (drawn[:, 0], drawn[:, 1]),
        "steps": (drawn[:, :, 1:], drawn[:, :, :-1]),
        "rows": (drawn[..., 1:, :], drawn[..., :-1, :]),
        "units": (drawn[..., 1:], drawn[..., :-1]),
        "units far apart": (drawn[..., 4:], drawn[..., :-4]),
    }
    chance = 0.3**2 + 0.7**2
    for name, (first, second) in pairs.items():
        agreement = (first == second).mean()
        assert abs(agreement - chance) < 5 * np.sqrt(chance * (1 - chance) / first.size), name


@pytest.mark.parametrize("shape", [(16, 60), (16, 3), (5, 7), (1, 1)])
def test_masks_depend_on_nothing_but_the_network_and_the_layer(shape):
    expected = masks([5, 6, 7], [[0.4, 0.2]] * 3, 12, shape)
    alone = masks([6], [[0.4, 0.2]], 12, shape)
    assert np.array_equal(alone[:, 0], expected[:, 1])
    assert np.array_equal(masks([6], [[0.4]], 12, shape)[0], alone[0])  # without the other layer
    source = Draws([5, 6, 7]).masks(np.array([[0.4, 0.2]] * 3))
    parts = [np.array(source.draw(number, [shape] * 2)) for number in (1, 4, 7)]
    assert np.array_equal(np.concatenate(parts, axis=1).swapaxes(1, 2), expected)


def test_masks_drawn_later_are_others():
    draws = Draws([1])
    first, second = (draws.masks(np.array([[0.5]])).draw(4, [(16, 8)])[0] for _ in range(2))
    assert not np.array_equal(first, second)
