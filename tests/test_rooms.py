"""Imports flow one way between rooms, and no room is a heap."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From low to high: a room may import itself and the rooms before it. Rooms on one line stand beside each other and do
# not import each other. A name is a package, a module, or a package's own __init__ (written with a dot at the end).
THEORY = [
    ["theory.checks", "theory.progress"],
    ["theory.directions"],
    ["theory.rules"],
    ["theory.losses"],
    ["theory.sampling"],
    ["theory"],
]
DP = [
    ["dp.utils"],
    ["dp.samples"],
    ["dp.guidance"],
    ["dp.config"],
    ["dp.data"],
    ["dp.learner"],
    ["dp.generation"],
    ["dp.selection"],
    ["dp.pool"],
    ["dp.pretrained"],
    ["dp.practice"],
    ["dp.runs"],
    ["dp.paper"],
    ["dp.cli"],
    ["dp.", "dp.schedulers", "dp.__main__"],
]
EXPERIMENTS = [
    ["experiments.", "experiments.paths"],
    ["experiments.data"],
    ["experiments.engine"],
    ["experiments.analysis"],
    ["experiments.studies"],
    ["experiments.profiles", "experiments.verdicts"],
    ["experiments.commands"],
    ["experiments.__main__"],
]
PAPER_FIGURES = [
    ["paper_figures."],
    ["paper_figures.drawing"],
    ["paper_figures.exhibits"],
    ["paper_figures.cluster", "paper_figures.report"],
    ["paper_figures.commands"],
    ["paper_figures.__main__"],
]
# The houses that each house stands on.
HOUSES = {
    "theory": [THEORY],
    "dp": [DP],
    "experiments": [THEORY, DP, EXPERIMENTS],
    "paper_figures": [THEORY, DP, EXPERIMENTS, PAPER_FIGURES],
}


def module_name(path: Path) -> str:
    """Return the dotted name under which Python imports a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for house in HOUSES for path in sorted((ROOT / house).rglob("*.py"))}


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each module that a module imports, inside functions and by a string as well."""
    tree = ast.parse(source)
    package = module.split(".")[0]
    by_name = "import_module" in source
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{module}:{node.lineno} imports by a relative name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in FILES else node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # "dp.cli.run" anywhere; "cli.run" too where import_module puts the package before it.
            for name in (node.value, f"{package}.{node.value}") if by_name else (node.value,):
                if "." in name and name in FILES:
                    yield node.lineno, name


def floor(module: str, rooms: list[list[str]]) -> tuple[int, str] | None:
    """Return the height of a module's room among the rooms, and the room's name."""
    fits = [
        (height, name)
        for height, names in enumerate(rooms)
        for name in names
        if f"{module}." == name or module == name or (name[-1] != "." and module.startswith(f"{name}."))
    ]
    return max(fits, key=lambda each: len(each[1]), default=None)


def upward(module: str, source: str) -> list[str]:
    """Return the imports of a module that do not lead to its own room or to a lower one."""
    rooms = [names for house in HOUSES[module.split(".")[0]] for names in house]
    here = floor(module, rooms)
    assert here is not None, f"{module} stands in no room; name it in tests/test_rooms.py"
    wrong = []
    for line, name in imports(module, source):
        if name.split(".")[0] not in HOUSES:
            continue  # a library
        there = floor(name, rooms)
        if there is None or (there != here and there[0] >= here[0]):
            wrong.append(f"{module}:{line} imports {name}")
    return wrong


def test_imports_lead_to_the_same_room_or_a_lower_one():
    assert [line for module, path in FILES.items() for line in upward(module, path.read_text())] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dp.utils.files", "from dp.samples import Sample"),
        ("dp.utils.files", "def late():\n    from dp import config"),
        ("dp.utils.files", "import dp.pool.folder"),
        ("dp.utils.files", "from dp import UserError"),
        ("dp.pool.folder", "import_module(f'dp.{COMMANDS[0]}'), 'cli.run'"),
        ("dp.pool.folder", "subprocess.run([python, '-m', 'dp.cli.run'])"),
        ("theory.error", "import dp"),
        ("theory.rules.selection", "import theory.error"),
        ("dp.config", "import theory"),
        ("experiments.verdicts.scaling", "from experiments.profiles import PROFILES"),
        ("experiments.studies.theory", "from paper_figures.drawing import style"),
    ],
)
def test_an_import_upward_or_across_is_seen(module, source):
    assert upward(module, source)


def test_no_folder_is_a_heap():
    many = {"experiments/studies", "paper_figures/exhibits"}  # one file per study, one per exhibit
    for folder in {path.parent for path in FILES.values()}:
        name = str(folder.relative_to(ROOT))
        assert name in many or len(list(folder.glob("*.py"))) <= 15, name
