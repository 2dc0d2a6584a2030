"""What a result came from: versions, commit, machine."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from experiments.harness.files import REPOSITORY

LOCK = "requirements.txt"
PACKAGES = ("tensorflow", "keras", "scikeras", "scikit-learn", "pandas", "numpy")


def provenance() -> dict:
    """Return the versions of Python and the packages, and the commit that runs."""
    versions = {package: version(package) for package in PACKAGES}
    return {"versions": {"python": platform.python_version()} | versions, "commit": _commit()}


def machine() -> dict:
    """Describe the processor, its cores and the memory (None where the system does not say)."""
    processor = platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    memory = None
    if hasattr(os, "sysconf"):  # not on Windows
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    system = f"{platform.system()} {platform.machine()}"
    cores = os.cpu_count()
    return {"processor": processor, "cores": cores, "memory_gib": memory, "system": system}


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
