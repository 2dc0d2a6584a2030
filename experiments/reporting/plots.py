"""Plot the arms: single runs, means, differences, learning curves, outputs. Reads no tables."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.foldstack.comparison import t_interval
from experiments.harness.runs import MARGIN, dataset_accuracies, single_runs
from experiments.reporting.style import (
    ARM_COLOURS,
    ARM_LABELS,
    DARK,
    GREY,
    LIGHT,
    STYLE,
    handle,
    with_legend,
)

EDITIONS = {"2016": "D", "2017": "s"}
GROUPS = {  # of the figure of differences: family and second of the pair
    ("arms", "baseline"): "against the tutorial's network without dropout",
    ("arms", "control"): "dropout alone: against the same settings without it",
    ("stopping", "baseline"): "early stopping, against the same network trained to the end",
    ("remedies", "baseline"): "remedies of dropout on the hidden layers, against no dropout",
    ("remedies on hidden", "hidden"): "the same remedies, against dropout on the hidden layers",
    ("context", "svc"): "against a support vector machine",
}
SHORT = {"baseline": "no dropout", "visible": "inputs", "hidden": "hidden layers", "tie": "tied"}
TILES = 15  # in a row of the readers


@plt.rc_context(STYLE)
def plot_readers(
    arms: Mapping[str, pd.DataFrame], winners: Sequence[str], published: pd.DataFrame
) -> Figure:
    """Plot each single run of the tutorial's arms as a tile, in the colour of the best arm.

    `arms` holds the per-fold table of each arm, `winners` the best arm of each run, and
    `published` the published results.
    """
    names = ["baseline", "visible", "hidden"]
    runs = pd.DataFrame({name: single_runs(arms[name]).xs(1, level="seed") for name in names})
    figures = published[published["edition"].isin(EDITIONS)]
    figures = 100 * figures.pivot(index="edition", columns="experiment", values="mean_accuracy")
    low, high = np.floor(runs.min(axis=None)) - 0.5, np.ceil(runs.max(axis=None)) + 0.5
    n_rows = -(-len(runs) // TILES)
    heights = 0.5 * n_rows + 0.5, 1.25
    figure = plt.figure(figsize=(8, sum(heights)))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    tiles, means = above.subplots(), below.subplots()
    places = [(number % TILES, number // TILES) for number in range(len(runs))]
    last = TILES + 0.6  # the editions stand to the right
    for place, (_, run), best in zip(places, runs.iterrows(), winners, strict=True):
        _tile(tiles, place, run, best, low, high)
    for number, (edition, run) in enumerate(figures[names].iterrows()):
        place = last, 1.6 * number + 0.4
        _tile(tiles, place, run, run.idxmax(), low, high, linewidth=2.5)
        tiles.text(place[0] + 0.46, place[1] - 0.08, edition, ha="center", va="bottom", fontsize=9)
    if len(figures):
        tiles.text(last + 0.46, -0.12, "published", ha="center", va="bottom", fontsize=9)
    tiles.set(xlim=(-0.05, last + 1.05), ylim=(n_rows + 0.05, -0.45))
    tiles.axis("off")
    order = sorted(names, key=lambda name: -arms[name]["accuracy"].mean())
    for row, name in enumerate(order):
        mean, start, end, _ = t_interval(dataset_accuracies(arms[name]))
        means.barh(row, end - start, left=start, height=0.34, color="black")
        means.plot(mean, row, "o", markersize=10, color=ARM_COLOURS[name], markeredgecolor="black")
        means.annotate(f"{mean:.1f}%", (end, row), (8, 0), textcoords="offset points", va="center")
    means.use_sticky_edges = False
    means.margins(x=0.08)
    means.set_yticks(range(len(names)), [ARM_LABELS[name] for name in order])
    means.set(ylim=(2.6, -0.6), xlabel="accuracy (%): mean of all networks, 95% interval")
    counts = {name: list(winners).count(name) for name in (*names, "tie")}
    handles = [
        handle(
            f"{SHORT[name]} {counts[name]}",
            marker="s",
            linestyle="",
            markersize=9,
            markerfacecolor=ARM_COLOURS[name],
            markeredgecolor="black",
        )
        for name in counts
        if counts[name]
    ]
    handles.insert(0, handle(f"best in {len(runs)} runs:", linestyle=""))
    with_legend(above, handles, ncols=5, handletextpad=0.3, columnspacing=1.5)
    return figure


def _tile(axes, place, run, best, low, high, linewidth=0.6):
    """Draw a run as a tile: a dot for each arm, from left to right by its accuracy."""
    x, y = place
    style = {"facecolor": ARM_COLOURS[best], "edgecolor": "black", "linewidth": linewidth}
    axes.add_patch(Rectangle((x, y), 0.92, 0.9, **style))
    for row, (name, accuracy) in enumerate(run.items()):
        where = x + 0.06 + 0.8 * (accuracy - low) / (high - low), y + 0.2 + 0.25 * row
        size = 30 if name == best else 12
        axes.scatter(*where, s=size, color="white", edgecolors="black", linewidths=0.9)


@plt.rc_context(STYLE)
def plot_accuracy(
    arms: Mapping[str, pd.DataFrame], published: pd.DataFrame, svc: pd.DataFrame
) -> Figure:
    """Plot the accuracy of every single cross-validation, arm by arm.

    `arms` holds the per-fold table of each arm, `published` the published results, and `svc`
    the per-fold table of the support vector machine.
    """
    rows = {ARM_LABELS[name]: folds for name, folds in arms.items()}
    rows |= {"support vector machine": svc.assign(seed=1)}
    figure, axes = plt.subplots(figsize=(7.4, 0.62 * len(rows) + 1.1))
    dots = {"color": DARK, "alpha": 0.3}
    filled = {"s": 42, "zorder": 3, "facecolors": LIGHT, "edgecolors": "black"}
    for row, folds in enumerate(rows.values()):
        runs = single_runs(folds)
        spread = np.random.default_rng(row).uniform(-0.28, 0.28, len(runs))
        axes.scatter(runs, row + spread, s=9, linewidths=0, **dots)
        mean, low, high, _ = t_interval(dataset_accuracies(folds))
        axes.plot([mean] * 2, [row - 0.42, row + 0.42], color="black", linewidth=2)
        axes.plot([low, high], [row, row], color="black", linewidth=5, solid_capstyle="butt")
    for row, name in enumerate(arms):
        for edition, marker in EDITIONS.items():
            of_run = (published["experiment"] == name) & (published["edition"] == edition)
            figures = published[of_run]["mean_accuracy"]
            axes.scatter(100 * figures, [row] * len(figures), marker=marker, **filled)
    axes.set_yticks(range(len(rows)), list(rows))
    low, high = axes.get_xlim()
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(min(78, low), high), xlabel="accuracy (%)")
    handles = [
        handle("one run of 10 folds", marker="o", linestyle="", markersize=4, **dots),
        handle("mean of all, with its 95% interval", color="black", linewidth=2),
    ]
    style = {"linestyle": "", "markersize": 6, "markerfacecolor": LIGHT, "markeredgecolor": "black"}
    if len(published):
        handles += [handle(f"published {year}", marker=m, **style) for year, m in EDITIONS.items()]
    return with_legend(figure, handles, ncols=4, fontsize=8)


@plt.rc_context(STYLE)
def plot_curves(curves: pd.DataFrame, stopped_loss: float | None = None) -> Figure:
    """Plot the table ``curves``: accuracy and log loss by epoch, one column per arm.

    `stopped_loss` is the mean log loss of the baseline with early stopping.
    """
    arms = list(dict.fromkeys(curves["experiment"]))
    quantities = [("accuracy", "accuracy (%)", 100), ("log_loss", "log loss (nats)", 1)]
    lines = [("", DARK, "-", "held-out rows"), ("train_", LIGHT, "--", "training rows")]
    figure, grid = plt.subplots(
        2, len(arms), figsize=(2.3 * len(arms), 4.6), sharex=True, sharey="row", squeeze=False
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
        best = rows.loc[rows["log_loss"].idxmin()]
        style = {"markersize": 8, "markerfacecolor": "none", "markeredgecolor": "black"}
        column[1].plot(best["epoch"], best["log_loss"], "o", **style)
        text = f"{best['log_loss']:.2f} at epoch {best['epoch']:.0f}"
        place = {"xytext": (0.1, 0.93), "textcoords": "axes fraction", "fontsize": 8}
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7}
        column[1].annotate(
            text, (best["epoch"], best["log_loss"]), va="top", arrowprops=arrow, **place
        )
    grid[1, 0].set_ylim(0, 1.1 * curves["log_loss"].max())  # the bands reach further
    handles, _ = grid[0, 0].get_legend_handles_labels()
    if stopped_loss is not None and "baseline" in arms:
        style = {"color": "black", "linestyle": (0, (1, 1)), "linewidth": 1.4}
        grid[1, arms.index("baseline")].axhline(stopped_loss, **style)
        label = f"with early stopping: {stopped_loss:.2f} (baseline)"
        handles.append(handle(label, **style))
    return with_legend(figure, handles, ncols=3)


@plt.rc_context(STYLE)
def plot_differences(comparison: pd.DataFrame) -> Figure:
    """Plot rows of the table ``comparison``: differences in accuracy with both intervals."""
    thin, thick = {"color": LIGHT, "linewidth": 2}, {"color": DARK, "linewidth": 7}
    labels, pairs, heads, row = [], [], [], 0
    for (family, second), title in GROUPS.items():
        of_group = (comparison["family"] == family) & (comparison["second"] == second)
        if of_group.any():
            heads.append((row, title))
            for pair in comparison[of_group].itertuples():
                row += 1
                labels.append(ARM_LABELS.get(pair.first, pair.first))
                pairs.append((row, pair))
            row += 1
    figure, axes = plt.subplots(figsize=(7.4, 0.27 * row + 1.1))
    axes.axvspan(-MARGIN, MARGIN, color=GREY, alpha=0.15, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for place, pair in pairs:
        height = [place, place]
        axes.plot([pair.new_data_low, pair.new_data_high], height, **thin)
        axes.plot([pair.dataset_low, pair.dataset_high], height, solid_capstyle="butt", **thick)
        axes.plot(pair.difference, place, "o", color="black", markersize=4)
    for place, title in heads:
        axes.text(
            0.013,
            place,
            title,
            fontsize=8,
            fontstyle="italic",
            va="center",
            ha="left",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            transform=axes.get_yaxis_transform(),
        )
    axes.set_yticks([place for place, _ in pairs], labels)
    axes.set(ylim=(row - 0.5, -0.7), xlabel="difference in accuracy (percentage points)")
    handles = [
        handle("on this dataset, 95%", **thick),
        handle("on new data, 95%", **thin),
        handle("less than a point", color=GREY, alpha=0.25, linewidth=7),
    ]
    return with_legend(figure, handles, ncols=3)


@plt.rc_context(STYLE)
def plot_outputs(outputs: pd.DataFrame) -> Figure:
    """Plot the table ``evaluation-outputs``: outputs in training and evaluation mode by row.

    The scale is that of the logit, so that outputs near 0 and 1 can be told apart.
    """
    columns = ["evaluation", "mean", "low", "high"]
    ends = 1e-7, 1 - 1e-7  # the resolution of single precision near 1
    outputs = outputs.sort_values("evaluation", kind="stable")[columns].clip(*ends)
    place = np.arange(len(outputs))
    figure, axes = plt.subplots(figsize=(7.4, 3.4))
    passes = {"color": LIGHT, "linewidth": 6, "label": "training mode, 10% to 90% of passes"}
    means = {"color": "black", "markersize": 11, "markeredgewidth": 2, "label": "their mean"}
    axes.vlines(place, outputs["low"], outputs["high"], **passes)
    axes.plot(place, outputs["mean"], "_", **means)
    axes.plot(place, outputs["evaluation"], "o", color=DARK, markersize=5, label="evaluation")
    axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_yscale("logit")
    ticks = [1e-7, 1e-5, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-5, 1 - 1e-7]
    names = ["≤ 0.0000001", "0.00001", "0.001", "0.1", "0.5", "0.9", "0.999", "0.99999"]
    axes.set_yticks(ticks, [*names, "≥ 0.9999999"])
    axes.minorticks_off()
    axes.set(xticks=[], xlabel="rows of a held-out fold, sorted by output")
    axes.set_ylabel("probability of a rock")
    return with_legend(figure, ncols=3)
