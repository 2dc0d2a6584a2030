"""What the experiment scripts share.

The way of the data: options → dataset → pipeline → cross-validation → tables.
Imports only point down this list:

run               run one arm: load, cross-validate, write, print
options           the command line that every script shares
cross_validation  the same splits, clones and scores as scikit-learn's
pipeline          StandardScaler → KerasClassifier; the one place that knows scikeras
model             the one model builder
backend           TensorFlow, imported quietly
dataset, tables   read and check a CSV; write and read result tables
progress          a bar with the time left
errors            what a user is told in one line
"""
