"""Write files into a folder all together or not at all.

New contents are staged in a hidden folder beside the files. Renaming that folder commits the
write: after an earlier interruption the next process discards the stage, after a later one it
completes the write. A lock on the folder keeps other processes from looking in between.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from experiments.harness.errors import InputError

LOCK = ".lock"
STAGE, COMPLETE = ".being-written", ".written"
REMOVED = ".removed"  # suffix of the placeholder of a file that is to be removed
REPOSITORY = Path(__file__).resolve().parents[2]
_created = []  # folders
_written = set()  # names of files


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other processes, and complete or discard an interrupted write.

    Locks of one process nest. Raise `InputError` if the folder is missing or cannot be locked.
    """
    if not folder.is_dir():
        raise InputError(f"cannot open the folder {folder}: No such file or directory")
    lock = FileLock(os.path.realpath(folder / LOCK), is_singleton=True)
    try:
        lock.acquire()
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        if lock.lock_counter == 1 and _is_being_written(folder):
            _recover(folder)
        yield
    finally:
        lock.release()


def write_together(folder: Path, contents: Mapping[str, str | bytes | None]) -> None:
    """Write files into the folder, or raise `InputError` and change none; None removes a file."""
    with locked(folder):
        stage = folder / STAGE
        try:
            stage.mkdir()
            for name, content in contents.items():
                if (folder / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
                staged = stage / (name if content is not None else name + REMOVED)
                with open(staged, "wb") as file:
                    file.write(content.encode() if isinstance(content, str) else content or b"")
                    file.flush()
                    os.fsync(file.fileno())
            _written.update(contents)  # first: an interrupt may arrive right after the rename
            stage.rename(folder / COMPLETE)
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            if isinstance(error, OSError):
                raise cannot_write(folder, error) from error
            raise
        _recover(folder)


def read_whole(path: Path) -> bytes:
    """Read a file, after a write to its folder is complete; raise `InputError` if that fails."""
    try:
        with locked(path.parent) if _is_being_written(path.parent) else contextlib.nullcontext():
            return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def written() -> bool:
    """Return whether this process has written any file into a results folder."""
    return bool(_written)


def check_folder(folder: Path) -> None:
    """Create the folder if necessary; raise `InputError` if files must not be written into it."""
    if Path(os.path.realpath(folder)) == REPOSITORY:
        raise InputError(f"results would be mixed up with the project's own files in {REPOSITORY}")
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    _created.extend(missing)
    write_together(folder, {})


def remove_created() -> None:
    """Remove the folders that `check_folder` created and that are still empty."""
    for folder in _created:
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
            folder.rmdir()


def cannot_write(folder: Path, error: OSError) -> InputError:
    """Return the error that says why nothing can be written into the folder."""
    return InputError(f"cannot write results to {folder}: {error.strerror or error}")


def _is_being_written(folder):
    """Return whether a process is writing into the folder, or was interrupted."""
    return (folder / STAGE).exists() or (folder / COMPLETE).exists()


def _recover(folder):
    """Move a complete stage's files into place; discard an incomplete stage."""
    shutil.rmtree(folder / STAGE, ignore_errors=True)
    complete = folder / COMPLETE
    if not complete.exists():
        return
    try:
        for part in complete.iterdir():
            if part.suffix == REMOVED:
                (folder / part.stem).unlink(missing_ok=True)
                part.unlink()
            else:
                part.replace(folder / part.name)
        complete.rmdir()
    except OSError as error:
        raise cannot_write(folder, error) from error
