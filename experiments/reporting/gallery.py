"""Draw the figures whose tables exist."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.harness import store
from experiments.harness.schema import ARMS
from experiments.reporting import plots


def draw(folder: Path) -> dict[str, Figure]:
    """Draw every figure whose tables exist in the folder, by name."""
    figures = {}
    arms = store.read_arms(folder)
    if arms and store.exists(folder, "context"):
        context = store.read_table(folder, "context")
        majority = context.loc[context["experiment"] == "majority", "accuracy"].mean()
        data = store.read_metadata(folder, next(iter(arms)))["data"]
        published = store.read_published(data["sha256"])
        figures["accuracy"] = plots.plot_accuracy(arms, published, majority)
    if store.exists(folder, "curves"):
        curves = store.read_table(folder, "curves")
        order = {name: number for number, name in enumerate(ARMS)}
        curves = curves.sort_values("experiment", key=lambda names: names.map(order), kind="stable")
        figures["curves"] = plots.plot_curves(curves)
    if store.exists(folder, "comparison"):
        comparison = store.read_table(folder, "comparison")
        of_arms = ~comparison["family"].str.startswith("remedies")
        figures["differences"] = plots.plot_differences(comparison[of_arms])
    if store.exists(folder, "evaluation-outputs"):
        outputs = store.read_table(folder, "evaluation-outputs")
        figures["evaluation"] = plots.plot_outputs(outputs)
    if store.exists(folder, "tips"):
        figures |= draw_tips(store.read_table(folder, "tips"))
    if store.exists(folder, "tuned"):
        tuning, tuned = (store.read_table(folder, name) for name in ("tuning", "tuned"))
        candidates = tuning[tuning["fold"] == 0]
        if {"visible_dropout", "hidden_dropout"} & set(candidates):
            figures["tuning"] = plots.plot_candidates(candidates)
        settings = list(tuned.columns[tuned.columns.get_loc("candidate") + 1 :])
        figures["tuned"] = plots.plot_chosen(tuned, settings)
    return figures


def draw_tips(tips: pd.DataFrame) -> dict[str, Figure]:
    """Draw one figure per tip.

    Each learning rate (for tip 4, with and without decay) has a column of panels. The upper
    row shows held-out rows; the lower row, where it helps, training rows.

    Parameters
    ----------
    tips : DataFrame
        The table ``tips``.
    """
    rate, width, place, schedule, norm = (tips[tips["tip"] == tip] for tip in range(1, 6))
    rate = rate.assign(lines="on " + rate["place"])
    width = width.assign(lines=[f"{100 * rate:g}% dropout" for rate in width["rate"]])
    place = place.assign(lines="20% dropout")
    schedule = schedule.assign(lines=[f"momentum {value:g}" for value in schedule["momentum"]])
    norm = norm.assign(
        lines="20% dropout on the hidden layers",
        max_norm=["none" if pd.isna(value) else f"{value:g}" for value in norm["max_norm"]],
    )
    # The paper recommends n / p units, p being the share kept; widths double from 0.5 on.
    paper = {
        name: np.log2(1 / (1 - rate)) + 1
        for name, rate in zip(width["lines"], width["rate"], strict=True)
    }
    decay = {
        ", no decay": schedule["decay"].isna(),
        ", decay to a tenth": schedule["decay"].notna(),
    }
    held_out, training = ("held out", "accuracy"), ("training", "train_accuracy")
    width_label = "width, times (vertical: the paper's n / p)"
    norm_panels = [[(*scores, norm["networks"] > 0) for scores in (held_out, training)]]
    both = [held_out, training]
    return {
        "tip1": plots.plot_sweep(
            rate, "rate", "share dropped", panels=_panels(both, _by_learning_rate(rate))
        ),
        "tip2": plots.plot_sweep(
            width, "width", width_label, panels=_panels(both, _by_learning_rate(width)), marks=paper
        ),
        "tip3": plots.plot_sweep(
            place,
            "place",
            "where 20% are dropped",
            panels=_panels([held_out], _by_learning_rate(place)),
            joined=False,
        ),
        "tip4": plots.plot_sweep(
            schedule, "learning_rate", "learning rate", panels=_panels([held_out], decay)
        ),
        "tip5": plots.plot_sweep(norm, "max_norm", "max-norm", panels=norm_panels),
    }


def _by_learning_rate(rows):
    """Return a mask for each learning rate, by the end of its panels' titles."""
    rates = rows["learning_rate"]
    return {f", learning rate {rate:g}": rates == rate for rate in rates.unique()}


def _panels(scores, columns):
    """Return a grid of panels, a row per score and a column per mask."""
    return [
        [(f"{title}{ending}", score, mask) for ending, mask in columns.items()]
        for title, score in scores
    ]
