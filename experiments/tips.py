"""Tips: the tutorial's five tips for dropout, each measured.

Every setting is cross-validated on the same splits. Around the control arm's settings
(max-norm 3, learning rate 0.1, momentum 0.9) unless the tip says otherwise. At that rate
many networks collapse once half of their units are dropped, so that the tips on where, how
much and how wide are tried at a learning rate of 0.01, too. Where the tutorial departs from
the paper that it draws on (Srivastava et al. 2014), the report says so.

Interrupted, it goes on where it stopped when it is run again.

    $ make tips
    Tip 1: 20% to 50% dropout helps: contradicted on these rows, contradicted for new
    ...
"""

from itertools import product

from experiments.control import SETTINGS as CONTROL
from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser
from experiments.hidden import SETTINGS as HIDDEN

RATES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PLACES = {
    "inputs": ("visible_dropout",),
    "hidden layers": ("hidden_dropout",),
    "both": ("visible_dropout", "hidden_dropout"),
}
WIDTHS = (0.5, 1, 2, 4, 8)
GENTLE = CONTROL | {"learning_rate": 0.01}
BASES = {base["learning_rate"]: base for base in (CONTROL, GENTLE)}
LEARNING_RATES, MOMENTA, DECAYS = (0.01, 0.1, 1.0), (0.8, 0.9, 0.95, 0.99), (None, 0.1)
MAX_NORMS = (None, 1, 2, 3, 4, 5)


def dropped(place, rate, base=CONTROL):
    """Tip 1, and the places of tip 3."""
    return base | dict.fromkeys(PLACES[place], rate) if rate else base


def widened(times, rate, base=CONTROL):
    """Tip 2: dropout on the hidden layers of a network so many times as wide."""
    units = tuple(round(times * units) for units in CONTROL["hidden_units"])
    return dropped("hidden layers", rate, base) | {"hidden_units": units}


def driven(learning_rate, momentum, decay):
    """Tip 4: how the hidden arm is trained; decay is the share of the rate left at the end."""
    driving = {"learning_rate": learning_rate, "momentum": momentum}
    return HIDDEN | driving | ({} if decay is None else {"learning_rate_decay": decay})


def bound(max_norm):
    """Tip 5: the hidden arm under another max-norm."""
    return HIDDEN | {"max_norm": max_norm}


# tip: the factors that it varies, and the settings of the network that they stand for
TIPS = {
    1: [
        ({"learning_rate": a, "place": p, "rate": r}, dropped(p, r, base))
        for (a, base), p, r in product(BASES.items(), PLACES, RATES)
    ],
    2: [
        ({"learning_rate": a, "width": w, "rate": r}, widened(w, r, base))
        for (a, base), r, w in product(BASES.items(), (0, 0.2, 0.5), WIDTHS)
    ],
    3: [
        ({"learning_rate": a, "place": p}, base if p == "none" else dropped(p, 0.2, base))
        for (a, base), p in product(BASES.items(), ("none", *PLACES))
    ],
    4: [
        ({"learning_rate": a, "momentum": m, "decay": d}, driven(a, m, d))
        for d, m, a in product(DECAYS, MOMENTA, LEARNING_RATES)
    ],
    5: [({"max_norm": n}, bound(n)) for n in MAX_NORMS],
}

# claim: its tip, the direction claimed, and the pairs (recommended, instead of) that test it
CLAIMS = {
    "20% to 50% dropout helps": (
        1, "better", [(dropped(p, r, base), base)
                      for base, p, r in product(BASES.values(), PLACES, (0.2, 0.3, 0.4, 0.5))],
    ),
    "too little dropout (5%, 10%) does nothing": (
        1, "neither", [(dropped(p, r, base), base)
                       for base, p, r in product(BASES.values(), PLACES, (0.05, 0.1))],
    ),
    "too much dropout (80%, 90%) under-learns": (
        1, "worse", [(dropped(p, r, base), base)
                     for base, p, r in product(BASES.values(), PLACES, (0.8, 0.9))],
    ),
    "a larger network does better with dropout": (
        2, "better", [(widened(w, r, base), widened(1, r, base))
                      for base, r, w in product(BASES.values(), (0.2, 0.5), (2, 4, 8))],
    ),
    "dropout at every layer, inputs too, does better": (
        3, "better", [(dropped("both", 0.2, base), other) for base in BASES.values() for other in
                      (base, dropped("inputs", 0.2, base), dropped("hidden layers", 0.2, base))],
    ),
    "a large learning rate with decay and a high momentum does better": (
        4, "better", [(driven(a, m, 0.1), driven(0.01, 0.8, None))
                      for a in (0.1, 1.0) for m in (0.9, 0.95, 0.99)],
    ),
    "a max-norm of 4 or 5 does better than none": (
        5, "better", [(bound(4), bound(None)), (bound(5), bound(None))],
    ),
    "a max-norm of 4 or 5 does better than 3 (the tutorial advises the one, uses the other)": (
        5, "better", [(bound(4), bound(3)), (bound(5), bound(3))],
    ),
}  # fmt: skip


def main(argv=None):
    """Sweep the settings of every tip."""
    parser = script_parser("tips", __doc__)
    add_experiment_options(parser, leave_out=("engine", "curves", "verbose"))
    parser.set_defaults(repeats=3)
    options = parser.parse_args(argv)
    answer_mistakes("tips", lambda: _tips(options), "what was done is kept; run it again to go on")


def _tips(options):
    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=options.folds, target=options.target)

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)

    import pandas as pd

    from experiments.foldstack.comparison import compare_pairs
    from experiments.harness.sweep import summarise_settings, sweep
    from experiments.reporting.claims import mark_untrained, settle_tips

    settings = []  # each once, whatever the number of tips that it is part of
    for _, one in (row for rows in TIPS.values() for row in rows):
        if one not in settings:
            settings.append(one)
    folds, record = sweep("tips", settings, options, data)

    by_setting = summarise_settings(folds)
    factors = pd.DataFrame(
        {"tip": tip} | factor | {"setting": settings.index(one)}
        for tip, rows in TIPS.items()
        for factor, one in rows
    )
    tips = factors.join(by_setting, on="setting")

    networks = dict(list(folds.groupby("setting")))
    families = [
        compare_pairs(networks, [(settings.index(a), settings.index(b)) for a, b in pairs])
        .assign(tip=tip, claim=claim, direction=direction)
        for claim, (tip, direction, pairs) in CLAIMS.items()
    ]  # fmt: skip
    comparison = pd.concat(families, ignore_index=True)
    comparison["networks"] = options.repeats * options.folds
    for side in ("first", "second"):
        comparison[f"{side}_collapsed"] = comparison[side].map(by_setting["collapsed"])
    comparison = mark_untrained(comparison)
    frames = {"tips-comparison": comparison, "tips": tips}
    path = tables.write_tables(options.results, frames, record)
    for claim in settle_tips(comparison).itertuples():
        print(f"{claim.claim}: {claim.these_verdict} on these rows, {claim.new_verdict} for new")
    collapsed = by_setting["collapsed"]
    if collapsed.any():
        print(f"{collapsed.sum()} of {len(folds)} networks collapsed, in "
              f"{(collapsed > 0).sum()} of {len(settings)} settings")  # fmt: skip
    print(f"  written:   {path}")


if __name__ == "__main__":
    main()
