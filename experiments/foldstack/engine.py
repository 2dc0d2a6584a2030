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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing

from .cluster import active_client, map_on_workers, n_cores
from .draws import Draws
from .metrics import Predicted, measure_outputs
from .recipe import PACKET, Recipe, Unstackable, tf
from .stack import Samples, Stack
from .stopping import Stopping, describe_stopping
from .tasks import Training, encode_targets, last_step

STACK_COPIES = 64  # at most; more do not train faster
STACK_BYTES = 256 * 2**20  # of data in a stack, at most
STEP_OVERHEAD = 5  # cost of a step in addition to that of its networks, in networks


class Options(NamedTuple):
    """What to return, and what to do if a network cannot be trained."""

    estimator: bool = False
    train_score: bool = False
    curves: bool = False
    dropout_passes: int = 0
    scorer: Callable | None = None  # None: ours, see `metrics`
    both: bool = False  # our scores beside those of the scorer
    score_params: Mapping[str, object] = {}
    error_score: object = "raise"
    config: Mapping[str, object] = {}  # scikit-learn's, which threads do not inherit


def fit_and_score(tasks, data, options=None, n_jobs=None, progress=None) -> list[dict]:
    """Train and score the network of every task; return a dict with the scores of each.

    The keys, `n_jobs`, `progress` and the errors raised are those of `cross_validate`.
    """
    use_one_thread()
    options = (options or Options())._replace(config=get_config())
    progress = progress or (lambda finished: None)
    client, n_jobs = active_client(), resolve_n_jobs(n_jobs)
    results = {}
    groups = _group(tasks, data, options, n_cores(client) if client else n_jobs, results)
    plans = [numbers for group in groups for numbers in group.plan]
    if client:
        stacks = map_on_workers(
            client,
            _train_on_worker,
            [([tasks[number] for number in numbers], options) for numbers in plans],
            shared=(data,),
            callback=lambda i: progress(len(set(plans[i]))),
        )
    else:
        stacks = _train_in_threads(groups, tasks, data, options, n_jobs, progress)
    for numbers, stack_results in zip(plans, stacks, strict=True):
        results.update(zip(numbers, stack_results, strict=True))
    results = [results[number] for number in range(len(tasks))]
    _replace_failures(results, options.error_score)
    if options.estimator:  # Keras models are built in the main thread
        for task, result in zip(tasks, results, strict=True):
            if result["estimator"] is not None:
                result["estimator"] = _estimator(task, data.y, *result["estimator"])
    return results


def _replace_failures(results, error_score):
    """Give networks that could not be trained the error score, and warn, as scikit-learn does."""
    errors = [result for result in results if isinstance(result, Exception)]
    if not errors:
        return
    first = f"{type(errors[0]).__name__}: {errors[0]}"
    if len(errors) == len(results):
        raise ValueError(f"all the {len(results)} fits failed; the first with {first}")
    warnings.warn(
        f"{len(errors)} fits failed out of a total of {len(results)}; their scores are "
        f"{error_score}. The first failed with {first}",
        FitFailedWarning,
        stacklevel=4,
    )
    like = next(result for result in results if not isinstance(result, Exception))
    for number, result in enumerate(results):
        if isinstance(result, Exception):
            results[number] = {
                name: _failed(name, value, error_score) for name, value in like.items()
            }


def _failed(name, value, error_score):
    """Return what a network that could not be trained has in place of the value of another."""
    if isinstance(value, dict):
        return {key: np.full_like(each, error_score) for key, each in value.items()}
    if name == "estimator":
        return None
    return 0 if name.endswith("_time") or name in ("collapsed", "n_epochs") else error_score


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

    network: BaseEstimator  # a Keras estimator, built
    training: Training
    stopping: list  # callbacks
    recipe: Recipe
    targets: np.ndarray  # (n_samples, n_targets), as the network learns them
    truth: np.ndarray  # what scores compare outputs with, see `metrics`
    hyperparameters: dict[int, dict[str, float]]  # by the number of the task
    plan: Sequence[Sequence[int]] = ()  # the numbers of the tasks in each stack
    build_time: float = 0.0
    stack: Stack | None = None


