"""Fit and score the networks of many folds in stacks, one single-threaded stack per core."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from experiments.harness.backend import tf
from experiments.harness.errors import Unstackable
from experiments.harness.measures import measure
from experiments.harness.pipeline import fitted_pipeline
from experiments.harness.stack import Stack

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
        Unfitted; tasks that share the object may share a stack.
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
    stop = threading.Event()
    running = []
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        try:
            for group in _group(tasks):
                started = time.perf_counter()
                first = _Fold(tasks[group[0]], X, y)
                classifier = clone(first.task.pipeline[-1]).set_params(random_state=None)
                epochs, batch_size = classifier.training_parameters(len(first.task.train))
                network = classifier.build(first.X_train, y[first.task.train])
                plan = _plan(group, X.shape[0] * first.X_train.shape[1])
                stack = Stack(network, len(plan[0]), batch_size, watched=return_curves)
                positive = y == classifier.classes_[1]
                build_time = time.perf_counter() - started
                for numbers in plan:
                    job = _Job(
                        [tasks[number] for number in numbers], len(set(numbers)), stack, epochs,
                        build_time / len(plan), return_estimator, dropout_passes, progress, stop,
                    )  # fmt: skip
                    running.append((numbers, pool.submit(_train_and_score, job, X, y, positive)))
            finished = {
                number: result
                for numbers, future in running
                for number, result in zip(numbers, future.result(), strict=True)
            }
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
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


class _Job(NamedTuple):
    """A stack's worth of tasks, and how to go about them."""

    tasks: list[Task]
    networks: int  # tasks, those that only fill the stack up left out
    stack: Stack
    epochs: int
    build_time: float
    return_estimator: bool
    dropout_passes: int
    progress: Callable[[float], None]
    stop: threading.Event


def _group(tasks):
    """List the numbers of the tasks that can share a stack: same network, as many batches."""
    groups = defaultdict(list)
    for number, task in enumerate(tasks):
        rows = len(task.train)
        _, batch_size = task.pipeline[-1].training_parameters(rows)
        groups[id(task.pipeline), batch_size, -(-rows // batch_size)].append(number)
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


def _train_and_score(job, X, y, positive):
    """Train a stack and score each of its copies; runs in a thread of its own."""
    started = time.perf_counter()
    data, targets, in_train, in_test, kept = _assemble(job, X, y, positive)
    copies = len(job.tasks)
    curves = []

    def score(probability):
        return {
            f"{part}_{key}": value
            for part, rows in (("test", in_test), ("train", in_train))
            for key, value in measure(targets, probability, rows).items()
        }

    def after(epochs, probabilities):
        if job.stop.is_set():
            raise KeyboardInterrupt
        if job.stack.watched:
            curves.append(score(probabilities))
        job.progress(job.networks * epochs / job.epochs)

    generators = [np.random.default_rng(task.seed) for task in job.tasks]
    weights = job.stack.train(
        job.stack.initial_weights(generators), data, targets.astype(np.float32),
        in_train.sum(axis=1), generators, epochs=job.epochs, after=after,
    )  # fmt: skip
    trained = time.perf_counter()
    scores = score(job.stack.predict(weights, data))
    scores["collapsed"] = scores.pop("train_collapsed")
    del scores["test_collapsed"]  # one class may well be right for a few rows
    if job.dropout_passes:
        probability = job.stack.predict_with_dropout(weights, data, generators, job.dropout_passes)
        averaged = measure(targets, probability, in_test)
        scores |= {f"dropout_{key}": averaged[key] for key in ("score", "log_loss")}
    weights = [stack.numpy() for stack in weights] if job.return_estimator else []
    times = {
        "build_time": job.build_time / copies,
        "fit_time": (trained - started) / copies,
        "score_time": (time.perf_counter() - trained) / copies,
    }
    results = []
    for copy in range(copies):
        result = {key: value[copy] for key, value in scores.items()} | times
        if job.return_estimator:
            result["estimator"] = (kept[copy], [stack[copy] for stack in weights])
        if job.stack.watched:
            result["curves"] = {
                key: np.concatenate([part[key][:, copy] for part in curves])
                for key in curves[0]
                if "collapsed" not in key
            }
        results.append(result)
    return results


def _assemble(job, X, y, positive):
    """Lay the folds' rows side by side, training rows first, then test rows, then padding."""
    most = max(len(task.train) + len(task.test) for task in job.tasks)
    data = np.zeros((len(job.tasks), most, job.stack.features), np.float32)
    targets, in_train, in_test = np.zeros((3, len(job.tasks), most), bool)
    kept = []
    for copy, task in enumerate(job.tasks):
        fold = _Fold(task, X, y)
        if fold.X_train.shape[1] != job.stack.features:
            raise Unstackable("a pipeline whose steps leave the folds of different width")
        n, both = len(task.train), len(task.train) + len(task.test)
        data[copy, :n], data[copy, n:both] = fold.X_train, fold.X_test
        targets[copy, :n], targets[copy, n:both] = positive[task.train], positive[task.test]
        in_train[copy, :n], in_test[copy, n:both] = True, True
        kept.append(fold if job.return_estimator else None)
    return tf.constant(data), targets, in_train, in_test, kept


def _estimator(task, y, fold, weights):
    return fitted_pipeline(
        task.pipeline, fold.transformers, task.seed, fold.X_train, y[task.train], weights
    )
