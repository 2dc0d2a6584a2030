"""Run a script of `experiments` with the modules and names hidden that only POSIX has.

Other packages still see them: on Windows they use something else.
"""

import builtins
import os
import runpy
import signal
import sys

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


if __name__ == "__main__":
    hide()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
