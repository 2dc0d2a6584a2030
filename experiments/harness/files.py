"""Write files into a folder all together or not at all, whatever happens meanwhile.

New contents are staged in a hidden folder beside the files. Renaming that folder is the one
step that makes them count: cut off before it, the next to come throws the stage away; cut
off after it, the next to come moves the rest into place. A lock on the folder keeps others
from looking in between.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from experiments.harness.errors import InputError

STAGE, COMPLETE = ".being-written", ".written"
REMOVED = ".removed"  # the ending of what stands for a file that is to go
REPOSITORY = Path(__file__).resolve().parents[2]
_held = set()
_created = []
_written = False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from reading and writing tables in the folder within the block.

    What a process that died left behind is finished or thrown away first. A block within a
    block is let through; threads are not kept apart.

    Raises
    ------
    InputError
        If there is no such folder, or it cannot be opened.
    """
    try:
        key = Path(os.path.realpath(folder))
        if key not in _held:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(f"cannot open the folder {folder}: {error.strerror}") from error
    if key in _held:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _held.add(key)
        if (folder / COMPLETE).exists() or (folder / STAGE).exists():
            try:
                _recover(folder)
            except OSError as error:
                raise cannot_write(folder, error) from error
        yield
    finally:
        _held.discard(key)
        os.close(descriptor)


def write_together(folder: Path, contents: Mapping[str, str | bytes | None]) -> None:
    """Write files of the folder, all or none.

    Parameters
    ----------
    folder : Path
    contents : mapping of file names to what is to be in them
        None removes a file, if it is there.

    Raises
    ------
    InputError
        If they cannot be written, as on a full disk; those there were are as they were.
    """
    with locked(folder):
        stage = folder / STAGE
        try:
            stage.mkdir()
            for name, content in contents.items():
                if (folder / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
                name, content = (name + REMOVED, "") if content is None else (name, content)
                content = content.encode() if isinstance(content, str) else content
                with open(stage / name, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _note_written(contents)  # before: an interrupt may come in between
            stage.rename(folder / COMPLETE)
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            if isinstance(error, OSError):
                raise cannot_write(folder, error) from error
            raise
        try:
            _recover(folder)
        except OSError as error:
            raise cannot_write(folder, error) from error


def written() -> bool:
    """Whether this process has written any file into a folder of results."""
    return _written


def check_folder(folder: Path) -> None:
    """Make sure that files can be written into the folder, creating it if need be.

    Raises
    ------
    InputError
        If it cannot be created or written to, or is the project's own.
    """
    if Path(os.path.realpath(folder)) == REPOSITORY:
        raise InputError(f"results would be mixed up with the project's own files in {REPOSITORY}")
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    _created.extend(missing)
    write_together(folder, {})


def remove_created() -> None:
    """Remove the folders that were created, where nothing came to be in them."""
    for folder in _created:
        with contextlib.suppress(OSError):
            folder.rmdir()


def cannot_write(folder: Path, error: OSError) -> InputError:
    """Make the error that says why nothing can be written."""
    return InputError(f"cannot write results to {folder}: {error.strerror or error}")


def _note_written(contents):
    global _written
    _written = _written or bool(contents)


def _recover(folder):
    """Move complete files into place, and throw away those that are not."""
    shutil.rmtree(folder / STAGE, ignore_errors=True)
    complete = folder / COMPLETE
    if not complete.exists():
        return
    for part in complete.iterdir():
        if part.suffix == REMOVED:
            (folder / part.stem).unlink(missing_ok=True)
            part.unlink()
        else:
            part.replace(folder / part.name)
    complete.rmdir()
