"""Plot sweeps of settings: the tips, and what tuning tried and chose. Reads no tables."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness.measures import Measure
from experiments.harness.runs import MARGIN
from experiments.reporting.style import DARK, GREY, LIGHT, LINES, STYLE, handle, with_legend

Panels = list[list[tuple[str, str, pd.DataFrame]]]


@plt.rc_context(STYLE)
def plot_sweep(
    rows: pd.DataFrame,
    x: str,
    label: str,
    panels: Panels,
    *,
    guessing: float | None = None,
    shaded: tuple[float, float] | None = None,
    marks: dict[str, float] | None = None,
) -> Figure:
    """Plot accuracy against one factor of a sweep, one line for each value of ``lines``.

    Parameters
    ----------
    rows : DataFrame
        ``lines``, ``accuracy``, ``standard_error``, ``train_accuracy``, ``collapsed`` and the
        factors of each setting.
    x, label : str
        Factor on the x-axis, and its label. The values are evenly spaced unless in [0, 1).
    panels : list of list of (title, column, rows)
        Grid of panels: the column that each shows, `accuracy` or `train_accuracy`, and its rows.
    guessing : float, optional
        Accuracy of always predicting the majority class.
    shaded : (float, float), optional
        Part of the x-axis that the tutorial recommends.
    marks : dict of str to float, optional
        Position on the x-axis to mark for each line, in steps of the axis' values.
    """
    values = list(dict.fromkeys(rows[x]))
    shares = all(isinstance(value, float) and value < 1 for value in values) and x == "rate"
    height, width = len(panels), len(panels[0])
    figure, grid = plt.subplots(
        height, width, figsize=(7.4, 0.8 + 2.4 * height), sharex=True, sharey="row", squeeze=False
    )
    names = list(dict.fromkeys(rows["lines"]))
    for axes, (title, column, shown) in zip(grid.flat, itertools.chain(*panels), strict=True):
        if shaded:
            axes.axvspan(*shaded, color=GREY, alpha=0.15, linewidth=0)
        if guessing is not None:
            axes.axhline(100 * guessing, color=GREY, linestyle="--", linewidth=1)
        for number, name in enumerate(names):
            dashes, marker, colour = LINES[number]
            part = shown[shown["lines"] == name]
            place = np.array(part[x] if shares else [values.index(value) for value in part[x]])
            if not shares:  # side by side, so that none hides another
                place = place + 0.07 * (number - (len(names) - 1) / 2)
            accuracy = 100 * part[column]
            error = 1.96 * 100 * part["standard_error"] if column == "accuracy" else None
            line = {"linestyle": dashes, "linewidth": 1.4, "color": colour}
            points = {"marker": marker, "markersize": 4, "capsize": 2}
            axes.errorbar(place, accuracy, error, label=name, **line, **points)
            collapsed = part["collapsed"] > 0
            cross = {"color": colour, "markersize": 10, "markeredgewidth": 1.4}
            axes.plot(place[collapsed], accuracy[collapsed], "x", **cross)
            if marks:
                axes.axvline(marks[name], color=colour, linewidth=0.9, linestyle=dashes)
        axes.set(title=title, xlabel=label, ylabel="accuracy (%)")
        axes.label_outer()
        low, high = axes.get_ylim()
        if high - low < 8:  # so that noise looks small
            low, high = (low + high) / 2 - 4, (low + high) / 2 + 4
        axes.set_ylim(low, min(high, 101))
    if not shares:
        labels = [f"{value:g}" if isinstance(value, float) else value for value in values]
        grid[0, 0].set_xticks(range(len(values)), labels)
    handles, _ = grid[0, 0].get_legend_handles_labels()
    if (rows["collapsed"] > 0).any():
        handles.append(handle("some collapsed", marker="x", linestyle="", color="black"))
    return with_legend(figure, handles, ncols=5, fontsize=8)


@plt.rc_context(STYLE)
def plot_paired(panels: list[tuple[str, pd.DataFrame]], label: str) -> Figure:
    """Plot differences to a reference, each with its own 95% interval.

    Each panel has a title and rows with ``name``, ``difference``, ``low``, ``high``,
    ``collapsed`` and ``networks``. A difference below −12 is written, not drawn to scale.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(7.4, 3.2), sharey=True, squeeze=False)
    lowest = -12
    for axes, (title, rows) in zip(grid.flat, panels, strict=True):
        axes.axhspan(-MARGIN, MARGIN, color=GREY, alpha=0.15, linewidth=0)
        axes.axhline(0, color=GREY, linewidth=1)
        for place, row in enumerate(rows.itertuples()):
            drawn = max(row.difference, lowest)
            if row.difference >= lowest:
                error = [[row.difference - row.low], [row.high - row.difference]]
                axes.errorbar(place, drawn, error, fmt="o", color=DARK, capsize=4, linewidth=2)
            else:
                axes.plot(place, drawn, "v", color=DARK, markersize=9)
            if row.collapsed or row.difference < lowest:
                text = f"{row.difference:+.0f}; {row.collapsed:,} of {row.networks:,}\ncollapsed"
                above = 10 if row.difference < lowest else -28
                axes.annotate(
                    text,
                    (place, drawn),
                    (0, above),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
        axes.set_xticks(range(len(rows)), rows["name"])
        axes.set_xlim(-0.6, len(rows) - 0.4)
        axes.set(title=title, xlabel=label, ylabel="difference (percentage points)")
        axes.label_outer()
    return figure


@plt.rc_context(STYLE)
def plot_candidates(candidates: pd.DataFrame, measure: Measure, baseline: float) -> Figure:
    """Plot rows of the table ``tuning``: the candidates' scores by their dropout rates.

    `baseline` is the score of the untuned baseline.
    """
    places = {
        "visible_dropout": "dropout on the inputs",
        "hidden_dropout": "dropout on the hidden layers",
    }
    panels = {name: label for name, label in places.items() if name in candidates}
    scale, unit = (100, " (%)") if measure.percent else (1, "")
    if "rung" in candidates:
        candidates = candidates[candidates["rung"] == candidates["rung"].max()]
    candidates = candidates.sort_values(measure.name, kind="stable")
    figure, grid = plt.subplots(1, len(panels), figsize=(7.4, 3.4), sharey=True, squeeze=False)
    for axes, (name, label) in zip(grid.flat, panels.items(), strict=True):
        line = {"color": "black", "linestyle": "--", "linewidth": 1}
        axes.axhline(scale * baseline, label="untuned baseline", **line)
        place = _spread(candidates[name].to_numpy(float))
        scores, errors = (
            scale * candidates[column] for column in (measure.name, f"std_{measure.name}")
        )
        chosen = (candidates["chosen"] == 1).to_numpy()
        for part, what, style in (
            (~chosen, "candidate", {"fmt": "o", "color": DARK, "alpha": 0.8}),
            (chosen, "chosen", {"fmt": "D", "color": LIGHT, "markersize": 8, "zorder": 3}),
        ):
            style |= {"capsize": 2, "elinewidth": 1, "markeredgecolor": "black"}
            axes.errorbar(place[part], scores[part], errors[part], label=what, **style)
        axes.set(xlabel=label, ylabel=f"{measure.label} over the inner folds{unit}")
        axes.label_outer()
    return with_legend(figure, ncols=3, fontsize=8)


def _spread(values, step=0.012):
    """Move equal values side by side, those of zero to the right: no point hides another."""
    values = values.copy()
    for value in np.unique(values):
        same = np.flatnonzero(values == value)
        values[same] += step * (np.arange(len(same)) - (len(same) - 1) / 2 * (value > 0))
    return values


@plt.rc_context(STYLE)
def plot_chosen(tuned: pd.DataFrame, settings: list[str]) -> Figure:
    """Plot hyperparameters in the table ``tuned``: the chosen value in each outer fold.

    Numbers stand at their true distances; others, and "none", are evenly spaced.
    """
    figure, grid = plt.subplots(
        len(settings), 1, figsize=(7.4, 0.6 + 0.95 * len(settings)), sharex=True, squeeze=False
    )
    for axes, name in zip(grid.flat, settings, strict=True):
        values = list(tuned[name])
        if pd.api.types.is_numeric_dtype(tuned[name]) and tuned[name].notna().all():
            _draw_numbers(axes, name, tuned)
        else:
            values = ["none" if pd.isna(value) else value for value in values]
            levels = sorted(set(values), key=_by_size)
            axes.plot(tuned["fold"], [levels.index(value) for value in values], "o", color=DARK)
            labels = [f"{level:g}" if isinstance(level, float) else str(level) for level in levels]
            axes.set_yticks(range(len(levels)), labels, fontsize=7)
            axes.set_ylim(-0.6, len(levels) - 0.4)
        axes.set_title(_summarise(name, values), fontsize=8)
    grid[-1, 0].set(xticks=tuned["fold"], xlabel="outer fold")
    return figure


def _draw_numbers(axes: Axes, name, tuned):
    """Draw numbers at their true distances; learning rates on a logarithmic scale."""
    values = tuned[name].astype(float)
    axes.plot(tuned["fold"], values, "o", color=DARK)
    if name == "learning_rate" and values.min() > 0:
        axes.set_yscale("log")
        low, high = values.min() / 1.6, values.max() * 1.6
        ticks = np.outer(10.0 ** np.arange(-6, 3), [1, 3]).ravel()
        axes.set_yticks([tick for tick in ticks if low <= tick <= high])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_ylim(low, high)
    else:
        reach = max(0.08 * np.ptp(values), 0.02 * max(abs(values)), 1e-3)
        axes.set_ylim(values.min() - 3 * reach, values.max() + 3 * reach)
        if name.endswith("dropout"):
            axes.axhline(0, color=GREY, linewidth=0.8)
            axes.set_ylim(-0.05, max(0.55, values.max() + 0.05))
    axes.tick_params(axis="y", labelsize=7)


def _summarise(name, values):
    """Return the title of a setting: dropout says in how many folds it was chosen."""
    title = name.replace("_", " ")
    if name.endswith("dropout"):
        title += f": chosen in {sum(value > 0 for value in values)} of {len(values)} folds"
    return title


def _by_size(value):
    """Return a sort key that puts numbers before strings, and "(30, 15)" before "(120, 60)"."""
    if not isinstance(value, str):
        return False, [value], ""
    return True, [int(number) for number in re.findall(r"\d+", value)], value
