"""Control: the dropout arms' other settings, without dropout.

Not in the tutorial. Its dropout arms also change the learning rate, the momentum and the norm
of the weights, so comparing hidden with the baseline says nothing about dropout alone;
comparing hidden with the control does.

    $ make control
    Control: 84.14% (7.31%)
"""

from experiments.arms import CONTROL
from experiments.harness.runner import arm_script

main = arm_script("control", __doc__, CONTROL)

if __name__ == "__main__":
    main()
