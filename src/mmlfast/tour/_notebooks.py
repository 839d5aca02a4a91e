"""The pages of the gallery and of the course as notebooks: ``python -m mmlfast --notebooks DIR``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path


def _folders() -> dict[str, Path]:
    """Where the scripts of the pages are: in the installed package, or in the checkout that it is imported from."""
    package = Path(__file__).parents[1]
    places = (package / "_pages", package.parents[1])
    names = ("course", "examples")
    for place in places:
        if all((place / name).is_dir() for name in names):
            return {name: place / name for name in names}
    raise FileNotFoundError(f"the pages are in none of {', '.join(map(str, places))}")


def write_notebooks(folder: Path) -> list[Path]:
    """Write a notebook of every page, and keep those that are there.

    Parameters
    ----------
    folder : Path
        Gets the folders ``course`` and ``examples``. A notebook that is there already may have been worked in, and
        stays as it is.

    Returns
    -------
    list of Path
        The notebooks, in the order of their names.

    Raises
    ------
    ImportError
        Without sphinx-gallery, which turns scripts into notebooks.
    """
    from copy import deepcopy

    from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
    from sphinx_gallery.notebook import jupyter_notebook, save_notebook
    from sphinx_gallery.py_source_parser import split_code_and_text_blocks

    settings = {**deepcopy(DEFAULT_GALLERY_CONF), "first_notebook_cell": "%matplotlib inline"}
    written = []
    for name, pages in _folders().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for page in sorted(pages.glob("*.py")):
            notebook = folder / name / f"{page.stem}.ipynb"
            if not notebook.exists():
                _, blocks = split_code_and_text_blocks(str(page))
                save_notebook(jupyter_notebook(blocks, settings, str(notebook.parent)), str(notebook))
            written.append(notebook)
    return written


def open_notebooks(folder: Path, *, show: bool) -> int:
    """Write the notebooks, open them in JupyterLab unless ``show`` is false, and return the exit code."""
    if show and importlib.util.find_spec("jupyterlab") is None:
        raise ModuleNotFoundError("No module named 'jupyterlab'", name="jupyterlab")
    sys.stdout.write(f"{len(write_notebooks(folder))} notebooks in {folder}\n")
    return subprocess.call([sys.executable, "-m", "jupyterlab", str(folder)]) if show else 0
