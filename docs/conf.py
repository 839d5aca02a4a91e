"""How the site is built: `sphinx-build -W -n -b html docs build/site`, offline."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import api_pages  # noqa: E402
import inventories  # noqa: E402

import mmlfast  # noqa: E402

project = "mmlfast"
author = "the authors of mmlfast"
copyright = author  # what Sphinx calls it
version = release = mmlfast.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "mathml",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_ext", "**.ipynb", "**.py", "**.py.md5", "README.md"]
templates_path = ["_templates"]
nitpicky = True
# Names that docstrings use for kinds of things, not for objects that a page could describe.
nitpick_ignore_regex = [("py:.*", r"(optional|array_like|array-like|ndarray|callable|sequence|scalar|iterable).*")]

# ---- Markdown ----
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# ---- docstrings ----
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc says what the arguments are, in words
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"GL01", "GL02", "GL03", "GL05", "GL08", "PR01", "PR02", "PR04", "RT01", "SS03"}
# Classes of results are made by the library: their docstrings say what is in them, not how to make one.
numpydoc_validation_exclude = {r"\.__\w+__$", r"\.[A-Z]\w*$"}

# ---- other projects: lists of the names used here, so that no build needs a network ----
intersphinx_mapping = inventories.mapping()

# ---- the gallery ----
sphinx_gallery_conf = {
    "examples_dirs": [str(DOCS.parent / "examples"), str(DOCS.parent / "course")],
    "gallery_dirs": ["gallery", "course"],
    "filename_pattern": r"/(examples|course)/",
    "doc_module": ("mmlfast",),
    "reference_url": {"mmlfast": None},
    "backreferences_dir": "reference/backreferences",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 5,
    "matplotlib_animations": True,
    "download_all_examples": False,
    "first_notebook_cell": "%matplotlib inline",
}

# ---- the look ----
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"mmlfast {version}"
html_static_path = ["_static"]
html_css_files = ["mmlfast.css"]
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_show_sourcelink = False

os.environ.setdefault("MPLBACKEND", "agg")
api_pages.write(DOCS / "reference")


def _is_ours(module):
    return module is not None and module.split(".")[0] == "mmlfast"


def _skip_foreign(app, what, name, obj, skip, options):
    """Methods that a class has from another library are described there, fields of a tuple in its docstring."""
    if type(obj).__name__ == "_tuplegetter":
        return True
    owner = getattr(obj, "__module__", None) or getattr(getattr(obj, "fget", None), "__module__", None)
    return True if callable(obj) and not _is_ours(owner) else skip


def setup(app):
    app.connect("autodoc-skip-member", _skip_foreign)
