"""Control: the dropout arms' other settings, without dropout.

Not in the tutorial. Its dropout arms also change the learning rate, the momentum and the
norm of the weights, so that baseline against hidden says nothing about dropout alone;
control against hidden does.

    $ make control
    Control: 84.13% (7.35%)
"""

from experiments.harness.runner import run_arm

SETTINGS = {
    "hidden_units": (60, 30),
    "max_norm": 3,
    "learning_rate": 0.1,
    "momentum": 0.9,
}


def main(argv=None):
    """Run the experiment."""
    run_arm("control", SETTINGS, __doc__, argv)


if __name__ == "__main__":
    main()
