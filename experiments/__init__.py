"""One script per experiment; what they share is in `experiments.harness`."""
