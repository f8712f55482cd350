"""Printed digits: glyphs of free fonts, a source of digits that has never seen the target, MNIST's handwriting.

The fonts are Debian's; experiments/assets/fonts/packages.csv names the packages, their versions, checksums and
licences. No font is part of the repository: experiments/assets/fonts/glyphs.npz holds pictures of their ten digits,
each drawn large, reduced to a box of 20 x 20 pixels as MNIST's digits are, and centred in 28 x 28.

Two things are left out. Pictures that are the same, pixel by pixel, as an earlier one of their class: many fonts share
their digits. And fonts whose digits are ornaments: a font stays if classifiers that were trained on the fonts of other
packages recognise at least 7 of its 10 digits.

    python -m experiments.data.fonts                # makes the file again, in build/fonts; needs apt-get and dpkg
    python -m experiments.data.fonts --packages fonts-cardo fonts-agave           # a new list of packages
"""

import csv
import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from dp.data.image_set import ImageSet
from dp.utils.command_line import run_command
from dp.utils.errors import UserError
from dp.utils.files import atomic, sha256
from dp.utils.seeding import stream
from experiments.paths import BUILD, ROOT

FOLDER = ROOT / "experiments" / "assets" / "fonts"
PACKAGES, GLYPHS = FOLDER / "packages.csv", FOLDER / "glyphs.npz"
DOWNLOADS = BUILD / "fonts"
DIGITS = "0123456789"
LARGE, BOX, SIZE = 160, 20, 28  # pixels: a glyph as it is drawn, as it is kept, and the picture around it
RECOGNISED = 7  # of a font's ten digits, at least
FOLDS = 5


def glyphs() -> ImageSet:
    """Return every glyph once, uint8 [N, 1, 32, 32], bright on black.

    Raises:
        UserError: the file is missing.
    """
    if not GLYPHS.exists():
        raise UserError(f"{GLYPHS}: missing; it is part of the repository, restore it with git checkout")
    with np.load(GLYPHS, allow_pickle=False) as file:
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    return ImageSet(F.pad(images[:, None], (2, 2, 2, 2)), labels)


def changed(images: ImageSet, count: int, seed: int = 0) -> ImageSet:
    """Return `count` images, the given ones in turn, each turned, slanted, scaled and moved a little at random.

    Args:
        images: uint8 [N, 1, 32, 32].
        count: how many to return.
        seed: names the random changes: rotation by up to 10 degrees, slant and scale by up to 15%, shift by up to 1.5
            pixels.
    """
    rng = stream(seed, count)

    def uniform(most: float) -> Tensor:
        return (2 * torch.rand(count, generator=rng) - 1) * most

    angle, slant = uniform(torch.pi / 18), uniform(0.15)
    wide, high = (1 + uniform(0.15) for _ in range(2))
    rows = torch.stack([angle.cos() * wide, (slant - angle.sin()) * wide, uniform(1.5 / 16)], 1)
    columns = torch.stack([angle.sin() * high, angle.cos() * high, uniform(1.5 / 16)], 1)
    index = torch.arange(count) % len(images)
    parts = []
    for part, matrix in zip(index.split(1000), torch.stack([rows, columns], 1).split(1000), strict=True):
        shape = (len(part), 1, *images.images.shape[-2:])
        grid = F.affine_grid(matrix, list(shape), align_corners=False)
        moved = F.grid_sample(images.images[part].float(), grid, "bilinear", "zeros", align_corners=False)
        parts.append(moved.clamp(0, 255).round().byte())
    return ImageSet(torch.cat(parts), images.labels[index])


def render(font: Path) -> np.ndarray | None:
    """Return the ten digits of a font file, uint8 [10, 28, 28], bright on black; None if it lacks one.

    The longer side of each digit fills a box of 20 pixels, whatever its size beside the others.
    """
    from fontTools.ttLib import TTFont, TTLibError
    from PIL import Image, ImageDraw, ImageFont

    try:
        with TTFont(font, lazy=True) as file:
            known = file.getBestCmap() or {}
        drawn = ImageFont.truetype(font, LARGE, layout_engine=ImageFont.Layout.BASIC)
    except (TTLibError, OSError, KeyError, AssertionError):
        return None
    pictures = np.zeros((10, SIZE, SIZE), np.uint8)
    for digit, picture in zip(DIGITS, pictures, strict=True):
        if ord(digit) not in known:
            return None
        sheet = Image.new("L", (4 * LARGE, 4 * LARGE))
        ImageDraw.Draw(sheet).text((LARGE, LARGE), digit, 255, drawn)
        found = sheet.getbbox()
        if found is None:
            return None
        glyph = sheet.crop(found)
        scale = BOX / max(glyph.size)
        width, height = (max(1, round(side * scale)) for side in glyph.size)
        small = np.asarray(glyph.resize((width, height), Image.Resampling.BOX))
        top, left = (SIZE - height) // 2, (SIZE - width) // 2
        picture[top : top + height, left : left + width] = small
    return pictures


