"""Plot data frames as figures; reads no tables."""

import io
import re

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness.files import WRITER
from experiments.harness.measures import Measure

# Dark and light of two hues that stay apart in grey and to the colour-blind (Okabe and Ito).
DARK, LIGHT, GREY = "#0072B2", "#E69F00", "#666666"
LINES = [("-", "o", DARK), ("--", "s", LIGHT), (":", "D", "black"), ("-.", "^", "#009E73")]
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "sonar-dropout",  # the same figure, the same bytes
    "svg.fonttype": "none",
}


def to_files(figure: Figure, name: str) -> dict[str, bytes | str]:
    """Return a figure's PNG and SVG by the files' names; equal figures give equal bytes."""
    png = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(png, format="png", dpi=160, metadata={"Software": WRITER})
    return {f"{name}.png": png.getvalue(), f"{name}.svg": to_svg(figure)}


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG and close it."""
    svg = io.StringIO()
    with plt.rc_context(STYLE):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": WRITER})
    plt.close(figure)
    return svg.getvalue()


@plt.rc_context(STYLE)
def plot_accuracy(
    arms: dict[str, pd.DataFrame], published: pd.DataFrame, majority: float
) -> Figure:
    """Plot the accuracy of every single cross-validation, arm by arm.

    `arms` holds the per-fold table of each arm, `published` the published results, and
    `majority` is the accuracy of always predicting the majority class.
    """
    figure, axes = plt.subplots(figsize=(7, 0.75 * len(arms) + 1.1))
    dots = {"color": DARK, "alpha": 0.55}
    markers = {"2016": "D", "2017": "s"}
    filled = {"s": 42, "zorder": 3, "facecolors": LIGHT, "edgecolors": "black"}
    for row, (name, folds) in enumerate(arms.items()):
        runs = 100 * folds.groupby("repeat")["accuracy"].mean()
        spread = np.random.default_rng(row).uniform(-0.22, 0.22, len(runs))
        axes.scatter(runs, row + spread, s=14, linewidths=0, **dots)
        axes.plot([runs.mean()] * 2, [row - 0.36, row + 0.36], color="black", linewidth=2)
        for edition, marker in markers.items():
            of_run = (published["experiment"] == name) & (published["edition"] == edition)
            figures = published[of_run]["mean_accuracy"]
            axes.scatter(100 * figures, [row] * len(figures), marker=marker, **filled)
    axes.axvline(100 * majority, color=GREY, linestyle="--", linewidth=1)
    axes.text(100 * majority + 0.4, -0.45, "always the majority class", color=GREY, va="top")
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set(ylim=(len(arms) - 0.4, -0.7), xlabel="accuracy (%)")
    handles = [
        _handle("one run of 10 folds", marker="o", linestyle="", markersize=4, **dots),
        _handle("mean of all runs", color="black", linewidth=2),
    ]
    style = {"linestyle": "", "markersize": 6, "markerfacecolor": LIGHT, "markeredgecolor": "black"}
    if len(published):
        for edition, marker in markers.items():
            handles.append(_handle(f"published {edition}", marker=marker, **style))
    return _with_legend(figure, handles, ncols=4, fontsize=8)


@plt.rc_context(STYLE)
def plot_curves(curves: pd.DataFrame) -> Figure:
    """Plot the table ``curves``: accuracy and log loss by epoch, one column per arm."""
    arms = list(dict.fromkeys(curves["experiment"]))
    quantities = [("accuracy", "accuracy (%)", 100), ("log_loss", "log loss (nats)", 1)]
    lines = [("", DARK, "-", "held out"), ("train_", LIGHT, "--", "training")]
    figure, grid = plt.subplots(
        2, len(arms), figsize=(2.3 * len(arms), 4.4), sharex=True, sharey="row", squeeze=False
    )
    for column, arm in zip(grid.T, arms, strict=True):
        rows = curves[curves["experiment"] == arm]
        for axes, (quantity, label, scale) in zip(column, quantities, strict=True):
            for prefix, colour, dashes, what in lines:
                middle, low, high = (
                    scale * rows[f"{prefix}{quantity}{end}"] for end in ("", "_low", "_high")
                )
                axes.fill_between(rows["epoch"], low, high, color=colour, alpha=0.2, lw=0)
                axes.plot(rows["epoch"], middle, dashes, color=colour, lw=1.6, label=what)
            axes.set(ylabel=label, xlabel="epoch")
            axes.label_outer()
        column[0].set_title(arm)
        column[1].set_yscale("log")
    return _with_legend(figure, ncols=2)


@plt.rc_context(STYLE)
def plot_differences(comparison: pd.DataFrame) -> Figure:
    """Plot rows of the table ``comparison``: differences in accuracy with both intervals."""
    figure, axes = plt.subplots(figsize=(7, 0.42 * len(comparison) + 1.1))
    thin, thick = {"color": LIGHT, "linewidth": 2}, {"color": DARK, "linewidth": 7}
    axes.axvline(0, color=GREY, linewidth=1)
    for row, pair in enumerate(comparison.itertuples()):
        height = [row, row]
        axes.plot([pair.new_data_low, pair.new_data_high], height, **thin)
        axes.plot([pair.dataset_low, pair.dataset_high], height, solid_capstyle="butt", **thick)
        axes.plot(pair.difference, row, "o", color="black", markersize=4)
    labels = [f"{pair.first} − {pair.second}" for pair in comparison.itertuples()]
    axes.set_yticks(range(len(comparison)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("difference in accuracy (percentage points)")
    handles = [_handle("on this dataset, 95%", **thick), _handle("on new data, 95%", **thin)]
    return _with_legend(figure, handles, ncols=2)


@plt.rc_context(STYLE)
def plot_outputs(outputs: pd.DataFrame) -> Figure:
    """Plot the table ``evaluation-outputs``: outputs in training and evaluation mode by row."""
    outputs = outputs.sort_values("evaluation", kind="stable")
    place = np.arange(len(outputs))
    figure, axes = plt.subplots(figsize=(7, 3))
    passes = {"color": LIGHT, "linewidth": 6, "label": "training mode, 10% to 90% of passes"}
    means = {"color": "black", "markersize": 11, "markeredgewidth": 2, "label": "their mean"}
    axes.vlines(place, outputs["low"], outputs["high"], **passes)
    axes.plot(place, outputs["mean"], "_", **means)
    axes.plot(place, outputs["evaluation"], "o", color=DARK, markersize=5, label="evaluation")
    axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle="--")
    axes.set(xticks=[], xlabel="rows of a held-out fold, sorted by output")
    axes.set_ylabel("probability of a rock")
    return _with_legend(figure, ncols=3)


@plt.rc_context(STYLE)
def plot_sweep(
    rows: pd.DataFrame,
    x: str,
    label: str,
    panels: list[list[tuple[str, str, pd.DataFrame]]],
    *,
    marks: dict[str, float] | None = None,
    joined: bool = True,
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
    marks : dict of str to float, optional
        Position on the x-axis to mark for each line, in steps of the axis' values.
    joined : bool, default=True
        Whether to join the points of a line.
    """
    values = list(dict.fromkeys(rows[x]))
    shares = all(isinstance(value, float) and value < 1 for value in values)
    height, width = len(panels), len(panels[0])
    figure, grid = plt.subplots(
        height, width, figsize=(7.4, 0.6 + 2.6 * height), sharex=True, sharey="row", squeeze=False
    )
    panels = [panel for row in panels for panel in row]
    for axes, (title, column, shown) in zip(grid.flat, panels, strict=True):
        for number, name in enumerate(dict.fromkeys(rows["lines"])):
            dashes, marker, colour = LINES[number]
            part = shown[shown["lines"] == name]
            place = np.array(part[x] if shares else [values.index(value) for value in part[x]])
            accuracy = 100 * part[column]
            error = 100 * part["standard_error"] if column == "accuracy" else None
            line = {"linestyle": dashes if joined else "", "linewidth": 1.4, "color": colour}
            points = {"marker": marker, "markersize": 4, "capsize": 2}
            axes.errorbar(place, accuracy, error, label=name, **line, **points)
            collapsed = part["collapsed"] > 0
            axes.plot(place[collapsed], accuracy[collapsed], "x", color="black", markersize=9)
            if marks:
                axes.axvline(marks[name], color=colour, linewidth=0.9, linestyle=dashes)
        axes.set(title=title, xlabel=label, ylabel="accuracy (%)")
        axes.label_outer()
    for axes in grid.flat:
        low, high = axes.get_ylim()
        if high - low < 8:  # so that noise looks small
            low, high = (low + high) / 2 - 4, (low + high) / 2 + 4
        axes.set_ylim(low, min(high, 101))
    if not shares:
        grid[0, 0].set_xticks(range(len(values)), values)
    handles, _ = grid[0, 0].get_legend_handles_labels()
    if (rows["collapsed"] > 0).any():
        handles.append(_handle("some collapsed", marker="x", linestyle="", color="black"))
    return _with_legend(figure, handles, ncols=5, fontsize=8) if len(handles) > 1 else figure


