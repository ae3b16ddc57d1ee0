"""A program that is told to end does so, whatever the hub keeps its threads waiting for."""

import subprocess
import sys
import threading

import pytest

from embaudit.sources.hub.crew import Crew

CEILING = 40
"""Seconds after which a test that hangs is ended; every wait that is interrupted here would take longer."""

AUDIT = """
import faulthandler, os, signal, threading, time
import embaudit
from embaudit.testing.loopback_hub import {fault_class}, LoopbackHub

faulthandler.dump_traceback_later({ceiling}, exit=True)

def interrupt_once_asked():
    while not any({where!r} in request.path for request in hub.requests):
        time.sleep(0.01)
    time.sleep(0.5)  # CPython loses a thread whose start is interrupted (_adjust_thread_count).
    os.kill(os.getpid(), signal.SIGINT)

with LoopbackHub() as hub, hub.in_process():
    weights = {{name: b"\\0" * 200_000 for name in ("model.safetensors", "pytorch_model.bin")}}
    hub.create("org/name").commit({{"config.json": b"{{}}", **weights}})
    hub.inject({fault})
    threading.Thread(target=interrupt_once_asked, daemon=True).start()
    try:
        embaudit.audit("org/name", depth={depth!r})
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("depth", ["headers", "full"])
@pytest.mark.parametrize(
    ("where", "fault"),
    [
        pytest.param(
            "/api/models/", "Late(seconds=300, where='/api/models/', times=None)", id="late listing"
        ),
        pytest.param("/resolve/", "Late(seconds=300, where='/resolve/', times=None)", id="late file"),
        pytest.param(
            "/resolve/",
            "Status(status=429, where='/resolve/', rate_limit='\"resolvers\";r=0;t=50', times=None)",
            id="rate limit",
        ),
    ],
)
def test_an_interrupt_ends_an_audit(where: str, fault: str, depth: str) -> None:
    """Ctrl-C ends an audit that waits for the hub, and the interpreter does not wait for its threads."""
    program = AUDIT.format(
        fault_class=fault.partition("(")[0], fault=fault, where=where, depth=depth, ceiling=CEILING
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=2 * CEILING, text=True
    )

    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr


def test_a_crew_does_every_job_with_its_threads_and_no_more() -> None:
    """Many callers share the threads of one crew."""
    done: list[int] = []
    threads: set[int] = set()

    def work(job: int) -> None:
        threads.add(threading.get_ident())
        done.append(job)

    crew = Crew(3, "test", lambda: None)
    callers = [threading.Thread(target=crew.do, args=(work, range(k, k + 10))) for k in range(0, 80, 10)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(CEILING)

    assert sorted(done) == list(range(80))
    assert len(threads) <= 3


def test_a_failure_ends_the_jobs_of_its_call_and_not_the_crew() -> None:
    """The first failure is what the caller gets; the next call finds the crew as it was."""
    done: list[int] = []
    over = threading.Event()

    def work(job: int) -> None:
        if job == 1:
            raise ValueError(job)
        if job == 2:
            over.wait(CEILING)
        done.append(job)

    crew = Crew(1, "test", lambda: None)
    with pytest.raises(ValueError, match="1"):
        crew.do(work, range(100))
    over.set()
    crew.do(done.append, [1000])

    assert done == [0, 2, 1000]
