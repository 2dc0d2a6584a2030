"""Train and score the networks of many splits and candidates in stacks, one stack per core.

A network is the same to the last bit whatever it is trained with, as long as the shapes of the
arrays are those that `_plan` and `_assemble` choose.
"""

import functools
import math
import os
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline

from .cluster import active_client, map_on_workers, n_cores
from .draws import Draws
from .metrics import measure
from .stack import PACKET, Stack, Unstackable, blueprint, keras, read_hyperparameters, tf

STACK_COPIES = 64  # at most; more do not train faster
STACK_BYTES = 256 * 2**20  # of data in a stack, at most
STEP_OVERHEAD = 5  # cost of a step in addition to that of its networks, in networks


class Task(NamedTuple):
    """One network to train and score; those that differ in hyperparameters only share stacks."""

    pipeline: Pipeline  # unfitted
    seed: int  # of the initial weights, the order of samples and the dropout masks
    train: np.ndarray  # sample numbers
    test: np.ndarray


class Options(NamedTuple):
    """What to return in addition to the scores."""

    estimator: bool = False
    curves: bool = False
    dropout_passes: int = 0


def fit_and_score(tasks, X, y, options=None, n_jobs=None, progress=None) -> list[dict]:
    """Train and score the network of every task; return a dict with the scores of each.

    The keys, `n_jobs`, `progress` and the errors raised are those of `cross_validate`.
    """
    use_one_thread()
    options = options or Options()
    progress = progress or (lambda finished: None)
    client, n_jobs = active_client(), resolve_n_jobs(n_jobs)
    groups = _group(tasks, X, y, n_cores(client) if client else n_jobs)
    plans = [numbers for group in groups for numbers in group.plan]
    if client:
        stacks = map_on_workers(
            client,
            _train_on_worker,
            [([tasks[number] for number in numbers], options) for numbers in plans],
            shared=(X, y),
            callback=lambda i: progress(len(set(plans[i]))),
        )
    else:
        stacks = _train_in_threads(groups, tasks, X, y, options, n_jobs, progress)
    results = {}
    for numbers, stack_results in zip(plans, stacks, strict=True):
        results.update(zip(numbers, stack_results, strict=True))
    if options.estimator:  # Keras models are built in the main thread
        for number, result in results.items():
            result["estimator"] = _estimator(tasks[number], y, *result["estimator"])
    return [results[number] for number in range(len(tasks))]


def gather(results: Sequence[dict]) -> dict:
    """Turn dicts of scores into a dict of arrays, estimators into a list, nested dicts likewise."""
    gathered = {}
    for key, value in results[0].items():
        values = [result[key] for result in results]
        if isinstance(value, dict):
            gathered[key] = gather(values)
        else:
            gathered[key] = values if isinstance(value, Pipeline) else np.array(values)
    return gathered


def split_tasks(
    estimator: Pipeline, X: np.ndarray, y: np.ndarray, cv: object, seeds: Sequence[int] | None
) -> list[Task]:
    """Check the estimator, and return a task for each split of `cv`, with a seed of its own."""
    check_estimator(estimator)
    splits = list(check_cv(cv, y, classifier=True).split(X, y))
    if seeds is None:
        seeds = network_seeds(estimator[-1].random_state, len(splits))
    return [Task(estimator, seed, *split) for seed, split in zip(seeds, splits, strict=True)]


def score_candidates(
    estimator, candidates, X, y, splits, *, seed=None, n_jobs=None, progress=None
) -> dict[str, np.ndarray]:
    """Cross-validate the pipeline with the parameters of each candidate on the same splits.

    Returns a dict with the keys of `cross_validate`, of (n_candidates, n_splits) arrays.
    """
    seeds = iter(network_seeds(seed, len(candidates) * len(splits)))
    pipelines = [with_params(estimator, candidate) for candidate in candidates]
    tasks = [Task(each, next(seeds), *split) for each in pipelines for split in splits]
    scores = gather(fit_and_score(tasks, X, y, n_jobs=n_jobs, progress=progress))
    shape = len(candidates), len(splits)
    return {key: values.reshape(shape) for key, values in scores.items()}


def network_seeds(seed: int | None, number: int) -> list[int]:
    """Draw a seed for each of `number` networks; the first ones do not depend on `number`."""
    return np.random.SeedSequence(seed).generate_state(number).tolist()


