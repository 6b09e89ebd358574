"""A program that is told to stop before there is anything to stop in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""The shell that runs the tests may let its children ignore Ctrl-C."""
WHILE_IT_LOADS = """
import os, sys
class Early:
    def find_spec(self, name, path=None, target=None):
        if name == "server.cli.commands":
            os.kill(os.getpid(), {signal})
sys.meta_path.insert(0, Early())
sys.argv[1:] = ["nodeset", "types"]
from server.cli import main
sys.exit(main())
"""
WHILE_IT_WORKS = """
import os, sys
from server.cli import main, nodeset
def run(arguments):
    try:
        os.kill(os.getpid(), {signal})
        sum(range(1000))
    finally:
        print("cleared away")
nodeset.run = run
sys.argv[1:] = ["nodeset", "types"]
sys.exit(main())
"""
AT_ITS_END = """
import atexit, os, sys
from server.cli import main
atexit.register(os.kill, os.getpid(), {signal})
sys.argv[1:] = ["nodeset", "types"]
sys.exit(main())
"""


def played(script: str, which: signal.Signals, begin: str = HEARING) -> subprocess.CompletedProcess[str]:
    program = begin + script.format(signal=int(which))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("which", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_commands_load_ends_the_program_without_a_word(which: signal.Signals, status: int) -> None:
    done = played(WHILE_IT_LOADS, which)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize(("which", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_command_works_lets_it_clear_away_what_is_half_done(
    which: signal.Signals, status: int
) -> None:
    done = played(WHILE_IT_WORKS, which)
    assert (done.returncode, done.stdout, done.stderr) == (status, "cleared away\n", "")


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_all_is_done_changes_nothing(which: signal.Signals) -> None:
    done = played(AT_ITS_END, which)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().endswith("</UANodeSet>")


def test_ctrl_c_that_the_parent_has_ignored_stays_ignored() -> None:
    done = played(WHILE_IT_LOADS, signal.SIGINT, "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fault_in_memory_leaves_a_word() -> None:
    done = played(WHILE_IT_WORKS, signal.SIGBUS)
    assert done.returncode == -signal.SIGBUS
    assert "Fatal Python error: Bus error" in done.stderr
    assert "in run" in done.stderr, "and says where"
