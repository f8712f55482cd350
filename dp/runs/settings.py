"""runs.settings."""

import json
from pathlib import Path
from typing import Any

from dp.pool.paths import SETTINGS
from dp.runs.paths import FORMAT
from dp.utils.errors import UserError
from dp.utils.files import write_json

MAY_CHANGE = ("generation_batch", "memory")  # of how a run computes; another batch changes images by rounding alone


def claim(folder: Path, settings: dict[str, Any], kind: str = "run") -> None:
    """Write the settings of a run (or of a pool of its own) into a new folder, or make sure that they are the folder's.

    Those of `MAY_CHANGE` may be others than before; see `renew`.

    Raises:
        UserError: the folder has other settings, or something else is in it.
    """
    path = folder / SETTINGS
    if not path.exists():
        if folder.is_file() or (folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir())):
            raise UserError(f"{folder}: not a {kind}'s folder (no settings.json) and not empty; give a new one")
        write_json(path, {"format": FORMAT} | settings)
        return
    different = _differences(read_settings(folder), json.loads(json.dumps(settings)))
    if different:
        raise UserError(
            f"{folder}: another {kind}'s folder ({'; '.join(different)}); use its settings or another folder"
        )


def renew(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings anew where those of `MAY_CHANGE` are others; by whoever has claimed and locked the folder."""
    if read_settings(folder) != json.loads(json.dumps(settings)):
        write_json(folder / SETTINGS, {"format": FORMAT} | settings)


def _differences(found: dict[str, Any], wanted: dict[str, Any], inside: str = "") -> list[str]:
    """What differs, by the names of the settings: "config.lr: 0.002 there, 0.003 asked for"."""
    different = []
    for name in sorted(found.keys() | wanted.keys()):
        there, asked = found.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(asked, dict):
            different += _differences(there, asked, f"{inside}{name}.")
        elif there != asked and name not in MAY_CHANGE:
            different.append(f"{inside}{name}: {_brief(there)} there, {_brief(asked)} asked for")
    return different


def read_settings(folder: Path, *needed: str) -> dict[str, Any]:
    """The settings of a run, as JSON values; `needed` are those that it cannot do without.

    Raises:
        UserError: there is no run, its settings are damaged, of a newer version, or lack one that is needed.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text())
        number = settings.pop("format")
    except FileNotFoundError:
        raise UserError(f"{folder}: no run here (no settings.json); name the folder that `dp run` was given") from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); restore it from a copy") from None
    if number != FORMAT:
        raise UserError(f"{path}: format {number}, this version reads {FORMAT}; use the version that wrote it")
    missing = [name for name in needed if name not in settings]
    if missing:
        raise UserError(
            f"{path}: got no {', '.join(missing)}, expected what `dp run` writes; for a run that was started in Python "
            "do this in Python too (docs/method.md)"
        )
    return settings


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else text[:77] + "..."
