"""The committed notebooks are their sources, executed."""

from pathlib import Path

import jupytext
import nbformat
import pytest

from experiments.verdicts import verdicts

FOLDER = Path(__file__).parent.parent / "notebooks"


@pytest.mark.parametrize("source", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_notebook_is_its_source_executed(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
    assert source.with_suffix(".ipynb").stat().st_size < 1_000_000


def test_the_results_notebook_shows_the_verdicts_there_are_now():
    notebook = nbformat.read(FOLDER / "05_results.ipynb", as_version=4)
    printed = notebook.cells[-1].outputs[0].text.splitlines()
    assert {line[:5].strip(): line[5:25].strip() for line in printed} == {
        each.id: each.verdict for each in verdicts("cpu")
    }
