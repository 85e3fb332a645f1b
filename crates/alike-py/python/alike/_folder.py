"""Folders that last as long as they are used."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path


class Folder:
    """A folder of its own below the system's temporary one, removed with this object. A forked child leaves it alone."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="alike-"))
        weakref.finalize(self, _remove, str(self.path), os.getpid())


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
