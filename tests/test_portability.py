"""The project's own code uses nothing that only POSIX has.

Run as a module, this hides such names from `experiments`, and then runs one of its scripts. Other
packages still see them: on Windows they use something else.
"""

import builtins
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MODULES = "fcntl grp posix pty pwd readline resource syslog termios tty"
NAMES = {
    os: "O_DIRECTORY O_NOFOLLOW chown fork geteuid getloadavg getuid killpg mkfifo nice "
    "sched_getaffinity setsid sysconf uname wait3 wait4",
    signal: "SIGALRM SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 alarm pthread_sigmask setitimer "
    "siginterrupt sigwait",
}


def is_ours(module_globals):
    return ((module_globals or {}).get("__package__") or "").split(".")[0] == "experiments"


def hide():
    """Hide POSIX' modules and names from the modules of `experiments`."""
    import_module = builtins.__import__

    def import_unless_hidden(name, globals=None, *arguments, **keywords):
        if name in MODULES.split() and is_ours(globals):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name, globals, *arguments, **keywords)

    builtins.__import__ = import_unless_hidden
    for module, names in NAMES.items():
        hidden = {name: vars(module).pop(name) for name in names.split() if name in vars(module)}

        def find(name, module=module, hidden=hidden):
            if name not in hidden or is_ours(sys._getframe(1).f_globals):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return hidden[name]

        module.__getattr__ = find


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.test_portability", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )


def test_help_without_posix():
    done = run("experiments.baseline", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--epochs" in done.stdout


def test_a_run_without_posix(tmp_path):
    options = ["--folds=2", "--repeats=2", "--epochs=1", "--jobs=1", f"--results={tmp_path}"]
    done = run("experiments.baseline", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "baseline.csv").exists()


@pytest.mark.parametrize("use", ["import fcntl", "from os import fork", "import os; os.sysconf"])
def test_posix_is_hidden_from_the_project_only(use):
    for package, fails in (("experiments.harness", True), ("joblib", False)):
        code = (
            f"from tests import test_portability as t; t.hide(); exec({use!r}, globals() | "
            f"{{'__package__': {package!r}}})"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
        assert bool(done.returncode) == fails


if __name__ == "__main__":
    hide()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
