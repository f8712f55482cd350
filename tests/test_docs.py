"""The Python of the documentation runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/method.md", "docs/guidance.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """Its blocks one after the other, in an empty folder; but for those that say that they need weights."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    runnable = [block for block in blocks if not block.startswith("# needs")]
    assert runnable
    names: dict[str, object] = {}
    for block in runnable:
        exec(compile(block, page, "exec"), names)
