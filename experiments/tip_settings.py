"""The settings of the tutorial's five tips, and the pairs of settings that test each claim."""

from itertools import product

from experiments.arms import CONTROL, HIDDEN

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


def with_dropout(place, rate, base=CONTROL):
    """Return the settings of tips 1 and 3: dropout at a place."""
    return base | dict.fromkeys(PLACES[place], rate) if rate else base


def with_width(times, rate, base=CONTROL):
    """Return the settings of tip 2: hidden layers `times` as wide, with dropout on them."""
    units = tuple(round(times * units) for units in CONTROL["hidden_units"])
    return with_dropout("hidden layers", rate, base) | {"hidden_units": units}


def with_schedule(learning_rate, momentum, decay):
    """Return the settings of tip 4; `decay` is the share of the rate left at the end."""
    schedule = {"learning_rate": learning_rate, "momentum": momentum}
    return HIDDEN | schedule | ({} if decay is None else {"learning_rate_decay": decay})


def with_max_norm(max_norm):
    """Return the settings of tip 5: the hidden arm with another max-norm."""
    return HIDDEN | {"max_norm": max_norm}


# tip: the factors that it varies, and the settings of the network that they stand for
TIPS = {
    1: [
        ({"learning_rate": a, "place": p, "rate": r}, with_dropout(p, r, base))
        for (a, base), p, r in product(BASES.items(), PLACES, RATES)
    ],
    2: [
        ({"learning_rate": a, "width": w, "rate": r}, with_width(w, r, base))
        for (a, base), r, w in product(BASES.items(), (0, 0.2, 0.5), WIDTHS)
    ],
    3: [
        ({"learning_rate": a, "place": p}, base if p == "none" else with_dropout(p, 0.2, base))
        for (a, base), p in product(BASES.items(), ("none", *PLACES))
    ],
    4: [
        ({"learning_rate": a, "momentum": m, "decay": d}, with_schedule(a, m, d))
        for d, m, a in product(DECAYS, MOMENTA, LEARNING_RATES)
    ],
    5: [({"max_norm": norm}, with_max_norm(norm)) for norm in MAX_NORMS],
}


def dropout_pairs(rates):
    """Pair dropout at every place and rate with none."""
    return [
        (with_dropout(place, rate, base), base)
        for base, place, rate in product(BASES.values(), PLACES, rates)
    ]


WIDER = [
    (with_width(width, rate, base), with_width(1, rate, base))
    for base, rate, width in product(BASES.values(), (0.2, 0.5), (2, 4, 8))
]
EVERYWHERE = [
    (with_dropout("both", 0.2, base), other)
    for base in BASES.values()
    for other in (base, *(with_dropout(place, 0.2, base) for place in ("inputs", "hidden layers")))
]
FASTER = [
    (with_schedule(rate, momentum, 0.1), with_schedule(0.01, 0.8, None))
    for rate, momentum in product((0.1, 1.0), (0.9, 0.95, 0.99))
]
LARGE_NORMS = [with_max_norm(4), with_max_norm(5)]

# claim: its tip, the claimed direction, and the pairs (recommended, reference) that test it
CLAIMS = {
    "moderate_rates_help": (1, "better", dropout_pairs((0.2, 0.3, 0.4, 0.5))),
    "low_rates_do_nothing": (1, "neither", dropout_pairs((0.05, 0.1))),
    "high_rates_underlearn": (1, "worse", dropout_pairs((0.8, 0.9))),
    "larger_network_helps": (2, "better", WIDER),
    "dropout_everywhere_helps": (3, "better", EVERYWHERE),
    "high_learning_rate_helps": (4, "better", FASTER),
    "max_norm_against_none": (5, "better", list(product(LARGE_NORMS, [with_max_norm(None)]))),
    "max_norm_against_3": (5, "better", list(product(LARGE_NORMS, [with_max_norm(3)]))),
}
