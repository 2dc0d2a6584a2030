"""The four arms side by side: the tutorial's three experiments, and a control.

Each is a network of hidden layers with 60 and 30 units; see `foldstack.build_network` for the
meaning of the settings and their defaults.
"""

# The tutorial's network, without dropout.
BASELINE = {
    "hidden_units": (60, 30),
    "learning_rate": 0.01,
    "momentum": 0.8,
}

# 20% dropout on the inputs. The tutorial's dropout arms also constrain the kernels and raise
# the learning rate and the momentum.
VISIBLE = {
    "hidden_units": (60, 30),
    "visible_dropout": 0.2,
    "max_norm": 3,
    "learning_rate": 0.1,
    "momentum": 0.9,
}

# 20% dropout after each of the two hidden layers.
HIDDEN = {
    "hidden_units": (60, 30),
    "hidden_dropout": 0.2,
    "max_norm": 3,
    "learning_rate": 0.1,
    "momentum": 0.9,
}

# Not in the tutorial: the dropout arms' other settings, without dropout.
CONTROL = {
    "hidden_units": (60, 30),
    "max_norm": 3,
    "learning_rate": 0.1,
    "momentum": 0.9,
}

ARMS = {"baseline": BASELINE, "visible": VISIBLE, "hidden": HIDDEN, "control": CONTROL}