def _train_in_threads(groups, tasks, data, options, n_jobs, progress):
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
                    pool.submit(_train_and_score, compiled, numbers, tasks, data, options, report)
                    for numbers in group.plan
                ]
            return [future.result() for future in running]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train_on_worker(tasks, options, data):
    """Train one stack, which a Dask worker compiles for itself."""
    use_one_thread()
    results = {}
    with config_context(**options.config):
        groups = _group(tasks, data, options, 1, results)
    for group in groups:  # one, or none if all tasks have failed
        numbers = [*group.hyperparameters]
        numbers += numbers[-1:] * (len(tasks) - len(numbers))  # the size is that of the plan
        stack = _compile(group, len(tasks), options), numbers, tasks, data, options
        trained = _train_and_score(*stack, progress=lambda finished: None)
        results.update(zip(numbers, trained, strict=True))
    return [results[number] for number in range(len(tasks))]


def _compile(group, n_copies, options):
    started = time.perf_counter()
    first, *others = group.hyperparameters.values()
    varying = [name for name in first if any(each[name] != first[name] for each in others)]
    stack = Stack(
        group.recipe,
        n_copies,
        group.training.batch_size,
        varying=varying,
        record_epochs=options.curves,
        monitors=[callback.monitor for callback in group.stopping],
    )
    build_time = group.build_time + time.perf_counter() - started
    return group._replace(stack=stack, build_time=build_time)


