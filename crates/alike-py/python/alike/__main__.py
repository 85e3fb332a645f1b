"""The program `alike`: `python -m alike`, or `alike` once the wheel is installed."""

import signal
import sys

from . import _native


def main() -> int:
    # The program has its own way to end on Ctrl-C and when its reader goes.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.program(sys.argv[1:], [sys.executable, "-m", "alike"])


if __name__ == "__main__":
    sys.exit(main())
