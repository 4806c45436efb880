"""Run a program that ends when its parent does: ``python -m kilonova._process.bound PARENT PROGRAM ARGUMENT...``

PARENT is the process id of who starts it. However that process ends, by SIGKILL too, the kernel then ends this one.
Only Linux can do that; elsewhere the program simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it has ended already
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    _main()
