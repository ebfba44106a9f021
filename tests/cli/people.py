"""Folders of labelled faces for ``evaluate`` and ``calibrate``."""

from pathlib import Path

from app.tools.evaluation.gallery import list_images
from tests.support.images import another_shot, astronaut, jpeg


def link_people(folder: Path, shared: Path, count: int) -> Path:
    """Link people of LFW who have two images or more into ``folder``, and return it."""
    people = [person for person in sorted((shared / "data/lfw").iterdir()) if len(list(person.iterdir())) > 1]
    people = people[:count]
    assert len(people) == count
    for person in people:
        (folder / person.name).symlink_to(person)
    return folder


def one_person(folder: Path) -> Path:
    """Write two images of one person into a subfolder of ``folder``, and return ``folder``."""
    (folder / "collins").mkdir()
    (folder / "collins/1.jpg").write_bytes(jpeg(astronaut()))
    (folder / "collins/2.jpg").write_bytes(jpeg(another_shot(astronaut())))
    return folder


def listed_pairs(file: Path, shared: Path) -> int:
    """Write a list of 20 genuine pairs and many impostor pairs of LFW; return the number of impostor pairs."""
    folders = sorted((shared / "data/lfw").iterdir())
    first_images = [sorted(person.iterdir())[:2] for person in folders]
    genuine = [images for images in first_images if len(images) == 2][:20]
    images = list_images(shared / "data/lfw")[0:400:8]
    impostor = [(a, b) for i, a in enumerate(images) for b in images[i + 1 :] if a.parent != b.parent]
    lines = [f"{a} {b} same" for a, b in genuine] + [f"{a} {b} different" for a, b in impostor]
    file.write_text("\n".join(lines))
    return len(impostor)


def link_groups(folder: Path, shared: Path, sizes: dict[str, int]) -> Path:
    """Link people of LFW with two images or more into subfolders of ``folder``, one per group; return ``folder``."""
    people = [person for person in sorted((shared / "data/lfw").iterdir()) if len(list(person.iterdir())) > 1]
    for group, size in sizes.items():
        (folder / group).mkdir()
        for person in people[:size]:
            (folder / group / person.name).symlink_to(person)
        people = people[size:]
    return folder
