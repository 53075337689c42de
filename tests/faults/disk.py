"""A disk for a server's files that can be filled: one of its own where it may be mounted."""

import errno
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
SIZE_MIB = 256
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@dataclass(frozen=True, slots=True)
class Disk:
    """Where one server keeps its files.

    Args:
        real: whether it is a file system of its own. Where none may be mounted, a limit on the size
            of a file stands for it: the server's write fails alike.
    """

    folder: Path
    real: bool

    @property
    def kind(self) -> str:
        """Name what is filled."""
        return f"a tmpfs of {SIZE_MIB} MiB" if self.real else "a limit on a file's size"

    def fill(self, pid: int) -> None:
        """Leave no room for the server's file to grow."""
        if self.real:
            self._fill_up()
        else:
            used = sum(path.stat().st_size for path in self.folder.rglob("*.incr.aof"))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (used + 1000, resource.RLIM_INFINITY))

    def free(self, pid: int) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, UNLIMITED)

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def _fill_up(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * MIB)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Mount a small file system in a new folder while the block runs, where that is allowed."""
    folder.mkdir()
    real = _mount(folder)
    try:
        yield Disk(folder, real)
    finally:
        if real:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path) -> bool:
    command = shutil.which("mount")
    if command is None:
        return False
    words = [command, "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