def check_estimator(estimator: Pipeline) -> None:
    """Raise TypeError unless the estimator is a pipeline that ends in a `KerasClassifier`."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else None
    if not hasattr(last, "training_parameters"):
        raise TypeError(
            "the estimator must be a Pipeline whose last step is a foldstack.KerasClassifier, got "
            f"{type(last or estimator).__name__}"
        )


def with_params(estimator: Pipeline, parameters: Mapping[str, object]) -> Pipeline:
    """Clone a pipeline and set parameters; raise ValueError for one without effect on stacks."""
    last = estimator.steps[-1][0] + "__"
    for name in parameters:
        if "__" not in name:
            raise ValueError(f"{name} cannot be searched: it is a whole step of the pipeline")
        part = name.removeprefix(last)
        if part != name and part not in ("epochs", "batch_size") and not part.startswith("model__"):
            raise ValueError(f"{name} cannot be searched: it has no effect on stacked networks")
    return clone(estimator).set_params(**parameters)


def best_index(scores: np.ndarray) -> int:
    """Return the index of the highest mean of (n_candidates, n_splits) scores (first on ties)."""
    return int(scores.mean(axis=1).round(12).argmax())  # ties do not depend on rounding errors


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of jobs: None means that of an active `parallel_config`, or all cores."""
    n_jobs = get_active_backend()[1] if n_jobs is None else n_jobs
    return effective_n_jobs(-1 if n_jobs is None else n_jobs)


@functools.cache
def use_one_thread() -> None:
    """Let TensorFlow compute each operation on one thread; warn if it is too late for that."""
    # A step of small networks is many tiny products: more threads cost more than they gain.
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        if os.environ.get("TF_NUM_INTRAOP_THREADS") != "1":
            warnings.warn(
                "TensorFlow has already started with several threads per operation, which makes "
                "training slower; to avoid that, set the environment variable "
                "TF_NUM_INTRAOP_THREADS=1, or train with foldstack before you use TensorFlow",
                stacklevel=2,
            )


class _Group(NamedTuple):
    """Tasks whose networks can be copies of one stack, which threads share once it is compiled."""

    network: keras.Sequential
    epochs: int
    batch_size: int
    positive: np.ndarray  # whether each sample belongs to the second class
    hyperparameters: dict[int, dict[str, float]]  # by the number of the task
    plan: Sequence[Sequence[int]] = ()  # the numbers of the tasks in each stack
    build_time: float = 0.0
    stack: Stack | None = None


def _train_in_threads(groups, tasks, X, y, options, n_jobs, progress):
    """Train a stack in each thread, all stacks of a group with one compiled loop."""
    stop = threading.Event()
    running = []

    def report(finished):
        if stop.is_set():
            raise KeyboardInterrupt
        progress(finished)

    with ThreadPoolExecutor(n_jobs) as pool:
        try:
            for group in groups:
                compiled = _compile(group, len(group.plan[0]), options)
                running += [
                    pool.submit(_train_and_score, compiled, numbers, tasks, X, y, options, report)
                    for numbers in group.plan
                ]
            return [future.result() for future in running]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train_on_worker(tasks, options, X, y):
    """Train one stack, which a Dask worker compiles for itself."""
    use_one_thread()
    (group,) = _group(tasks, X, y, 1)
    numbers = range(len(tasks))
    compiled = _compile(group, len(numbers), options)
    return _train_and_score(compiled, numbers, tasks, X, y, options, lambda finished: None)


def _compile(group, n_copies, options):
    started = time.perf_counter()
    first, *others = group.hyperparameters.values()
    varying = [name for name in first if any(each[name] != first[name] for each in others)]
    stack = Stack(
        group.network, n_copies, group.batch_size, varying=varying, record_epochs=options.curves
    )
    build_time = group.build_time + time.perf_counter() - started
    return group._replace(stack=stack, build_time=build_time)


