"""Plots: from data frames to figures; nothing here reads or writes a table."""

import io
import re
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.harness.files import check_folder, write_together

# Dark and light of two hues that stay apart in grey and to the colour-blind (Okabe and Ito).
DARK, LIGHT, GREY = "#0072B2", "#E69F00", "#666666"
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


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG, the same bytes for the same figure."""
    png, svg = io.BytesIO(), io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    check_folder(folder)
    write_together(folder, {f"{name}.png": png.getvalue(), f"{name}.svg": svg.getvalue()})
    return [folder / f"{name}.png", folder / f"{name}.svg"]


def plot_accuracy(
    arms: dict[str, pd.DataFrame], published: pd.DataFrame, majority: float
) -> Figure:
    """Plot the accuracy of every single cross-validation, arm by arm.

    Parameters
    ----------
    arms : dict of tables of folds
    published : DataFrame
        ``edition, experiment, mean_accuracy``.
    majority : float
        Accuracy of always guessing the commoner class.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.75 * len(arms) + 1.1))
        markers = {"2016": ("D", "published 2016"), "2017": ("s", "published 2017")}
        for row, (name, folds) in enumerate(arms.items()):
            runs = 100 * folds.groupby("repeat")["accuracy"].mean()
            spread = np.random.default_rng(row).uniform(-0.22, 0.22, len(runs))
            axes.scatter(runs, row + spread, s=14, color=DARK, alpha=0.55, linewidths=0)
            axes.plot([runs.mean()] * 2, [row - 0.36, row + 0.36], color="black", linewidth=2)
            for edition, (marker, _) in markers.items():
                figures = published[
                    (published["experiment"] == name) & (published["edition"] == edition)
                ]["mean_accuracy"]
                axes.scatter(
                    100 * figures, [row] * len(figures), marker=marker, s=42, zorder=3,
                    facecolors=LIGHT, edgecolors="black",
                )  # fmt: skip
        axes.axvline(100 * majority, color=GREY, linestyle="--", linewidth=1)
        axes.text(100 * majority + 0.4, -0.45, "always the commoner class", color=GREY, va="top")
        axes.set_yticks(range(len(arms)), list(arms))
        axes.set_ylim(len(arms) - 0.4, -0.7)
        axes.set_xlabel("accuracy (%)")
        handles = [
            Line2D([], [], marker="o", linestyle="", color=DARK, alpha=0.55, markersize=4,
                   label="one run of 10 folds"),
            Line2D([], [], color="black", linewidth=2, label="mean of all runs"),
            *(
                Line2D([], [], marker=marker, linestyle="", markerfacecolor=LIGHT,
                       markeredgecolor="black", markersize=6, label=label)
                for marker, label in markers.values()
                if len(published)
            ),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside upper left", ncols=4, fontsize=8)
    return figure


def plot_curves(curves: pd.DataFrame) -> Figure:
    """Plot learning curves of all arms, training against held-out, accuracy and loss.

    Parameters
    ----------
    curves : DataFrame
        As of `experiments.harness.store.summarise_curves`.
    """
    arms = list(dict.fromkeys(curves["experiment"]))
    quantities = [("accuracy", "accuracy (%)", 100), ("log_loss", "log loss (nats)", 1)]
    lines = [("", DARK, "-", "held out"), ("train_", LIGHT, "--", "training")]
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            2, len(arms), figsize=(2.3 * len(arms), 4.4), sharex=True, sharey="row", squeeze=False
        )
        for column, arm in enumerate(arms):
            rows = curves[curves["experiment"] == arm]
            for axes, (quantity, label, scale) in zip(grid[:, column], quantities, strict=True):
                for prefix, colour, dashes, what in lines:
                    middle, low, high = (
                        scale * rows[f"{prefix}{quantity}{end}"] for end in ("", "_low", "_high")
                    )
                    axes.fill_between(rows["epoch"], low, high, color=colour, alpha=0.2, lw=0)
                    axes.plot(rows["epoch"], middle, dashes, color=colour, lw=1.6, label=what)
                if column == 0:
                    axes.set_ylabel(label)
            grid[0, column].set_title(arm)
            grid[1, column].set_yscale("log")
            grid[1, column].set_xlabel("epoch")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def plot_differences(comparison: pd.DataFrame) -> Figure:
    """Plot differences in accuracy with both intervals, one row a pair.

    Parameters
    ----------
    comparison : DataFrame
        ``first, second, difference, these_low, these_high, new_low, new_high`` in points.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.42 * len(comparison) + 1.1))
        axes.axvline(0, color=GREY, linewidth=1)
        for row, pair in enumerate(comparison.itertuples()):
            axes.plot([pair.new_low, pair.new_high], [row] * 2, color=LIGHT, linewidth=2)
            axes.plot([pair.these_low, pair.these_high], [row] * 2, color=DARK, linewidth=7,
                      solid_capstyle="butt")  # fmt: skip
            axes.plot(pair.difference, row, "o", color="black", markersize=4)
        labels = [f"{pair.first} − {pair.second}" for pair in comparison.itertuples()]
        axes.set_yticks(range(len(comparison)), labels)
        axes.invert_yaxis()
        axes.set_xlabel("difference in accuracy (percentage points)")
        handles = [
            Line2D([], [], color=DARK, linewidth=7, label="on these rows, 95%"),
            Line2D([], [], color=LIGHT, linewidth=2, label="for new rows, 95%"),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


def plot_outputs(outputs: pd.DataFrame) -> Figure:
    """Plot a network's outputs row by row, in training mode and at evaluation.

    Parameters
    ----------
    outputs : DataFrame
        ``evaluation, mean, low, high``, one row per row predicted.
    """
    outputs = outputs.sort_values("evaluation", kind="stable")
    place = np.arange(len(outputs))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 3))
        axes.vlines(place, outputs["low"], outputs["high"], color=LIGHT, linewidth=6,
                    label="training mode, 10% to 90% of passes")  # fmt: skip
        axes.plot(place, outputs["mean"], "_", color="black", markersize=11, markeredgewidth=2,
                  label="their mean")  # fmt: skip
        axes.plot(place, outputs["evaluation"], "o", color=DARK, markersize=5,
                  label="evaluation")  # fmt: skip
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_xticks([])
        axes.set_xlabel("rows of a held-out fold, sorted by output")
        axes.set_ylabel("probability of a rock")
        figure.legend(loc="outside upper left", ncols=3)
    return figure


def plot_sweep(
    rows: pd.DataFrame,
    x: str,
    label: str,
    *,
    panels: list[list[tuple[str, str, pd.Series]]],
    marks: dict[str, float] | None = None,
    joined: bool = True,
) -> Figure:
    """Plot accuracy against one factor of a sweep, a line for each value of ``lines``.

    Parameters
    ----------
    rows : DataFrame
        ``lines``, ``accuracy, standard_error, train_accuracy, collapsed`` and the factors.
    x : str
        The factor along the axis; its values are spaced evenly if they are not numbers from
        0 to 1.
    label : str
        Of the axis.
    panels : list of rows of panels, each (title, column, bool mask of rows)
        What each panel shows, ``accuracy`` or ``train_accuracy``.
    marks : dict, optional
        For a line, a place on the axis (in steps of its values) to mark.
    joined : bool
        Whether lines join the points.
    """
    values = list(dict.fromkeys(rows[x]))
    shares = all(isinstance(value, float) and value < 1 for value in values)
    dashes, symbols = ["-", "--", ":", "-."], ["o", "s", "D", "^"]
    shades = [DARK, LIGHT, "black", "#009E73"]
    with plt.rc_context(STYLE):
        shape = len(panels), len(panels[0])
        figure, grid = plt.subplots(
            *shape,
            figsize=(7.4, 0.6 + 2.6 * shape[0]),
            sharex=True,
            sharey="row",
            squeeze=False,
        )
        panels = [panel for row in panels for panel in row]
        for number, name in enumerate(dict.fromkeys(rows["lines"])):
            style = {
                "color": shades[number], "marker": symbols[number], "markersize": 4,
                "linestyle": dashes[number] if joined else "", "linewidth": 1.4, "capsize": 2,
            }  # fmt: skip
            for axes, (_, column, mask) in zip(grid.flat, panels, strict=True):
                part = rows[(rows["lines"] == name) & mask]
                place = np.array(part[x] if shares else [values.index(v) for v in part[x]])
                error = 100 * part["standard_error"] if column == "accuracy" else None
                axes.errorbar(place, 100 * part[column], error, label=name, **style)
                dead = part["collapsed"] > 0
                axes.plot(place[dead], 100 * part[column][dead], "x", color="black", markersize=9)
                if marks:
                    axes.axvline(marks[name], color=shades[number], linewidth=0.9,
                                 linestyle=dashes[number])  # fmt: skip
        for axes, (title, _, _) in zip(grid.flat, panels, strict=True):
            axes.set_title(title)
            low, high = axes.get_ylim()
            if high - low < 8:  # noise should look small
                low, high = (low + high) / 2 - 4, (low + high) / 2 + 4
            axes.set_ylim(low, min(high, 101))
        if not shares:
            grid[0, 0].set_xticks(range(len(values)), values)
        for axes in grid[-1]:
            axes.set_xlabel(label)
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy (%)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        if (rows["collapsed"] > 0).any():
            handles.append(Line2D([], [], marker="x", linestyle="", color="black"))
            labels.append("some collapsed")
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside upper left", ncols=5, fontsize=8)
    return figure


def plot_candidates(candidates: pd.DataFrame) -> Figure:
    """Plot a search's candidates by their dropout rates.

    Parameters
    ----------
    candidates : DataFrame
        ``accuracy`` and ``std_accuracy`` over folds, ``chosen``, and ``visible_dropout``,
        ``hidden_dropout`` or one of them.
    """
    places = {"visible_dropout": "dropout on the inputs", "hidden_dropout": "on the hidden layers"}
    panels = {name: label for name, label in places.items() if name in candidates}
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(1, len(panels), figsize=(7.4, 3.2), sharey=True, squeeze=False)
        for axes, (name, label) in zip(grid.flat, panels.items(), strict=True):
            for chosen, size, shade in ((0, 18, DARK), (1, 80, "black")):
                part = candidates[candidates["chosen"] == chosen]
                axes.scatter(
                    part[name], 100 * part["accuracy"], size, color=shade, alpha=0.7,
                    linewidths=0, marker="D" if chosen else "o",
                    label="chosen" if chosen else "candidate",
                )  # fmt: skip
            axes.set_xlabel(label)
        grid[0, 0].set_ylabel("accuracy over the inner folds (%)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
    return figure


def plot_chosen(tuned: pd.DataFrame, settings: list[str]) -> Figure:
    """Plot what a search chose in each outer fold, a strip for each setting.

    Parameters
    ----------
    tuned : DataFrame
        ``fold`` and the settings.
    settings : list of column names
    """
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(settings), 1, figsize=(7, 0.5 + 0.85 * len(settings)), sharex=True, squeeze=False
        )
        for axes, name in zip(grid.flat, settings, strict=True):
            values = tuned[name].fillna("none") if tuned[name].isna().any() else tuned[name]
            levels = sorted(set(values), key=_by_size)
            axes.plot(tuned["fold"], [levels.index(value) for value in values], "o", color=DARK)
            labels = [f"{level:g}" if isinstance(level, float) else str(level) for level in levels]
            axes.set_yticks(range(len(levels)), labels, fontsize=7)
            axes.set_ylim(-0.6, len(levels) - 0.4)
            axes.set_title(name.replace("_", " "), fontsize=8, loc="left")
        grid[-1, 0].set_xticks(tuned["fold"])
        grid[-1, 0].set_xlabel("outer fold")
    return figure


def _by_size(value):
    """Sort numbers before words, and "(30, 15)" before "(120, 60)"."""
    if not isinstance(value, str):
        return False, [value], ""
    return True, [int(number) for number in re.findall(r"\d+", value)], value
