"""What a run was: its settings and the versions it ran with, beside its journal."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec

__all__ = ["write_manifest"]


def write_manifest(journal: str | Path, config: dict[str, object]) -> Path:
    """Write FILE.manifest.json beside a journal, whole or not at all: the run's config and the versions it ran with."""
    path = Path(f"{journal}.manifest.json")
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    manifest = {**config, "versions": versions | {name: _version(name) for name in _PACKAGES}, "commit": _commit()}
    partial = Path(f"{path}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    partial.replace(path)
    return path


_PACKAGES = ("thinkscore", "numpy", "msgspec")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the git commit of the source that runs, if it runs from a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
