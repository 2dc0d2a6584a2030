"""A progress bar with the remaining time, on a terminal only."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn
from rich.text import Text


class _TimeLeft(ProgressColumn):
    """Remaining time at the mean pace so far; parallel folds finish in bursts.

    After the last network the tables are still to be written.
    """

    def render(self, task):
        if not task.completed or task.elapsed is None:
            return Text("-:--:-- left")
        if task.completed >= task.total:
            return Text("finishing")
        seconds = task.elapsed * (task.total - task.completed) / task.completed
        return Text(f"{timedelta(seconds=round(seconds))} left")


@contextlib.contextmanager
def progress_bar(name: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr while the block runs; do nothing if stderr is not a terminal.

    Yield a function that takes the units of work, of `total`, finished since its last call.
    """
    console = Console(stderr=True)
    columns = TextColumn(name), BarColumn(), TaskProgressColumn(), _TimeLeft()
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task(name, total=total)
        yield lambda finished: bar.advance(task, finished)
