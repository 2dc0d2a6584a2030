"""Processes that end with the one that started them, even if that is killed."""

import os
import threading
import time
from collections.abc import Mapping

PARENT = "SONAR_DROPOUT_PARENT"  # environment variable: its number, for a script that it starts


def as_child() -> Mapping[str, str]:
    """Return the environment of a script that should end with this process."""
    return os.environ | {PARENT: str(os.getpid())}


def follow_parent() -> None:
    """End this process with the one that has started it by `as_child`, if any has."""
    parent = os.environ.pop(PARENT, None)
    if parent and os.name == "posix":  # on Windows a launcher may stand between the two
        end_with(int(parent))


def end_with(parent: int) -> None:
    """End this process once its parent, of this number, is gone."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
