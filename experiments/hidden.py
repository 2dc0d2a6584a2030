"""Hidden: 20% dropout after each of the two hidden layers.

The claim put to the test: accuracy is worse than the baseline's. The tutorial also sets a
max-norm, a larger learning rate and more momentum here, so dropout alone does not explain a
difference from the baseline.

    $ make hidden
    Hidden: 84.09% (7.59%)
"""

from experiments.arms import HIDDEN
from experiments.harness.runner import arm_script

main = arm_script("hidden", __doc__, HIDDEN)

if __name__ == "__main__":
    main()
