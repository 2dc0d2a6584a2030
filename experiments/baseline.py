"""Baseline: the tutorial's network on the Sonar data, without dropout.

The claim put to the test: it reaches an accuracy of about 86%.

    $ make baseline
    Baseline: 85.33% (7.16%)
      mean:      84.2% to 86.5%, with 95% confidence
      one run of 10 folds: 81.5% to 89.1%, 95 times in 100
"""

from experiments.arms import BASELINE
from experiments.harness.runner import arm_script

main = arm_script("baseline", __doc__, BASELINE)

if __name__ == "__main__":
    main()
