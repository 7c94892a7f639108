"""The programs that are asked, as tests/tools/install has them."""
import functools
import subprocess
import sys
from pathlib import Path

INSTALL = Path(__file__).resolve().parents[1] / 'install'


class Failure(Exception):
    """Why nothing can be checked."""


@functools.cache
def tool(name: str) -> str:
    """The path of an installed program."""
    shown = subprocess.run([sys.executable, INSTALL, '--print-path', name], capture_output=True, text=True, check=False)
    if shown.returncode:
        raise Failure(shown.stderr.strip())
    return shown.stdout.strip()


@functools.cache
def help_of(name: str) -> str:
    """What a program says of its flags."""
    shown = subprocess.run([tool(name), '-help-all' if name == 'mimir' else '--help'], capture_output=True, text=True, check=False)
    return shown.stdout + shown.stderr
