"""The four arms side by side: the tutorial's three experiments, and a control.

`foldstack.build_network` explains the settings and their defaults. The tutorial's dropout arms
also constrain the kernels and raise the learning rate and the momentum.
"""

LAYERS = {"hidden_units": (60, 30)}
CHANGED = {"max_norm": 3, "learning_rate": 0.1, "momentum": 0.9}

# The tutorial's network, without dropout.
BASELINE = LAYERS | {"learning_rate": 0.01, "momentum": 0.8}

# 20% dropout on the inputs.
VISIBLE = LAYERS | {"visible_dropout": 0.2} | CHANGED

# 20% dropout after each of the two hidden layers.
HIDDEN = LAYERS | {"hidden_dropout": 0.2} | CHANGED

# Not in the tutorial: the dropout arms' other settings, without dropout.
CONTROL = LAYERS | CHANGED

ARMS = {"baseline": BASELINE, "visible": VISIBLE, "hidden": HIDDEN, "control": CONTROL}

# The pairs that are compared: against the tutorial's network, and for dropout alone the control.
PAIRS = [
    *((arm, "baseline") for arm in ("visible", "hidden", "control")),
    *((arm, "control") for arm in ("visible", "hidden")),
]