def _group(tasks, X, y, n_jobs):
    """Build the tasks' networks, and group those that can be copies of one stack.

    They also have the same number of batches: a schedule of the learning rate may depend on it.
    """
    started = time.perf_counter()
    built, groups = {}, {}
    for number, task in enumerate(tasks):
        n_samples = len(task.train)
        epochs, batch_size = task.pipeline[-1].training_parameters(n_samples)
        kind = id(task.pipeline), batch_size, -(-n_samples // batch_size)
        if kind not in built:
            _, X_train, _ = _transform(task, X, y)
            classifier = clone(task.pipeline[-1]).set_params(random_state=None)
            network = classifier.build(X_train, y[task.train])
            if len(classifier.classes_) != 2:
                raise ValueError(
                    "Only binary classification is supported; the training samples have "
                    f"{len(classifier.classes_)} class(es)."
                )
            positive = y == classifier.classes_[1]
            group = _Group(network, epochs, batch_size, positive, hyperparameters={})
            key = epochs, blueprint(network), *kind[1:]
            built[kind] = group, read_hyperparameters(network), key
        group, values, key = built[kind]
        groups.setdefault(key, group).hyperparameters[number] = values
    build_time = (time.perf_counter() - started) / len(groups)
    planned = []
    for group in groups.values():
        n_bytes = 4 * len(X) * group.network.input_shape[-1]
        jobs = -(-n_jobs // len(groups))
        plan = _plan(list(group.hyperparameters), group.batch_size, n_bytes, jobs)
        planned.append(group._replace(plan=plan, build_time=build_time))
    return planned


def _plan(numbers, batch_size, n_bytes, n_jobs):
    """Divide the tasks of a group into stacks of one size, so that all are done early.

    Neither the number of tasks nor that of jobs influences a network: stacks of all sizes but 1
    round alike if their batches fill whole packets. If the data of so many networks is too
    large, the size depends on the data alone. The last stack is filled up with its last task.
    """
    multiple = PACKET // math.gcd(PACKET, batch_size)
    largest = max(1, min(STACK_COPIES, STACK_BYTES // n_bytes))
    sizes = range(max(2, multiple), largest + 1, multiple) or [largest]

    def duration(size):
        n_stacks = -(-len(numbers) // size)
        return -(-n_stacks // n_jobs) * (size + STEP_OVERHEAD)

    size = min(sizes, key=duration)
    plan = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    plan[-1] = plan[-1] + plan[-1][-1:] * (size - len(plan[-1]))
    return plan


def _train_and_score(group, numbers, tasks, X, y, options, progress):
    """Train a stack and score each copy; `progress` is called with numbers of networks."""
    started = time.perf_counter()
    stack, n_copies, n_networks = group.stack, len(numbers), len(set(numbers))
    tasks = [tasks[number] for number in numbers]
    data, targets, in_train, in_test, splits = _assemble(group, tasks, X, y, options.estimator)
    hyperparameters = [group.hyperparameters[number] for number in numbers]
    curves = []

    def score(probability):
        return {
            f"{part}_{key}": value
            for part, mask in (("test", in_test), ("train", in_train))
            for key, value in measure(targets, probability, mask).items()
        }

    def callback(epochs, probabilities):
        if options.curves:
            curves.append(score(probabilities))
        progress(epochs / group.epochs * n_networks)

    draws = Draws([task.seed for task in tasks])
    weights = stack.train(
        stack.initial_weights(draws),
        data,
        targets.astype(np.float32),
        in_train.sum(axis=1),
        draws,
        epochs=group.epochs,
        hyperparameters=hyperparameters,
        callback=callback,
    )
    trained = time.perf_counter()
    scores = score(stack.predict(weights, data))
    scores["collapsed"] = scores.pop("train_collapsed")
    del scores["test_collapsed"]  # one class can be right for a few test samples
    if options.dropout_passes:
        probability = stack.predict_with_dropout(
            weights, data, draws, options.dropout_passes, hyperparameters
        )
        averaged = measure(targets, probability, in_test)
        scores |= {f"dropout_{key}": averaged[key] for key in ("score", "log_loss")}
    times = {
        "build_time": group.build_time / len(group.hyperparameters),
        "fit_time": (trained - started) / n_copies,
        "score_time": (time.perf_counter() - trained) / n_copies,
    }
    scores |= {key: [value] * n_copies for key, value in times.items()}
    if options.estimator:
        weights_of_copies = zip(*(stacked.numpy() for stacked in weights), strict=True)
        scores["estimator"] = list(zip(splits, weights_of_copies, strict=True))
    if options.curves:
        names = [key for key in curves[0] if "collapsed" not in key]
        joined = {key: np.array([epoch[key] for epoch in curves]) for key in names}
        scores["curves"] = [{key: joined[key][:, i] for key in names} for i in range(n_copies)]
    return [{key: values[i] for key, values in scores.items()} for i in range(n_copies)]


def _assemble(group, tasks, X, y, keep):
    """Stack the samples of the tasks: training samples first, then test samples, then padding."""
    # To the length of X: predictions for another number of samples round differently.
    longest = max(len(X), *(len(task.train) + len(task.test) for task in tasks))
    longest += -longest % PACKET
    positive, n_features = group.positive, group.stack.n_features
    data = np.zeros((len(tasks), longest, n_features), np.float32)
    targets, in_train, in_test = np.zeros((3, len(tasks), longest), bool)
    splits = []
    for copy, task in enumerate(tasks):
        transformers, X_train, X_test = _transform(task, X, y)
        if X_train.shape[1] != n_features:
            raise Unstackable("a pipeline whose steps return different widths for the splits")
        n, both = len(task.train), len(task.train) + len(task.test)
        data[copy, :n], data[copy, n:both] = X_train, X_test
        targets[copy, :n], targets[copy, n:both] = positive[task.train], positive[task.test]
        in_train[copy, :n], in_test[copy, n:both] = True, True
        splits.append((transformers, X_train) if keep else None)
    return tf.constant(data), targets, in_train, in_test, splits


def _transform(task, X, y):
    """Fit the steps before the classifier; return them, and the samples they transformed."""
    X_train, X_test = X[task.train], X[task.test]
    if len(task.pipeline) == 1:
        return None, X_train, X_test
    transformers = clone(task.pipeline[:-1])
    X_train = transformers.fit_transform(X_train, y[task.train])
    return transformers, X_train, transformers.transform(X_test)


def _estimator(task, y, split, weights):
    """Return a clone of the task's pipeline with the trained weights, as if it had been fitted."""
    transformers, X_train = split
    fitted = clone(task.pipeline)
    classifier = fitted[-1].set_params(random_state=task.seed)
    classifier.build(X_train, y[task.train]).set_weights(weights)
    if transformers is not None:
        fitted.steps[:-1] = transformers.steps
    return fitted
