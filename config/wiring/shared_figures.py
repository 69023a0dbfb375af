"""Figures of HTTP that several API workers count together, so that whichever is asked for `/metrics` tells the sum.

prometheus-client keeps such figures in files of one folder, a file for each process; a worker that died leaves what it
counted. The library decides when it is imported: workers find the folder in their environment, the first process,
which has imported it already, is switched by hand.
"""

import os
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client import values

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


class SharedFigures:
    """The folder of one service of several workers, from before its first worker until after its last."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="drumbeat-figures-")
        os.environ[_FOLDER] = self._folder.name
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]  # the library gives it no types

    def close(self) -> None:
        """Count alone again and remove the files."""
        os.environ.pop(_FOLDER, None)
        values.ValueClass = values.MutexValue
        self._folder.cleanup()


def figures_folder() -> str:
    """Return the folder that this process counts in together with others; empty when it counts alone."""
    return os.environ.get(_FOLDER, "")
