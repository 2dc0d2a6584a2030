"""Remedies: do more epochs or another learning rate improve the hidden arm?

The tutorial finds that dropout on the hidden layers does worse than the baseline, and suggests
that more epochs or a different learning rate might help. Here are four such remedies, chosen
after an earlier, smaller run of nine, on the same splits, had been seen: the
baseline's learning rate of 0.01, one between it and the hidden
arm's 0.1, twice as many epochs, and the first of them with twice as many epochs. `make compare`
compares each with the baseline.

    $ make remedies
    learning rate 0.01: 84.99%
    ...
"""

from experiments.arms import HIDDEN
from experiments.harness import store
from experiments.harness.growing import grow, unfinished
from experiments.harness.runner import raise_if_diverged, script

REMEDIES = {  # the changes of the hidden arm, and how many times its epochs
    "learning rate 0.01": ({"learning_rate": 0.01}, 1),
    "learning rate 0.03": ({"learning_rate": 0.03}, 1),
    "twice the epochs": ({}, 2),
    "learning rate 0.01, twice the epochs": ({"learning_rate": 0.01}, 2),
}


def train_remedies(this):
    """Cross-validate the hidden arm with each remedy."""
    settings = {
        name: HIDDEN | changes | {"epochs": times * this.options.epochs}
        for name, (changes, times) in REMEDIES.items()
    }

    def tabulate(name, scores, networks):
        raise_if_diverged(scores)
        return this.per_fold_frame(scores, networks, remedy=name)

    metadata = this.metadata(settings=settings, engine="stacked")
    table = grow(this, "remedies", "remedy", settings, tabulate, metadata)
    frames, files = {"remedies": table}, dict.fromkeys(unfinished("remedies"))
    path = store.write_tables(this.results, frames, metadata, files)
    for name, mean in table.groupby("remedy")["accuracy"].mean().reindex(settings).items():
        print(f"{name}: {mean:.2%}")
    print(f"  written:   {path}")


INTERRUPTED = "finished remedies are kept; run it again to continue"
main = script("remedies", __doc__, train_remedies, interrupted=INTERRUPTED)

if __name__ == "__main__":
    main()
