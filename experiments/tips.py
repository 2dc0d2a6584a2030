"""Tips: the tutorial's five tips for dropout, each measured.

Each claim of a tip is tested on one pair of settings, fixed in `tip_settings` before this run
(earlier, smaller runs of some of these settings had been seen), with enough networks to tell a
point: 20 repeats of 10 folds, 10 networks on every split.

Around them a grid of settings, 3 repeats each, is for the figures only: the best of many
settings proves nothing. The grid is around the control arm's settings (max-norm 3, learning
rate 0.1, momentum 0.9) unless the tip says otherwise. At that rate many networks collapse once
half of their units are dropped, so where, how much and how wide are also tried at a learning
rate of 0.01. Where the tutorial departs from the paper that it draws on (Srivastava et al.
2014), the report says so.

An interrupted run continues where it stopped when it is started again.

    $ make tips
    Tip 1: Dropout of 20% to 50% helps: does not hold (-1.5 points, -2.0 to -0.9) ...
    ...
"""

import itertools

import pandas as pd

from experiments.harness import store
from experiments.harness.growing import grow, unfinished
from experiments.harness.paired import check_repeats, compare_pairs
from experiments.harness.runner import script
from experiments.harness.runs import MARGIN
from experiments.reporting.pages import tips_summary
from experiments.tip_settings import CLAIMS, TIPS

GRID_REPEATS = 3  # of the settings that are for the pictures only


def sweep_tips(this):
    """Cross-validate every setting, and test each claim on its pair."""
    grid = [setting for _, setting in itertools.chain(*TIPS.values())]
    decisive = [setting for _, _, pair in CLAIMS.values() for setting in pair]
    settings = []
    for setting in grid + decisive:
        if setting not in settings:
            settings.append(setting)
    pictured = [(repeat, seed) for repeat, seed in this.networks if seed == 1][:GRID_REPEATS]
    networks = {
        number: this.networks if setting in decisive else pictured
        for number, setting in enumerate(settings)
    }

    def tabulate(number, scores, networks):
        return this.per_fold_frame(scores, networks, setting=number)

    metadata = this.metadata(settings=settings, margin=MARGIN, grid_repeats=GRID_REPEATS)
    numbered = dict(enumerate(settings))
    folds = grow(this, "tips-folds", "setting", numbered, tabulate, metadata, networks=networks)
    tables = dict(list(folds.groupby("setting")))
    pairs = [tuple(map(settings.index, pair)) for _, _, pair in CLAIMS.values()]
    comparison = compare_pairs(tables, pairs)
    comparison["claim"] = list(CLAIMS)
    for number, column in enumerate(("tip", "direction")):
        comparison[column] = [claim[number] for claim in CLAIMS.values()]
    factors = pd.DataFrame(
        {"tip": tip} | factor | {"setting": settings.index(setting)}
        for tip, rows in TIPS.items()
        for factor, setting in rows
    )
    tips = factors.join(summarise_settings(folds), on="setting")
    frames = {"tips-folds": folds, "tips-comparison": comparison, "tips": tips}
    files = dict.fromkeys(unfinished("tips-folds"))
    path = store.write_tables(this.results, frames, metadata, files)

    print(*tips_summary(this.results), f"  written:   {path}", sep="\n")


def summarise_settings(folds):
    """Summarise a sweep's folds, one row per setting.

    Losses are missing where a network diverged. ``standard_error`` is that of the mean accuracy
    (standard deviation over √folds, the seeds of a fold averaged), not corrected for overlapping
    training sets.
    """
    by_setting = folds.groupby("setting")
    accuracy, train_accuracy = by_setting["accuracy"], by_setting["train_accuracy"]
    by_split = folds.groupby(["setting", "repeat", "fold"])["accuracy"].mean()
    return pd.DataFrame(
        {
            "networks": by_setting.size(),
            "accuracy": accuracy.mean(),
            "std_accuracy": accuracy.std(ddof=0),
            "standard_error": by_split.groupby("setting").sem(),
            "train_accuracy": train_accuracy.mean(),
            "std_train_accuracy": train_accuracy.std(ddof=0),
            "log_loss": by_setting["log_loss"].mean(skipna=False),
            "train_log_loss": by_setting["train_log_loss"].mean(skipna=False),
            "collapsed": by_setting["collapsed"].sum(),
        }
    )


INTERRUPTED = "finished settings are kept; run it again to continue"
main = script(
    "tips",
    __doc__,
    sweep_tips,
    check=lambda this: check_repeats(this.options.repeats),
    interrupted=INTERRUPTED,
)

if __name__ == "__main__":
    main()
