"""Fit and score the networks of many folds in stacks, one single-threaded stack per core."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from experiments.foldstack.backend import keras, tf
from experiments.foldstack.classifier import fitted_pipeline
from experiments.foldstack.cluster import current_client, map_on_workers
from experiments.foldstack.metrics import measure
from experiments.foldstack.stack import Hyperparameters, Stack, blueprint, hyperparameters
from experiments.harness.errors import Unstackable

# How many networks train as one stack: at most so many (about 50 of the tutorial's size
# stay within a core's cache), and no more data than so much. Neither depends on the
# machine or the number of threads, so that the results do not either.
STACK_COPIES = 50
STACK_BYTES = 256 * 2**20


class Task(NamedTuple):
    """One network to be trained and scored.

    Attributes
    ----------
    pipeline : Pipeline
        Unfitted. Networks that differ in no more than `Hyperparameters` share stacks.
    seed : int
        Of initial weights, order of rows and dropout masks.
    train, test : int arrays
        Row numbers.
    """

    pipeline: Pipeline
    seed: int
    train: np.ndarray
    test: np.ndarray


def fit_and_score_side_by_side(
    tasks: Sequence[Task],
    X: np.ndarray,
    y: np.ndarray,
    *,
    jobs: int | None = None,
    return_estimator: bool = False,
    return_curves: bool = False,
    dropout_passes: int = 0,
    progress: Callable[[float], None] = lambda finished: None,
) -> list[dict]:
    """Fit and score every task; see `cross_validate` for the parameters.

    Returns
    -------
    list of dict, one per task
        ``test_score``, ``train_score``, ``test_log_loss``, ``train_log_loss``,
        ``collapsed``; ``build_time``, ``fit_time``, ``score_time`` in seconds, equal shares
        of the stack's; on request ``estimator`` and ``curves``.

    Raises
    ------
    Unstackable
        If a pipeline has a part that cannot be stacked; it names the part.
    """
    wanted = _Wanted(return_estimator, return_curves, dropout_passes)
    if client := current_client():
        results = _on_cluster(client, tasks, X, y, wanted, progress)
    else:
        results = _in_threads(tasks, X, y, wanted, jobs or os.cpu_count(), progress)
    finished = {
        number: result
        for numbers, stack_results in results
        for number, result in zip(numbers, stack_results, strict=True)
    }
    if return_estimator:  # Keras models are built in the main thread
        for number, result in finished.items():
            result["estimator"] = _estimator(tasks[number], y, *result["estimator"])
    return [finished[number] for number in range(len(tasks))]


class _Fold:
    """A task's rows, transformed by the steps before the classifier, fitted in training."""

    def __init__(self, task, X, y):
        self.task = task
        self.transformers = clone(task.pipeline[:-1]) if len(task.pipeline) > 1 else None
        self.X_train, self.X_test = X[task.train], X[task.test]
        if self.transformers is not None:
            self.X_train = self.transformers.fit_transform(self.X_train, y[task.train])
            self.X_test = self.transformers.transform(self.X_test)


class _Wanted(NamedTuple):
    """What to return beside the scores."""

    estimator: bool
    curves: bool
    dropout_passes: int


class _Group(NamedTuple):
    """Tasks whose networks can be copies of one stack, and what their training takes."""

    network: keras.Sequential
    epochs: int
    batch_size: int
    positive: np.ndarray  # of every row, whether it is of the second class
    own: dict[int, Hyperparameters]  # by the number of the task


class _Stack(NamedTuple):
    """A stack made for a group of tasks, and what training it takes."""

    stack: Stack
    epochs: int
    positive: np.ndarray
    build_time: float


def _in_threads(tasks, X, y, wanted, jobs, progress):
    """Train a stack in each thread, all stacks of a group with one compiled loop."""
    stop = threading.Event()
    running = []

    def told(networks, share):
        if stop.is_set():
            raise KeyboardInterrupt
        progress(share * networks)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            started = time.perf_counter()
            groups = _group(tasks, X, y)
            building = (time.perf_counter() - started) / len(groups)
            for group in groups:
                plan = _plan(list(group.own), len(X) * group.network.input_shape[-1])
                made = _make_stack(group, len(plan[0]), wanted)
                made = made._replace(build_time=(building + made.build_time) / len(plan))
                for numbers in plan:
                    members = [tasks[number] for number in numbers]
                    own = [group.own[number] for number in numbers]
                    tell = partial(told, len(set(numbers)))
                    future = pool.submit(_train_and_score, made, members, own, X, y, wanted, tell)
                    running.append((numbers, future))
            return [(numbers, future.result()) for numbers, future in running]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_cluster(client, tasks, X, y, wanted, progress):
    """Train the very same stacks, each where the scheduler sends it."""
    plans = []
    for group in _group(tasks, X, y):
        plans += _plan(list(group.own), len(X) * group.network.input_shape[-1])
    stacks = map_on_workers(
        client, _make_train_and_score,
        [([tasks[number] for number in numbers], wanted) for numbers in plans], (X, y),
        finished=lambda i: progress(len(set(plans[i]))),
    )  # fmt: skip
    return list(zip(plans, stacks, strict=True))


