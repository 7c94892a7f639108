"""What the installer runs and checks: commands of package registries, with progress, and sums of what they bring."""
import hashlib
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

PROGRESS_SECONDS = 15


class Failure(Exception):
    """What went wrong and the one command that helps."""


def say(text: str) -> None:
    print(f'tools: {text}', file=sys.stderr, flush=True)


def pip() -> list[str]:
    """The command that runs pip: this Python's, else one on PATH."""
    own = [sys.executable, '-m', 'pip']
    if subprocess.run([*own, '--version'], capture_output=True, check=False).returncode == 0:
        return own
    for name in ('pip3', 'pip'):
        if found := shutil.which(name):
            return [found]
    raise Failure(f'{sys.executable} has no pip, and there is none on PATH: {sys.executable} -m ensurepip --user (on Debian: apt-get install python3-pip)')


def sha256(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else hashlib.sha256(file.read()).hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    if (actual := sha256(path)) != expected:
        raise Failure(f'{path.name}: sha256 is {actual}, expected {expected}')


def run(command: list[str], what: str, folder: str | None = None) -> None:
    """Runs a command, says every few seconds that it goes on, and shows the end of its output if it fails."""
    started, lines = time.monotonic(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', cwd=folder) as process:
        over = threading.Event()
        reporter = threading.Thread(target=report, args=(what, started, lines, over), daemon=True)
        reporter.start()
        lines.extend(process.stdout)
    over.set()
    if process.returncode:
        raise Failure(f'{what} failed (exit {process.returncode}):\n{"".join(lines[-20:])}ran: {" ".join(command)}')
    say(f'{what} took {time.monotonic() - started:.0f} s')


def report(what: str, started: float, lines: list[str], over: threading.Event) -> None:
    while not over.wait(PROGRESS_SECONDS):
        say(f'{what}: {time.monotonic() - started:.0f} s, {len(lines)} steps so far, {lines[-1].strip() if lines else "starting"}')
