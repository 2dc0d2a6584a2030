"""Train and score the networks of many splits and candidates in stacks, one stack per core."""

import functools
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .cluster import active_client, map_on_workers
from .metrics import measure
from .stack import Hyperparameters, Stack, Unstackable, blueprint, keras, read_hyperparameters, tf

# How many networks train as one stack: at most this number (about 50 of the tutorial's size
# stay within a core's cache), with at most this much data. Neither depends on the machine or
# the number of threads, so that the results do not either.
STACK_COPIES = 50
STACK_BYTES = 256 * 2**20


class Task(NamedTuple):
    """One network to train and score.

    Attributes
    ----------
    pipeline : Pipeline
        Unfitted. Networks that differ only in their `Hyperparameters` share stacks.
    seed : int
        Of the initial weights, the order of samples and the dropout masks.
    train, test : int arrays
        Sample numbers.
    """

    pipeline: Pipeline
    seed: int
    train: np.ndarray
    test: np.ndarray


def fit_and_score(
    tasks: Sequence[Task],
    X: np.ndarray,
    y: np.ndarray,
    *,
    n_jobs: int | None = None,
    return_estimator: bool = False,
    return_curves: bool = False,
    dropout_passes: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[dict]:
    """Train and score the network of every task; see `cross_validate` for the parameters.

    Returns
    -------
    list of dict of shape (n_tasks,)
        The keys are those of `cross_validate`.

    Raises
    ------
    Unstackable
        If a pipeline has a part without a stacked form.
    ValueError
        If the networks cannot be trained on such data, or with such parameters.
    """
    use_one_thread()
    options = _Options(return_estimator, return_curves, dropout_passes)
    progress = progress or (lambda finished: None)
    if client := active_client():
        results = _on_cluster(client, tasks, X, y, options, progress)
    else:
        results = _in_threads(tasks, X, y, options, resolve_n_jobs(n_jobs), progress)
    finished = {
        number: result
        for numbers, stack_results in results
        for number, result in zip(numbers, stack_results, strict=True)
    }
    if return_estimator:  # Keras models are built in the main thread
        for number, result in finished.items():
            result["estimator"] = _estimator(tasks[number], y, *result["estimator"])
    return [finished[number] for number in range(len(tasks))]


def score_candidates(
    estimator: Pipeline,
    candidates: Sequence[Mapping[str, object]],
    X: np.ndarray,
    y: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    seed: int | None = None,
    n_jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, np.ndarray]:
    """Cross-validate the pipeline with the parameters of each candidate on the same splits.

    Returns
    -------
    dict of arrays of shape (n_candidates, n_splits)
        The keys are those of `cross_validate`.
    """
    seeds = iter(network_seeds(seed, len(candidates) * len(splits)))
    tasks = [
        Task(changed, next(seeds), *split)
        for changed in (with_parameters(estimator, candidate) for candidate in candidates)
        for split in splits
    ]
    results = fit_and_score(tasks, X, y, n_jobs=n_jobs, progress=progress)
    shape = len(candidates), len(splits)
    return {key: np.array([each[key] for each in results]).reshape(shape) for key in results[0]}


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


def with_parameters(estimator: Pipeline, parameters: Mapping[str, object]) -> Pipeline:
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
    """Let TensorFlow compute each operation on one thread; warn if it is too late for that.

    A step of small networks is many tiny products: threads inside an operation cost more than
    they gain.
    """
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


def clear_session() -> None:
    """Discard the global state that Keras keeps for networks of earlier trainings."""
    keras.utils.clear_session(free_memory=False)


class _Options(NamedTuple):
    """What to return in addition to the scores."""

    estimator: bool
    curves: bool
    dropout_passes: int


class _Split:
    """A task's samples, transformed by the steps before the classifier, fitted in training."""

    def __init__(self, task, X, y):
        self.transformers = clone(task.pipeline[:-1]) if len(task.pipeline) > 1 else None
        self.X_train, self.X_test = X[task.train], X[task.test]
        if self.transformers is not None:
            self.X_train = self.transformers.fit_transform(self.X_train, y[task.train])
            self.X_test = self.transformers.transform(self.X_test)


class _Group(NamedTuple):
    """Tasks whose networks can be copies of one stack."""

    network: keras.Sequential
    epochs: int
    batch_size: int
    positive: np.ndarray  # whether each sample belongs to the second class
    hyperparameters: dict[int, Hyperparameters]  # by the number of the task


class _Compiled(NamedTuple):
    """A stack compiled for a group of tasks, shared by the threads."""

    stack: Stack
    epochs: int
    positive: np.ndarray
    build_time: float


def _in_threads(tasks, X, y, options, n_jobs, progress):
    """Train a stack in each thread, all stacks of a group with one compiled loop."""
    stop = threading.Event()
    running = []

    def report(n_networks, share):
        if stop.is_set():
            raise KeyboardInterrupt
        progress(share * n_networks)

    with ThreadPoolExecutor(n_jobs) as pool:
        try:
            started = time.perf_counter()
            groups = _group(tasks, X, y)
            group_time = (time.perf_counter() - started) / len(groups)
            for group in groups:
                plan = _plan(list(group.hyperparameters), len(X) * group.network.input_shape[-1])
                compiled = _compile(group, len(plan[0]), options)
                build_time = (group_time + compiled.build_time) / len(plan)
                compiled = compiled._replace(build_time=build_time)
                for numbers in plan:
                    members = [tasks[number] for number in numbers]
                    values = [group.hyperparameters[number] for number in numbers]
                    callback = partial(report, len(set(numbers)))
                    future = pool.submit(
                        _train_and_score, compiled, members, values, X, y, options, callback
                    )
                    running.append((numbers, future))
            return [(numbers, future.result()) for numbers, future in running]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_cluster(client, tasks, X, y, options, progress):
    """Train the same stacks on the workers of a Dask cluster."""
    plans = []
    for group in _group(tasks, X, y):
        plans += _plan(list(group.hyperparameters), len(X) * group.network.input_shape[-1])
    stacks = map_on_workers(
        client,
        _compile_train_and_score,
        [([tasks[number] for number in numbers], options) for numbers in plans],
        shared=(X, y),
        callback=lambda i: progress(len(set(plans[i]))),
    )
    return list(zip(plans, stacks, strict=True))


def _compile_train_and_score(tasks, options, X, y):
    use_one_thread()
    (group,) = _group(tasks, X, y)
    compiled = _compile(group, len(tasks), options)
    values = list(group.hyperparameters.values())
    return _train_and_score(compiled, tasks, values, X, y, options, lambda share: None)


def _compile(group, n_copies, options):
    started = time.perf_counter()
    stack = Stack(group.network, n_copies, group.batch_size, record_epochs=options.curves)
    return _Compiled(stack, group.epochs, group.positive, time.perf_counter() - started)


def _group(tasks, X, y):
    """Build the tasks' networks, and group those that can be copies of one stack.

    They also have the same number of batches: a schedule of the learning rate may depend on it.
    """
    built, groups = {}, {}
    for number, task in enumerate(tasks):
        n_samples = len(task.train)
        epochs, batch_size = task.pipeline[-1].training_parameters(n_samples)
        kind = id(task.pipeline), batch_size, -(-n_samples // batch_size)
        if kind not in built:
            split = _Split(task, X, y)
            classifier = clone(task.pipeline[-1]).set_params(random_state=None)
            network = classifier.build(split.X_train, y[task.train])
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
    return groups.values()


def _plan(numbers, n_entries):
    """Divide the tasks of a group into stacks of one size, an even number of them if several.

    The last stack is filled up by repeating its last task: one size is compiled once.
    """
    largest = max(1, min(STACK_COPIES, STACK_BYTES // (4 * n_entries)))
    n_stacks = -(-len(numbers) // largest)
    if len(numbers) > 1:
        n_stacks += n_stacks % 2
    size = -(-len(numbers) // n_stacks)
    plan = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    plan[-1] = plan[-1] + plan[-1][-1:] * (size - len(plan[-1]))
    return plan


def _train_and_score(compiled, tasks, hyperparameters, X, y, options, progress):
    """Train a stack and score each copy; `progress` is called with shares of the training."""
    started = time.perf_counter()
    stack = compiled.stack
    data, targets, in_train, in_test, splits = _assemble(
        tasks, stack, X, y, compiled.positive, options.estimator
    )
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
        progress(epochs / compiled.epochs)

    generators = [np.random.default_rng(task.seed) for task in tasks]
    weights = stack.train(
        stack.initial_weights(generators),
        data,
        targets.astype(np.float32),
        in_train.sum(axis=1),
        generators,
        epochs=compiled.epochs,
        hyperparameters=hyperparameters,
        callback=callback,
    )
    trained = time.perf_counter()
    scores = score(stack.predict(weights, data))
    scores["collapsed"] = scores.pop("train_collapsed")
    del scores["test_collapsed"]  # one class can be right for a few test samples
    if options.dropout_passes:
        probability = stack.predict_with_dropout(
            weights, data, generators, options.dropout_passes, hyperparameters
        )
        averaged = measure(targets, probability, in_test)
        scores |= {f"dropout_{key}": averaged[key] for key in ("score", "log_loss")}
    weights = [stacked.numpy() for stacked in weights] if options.estimator else []
    times = {
        "build_time": compiled.build_time / len(tasks),
        "fit_time": (trained - started) / len(tasks),
        "score_time": (time.perf_counter() - trained) / len(tasks),
    }
    results = []
    for copy in range(len(tasks)):
        result = {key: value[copy] for key, value in scores.items()} | times
        if options.estimator:
            result["estimator"] = (splits[copy], [stacked[copy] for stacked in weights])
        if options.curves:
            result["curves"] = {
                key: np.concatenate([part[key][:, copy] for part in curves])
                for key in curves[0]
                if "collapsed" not in key
            }
        results.append(result)
    return results


def _assemble(tasks, stack, X, y, positive, keep):
    """Stack the samples of the tasks: training samples first, then test samples, then padding."""
    longest = max(len(task.train) + len(task.test) for task in tasks)
    data = np.zeros((len(tasks), longest, stack.n_features), np.float32)
    targets, in_train, in_test = np.zeros((3, len(tasks), longest), bool)
    splits = []
    for copy, task in enumerate(tasks):
        split = _Split(task, X, y)
        if split.X_train.shape[1] != stack.n_features:
            raise Unstackable("a pipeline whose steps return different widths for the splits")
        n, both = len(task.train), len(task.train) + len(task.test)
        data[copy, :n], data[copy, n:both] = split.X_train, split.X_test
        targets[copy, :n], targets[copy, n:both] = positive[task.train], positive[task.test]
        in_train[copy, :n], in_test[copy, n:both] = True, True
        splits.append(split if keep else None)
    return tf.constant(data), targets, in_train, in_test, splits


def _estimator(task, y, split, weights):
    """Return a clone of the task's pipeline with the trained weights, as if it had been fitted."""
    fitted = clone(task.pipeline)
    classifier = fitted[-1].set_params(random_state=task.seed)
    classifier.build(split.X_train, y[task.train]).set_weights(weights)
    if split.transformers is not None:
        fitted.steps[:-1] = split.transformers.steps
    return fitted
