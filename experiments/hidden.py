"""Hidden: 20% dropout after each of the two hidden layers.

The claim put to the test: it does worse than the baseline. The tutorial also sets a
max-norm, a larger learning rate and more momentum here, so a difference from the
baseline is not the work of dropout alone.

    $ make hidden
    Hidden: 83.93% (6.73%)
"""

from experiments.harness.runner import run_arm

SETTINGS = {
    "hidden_units": (60, 30),
    "hidden_dropout": 0.2,
    "max_norm": 3,
    "learning_rate": 0.1,
    "momentum": 0.9,
}


def main(argv=None):
    """Run the experiment."""
    run_arm("hidden", SETTINGS, __doc__, argv)


if __name__ == "__main__":
    main()
