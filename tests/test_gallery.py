"""Whatever is public is shown on a page of the gallery or of the course."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import mmlfast

ROOT = Path(__file__).parents[1]
PAGES = {path: path.read_text() for folder in ("examples", "course") for path in (ROOT / folder).glob("*.py")}
MODULES = sorted(m.name for m in pkgutil.iter_modules(mmlfast.__path__) if m.ispkg and m.name[0] != "_")


def is_made_by_the_library(thing):
    """Results, errors and types that functions give: their functions are shown."""
    return (
        isinstance(thing, type) and not hasattr(thing, "fit") and thing.__name__ not in ("Moments", "Links", "RFactor")
    )


@pytest.mark.parametrize("module", [name for name in MODULES if name != "tour"])
def test_every_public_function_is_on_a_page(module):
    found = importlib.import_module(f"mmlfast.{module}")
    text = "\n".join(PAGES.values())
    for name in found.__all__:
        if not is_made_by_the_library(getattr(found, name)):
            assert re.search(rf"\b{name}\b", text), f"show {module}.{name} on a page of examples/ or course/"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_begins_with_a_title(path):
    lines = PAGES[path].split("\n")
    assert lines[0] == '"""'
    assert len(lines[1]) <= len(lines[2])
    assert set(lines[2]) == {"="}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_has_a_picture_with_labelled_axes(path):
    text = PAGES[path]
    assert re.search(r"plt\.(subplots|figure)\(", text)
    assert re.search(r"xlabel|set_xticks|axis\(\"off\"\)|xticks=\[\]", text)
