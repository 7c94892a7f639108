"""What the Dockerfile's build stages have of the repository is enough for cargo to read the workspace; nothing is compiled for that."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .dockerfile import Dockerfile, files_of, ignored, patterns_of
from .tools import Failure

# In place of cargo, for the script that would compile. Cargo looks for the files of all targets before it looks for a package, and not before
# it only tells what there is.
CARGO = """#!/bin/sh
said=$({cargo} build --locked --package none-of-this-name 2>&1)
case $said in
    *'did not match any packages'*) ;;
    *) echo "$said"; exit 1 ;;
esac
"""


def lay_out(file: Dockerfile, name: str, place: Path) -> None:
    """Copies as the stage does, from what .dockerignore lets through."""
    patterns = patterns_of(file.root)
    for origin, sources, target in file.named(name).copies:
        for source in sources:
            for found in files_of(file.root, source) if not origin else []:
                if ignored(found, patterns):
                    continue
                below = Path(found).relative_to(source) if (file.root / source).is_dir() else Path(Path(found).name)
                (place / target / below).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.root / found, place / target / below)


def run(command: list[str], place: Path, path: str) -> list[str]:
    shown = subprocess.run(command, cwd=place, env={**os.environ, 'PATH': path, 'CARGO_TARGET_DIR': str(place / 'target')}, capture_output=True, text=True, check=False)
    reason = ' '.join((shown.stdout + shown.stderr).split())
    return [f'Dockerfile: {" ".join(command[:4])} fails with what is copied: {reason}'] if shown.returncode else []


def faults(root: Path) -> list[str]:
    file = Dockerfile(root)
    if not file.named('dependencies') or not file.named('build'):
        return ['Dockerfile: there is no stage dependencies, or no stage build']
    if not (cargo := shutil.which('cargo')):
        raise Failure('cargo is not on PATH: install Rust with rustup')
    with tempfile.TemporaryDirectory() as folder:
        place, programs = Path(folder) / 'src', Path(folder) / 'bin'
        programs.mkdir()
        (programs / 'cargo').write_text(CARGO.format(cargo=cargo))
        (programs / 'cargo').chmod(0o755)
        path = f'{programs}:{Path(cargo).parent}:/usr/bin:/bin'
        lay_out(file, 'dependencies', place)
        found = run(['sh', 'ops/docker/build', 'dependencies'], place, path)
        lay_out(file, 'build', place)
        return found or run(['cargo', 'build'], place, path)
