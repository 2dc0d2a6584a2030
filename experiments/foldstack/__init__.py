"""Train, score and search many Keras networks at once, in scikit-learn's API."""
