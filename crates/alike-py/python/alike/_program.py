"""The program, as a process of its own."""

from __future__ import annotations

import subprocess
import sys


def run(arguments: list[str], quiet: bool = True) -> str:
    """What the program writes to standard output. RuntimeError with its last words where it fails; Ctrl-C reaches it too,
    and it ends before KeyboardInterrupt is raised here."""
    command = [sys.executable, "-m", "alike", *arguments, *(["--quiet"] if quiet else [])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE if quiet else None}
    with subprocess.Popen(command, text=True, encoding="utf-8", **pipes) as process:  # type: ignore[call-overload]
        try:
            out, errors = process.communicate()
        except KeyboardInterrupt:
            # A terminal sends it to both; elsewhere it is told.
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        said = (errors or "").strip().splitlines()
        raise RuntimeError(said[-1].removeprefix("error: ") if said else f"it ended with {process.returncode}")
    return str(out)
