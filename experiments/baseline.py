"""Baseline: the tutorial's network on the Sonar data, without dropout.

The claim put to the test: it reaches an accuracy of about 86%.

    $ make baseline
    Baseline: 85.33% (7.16%)
"""

from experiments.harness.runner import run_arm

SETTINGS = {
    "hidden_units": (60, 30),
    "learning_rate": 0.01,
    "momentum": 0.8,
}


def main(argv=None):
    """Run the experiment."""
    run_arm("baseline", SETTINGS, __doc__, argv)


if __name__ == "__main__":
    main()
