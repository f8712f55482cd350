"""Every public name of dp and theory has an example in its docstring, and the examples run."""

import doctest
from types import ModuleType

import pytest
import torch

import dp
import theory

PUBLIC = [(package, name) for package in (dp, theory) for name in package.__all__ if callable(getattr(package, name))]


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_the_example_of_a_public_name_runs(package: ModuleType, name: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = getattr(package, name).__doc__ or ""
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert example.examples, f"{package.__name__}.{name}: its docstring has no example"
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    with torch.random.fork_rng():
        assert doctest.DocTestRunner(optionflags=options).run(example).failed == 0