def _make_train_and_score(tasks, wanted, X, y):
    (group,) = _group(tasks, X, y)
    made = _make_stack(group, len(tasks), wanted)
    return _train_and_score(made, tasks, list(group.own.values()), X, y, wanted, lambda share: None)


def _make_stack(group, copies, wanted):
    started = time.perf_counter()
    stack = Stack(group.network, copies, group.batch_size, watched=wanted.curves)
    return _Stack(stack, group.epochs, group.positive, time.perf_counter() - started)


def _group(tasks, X, y):
    """Build the tasks' networks, and put together those that can be copies of one stack.

    They have as many batches, too, as a schedule of the learning rate may depend on it.
    """
    built, groups = {}, {}
    for number, task in enumerate(tasks):
        rows = len(task.train)
        epochs, batch_size = task.pipeline[-1].training_parameters(rows)
        kind = id(task.pipeline), batch_size, -(-rows // batch_size)
        if kind not in built:
            fold = _Fold(task, X, y)
            classifier = clone(task.pipeline[-1]).set_params(random_state=None)
            network = classifier.build(fold.X_train, y[task.train])
            positive = y == classifier.classes_[1]
            group = _Group(network, epochs, batch_size, positive, own={})
            built[kind] = group, hyperparameters(network), (epochs, blueprint(network), *kind[1:])
        group, own, shared = built[kind]
        groups.setdefault(shared, group).own[number] = own
    return groups.values()


def _plan(numbers, entries):
    """Divide the tasks of a group into stacks of one size, at least two and an even number.

    The last stack is filled up by repeating its last task: one size is compiled once.
    """
    most = max(1, min(STACK_COPIES, STACK_BYTES // (4 * entries)))
    stacks = -(-len(numbers) // most)
    if len(numbers) > 1:
        stacks += stacks % 2
    copies = -(-len(numbers) // stacks)
    plan = [numbers[i : i + copies] for i in range(0, len(numbers), copies)]
    plan[-1] = plan[-1] + plan[-1][-1:] * (copies - len(plan[-1]))
    return plan


def _train_and_score(made, tasks, own, X, y, wanted, progress):
    """Train a stack and score each of its copies; runs in a thread of its own.

    Parameters
    ----------
    progress : callable
        Called with the share of the training done since the last call.
    """
    started = time.perf_counter()
    stack = made.stack
    data, targets, in_train, in_test, folds = _assemble(
        tasks, stack, X, y, made.positive, wanted.estimator
    )
    copies = len(tasks)
    curves = []

    def score(probability):
        return {
            f"{part}_{key}": value
            for part, rows in (("test", in_test), ("train", in_train))
            for key, value in measure(targets, probability, rows).items()
        }

    def after(epochs, probabilities):
        if stack.watched:
            curves.append(score(probabilities))
        progress(epochs / made.epochs)

    generators = [np.random.default_rng(task.seed) for task in tasks]
    weights = stack.train(
        stack.initial_weights(generators), data, targets.astype(np.float32),
        in_train.sum(axis=1), generators, epochs=made.epochs, own=own, after=after,
    )  # fmt: skip
    trained = time.perf_counter()
    scores = score(stack.predict(weights, data))
    scores["collapsed"] = scores.pop("train_collapsed")
    del scores["test_collapsed"]  # one class may well be right for a few rows
    if wanted.dropout_passes:
        passes = wanted.dropout_passes
        probability = stack.predict_with_dropout(weights, data, generators, passes, own)
        averaged = measure(targets, probability, in_test)
        scores |= {f"dropout_{key}": averaged[key] for key in ("score", "log_loss")}
    weights = [stacked.numpy() for stacked in weights] if wanted.estimator else []
    times = {
        "build_time": made.build_time / copies,
        "fit_time": (trained - started) / copies,
        "score_time": (time.perf_counter() - trained) / copies,
    }
    results = []
    for copy in range(copies):
        result = {key: value[copy] for key, value in scores.items()} | times
        if wanted.estimator:
            result["estimator"] = (folds[copy], [stacked[copy] for stacked in weights])
        if stack.watched:
            result["curves"] = {
                key: np.concatenate([part[key][:, copy] for part in curves])
                for key in curves[0]
                if "collapsed" not in key
            }
        results.append(result)
    return results


def _assemble(tasks, stack, X, y, positive, keep):
    """Lay the folds' rows side by side, training rows first, then test rows, then padding."""
    most = max(len(task.train) + len(task.test) for task in tasks)
    data = np.zeros((len(tasks), most, stack.features), np.float32)
    targets, in_train, in_test = np.zeros((3, len(tasks), most), bool)
    folds = []
    for copy, task in enumerate(tasks):
        fold = _Fold(task, X, y)
        if fold.X_train.shape[1] != stack.features:
            raise Unstackable("a pipeline whose steps leave the folds of different width")
        n, both = len(task.train), len(task.train) + len(task.test)
        data[copy, :n], data[copy, n:both] = fold.X_train, fold.X_test
        targets[copy, :n], targets[copy, n:both] = positive[task.train], positive[task.test]
        in_train[copy, :n], in_test[copy, n:both] = True, True
        folds.append(fold if keep else None)
    return tf.constant(data), targets, in_train, in_test, folds


def _estimator(task, y, fold, weights):
    return fitted_pipeline(
        task.pipeline, fold.transformers, task.seed, fold.X_train, y[task.train], weights
    )
