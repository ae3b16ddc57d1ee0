"""The package as a whole: its public names, what importing it costs, and what it never loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import embaudit

STUB = Path(embaudit.__file__).with_suffix(".pyi")


def test_type_checkers_see_the_names_that_there_are() -> None:
    """The stub imports every public name from the module that the package loads it from, and no other."""
    imports = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}

    assert seen == embaudit._HOME_OF


@pytest.mark.parametrize("name", sorted(embaudit.__all__))
def test_every_public_name_is_there(name: str) -> None:
    """A public name loads, and is the object that its module defines."""
    value = getattr(embaudit, name)

    assert value is getattr(sys.modules[embaudit._HOME_OF[name]], name)
    assert name in dir(embaudit)


def test_other_names_are_attribute_errors() -> None:
    """A name that does not exist fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = embaudit.nothing  # type: ignore[attr-defined]


def _modules_after(program: str) -> set[str]:
    code = f"import sys\n{program}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    """`import embaudit` loads two modules of its own and no dependency."""
    loaded = _modules_after("import embaudit")

    assert {name for name in loaded if name.startswith("embaudit")} == {"embaudit", "embaudit.version"}
    assert not loaded & {"attr", "numpy", "torch", "huggingface_hub", "safetensors"}


def test_using_every_public_name_loads_neither_numpy_nor_torch() -> None:
    """Everything public can be had without the heavy packages."""
    loaded = _modules_after("from embaudit import *")

    assert not loaded & {"numpy", "torch", "safetensors", "transformers", "pickle"}
