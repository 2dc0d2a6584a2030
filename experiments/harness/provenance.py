"""What a result came from: versions, commit, machine."""

import ast
import hashlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from experiments.foldstack.cluster import versions
from experiments.harness.files import REPOSITORY

LOCK = "requirements.txt"
TRAINING = ("draws", "engine", "estimators", "halving", "metrics", "nested", "network", "recipe")
TRAINING += ("reference", "stack", "stopping", "tasks")


def provenance() -> dict:
    """Return the versions, the training code's checksum, the kind of processor, the commit."""
    return {
        "versions": versions() | {"pandas": version("pandas")},
        "code": training_code(),
        "processor": processor(),
        "commit": _commit(),
    }


def training_code() -> str:
    """Return a checksum of the code that the scores depend on, without its documentation."""
    code = hashlib.sha256()
    for name in TRAINING:
        path = REPOSITORY / "experiments" / "foldstack" / f"{name}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if documented and ast.get_docstring(node):
                del node.body[0]
        code.update(ast.dump(tree).encode())
    return code.hexdigest()[:12]


def processor() -> str:
    """Name the processor, with the widest vectors that it computes with."""
    name, vectors = platform.processor() or platform.machine(), ()
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        values = {key.strip(): value.split() for key, value in lines.items()}
        name = " ".join(values.get("model name", [name]))
        vectors = [v for v in ("avx512f", "avx2", "avx") if v in values.get("flags", ())][:1]
    return " ".join([name, *vectors])


def machine() -> dict:
    """Describe the processor, its cores and the memory (None where the system does not say)."""
    memory = None
    if hasattr(os, "sysconf"):  # not on Windows
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    system = f"{platform.system()} {platform.machine()}"
    cores = os.cpu_count()
    return {"processor": processor(), "cores": cores, "memory_gib": memory, "system": system}


def is_committed(path: Path) -> bool:
    """Return whether git has the file as it is."""
    try:
        tracked = _git("ls-files", "--", str(path.absolute()))
        return bool(tracked) and not _git("status", "--porcelain", "--", str(path.absolute()))
    except (OSError, subprocess.CalledProcessError):
        return False


def _commit():
    """Return the commit, with a checksum of code that differs; outside git, the checksum."""
    code = hashlib.sha256()
    for path in sorted([*(REPOSITORY / "experiments").rglob("*.py"), REPOSITORY / LOCK]):
        code.update(path.read_bytes())
    checksum = code.hexdigest()[:12]
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "experiments", LOCK)
        changed += _git("status", "--porcelain", "--untracked-files=no", "--", "data")
    except (OSError, subprocess.CalledProcessError):
        return f"code-{checksum}"
    return head + (f"-dirty-{checksum}" if changed else "")


def _git(*arguments):
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