def fetch(package: str, version: str | None = None, checksum: str | None = None) -> Path:
    """Download a Debian package and unpack it into build/fonts, without installing it; return the folder.

    Raises:
        UserError: apt-get does not have the package in that version, or the file is another than expected.
    """
    folder = DOWNLOADS / "unpacked" / package
    deb = DOWNLOADS / f"{package}.deb"
    if not deb.exists():
        named = f"{package}={version}" if version else package
        inside = DOWNLOADS / f".{package}"
        inside.mkdir(parents=True, exist_ok=True)
        asked = subprocess.run(["apt-get", "download", named], cwd=inside, capture_output=True, text=True)
        found = sorted(inside.glob("*.deb"))
        if asked.returncode or not found:
            last = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
            raise UserError(f"{named}: apt-get download failed ({last}); it must be in your Debian release")
        found[0].replace(deb)
        shutil.rmtree(inside)
    if checksum and sha256(deb) != checksum:
        raise UserError(f"{deb}: not the file that packages.csv names (SHA-256 {checksum[:12]}...); delete it")
    if not folder.exists():
        partial = folder.with_name(f".{package}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        subprocess.run(["dpkg", "-x", deb, partial], check=True)
        partial.rename(folder)
    return folder


def licences(folder: Path) -> str:
    """Return what an unpacked package's copyright file says its files are under, without its packaging scripts."""
    text = "".join(path.read_text(errors="replace") for path in sorted(folder.glob("usr/share/doc/*/copyright")))
    parts = [part for part in text.split("\n\n") if part.startswith("Files:") and "debian/" not in part.split("\n")[0]]
    found = re.findall(r"^License: *(.+)$", "\n".join(parts), re.MULTILINE)
    return "; ".join(dict.fromkeys(each.strip() for each in found)) or "free (see the package's copyright file)"


def font_files(folder: Path) -> list[Path]:
    """Return the TrueType and OpenType files of an unpacked package, in order of their paths."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sorted(path for path in files if path.suffix.lower() in (".ttf", ".otf"))


def recognised(pictures: np.ndarray, packages: Sequence[str]) -> np.ndarray:
    """Return how many of each font's digits classifiers take for what they are, int [fonts].

    The packages are dealt to five folds; a fold's fonts are judged by a ConvNet trained on the other folds' for 1,500
    iterations.

    Args:
        pictures: uint8 [fonts, 10, 28, 28].
        packages: of each font.
    """
    from dp.config import PracticeConfig
    from dp.generation.real_images import RealData
    from dp.learner.evaluate import logits_of
    from dp.practice.loop import run_practice

    names = sorted(set(packages))
    fold = torch.tensor([names.index(package) % FOLDS for package in packages])
    images = F.pad(torch.from_numpy(pictures), (2, 2, 2, 2))
    labels = torch.arange(10)
    right = torch.zeros(len(images), dtype=torch.int64)
    for part in range(FOLDS):
        seen, judged = images[fold != part], images[fold == part]
        source = ImageSet(seen.reshape(-1, 1, 32, 32), labels.repeat(len(seen)))
        config = PracticeConfig(n_initial=len(source), rounds=0, n_per_round=0, iterations=1500, validate_every=1500)
        data = RealData(source, 10, len(source), seed=part)
        some = ImageSet(source.images[:1000], source.labels[:1000])  # the loop wants some; they decide nothing here
        outcomes, _ = run_practice(config, data, some, None, initial=data.samples(range(len(source))))
        found = logits_of(outcomes[-1].learner, judged.reshape(-1, 1, 32, 32)).argmax(1).reshape(-1, 10)
        right[fold == part] = (found == labels).sum(1)
        print(f"fold {part + 1} of {FOLDS}: {len(judged)} fonts", flush=True)
    return right.numpy()


def distinct(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures that differ from all earlier ones of their digit, uint8 [N, 28, 28], and their labels."""
    seen: set[tuple[int, bytes]] = set()
    images, labels = [], []
    for font in pictures:
        for label, picture in enumerate(font):
            key = label, hashlib.sha256(picture.tobytes()).digest()
            if key not in seen:
                seen.add(key)
                images.append(picture)
                labels.append(label)
    return np.stack(images), np.array(labels, np.uint8)


def make(packages: tuple[str, ...] = ()) -> None:
    """Fetch the fonts, draw their digits, leave out what the rules say, and write the file of glyphs.

    Args:
        packages: names of Debian packages, to write a new packages.csv; without, those that it lists are made again,
            in the versions that it names.
    """
    if packages:
        listed = [{"package": name} for name in sorted(packages)]
    else:
        with PACKAGES.open(newline="") as file:
            listed = list(csv.DictReader(file))
    fonts: list[np.ndarray] = []
    of: list[str] = []
    rows: list[dict[str, Any]] = []
    for named in listed:
        package = named["package"]
        folder = fetch(package, named.get("version"), named.get("sha256"))
        deb = DOWNLOADS / f"{package}.deb"
        found = [each for each in map(render, font_files(folder)) if each is not None]
        fonts += found
        of += [package] * len(found)
        asked = ["dpkg-deb", "-f", str(deb), "Version"]
        version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        rows.append({"package": package, "version": version, "sha256": sha256(deb), "fonts": len(found)})
        rows[-1]["licence"] = licences(folder)
    pictures = np.stack(fonts)
    right = recognised(pictures, of)
    stay = right >= RECOGNISED
    for row in rows:
        row["left_out"] = sum(name == row["package"] and not each for name, each in zip(of, stay, strict=True))
    images, labels = distinct(pictures[stay])
    with atomic(GLYPHS) as partial, partial.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels)
    with atomic(PACKAGES) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(
        f"{len(pictures):,} fonts with ten digits, {stay.sum():,} kept; {len(images):,} different digits, SHA-256 "
        f"{sha256(GLYPHS)}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_command(lambda: tyro.cli(make))
