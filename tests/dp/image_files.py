"""Image files, whole and otherwise, for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, colour=(200, 30, 60), mode="RGB", size=(40, 30), format="JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = {"quality": 95} if format == "JPEG" else {}
    Image.new(mode, size, colour).save(path, format, **quality)
    return path


def truncate(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def bad_files(folder: Path) -> dict[Path, str]:
    folder.mkdir(exist_ok=True)
    text, empty, directory = folder / "text.JPEG", folder / "empty.JPEG", folder / "folder.JPEG"
    text.write_text("<html>404 Not Found</html>")
    empty.touch()
    directory.mkdir()
    return {
        truncate(folder / "cut.JPEG"): "image file is truncated",
        text: "not an image",
        empty: "not an image",
        directory: "Is a directory",
        folder / "absent.JPEG": "No such file",
    }