@plt.rc_context(STYLE)
def plot_candidates(candidates: pd.DataFrame, measure: Measure) -> Figure:
    """Plot rows of the table ``tuning``: the candidates' scores by their dropout rates."""
    places = {"visible_dropout": "dropout on the inputs", "hidden_dropout": "on the hidden layers"}
    panels = {name: label for name, label in places.items() if name in candidates}
    scale, unit = (100, " (%)") if measure.percent else (1, "")
    styles = [("candidate", 18, DARK, "o"), ("chosen", 80, "black", "D")]
    figure, grid = plt.subplots(1, len(panels), figsize=(7.4, 3.2), sharey=True, squeeze=False)
    for axes, (name, label) in zip(grid.flat, panels.items(), strict=True):
        for chosen, (what, size, colour, marker) in enumerate(styles):
            part = candidates[candidates["chosen"] == chosen]
            style = {"color": colour, "marker": marker, "alpha": 0.7, "linewidths": 0}
            axes.scatter(part[name], scale * part[measure.name], size, label=what, **style)
        axes.set(xlabel=label, ylabel=f"{measure.label} over the inner folds{unit}")
        axes.label_outer()
    return _with_legend(figure, ncols=2, fontsize=8)


@plt.rc_context(STYLE)
def plot_chosen(tuned: pd.DataFrame, settings: list[str]) -> Figure:
    """Plot hyperparameters in the table ``tuned``: the chosen value in each outer fold."""
    figure, grid = plt.subplots(
        len(settings), 1, figsize=(7, 0.5 + 0.85 * len(settings)), sharex=True, squeeze=False
    )
    for axes, name in zip(grid.flat, settings, strict=True):
        values = ["none" if pd.isna(value) else value for value in tuned[name]]
        levels = sorted(set(values), key=_by_size)
        axes.plot(tuned["fold"], [levels.index(value) for value in values], "o", color=DARK)
        labels = [f"{level:g}" if isinstance(level, float) else str(level) for level in levels]
        axes.set_yticks(range(len(levels)), labels, fontsize=7)
        axes.set_ylim(-0.6, len(levels) - 0.4)
        axes.set_title(name.replace("_", " "), fontsize=8)
    grid[-1, 0].set(xticks=tuned["fold"], xlabel="outer fold")
    return figure


def _handle(label, **style):
    """Return an entry of a legend."""
    return Line2D([], [], label=label, **style)


def _with_legend(figure, handles=None, **style):
    """Add a legend above the panels, by default of what the first panel shows."""
    if handles is None:
        handles, _ = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside upper left", **style)
    return figure


def _by_size(value):
    """Return a sort key that puts numbers before strings, and "(30, 15)" before "(120, 60)"."""
    if not isinstance(value, str):
        return False, [value], ""
    return True, [int(number) for number in re.findall(r"\d+", value)], value
