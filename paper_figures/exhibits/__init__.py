"""Figures and tables of the report, one file each: a file that defines `ENTRY` and `make(profile)` is an exhibit."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from paper_figures.drawing.exhibit import PARTS


@cache
def exhibits() -> dict[str, ModuleType]:
    """Return the modules of all exhibits by name, in the report's order."""
    modules = [import_module(f"{__name__}.{each.name}") for each in iter_modules(__path__)]
    modules = [module for module in modules if hasattr(module, "ENTRY")]
    order = sorted(modules, key=lambda m: (PARTS.index(m.ENTRY.part), m.ENTRY.number, m.ENTRY.name))
    return {module.ENTRY.name: module for module in order}
