"""Figures show what the tables hold, and nothing is hidden."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from experiments.harness import store
from experiments.reporting import gallery, sweeps
from experiments.reporting.findings import single_run_winners
from experiments.reporting.style import ARM_COLOURS


@pytest.fixture(scope="module")
def drawn(published):
    return gallery.draw(published)


def test_sixty_readers_and_two_editions_have_the_colours_of_their_winners(drawn, published):
    winners = single_run_winners(store.read_arms(published))
    axes = drawn["readers"].axes[0]
    tiles = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    colours = {arm: gallery_colour(colour) for arm, colour in ARM_COLOURS.items()}
    expected = [colours[winner] for winner in (*winners, "visible", "baseline")]
    assert [tile.get_facecolor() for tile in tiles] == expected
    assert len(tiles) == 62


def gallery_colour(colour):
    return Rectangle((0, 0), 1, 1, facecolor=colour).get_facecolor()


def test_the_axis_of_accuracy_starts_where_runs_do(drawn):
    low, high = drawn["accuracy"].axes[0].get_xlim()
    assert low <= 78
    assert high > 88


def test_a_pair_of_arms_stands_in_the_band_if_it_is_less_than_a_point(drawn, published):
    comparison = pd.read_csv(published / "comparison.csv")
    labels = drawn["differences"].axes[0].get_yticklabels()
    assert len(labels) == len(comparison)
    band = drawn["differences"].axes[0].patches[0]
    assert (band.get_x(), band.get_width()) == (-1, 2)


def test_every_tip_has_its_panels(drawn):
    panels = {name: len(figure.axes) for name, figure in drawn.items() if name.startswith("tip")}
    assert panels == {"tip1": 4, "tip2": 2, "tip3": 2, "tip4": 2, "tip5": 1}
    lines = {name: len(drawn[name].axes[0].containers) for name in ("tip1", "tip2", "tip4")}
    assert lines == {"tip1": 3, "tip2": 3, "tip4": 4}
    names = [label.get_text() for label in drawn["tip5"].axes[0].get_xticklabels()]
    assert names == ["1", "2", "4", "5", "none"]


def test_equal_values_stand_side_by_side():
    values = sweeps._spread(np.array([0.0, 0.2, 0.2, 0.2, 0.0]))
    assert len(set(values)) == 5
    assert values.min() == 0  # no rate is negative
    assert np.sort(values)[2:].mean() == pytest.approx(0.2)