def _group(tasks, data, options, n_jobs, results):
    """Build the tasks' networks, and group those that can be copies of one stack.

    They also have the same classes and number of batches: a schedule of the learning rate may
    depend on it. The error of a task that fails is put into `results`.
    """
    started = time.perf_counter()
    training_of = functools.cache(lambda estimator, n: last_step(estimator).training(n))
    built, groups = {}, {}
    for number, task in enumerate(tasks):
        n_samples = len(task.train)
        training = training_of(task.estimator, n_samples)
        n_batches = -(-(n_samples - training.n_validation) // training.batch_size)
        kind = id(task.estimator), training.batch_size, n_batches, task.classes(data)
        try:
            kind += (task.width(data),)
            if kind not in built:
                group = _build(task, data, training)
                stopping = describe_stopping(group.stopping)
                key = group.recipe.blueprint, stopping, training.epochs, *kind[1:]
                key += (training.n_validation > 0,)
                built[kind] = group, group.recipe.hyperparameters, key
        except Exception as error:  # of any type, from steps of the pipeline and Keras
            if options.error_score == "raise" or isinstance(error, Unstackable):
                raise
            results[number] = error
            continue
        group, values, key = built[kind]
        groups.setdefault(key, group).hyperparameters[number] = values
    build_time = (time.perf_counter() - started) / max(1, len(groups))
    planned = []
    for group in groups.values():
        n_bytes = 4 * len(data.y) * group.recipe.n_features
        jobs = -(-n_jobs // len(groups))
        plan = _plan(list(group.hyperparameters), group.training.batch_size, n_bytes, jobs)
        planned.append(group._replace(plan=plan, build_time=build_time))
    return planned


def _build(task, data, training):
    """Build the network of a task, and return the group that it founds."""
    _, X_train, _ = task.transform(data)
    network = clone(last_step(task.estimator)).set_params(random_state=None)
    model = network.build(X_train, data.y[task.train])
    targets, truth, n_classes = encode_targets(network, data.y)
    if n_classes == 1:
        raise ValueError("the training samples are of one class only; there must be two or more")
    recipe = Recipe(model, targets.shape[1])
    if n_classes not in (0, max(2, recipe.n_outputs)):
        raise ValueError(f"the network has {recipe.n_outputs} output(s) for {n_classes} classes")
    if not n_classes and recipe.n_outputs != targets.shape[1]:
        raise ValueError(
            f"the network has {recipe.n_outputs} output(s) for {targets.shape[1]} target(s)"
        )
    stopping = network.early_stopping(training.n_validation)
    return _Group(network, training, stopping, recipe, targets, truth, hyperparameters={})


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


def _train_and_score(group, numbers, tasks, data, options, progress):
    """Train a stack and score each copy; `progress` is called with numbers of networks."""
    with config_context(**options.config):
        return _train_copies(group, numbers, tasks, data, options, progress)


def _train_copies(group, numbers, tasks, data, options, progress):
    started = time.perf_counter()
    stack, n_copies, n_networks = group.stack, len(numbers), len(set(numbers))
    training, hyperparameters = group.training, [group.hyperparameters[i] for i in numbers]
    tasks = [tasks[number] for number in numbers]
    copies = _assemble(group, tasks, data, options)
    curves, finished = [], 0.0

    def callback(epochs, outputs):
        nonlocal finished
        if options.curves:
            curves.append(_measure(group, copies, copies.decode(outputs)))
        share = epochs / training.epochs * n_networks
        finished += share
        progress(share)

    draws = Draws([task.seed for task in tasks])
    stopping = Stopping(group.stopping, n_copies) if group.stopping else None
    samples, validation = _divide(copies, training.n_validation)
    weights = stack.train(
        stack.initial_weights(draws),
        samples,
        draws,
        epochs=training.epochs,
        hyperparameters=hyperparameters,
        validation=validation,
        stopping=stopping,
        callback=callback,
    )
    progress(n_networks - finished)
    trained = time.perf_counter()
    outputs = copies.decode(stack.predict(weights, copies.X))
    scores = _measure(group, copies, outputs)
    scores["collapsed"] = scores.pop("train_collapsed")
    del scores["test_collapsed"]  # one class can be right for a few test samples
    if options.scorer is not None:
        scores = scores if options.both else {"collapsed": scores["collapsed"]}
        scores |= _apply_scorer(group, tasks, data, copies, outputs, options)
    if not options.train_score:
        scores = {key: of for key, of in scores.items() if not key.startswith("train_")}
    if options.dropout_passes:
        passes = options.dropout_passes
        averaged = stack.predict_with_dropout(weights, copies.X, draws, passes, hyperparameters)
        averaged = _measure(group, copies, copies.decode(averaged))
        names = [key for key in averaged if key.startswith("test_") and "collapsed" not in key]
        scores |= {key.replace("test_", "dropout_"): averaged[key] for key in names}
    times = {
        "build_time": group.build_time / len(group.hyperparameters),
        "fit_time": (trained - started) / n_copies,
        "score_time": (time.perf_counter() - trained) / n_copies,
    }
    scores |= {key: [value] * n_copies for key, value in times.items()}
    if stopping:
        scores["n_epochs"] = stopping.n_epochs
    if options.estimator:
        weights_of_copies = zip(*(np.asarray(stacked) for stacked in weights), strict=True)
        scores["estimator"] = list(zip(copies.splits, weights_of_copies, strict=True))
    if options.curves:
        scores["curves"] = _curves(curves, training.epochs, stopping, n_copies)
    results = [{key: values[i] for key, values in scores.items()} for i in range(n_copies)]
    return [error or result for error, result in zip(copies.errors, results, strict=True)]


class _Copies(NamedTuple):
    """The samples of a stack's copies: training samples first, then test samples, then padding."""

    X: tf.Tensor
    targets: np.ndarray
    truth: np.ndarray
    in_train: np.ndarray
    in_test: np.ndarray
    weights: np.ndarray | None
    splits: list  # fitted steps and training samples, if the estimators are wanted
    errors: list  # the error of each copy whose steps failed, or None
    scales: np.ndarray | None  # mean and scale of the targets, (2, n_copies, 1, n_targets)

    def decode(self, outputs):
        """Return outputs in the units of the truth."""
        return outputs if self.scales is None else outputs * self.scales[1] + self.scales[0]


def _assemble(group, tasks, data, options):
    # To the length of X: predictions for another number of samples round differently.
    longest = max(len(data.y), *(len(task.train) + len(task.test) for task in tasks))
    longest += -longest % PACKET
    recipe, shape = group.recipe, (len(tasks), longest)
    X = np.zeros((*shape, recipe.n_features), recipe.dtype)
    targets = np.zeros((*shape, recipe.n_targets), recipe.dtype)
    truth = np.zeros((*shape, *group.truth.shape[1:]), group.truth.dtype)
    in_train, in_test = np.zeros((2, *shape), bool)
    weights, splits, errors = np.ones(shape), [None] * len(tasks), [None] * len(tasks)
    weighted, scales = False, None
    if group.network.standardizes_targets:
        scales = np.zeros((2, len(tasks), 1, recipe.n_targets))
    for copy, task in enumerate(tasks):
        n, both = len(task.train), len(task.train) + len(task.test)
        in_train[copy, :n], in_test[copy, n:both] = True, True
        rows = np.concatenate([task.train, task.test])
        targets[copy, :both], truth[copy, :both] = group.targets[rows], group.truth[rows]
        if scales is not None:
            scaler = StandardScaler().fit(group.targets[task.train])
            targets[copy, :both] = scaler.transform(group.targets[rows])
            scales[:, copy, 0] = scaler.mean_, scaler.scale_
        try:
            transformers, X_train, X_test = task.transform(data)
            of_samples = task.sample_weights(data)
        except Exception as error:  # of any type, from steps of the pipeline
            if options.error_score == "raise" or isinstance(error, Unstackable):
                raise
            errors[copy] = error
            continue
        X[copy, :n], X[copy, n:both] = X_train, X_test
        if of_samples is not None:
            weights[copy, :n], weighted = of_samples, True
        if options.estimator:
            splits[copy] = transformers, X_train
    weights = weights.astype(recipe.dtype) if weighted else None
    samples = tf.constant(X), targets, truth, in_train, in_test, weights
    return _Copies(*samples, splits, errors, scales)


def _divide(copies, n_validation):
    """Return the samples to train on, and those to validate on: the last, as in Keras."""
    n_samples = copies.in_train.sum(axis=1)
    if not n_validation:
        return Samples(copies.X, copies.targets, n_samples, copies.weights), None
    n_fitted = n_samples - n_validation
    rows = n_fitted[:, np.newaxis] + np.arange(n_validation)

    def held_out(values):
        places = rows.reshape(*rows.shape, *[1] * (values.ndim - 2))
        return np.take_along_axis(values, places, axis=1)

    X, weights = held_out(copies.X.numpy()), copies.weights
    weights_held_out = None if weights is None else held_out(weights)
    validation = Samples(
        X, held_out(copies.targets), np.full(len(rows), n_validation), weights_held_out
    )
    return Samples(copies.X, copies.targets, n_fitted, weights), validation


def _measure(group, copies, outputs):
    """Score the outputs on the training and test samples of each copy."""
    numbers = not is_classifier(group.network)
    return {
        f"{part}_{key}": value
        for part, mask in (("test", copies.in_test), ("train", copies.in_train))
        for key, value in measure_outputs(copies.truth, outputs, mask, numbers).items()
    }


def _apply_scorer(group, tasks, data, copies, outputs, options):
    """Call the scorer with what each copy has predicted for its test and training samples."""
    parts = {"test": copies.in_test} | ({"train": copies.in_train} if options.train_score else {})
    scores = {}
    for copy, task in enumerate(tasks):
        for part, mask in parts.items() if copies.errors[copy] is None else ():
            rows = task.train if part == "train" else task.test
            predicted = Predicted(task.estimator, group.network, outputs[copy, mask[copy]])
            for name, score in _score(predicted, data, rows, options).items():
                of_copies = scores.setdefault(f"{part}_{name}", np.full(len(tasks), np.nan))
                of_copies[copy] = score
    return scores


def _score(predicted, data, rows, options):
    """Return the scores by name; the error score, with a warning, where a scorer fails."""
    given = {k: _safe_indexing(v, rows) for k, v in options.score_params.items()}
    try:
        scores = options.scorer(predicted, _safe_indexing(data.X, rows), data.y[rows], **given)
    except Exception as error:  # of any type, from a scorer
        if options.error_score == "raise":
            raise
        scores = f"{type(error).__name__}: {error}"
    scores = scores if isinstance(scores, dict) else {"score": scores}
    for name, score in scores.items():
        if isinstance(score, str):  # scikit-learn's form of an error in one of several scorers
            warnings.warn(f"scoring failed, with {score}", stacklevel=2)
            scores[name] = options.error_score
    return scores


def _curves(curves, epochs, stopping, n_copies):
    """Return the scores after every epoch of each copy; nan for epochs after it has stopped."""
    names = [key for key in curves[0] if "collapsed" not in key]
    joined = {key: np.full((epochs, n_copies), np.nan) for key in names}
    for key, values in joined.items():
        values[: len(curves)] = [epoch[key] for epoch in curves]
        if stopping:
            values[np.arange(epochs)[:, np.newaxis] >= stopping.n_epochs] = np.nan
    return [{key: joined[key][:, i] for key in names} for i in range(n_copies)]


def _estimator(task, y, split, weights):
    """Return a clone of the task's estimator with the trained weights, as if it had been fitted."""
    transformers, X_train = split
    fitted = clone(task.estimator)
    network = last_step(fitted).set_params(random_state=task.seed)
    network.build(X_train, y[task.train]).set_weights(weights)
    if transformers is not None:
        fitted.steps[:-1] = transformers.steps
    return fitted
