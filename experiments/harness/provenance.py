"""What a result came from: versions, commit, machine."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

LOCK = "requirements.txt"
REPOSITORY = Path(__file__).parents[2]
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
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _commit():
    """Name the commit, with "-dirty-" and a checksum where the code differs from it.

    Outside git, the checksum of the code alone.
    """

    def git(*arguments):
        return subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True)

    code = hashlib.sha256()
    for path in sorted([*(REPOSITORY / "experiments").rglob("*.py"), REPOSITORY / LOCK]):
        code.update(path.read_bytes())
    checksum = code.hexdigest()[:12]
    try:
        head = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--", "experiments", LOCK).stdout
        changed += git("status", "--porcelain", "--untracked-files=no", "--", "data").stdout
    except OSError:
        return f"code-{checksum}"
    if head.returncode:
        return f"code-{checksum}"
    return head.stdout.decode().strip() + (f"-dirty-{checksum}" if changed else "")
