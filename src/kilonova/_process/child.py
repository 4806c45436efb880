"""What runs in a child: ``python -m kilonova._process.child FD MEMORY MODULE:FUNCTION ARGUMENT...``

FUNCTION is called with the arguments and returns the handler of messages. Little is imported here, because
this stands before every start of a model.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from socket import socket
from typing import Any

from kilonova._process.pipe import HandlerFailed, receive, send
from kilonova.errors import KilonovaError


def _serve(connection: socket, handler: Callable[[Any], Any]) -> None:
    while True:
        try:
            message = receive(connection)
        except EOFError:
            return
        try:
            answer = (False, handler(message))
        except (KilonovaError, MemoryError) as refusal:
            answer = (True, refusal)
        except Exception as fault:  # every fault of a handler is an answer; the parent decides what it means
            answer = (True, HandlerFailed(type(fault).__name__, _where(fault)))
        del message  # large contents must not live on until the next message
        send(connection, answer)


def _where(fault: Exception) -> str:
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _main() -> None:
    descriptor, memory, target, *arguments = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    if int(memory):
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = socket(fileno=int(descriptor))
    module, _, function = target.partition(":")
    try:
        handler = getattr(import_module(module), function)(*arguments)
    except Exception as fault:
        # The first exchange tells the parent why there is no handler; nobody's content is in it yet.
        reason = fault if isinstance(fault, KilonovaError) else HandlerFailed(repr(fault), _where(fault))
        with contextlib.suppress(EOFError, OSError):
            receive(connection)
            send(connection, (True, reason))
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _serve(connection, handler)
    os._exit(0)  # skip the libraries' clean-up: nothing here needs it and it can take seconds


if __name__ == "__main__":
    _main()
