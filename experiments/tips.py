"""Tips: the tutorial's five tips for dropout, each measured.

Every setting is cross-validated on the same splits. Around the control arm's settings (max-norm
3, learning rate 0.1, momentum 0.9) unless the tip says otherwise. At that rate many networks
collapse once half of their units are dropped, so the tips on where, how much and how wide are
also tried at a learning rate of 0.01. Where the tutorial departs from the paper that it draws
on (Srivastava et al. 2014), the report says so.

An interrupted run continues where it stopped when it is started again.

    $ make tips
    Tip 1: Dropout of 20% to 50% helps: too close to call on this dataset, too close to call on ...
    ...
"""

import itertools

import pandas as pd

from experiments.harness import store
from experiments.harness.growing import grow, unfinished
from experiments.harness.paired import compare_pairs
from experiments.harness.runner import script
from experiments.reporting.claims import flag_untrained
from experiments.reporting.pages import tips_summary
from experiments.tip_settings import CLAIMS, TIPS


def sweep_tips(this):
    """Cross-validate every setting once, and test each claim on its pairs."""
    settings = []
    for _, setting in itertools.chain(*TIPS.values()):
        if setting not in settings:
            settings.append(setting)

    def tabulate(number, scores, repeats):
        return this.per_fold_frame(scores, repeats, setting=number, collapsed=True)

    metadata = this.metadata(settings=settings)
    numbered = dict(enumerate(settings))
    folds = grow(this, "tips-folds", "setting", numbered, tabulate, metadata)
    by_setting = summarise_settings(folds)
    factors = pd.DataFrame(
        {"tip": tip} | factor | {"setting": settings.index(setting)}
        for tip, rows in TIPS.items()
        for factor, setting in rows
    )
    tables = dict(list(folds.groupby("setting")))
    families = []
    for claim, (tip, direction, pairs) in CLAIMS.items():
        numbers = [(settings.index(first), settings.index(second)) for first, second in pairs]
        family = compare_pairs(tables, numbers)
        families.append(family.assign(tip=tip, claim=claim, direction=direction))
    comparison = pd.concat(families, ignore_index=True)
    comparison["networks"] = this.options.repeats * this.options.folds
    for side in ("first", "second"):
        comparison[f"{side}_collapsed"] = comparison[side].map(by_setting["collapsed"])
    comparison = flag_untrained(comparison)
    tips = factors.join(by_setting, on="setting")
    frames = {"tips-folds": folds, "tips-comparison": comparison, "tips": tips}
    files = dict.fromkeys(unfinished("tips-folds"))
    path = store.write_tables(this.results, frames, metadata, files)

    print(*tips_summary(this.results), f"  written:   {path}", sep="\n")


def summarise_settings(folds):
    """Summarise a sweep's folds, one row per setting.

    Losses are missing where a network diverged. ``standard_error`` is that of the mean accuracy
    (standard deviation over √folds), not corrected for overlapping training sets.
    """
    by_setting = folds.groupby("setting")
    accuracy, train_accuracy = by_setting["accuracy"], by_setting["train_accuracy"]
    return pd.DataFrame(
        {
            "networks": by_setting.size(),
            "accuracy": accuracy.mean(),
            "std_accuracy": accuracy.std(ddof=0),
            "standard_error": accuracy.sem(),
            "train_accuracy": train_accuracy.mean(),
            "std_train_accuracy": train_accuracy.std(ddof=0),
            "log_loss": by_setting["log_loss"].mean(skipna=False),
            "train_log_loss": by_setting["train_log_loss"].mean(skipna=False),
            "collapsed": by_setting["collapsed"].sum(),
        }
    )


INTERRUPTED = "finished settings are kept; run it again to continue"
main = script("tips", __doc__, sweep_tips, interrupted=INTERRUPTED)

if __name__ == "__main__":
    main()
