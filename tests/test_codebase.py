"""The rules of the house: which folder may know which, where a kernel's name has to be, what a docstring has to say."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import mmlfast as mf
from mmlfast import _core

ROOT = Path(__file__).resolve().parent.parent
CPP = ROOT / "cpp"

pytestmark = pytest.mark.skipif(not CPP.is_dir(), reason="the sources are in a checkout only")

KERNELS = sorted(path.stem for path in (CPP / "kernels").glob("*.cpp"))


def cpp_files(*folders):
    return [path for folder in folders for path in sorted((CPP / folder).glob("*.[ch]pp"))]


def without_comments(path):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', without_comments(path), re.MULTILINE)


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(ROOT).as_posix())


# ---- layers ----

MAY_INCLUDE = {
    "simd": {"simd"},
    "runtime": {"runtime", "simd"},
    "kernels": {"kernels", "simd"},
    "drivers": {"drivers", "kernels", "simd", "runtime"},
    "bind": {"bind", "drivers", "kernels", "simd", "runtime"},
}


@by_name(cpp_files(*MAY_INCLUDE))
def test_includes_go_down(path):
    ours = [name for name in includes(path) if (CPP / name).exists() or "/" in name]
    for name in ours:
        folder = name.split("/")[0]
        if folder in MAY_INCLUDE:
            assert folder in MAY_INCLUDE[path.parent.name], f"{path.name} includes {name}"
            assert (CPP / name).is_file(), f"{path.name} includes {name}, which does not exist"
        elif folder == "sys":  # the operating system
            assert path.parent.name == "runtime", f"{path.name} includes {name}"
        else:
            assert folder in ("pybind11", "numpy"), f"{path.name} includes {name}"
            assert path.parent.name == "bind", f"{path.name} includes {name}"


@by_name([*cpp_files("kernels"), CPP / "simd" / "vec.hpp", CPP / "simd" / "math.hpp"])
def test_kernels_include_no_library(path):
    """They are compiled once per SIMD level: an inline function of a library could leak AVX code to old processors."""
    allowed = {"cstddef", "cstdint", "type_traits", "utility"}
    if path.name == "vec.hpp":
        allowed |= {"immintrin.h", "arm_neon.h"}
    assert {name for name in includes(path) if "/" not in name} <= allowed


@by_name(cpp_files("kernels"))
def test_kernels_only_compute(path):
    """No Python, no allocation, no threads, no exceptions."""
    found = re.findall(
        r"\b(?:Py\w+|py::\w+|new|delete|malloc|free|calloc|throw|try|catch|std::(?:thread|mutex|atomic|vector|function)"
        r"|thread_local|static_cast<std::ostream>|printf)\b(?!>)",
        without_comments(path),
    )
    assert not found


@by_name(cpp_files("kernels"))
def test_kernels_live_in_the_namespace_of_their_level(path):
    text = without_comments(path)
    if path.suffix == ".cpp":
        assert "namespace mmlfast::MMLFAST_LEVEL" in text
    outermost = re.search(r"^namespace\s+(\w+)", text, re.MULTILINE)
    assert outermost is not None
    assert outermost[1] == "mmlfast"


@by_name([path for path in cpp_files(*MAY_INCLUDE) if path.name not in ("vec.hpp", "narrow.hpp", "pairs.hpp")])
def test_intrinsics_are_with_the_vector_types(path):
    text = without_comments(path)
    assert not re.findall(r"\b_mm\d*_\w+|\b__m(?:128|256|512)\w*|\b__mmask\d+|\bv\w+q_f(?:32|64)\b", text)
    assert not {"immintrin.h", "arm_neon.h"} & set(includes(path))


@by_name(cpp_files("drivers"))
def test_drivers_do_not_throw(path):
    assert not re.findall(r"\bthrow\b|\bpy::|\bPy[A-Z]\w+", without_comments(path))


def test_no_flag_that_changes_arithmetic_or_ties_to_this_machine():
    text = "".join(path.read_text() for path in [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")])
    code = re.sub(r"#[^\n]*", "", text)
    assert not re.findall(r"-ffast-math|-Ofast|-march=native|-mtune=native|-fopenmp|-lopenblas|-lmkl", code)
    assert "-ffp-contract=off" in code


def test_the_package_does_not_use_its_references():
    """_reference is the specification for tests: slow, and not to be shipped as an implementation."""
    for path in (ROOT / "src" / "mmlfast").glob("*.py"):
        assert "_reference" not in path.read_text(encoding="utf-8"), path.name


# ---- a kernel has one name ----


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_is_in_every_folder(kernel):
    places = [
        f"cpp/kernels/{kernel}.hpp",
        f"cpp/drivers/{kernel}.hpp",
        f"cpp/drivers/{kernel}.cpp",
        f"cpp/bind/register_{kernel}.cpp",
        f"src/mmlfast/_reference/{kernel}.py",
        f"tests/test_{kernel}.py",
        f"bench/cases/{kernel}.py",
    ]
    assert [place for place in places if not (ROOT / place).is_file()] == []


def test_no_folder_has_a_kernel_of_its_own():
    known = set(KERNELS)
    assert {path.stem for path in (CPP / "drivers").glob("*.cpp")} <= known
    assert {path.stem.removeprefix("register_") for path in (CPP / "bind").glob("register_*.cpp")} <= known | {
        "runtime"
    }
    references = {path.stem for path in (ROOT / "src" / "mmlfast" / "_reference").glob("*.py")}
    assert references <= known | {"__init__"}
    registered = set(re.findall(r"^\s*register_(\w+)\(m\);", (CPP / "bind" / "module.cpp").read_text(), re.MULTILINE))
    assert registered == known | {"runtime"}


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_header_says_what_it_computes(kernel):
    """Arguments, work, accuracy, source, and the NumPy lines that give the same answer."""
    header = (CPP / "kernels" / f"{kernel}.hpp").read_text(encoding="utf-8")
    comments = "\n".join(re.findall(r"^\s*//(.*)$", header, re.MULTILINE))
    for pattern in (
        r"\bIN\b",
        r"\bOUT\b",
        r"(?i)\bflops?\b",
        r"(?i)\baccura|\berrors?\b|\bexact",
        r"(?i)\bsources?:",
        r"(?i)\bnumpy\b|\bnp\.",
    ):
        assert re.search(pattern, comments), f"{kernel}.hpp does not say {pattern}"


# ---- sizes ----


def tracked_files():
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
        )
        names = listed.stdout.decode().split("\0")[:-1] if listed.returncode == 0 else []
    except OSError:
        names = []
    files = [ROOT / name for name in names if (ROOT / name).is_file()]
    if files:
        return files
    ours = ("cpp", "src", "tests", "bench", "cmake", "docs", ".ci", ".github", "examples")
    inside = [path for folder in ours for path in (ROOT / folder).rglob("*") if path.is_file()]
    top = [path for path in ROOT.iterdir() if path.is_file()]
    return [path for path in inside + top if "__pycache__" not in path.parts]


def text_files():
    binary = {".png", ".npz", ".npy", ".so", ".pyd", ".gz", ".pkl", ".ico", ".jpg", ".svg", ".whl", ".pyc"}
    return [path for path in tracked_files() if path.suffix not in binary]


def test_files_are_short():
    too_long = {}
    for path in text_files():
        limit = {".hpp": 500, ".cpp": 500, ".py": 500, ".pyx": 500}.get(path.suffix)
        if limit is not None and path.is_relative_to(ROOT / "tests"):
            limit = 800
        if limit is not None and (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit:
            too_long[path.relative_to(ROOT).as_posix()] = lines
    assert not too_long


def test_python_functions_are_short():
    too_long = {}
    for path in (ROOT / "src" / "mmlfast").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = node.end_lineno - body[0].lineno + 1 if body else 0
                if lines > 60:
                    too_long[f"{path.name}:{node.name}"] = lines
    assert not too_long


def test_no_path_of_a_machine():
    """Nor a name of a user. The patterns are in pieces so that this file does not hold them."""
    slash = "/"
    pattern = re.compile(
        "|".join(
            rf"(?<![\w.$\"{{}}]){slash}{folder}{slash}\w" for folder in ("home", "Users", "root", "work", "mnt", "tmp")
        )
        + r"|[A-Z]:\\Users"
    )
    found = {}
    for path in text_files():
        if hits := pattern.findall(path.read_text(encoding="utf-8")):
            found[path.relative_to(ROOT).as_posix()] = hits
    assert not found


# ---- one version, one stub ----


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert mf.__version__ == _core.__version__ == project["version"]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        assert importlib.metadata.version("mmlfast") == project["version"]
    assert f"[{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_stub_has_the_names_of_the_module():
    tree = ast.parse((ROOT / "src" / "mmlfast" / "_core.pyi").read_text(encoding="utf-8"))
    stub = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            stub.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            stub.add(node.target.id)
    module = {name for name in vars(_core) if not name.startswith("_")} | {"__version__"}
    assert stub == module


def test_typed():
    assert importlib.util.find_spec("mmlfast") is not None
    assert (Path(mf.__file__).parent / "py.typed").is_file()


# ---- docstrings ----

NOT_API = {"tour"}
MODULES = sorted(
    module.name
    for module in pkgutil.iter_modules(mf.__path__)
    if not module.name.startswith("_") and module.name not in NOT_API
)


def test_every_module_is_offered():
    assert sorted(mf._MODULES) == MODULES
    assert set(mf.__all__) - set(mf._MODULES) <= set(vars(mf))


def public_objects():
    yield from ((f"mmlfast.{name}", getattr(mf, name)) for name in mf.__all__ if name not in mf._MODULES)
    for module_name in MODULES:
        module = importlib.import_module(f"mmlfast.{module_name}")
        for name in module.__all__:
            yield f"mmlfast.{module_name}.{name}", getattr(module, name)


def public_functions():
    """Functions, and methods and constructors of classes, that are ours."""
    for name, thing in public_objects():
        if inspect.isroutine(thing):
            yield name, thing
        elif inspect.isclass(thing) and thing.__module__.startswith("mmlfast"):
            for method_name, method in vars(thing).items():
                if inspect.isfunction(method) and not method_name.startswith("_"):
                    yield f"{name}.{method_name}", method


FUNCTIONS = dict(public_functions())
CLASSES = {
    name: thing for name, thing in public_objects() if inspect.isclass(thing) and thing.__module__.startswith("mmlfast")
}


def sections(docstring):
    """{title: text} of a numpydoc docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    starts = [i for i in range(len(lines) - 1) if re.fullmatch(r"-{3,}", lines[i + 1]) and lines[i].strip()]
    return {
        lines[i].strip(): "\n".join(lines[i + 2 : end])
        for i, end in zip(starts, [*starts, len(lines)][1:], strict=True)
    }


