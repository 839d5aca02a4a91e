"""Signals in the middle of a call, on machines however fast or slow: they are sent until one has been seen there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any


def signalled(call: Callable[[], Any], handler: Callable[[], None], number: int = signal.SIGINT) -> Any:
    """What `call` returns. A signal comes every hundredth of a second, and `handler` is run for each that is seen."""
    over, busy = threading.Event(), True

    def send() -> None:
        while not over.wait(0.01):
            signal.raise_signal(number)

    def run(*_: Any) -> None:
        nonlocal busy
        if busy:  # before and after the call, and in a handler that takes longer than a hundredth of a second
            return
        busy = True  # for good, if the handler raises
        handler()
        busy = False

    before = signal.signal(number, run)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        busy = False
        return call()
    finally:
        busy = True
        over.set()
        sender.join()
        signal.signal(number, before)


def interrupt(
    call: Callable[[], Any], when: Callable[[], bool] = lambda: True, error: type[BaseException] = KeyboardInterrupt
) -> None:
    """Run `call`, which would take hours, until the handler of a signal raises `error` in it, once `when()` is true."""
    raised = False

    def handler() -> None:
        nonlocal raised
        if not raised and when():
            raised = True
            raise error

    try:
        signalled(call, handler)
    except error:
        assert raised, "not the exception of the handler"
    else:
        raise AssertionError("not interrupted")


def run_until(attempt: Callable[[int], bool], most: int = 12) -> None:
    """Call `attempt` with 1, 2, 4, ...: the size of a piece of work, until it was long enough to see what it is for."""
    assert any(attempt(2**k) for k in range(most)), "the work was over before anything could be seen, at every size"
