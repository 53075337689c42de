"""A command that is forked with the libraries in memory does what one does that starts cold."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import COMMAND, environment, run, warm
from support.processes import eventually, is_running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands start cold elsewhere")


def cold(*words: str, home: Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
    """Run the command in an interpreter of its own."""
    done = subprocess.run(
        [*COMMAND, *words],
        env=environment(home),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("--help",), b""),
        (("no-such-command",), b""),
        (("worker",), b""),
        (("count", "nowhere.jsonl"), b""),
        (("count", "-"), b'{"model": "claude-x"}\n[]\n'),
    ],
)
def test_status_and_both_streams_are_the_same(
    tmp_path: Path, words: tuple[str, ...], stdin: bytes
) -> None:
    forked = run(*words, env=environment(tmp_path), stdin=stdin)
    started = cold(*words, home=tmp_path, stdin=stdin)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )


def test_a_signal_reaches_the_command_itself_and_is_its_status(tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL="redis://127.0.0.1:1")
    forker = warm(env)
    assert forker is not None
    with (tmp_path / "said").open("wb") as said, Path("/dev/zero").open("rb") as endless:
        streams = (endless.fileno(), said.fileno(), said.fileno())
        with forker.fork(("count", "-"), env, streams) as command:
            assert eventually(lambda: is_running(command.pid))
            with pytest.raises(subprocess.TimeoutExpired):
                command.wait(0)
            command.kill()
            assert command.wait(10) == -signal.SIGKILL
    assert not is_running(command.pid)


def test_an_environment_that_an_interpreter_reads_at_its_start_is_no_forks(tmp_path: Path) -> None:
    assert warm(environment(tmp_path, WEIGHBRIDGE_RPM="60")) is not None
    assert warm(environment(tmp_path, PYTHONASYNCIODEBUG="1")) is None
    assert warm({"PATH": "/usr/bin", "LANG": "tlh"}) is None
