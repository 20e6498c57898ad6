# SPDX-License-Identifier: Apache-2.0
"""What the end to end tests share: folders, certificates, and a look at every Byway after every test."""
import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import stage  # noqa: E402


def pytest_configure(config):
    """A client or server on a thread that dies of an exception fails the test: its assertions are the test's."""
    config.addinivalue_line("filterwarnings", "error::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """Certificate and key of upstreams on localhost."""
    return stage.certificate(tmp_path_factory.mktemp("pair"), "localhost")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def stack():
    """Things that live as long as the module: stack.enter_context(...)."""
    with contextlib.ExitStack() as s:
        yield s


@pytest.fixture(scope="module")
def stage_byway(stack):
    """Starts a Byway that lives as long as the module; at its end it must leave with status 0 and without a sanitizer's report."""

    def end(byway):
        status = byway.stop()
        assert not byway.faults(), byway.faults()
        assert status == 0, byway.said()

    def start(byway, directory=""):
        if not byway.ini.exists():
            byway.init()
        if directory:
            byway.apply(directory)
        stack.callback(end, byway)
        return byway.start()

    return start


@pytest.fixture(autouse=True)
def sound():
    """No daemon that runs during a test dies in it, loses a worker unless the test says `byway.steady = False`, or hears of a sanitizer."""
    before = {b: b.workers() for b in stage.Byway.running}
    known = {b: len(b.faults()) for b in before}
    yield
    for b in stage.Byway.running:
        assert len(b.faults()) == known.get(b, 0), b.faults()[known.get(b, 0):]
        assert b.process.poll() is None, b.said()
        if getattr(b, "steady", True) and b in before:
            assert set(before[b]) <= set(b.workers()), f"a worker was replaced: {b.events('worker')[-3:]}"
