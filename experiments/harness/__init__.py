"""What the experiment scripts share.

The way of the data: options → dataset → pipeline → cross-validation → tables → figures.
Imports only point down this list:

run               run one arm: load, cross-validate, write, print
verification      tables made again, judged
sweep             many settings on the same splits, resumed where it stopped
tuning            nested cross-validation of a search
search            the best of many candidates, all their networks in stacks
takeaway          a trained network as one file
options           the command line that every script shares
cross_validation  the same splits, clones and scores as scikit-learn's, by either engine
stacked_engine    fit and score the networks of many folds in stacks
cluster           calls on the workers of a Dask cluster
stack             many independent copies of one Keras model as one Keras model
pipeline          StandardScaler → KerasClassifier; the one place that knows scikeras
model             the one model builder
backend           TensorFlow, imported quietly
report, claims    pages out of the tables; the tutorial's claims settled
comparison        two arms' tables, fold by fold
statistics        intervals and tests, from arrays
figures           plots, from data frames
measures          accuracy, log loss, collapse, from arrays
dataset, tables   read and check a CSV; write and read result tables
provenance        versions, commit, machine
files             files written together or not at all
progress          a bar with the time left
interrupts        what Ctrl-C does to a script
errors            what a user is told in one line
"""
