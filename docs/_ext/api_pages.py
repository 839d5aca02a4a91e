"""The pages of the reference: one list for each module, one page for each public name, from what is public."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import mmlfast


def modules():
    """The public modules, by name."""
    names = [m.name for m in pkgutil.iter_modules(mmlfast.__path__) if not m.name.startswith("_") and m.ispkg]
    return [name for name in sorted(names) if name != "tour"]


def public_names(module):
    found = importlib.import_module(f"mmlfast.{module}")
    return sorted(name for name in found.__all__ if getattr(found, name).__module__ == found.__name__)


def _first_sentence(module):
    text = inspect.getdoc(importlib.import_module(f"mmlfast.{module}")) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def _page(module):
    title = f"mmlfast.{module}"
    lines = [title, "=" * len(title), "", _first_sentence(module), "", f".. currentmodule:: mmlfast.{module}", ""]
    lines += [".. autosummary::", "   :toctree: generated", ""]
    return "\n".join(lines + [f"   {name}" for name in public_names(module)]) + "\n"


def write(folder: Path):
    """Write the lists; a page whose text is the same is left alone, so that nothing is built twice."""
    folder.mkdir(exist_ok=True)
    top = ["set_num_threads", "get_num_threads", "show_config", "ConvergenceWarning"]
    index = [
        "Reference",
        "=========",
        "",
        "One page for each function and class.",
        "",
        ".. toctree::",
        "   :maxdepth: 1",
        "",
    ]
    index += [f"   {name}" for name in modules()]
    index += ["", ".. currentmodule:: mmlfast", "", ".. autosummary::", "   :toctree: generated", ""]
    index += [f"   {name}" for name in top if hasattr(mmlfast, name)]
    pages = {"index": "\n".join(index) + "\n", **{name: _page(name) for name in modules()}}
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
