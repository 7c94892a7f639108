"""The list of images in docs/compose.md: what is pulled stands there, with a tag, and nothing else does."""
import re
from pathlib import Path

from . import compose
from .dockerfile import REFERENCE, Dockerfile

PAGE = 'docs/compose.md'


def listed(root: Path) -> set[str]:
    section = (root / PAGE).read_text().partition('\n## Base images\n')[2].partition('\n## ')[0]
    return set(re.findall(r'^\| `([^`]+)` \|', section, re.M))


def faults(root: Path) -> list[str]:
    try:
        used = Dockerfile(root).references() | compose.references(compose.read(root, '/dev/null'))
    except compose.Refused:
        return []          # said already
    found = []
    for image in sorted(used):
        reference = REFERENCE.fullmatch(image)
        if not reference or reference['tag'] == 'latest':
            found.append(f'{image}: an image is named with the tag of a version')
        elif '.' in image.split('/')[0] and '/' in image:
            found.append(f'{image}: an image is named without a registry')
    found += [f'{PAGE}: {image} is not in the table of images' for image in sorted(used - listed(root))]
    found += [f'{PAGE}: {image} is in the table of images and used nowhere' for image in sorted(listed(root) - used)]
    return found