@pytest.mark.parametrize("name", MODULES)
def test_module_has_a_docstring_and_a_sorted_all(name):
    module = importlib.import_module(f"mmlfast.{name}")
    assert module.__doc__
    assert list(module.__all__) == sorted(module.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring(name):
    function = FUNCTIONS[name]
    assert function.__doc__, f"{name} has no docstring"
    found = sections(function.__doc__)
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    is_method = name.count(".") == 3
    if parameters:
        assert "Parameters" in found, f"{name} does not document its parameters"
        documented = [
            title.strip().lstrip("*")
            for line in re.findall(r"^(\S[^:\n]*?)(?:\s*:.*)?$", found["Parameters"], re.MULTILINE)
            for title in line.split(",")
        ]
        assert documented == [p.name for p in parameters], f"{name}: {documented}"
    if signature.return_annotation not in (None, "None", inspect.Signature.empty, "Self"):
        assert {"Returns", "Yields"} & set(found), f"{name} does not document what it returns"
    assert is_method or "Examples" in found, f"{name} has no example"
    assert is_method or ">>>" in found["Examples"]
    for parameter in parameters:
        assert parameter.annotation is not inspect.Parameter.empty, f"{name}: {parameter.name} has no type hint"
    assert signature.return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("name", CLASSES)
def test_class_docstring(name):
    thing = CLASSES[name]
    assert thing.__doc__
    if not issubclass(thing, tuple | Exception):
        assert ">>>" in thing.__doc__, f"{name} has no example"


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_examples(name, threads):
    thing = FUNCTIONS.get(name) or CLASSES[name]
    if name.startswith("mmlfast.dask."):
        pytest.importorskip("dask")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    report = []
    for example in doctest.DocTestFinder(recurse=False).find(thing, name, globs={}):
        runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)


def test_package_docstring_names_real_functions():
    for module_name, function in re.findall(r"mf\.(\w+)\.(\w+)\(", mf.__doc__ or ""):
        if module_name in MODULES:
            assert hasattr(getattr(mf, module_name), function)
