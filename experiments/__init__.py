"""One script per experiment; what they share is in `experiments.harness`."""

import sys

if sys.argv[0] == "-m":  # Python is about to run one of them
    from experiments.harness.interrupts import end_at_once

    end_at_once()
