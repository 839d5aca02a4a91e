"""The rules of the house: which folder may know which, where a kernel's name has to be, what a docstring has to say."""

from __future__ import annotations

import ast
import contextlib
import doctest
import functools
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
import scipy_doctest

import mmlfast as mf
from mmlfast import _core

ROOT = Path(__file__).resolve().parent.parent
CPP = ROOT / "cpp"

pytestmark = pytest.mark.skipif(not CPP.is_dir(), reason="the sources are in a checkout only")

PACKAGE = ROOT / "src" / "mmlfast"


def kernel_names():
    """A file of a kernel is named after it: covariance.cpp and covariance_lanes.hpp are of covariance."""
    stems = {path.stem for path in (CPP / "kernels").glob("*.cpp")}
    return sorted(stem for stem in stems if not any(stem.startswith(f"{other}_") for other in stems))


KERNELS = kernel_names()


def kernel_of(path):
    """The kernel that a file of cpp/kernels, cpp/drivers or cpp/bind is named after; None for what several share."""
    if path.parent.name == "common":
        return None
    stem = path.stem.removeprefix("register_")
    found = [name for name in KERNELS if stem == name or stem.startswith(f"{name}_")]
    return max(found, key=len, default=None)


def cpp_files(*folders):
    return [path for folder in folders for path in sorted((CPP / folder).rglob("*.[ch]pp"))]


def layer(path):
    """The folder of cpp that it is in, at any depth."""
    return path.relative_to(CPP).parts[0]


def python_files(*, references=False):
    """Those of the package, at any depth."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if references or "_reference" not in path.parts]


def package_of(path):
    """The `linalg` of src/mmlfast/linalg/_qr.py; nothing of what lies beside the packages."""
    folders = path.relative_to(PACKAGE).parts[:-1]
    return folders[0] if folders else ""


@functools.cache
def syntax_tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports_of_mmlfast(path):
    """(module, name or None) of each import of mmlfast in the file, wherever it stands in it."""
    found = []
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names if alias.name.split(".")[0] == "mmlfast"]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}:{node.lineno}: a relative import"
            if node.module.split(".")[0] == "mmlfast":
                found += [(node.module, alias.name) for alias in node.names]
    return found


@functools.cache
def without_comments(path):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', without_comments(path), re.MULTILINE)


def each(paths):
    """A test of every path, which says all that fail."""

    def decorate(check):
        @functools.wraps(check)
        def test():
            assert paths
            failures = []
            for path in paths:
                try:
                    check(path)
                except AssertionError as error:
                    failures.append(f"{path.relative_to(ROOT).as_posix()}: {error}")
            assert not failures, "\n".join(failures)

        del test.__wrapped__  # for pytest: it has no argument
        return test

    return decorate


# ---- layers ----

MAY_INCLUDE = {
    "simd": {"simd"},
    "runtime": {"runtime", "simd"},
    "kernels": {"kernels", "simd"},
    "drivers": {"drivers", "kernels", "simd", "runtime"},
    "bind": {"bind", "drivers", "kernels", "simd", "runtime"},
}


@each(cpp_files(*MAY_INCLUDE))
def test_includes_go_down(path):
    ours = [name for name in includes(path) if (CPP / name).exists() or "/" in name]
    for name in ours:
        folder = name.split("/")[0]
        if folder in MAY_INCLUDE:
            assert folder in MAY_INCLUDE[layer(path)], f"{path.name} includes {name}"
            assert (CPP / name).is_file(), f"{path.name} includes {name}, which does not exist"
        elif folder == "sys":  # the operating system
            assert layer(path) == "runtime", f"{path.name} includes {name}"
        else:
            assert folder in ("pybind11", "numpy"), f"{path.name} includes {name}"
            assert layer(path) == "bind", f"{path.name} includes {name}"


@each(cpp_files("kernels"))
def test_kernels_share_through_common(path):
    for name in includes(path):
        if name.startswith("kernels/"):
            owner = kernel_of(CPP / name)
            assert owner in (None, kernel_of(path)), f"{name} is of another kernel: what is shared is in kernels/common"


@each([*cpp_files("kernels"), CPP / "simd" / "vec.hpp", CPP / "simd" / "math.hpp"])
def test_kernels_include_no_library(path):
    """They are compiled once per SIMD level: an inline function of a library could leak AVX code to old processors."""
    allowed = {"cstddef", "cstdint", "type_traits", "utility"}
    if path.name == "vec.hpp":
        allowed |= {"immintrin.h", "arm_neon.h"}
    assert {name for name in includes(path) if "/" not in name} <= allowed


@each(cpp_files("kernels"))
def test_kernels_only_compute(path):
    """No Python, no allocation, no threads, no exceptions."""
    found = re.findall(
        r"\b(?:Py\w+|py::\w+|new|delete|malloc|free|calloc|throw|try|catch|std::(?:thread|mutex|atomic|vector|function)"
        r"|thread_local|static_cast<std::ostream>|printf)\b(?!>)",
        without_comments(path),
    )
    assert not found


def outermost_namespaces(path):
    """Their names; there is nothing outside of them."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", without_comments(path), flags=re.MULTILINE)
    depth, outside = 0, []
    for piece in re.split(r"([{}])", code):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if depth == 0:
            outside.append(piece.strip("} \n"))
    names = [piece for piece in outside if piece]
    assert depth == 0
    assert names or not code.strip()  # a header that includes others
    assert all(re.fullmatch(r"namespace [\w:]+", name) for name in names), names
    return [name.split()[1] for name in names]


@functools.cache
def same_at_every_level():
    """Headers of cpp/kernels and cpp/simd that are read outside of them, where there is no level."""
    seen, waiting = set(), cpp_files("runtime", "drivers", "bind")
    while waiting:
        for name in includes(waiting.pop()):
            path = CPP / name
            if name.startswith(("kernels/", "simd/")) and path not in seen:
                seen.add(path)
                waiting.append(path)
    return seen


@each(cpp_files("kernels", "simd"))
def test_namespaces_of_levels(path):
    """What is compiled once per level is in the namespace of its level: of two functions of one name the linker keeps
    one, and could give AVX-512 code to a processor without it. What drivers read is not in it."""
    outermost = outermost_namespaces(path)
    if path in same_at_every_level() or path == CPP / "simd" / "level.cpp":
        assert {name.split("::")[0] for name in outermost} == {"mmlfast"}
        assert not any("MMLFAST_LEVEL" in name for name in outermost)
        assert "simd/vec.hpp" not in includes(path)
    else:
        assert all(name.startswith("mmlfast::MMLFAST_LEVEL") for name in outermost), outermost


def test_each_way_of_optimising_has_a_namespace():
    """What a header gives to kernels that are optimised in different ways has a name for each of them; else the linker
    keeps either. common/lanes.cpp is compiled for all of them, in one way."""
    build = (CPP / "kernels" / "CMakeLists.txt").read_text()
    assert 'foreach(kind "" _O3)' in build
    assert "MMLFAST_LEVEL=${level}${kind} MMLFAST_TABLE_LEVEL=${level}" in build
    assert "${optimize_${level}${kind}}" in build
    own_options = re.findall(r"set_source_files_properties\((\S+)", build)
    assert own_options == ['"${lanes}"'], own_options


@each(
    [
        path
        for path in cpp_files(*MAY_INCLUDE)
        if path.name not in ("vec.hpp", "bits.hpp", "narrow.hpp", "pairs.hpp", "registers.hpp", "tables.hpp")
    ]
)
def test_intrinsics_are_with_the_vector_types(path):
    text = without_comments(path)
    assert not re.findall(r"\b_mm\d*_\w+|\b__m(?:128|256|512)\w*|\b__mmask\d+|\bv\w+q_f(?:32|64)\b", text)
    assert not {"immintrin.h", "arm_neon.h"} & set(includes(path))


@each(cpp_files("simd", "kernels", "drivers", "bind"))
def test_threads_are_in_runtime(path):
    """Where there are none (WebAssembly), nobody else need know."""
    headers = {"thread", "mutex", "shared_mutex", "condition_variable", "future", "semaphore", "latch", "barrier"}
    assert not (headers | {"stop_token", "pthread.h"}) & set(includes(path))


@each(cpp_files("simd", "kernels", "drivers", "runtime"))
def test_no_number_is_long(path):
    """It has 32 bits on Windows and in WebAssembly. (cpp/bind takes the types of Python's functions.)"""
    text = re.sub(r'"[^"\n]*"', "", without_comments(path))
    assert not re.findall(r"\blong\b", text)
    # On macOS an int64_t is another type than a Size: std::min of the two is an error there, and nowhere else.
    assert not re.findall(r"parallel_blocks\([^;{]*\(std::int64_t\b", text)


def test_system_functions_decide_no_bits():
    """The last bits of exp or hypot are the system's. Kernels have their own; docs/numerics.md names what is left."""
    functions = "exp|exp2|expm1|log|log2|log10|log1p|pow|hypot|cbrt|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|erf"
    users = {
        path.name
        for path in cpp_files("drivers", "kernels")
        if re.search(rf"\bstd::({functions})\(", without_comments(path))
    }
    bounds = {"exact_elimination.cpp", "exact_elimination_large.cpp", "exact_elimination_refine.hpp", "bfgs_newton.cpp"}
    bounds |= {"neighbors_tree.cpp"}
    bounds |= {"exact_elimination_residues.cpp", "exact_elimination_residues.hpp", "least_squares_finish.cpp"}
    starts = {"double_double.cpp"}  # of more digits, which leave no trace of them
    documented = {"backprop_rates.hpp", "least_squares_loss.cpp"}
    documented |= {"least_squares_differences.cpp"}
    assert users <= bounds | starts | documented, users - bounds - starts - documented


@each(cpp_files("drivers"))
def test_drivers_do_not_throw(path):
    assert not re.findall(r"\bthrow\b|\bpy::|\bPy[A-Z]\w+", without_comments(path))


def test_no_flag_that_changes_arithmetic_or_ties_to_this_machine():
    names = ("CMakeLists.txt", "CMakePresets.json", "pyproject.toml")
    files = [path for path in tracked_files() if path.name in names or path.suffix in (".cmake", ".yml")]
    kernels = CPP / "kernels" / "CMakeLists.txt"
    assert {ROOT / "CMakeLists.txt", ROOT / "CMakePresets.json", kernels} <= set(files)
    assert "-march=" in kernels.read_text(), "the flags of levels are elsewhere: look for them there"
    code = re.sub(r"#[^\n]*", "", "\n".join(path.read_text(encoding="utf-8") for path in files))
    assert not re.findall(r"-ffast-math|-Ofast|-march=native|-mtune=native|-fopenmp|-lopenblas|-lmkl", code)
    assert "-ffp-contract=off" in code


@each(python_files())
def test_the_package_does_not_use_its_references(path):
    """_reference is the specification for tests: slow, and not to be shipped as an implementation."""
    assert "_reference" not in path.read_text(encoding="utf-8")


@each(python_files(references=True))
def test_references_stand_alone(path):
    """They would be no specification if they called what they specify."""
    if "_reference" in path.parts:
        assert all(module.startswith("mmlfast._reference") for module, _ in imports_of_mmlfast(path))


@each([path for path in python_files() if package_of(path) != "tour" and path.name != "__main__.py"])
def test_no_package_imports_the_front_of_another(path):
    """`from mmlfast.linalg._qr import qr`, not `from mmlfast.linalg import qr`: a front imports all of its package. Nor
    does it import mmlfast itself, but for what lies beside the packages (_core, _common, _config)."""
    fronts = set(mf._MODULES) | {"tour"}
    for module, name in imports_of_mmlfast(path):
        if path == PACKAGE / "__init__.py" and module == "mmlfast":
            continue  # for type checkers: modules are imported when they are first used
        package, *inside = module.split(".")[1:] or [""]
        if package == "":
            assert name is not None, f"{path.name} imports all of mmlfast"
            assert name.startswith("_"), f"from mmlfast import {name}"
        elif package in fronts:
            assert inside, f"from {module} import {name}"
            assert inside[0].startswith("_"), f"from {module} import {name}"
            assert package_of(path) or path.parent == PACKAGE, path
            assert package_of(path) != "_common", f"_common needs {module}: it does not belong there"
        else:
            assert package.startswith("_"), f"from {module} import {name}"


@each([path for path in python_files() if package_of(path) == "_common" and path.name != "__init__.py"])
def test_what_is_common_is_used_by_two(path):
    """By two packages or the core of the package, directly or by what else is common."""
    users, waiting, seen = set(), [path], {path}
    while waiting:
        name = waiting.pop().stem
        full = f"mmlfast._common.{name}"
        if any(f'"{full}"' in source.read_text(encoding="utf-8") for source in cpp_files("bind")):
            users.add("_core")
        for other in python_files():
            imported = set(imports_of_mmlfast(other))
            if other not in seen and (
                ("mmlfast._common", name) in imported or any(module == full for module, _ in imported)
            ):
                seen.add(other)
                if package_of(other) == "_common":
                    waiting.append(other)
                else:
                    users.add(package_of(other) or other.name)
    assert len(users) >= 2 or users & {"_core", "__init__.py", "_config.py"}, f"it is used by {users or 'nobody'}"


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
    if kernel not in ("simd_math", "tape"):  # which are tools of others: nothing public is named after them
        here = [path for path in python_files() if path.stem == f"_{kernel}" and package_of(path) != "dask"]
        assert len(here) == 1, f"src/mmlfast/*/_{kernel}.py: {here}"


def test_no_folder_has_a_kernel_of_its_own():
    known = set(KERNELS)
    ours = [*cpp_files("kernels"), *(path for path in cpp_files("drivers") if path.suffix == ".cpp")]
    ours = [path for path in ours if path.parent.name != "common"]
    assert [path.name for path in ours if kernel_of(path) is None] == []
    registered = {
        path.stem.removeprefix("register_") for path in cpp_files("bind") if path.name.startswith("register_")
    }
    assert registered <= known | {"runtime"}
    references = {path.stem for path in (PACKAGE / "_reference").rglob("*.py")}
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
    ours = ("cpp", "src", "tests", "bench", "cmake", "docs", "tools", ".ci", ".github", "examples")
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
    for path in python_files(references=True):
        for node in ast.walk(syntax_tree(path)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = node.end_lineno - body[0].lineno + 1 if body else 0
                if lines > 60:
                    too_long[f"{path.name}:{node.name}"] = lines
    assert not too_long


def statements(node):
    """All statements inside, without a look at expressions, in which there are none."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, field, []):
            yield inner
            yield from statements(inner)


def test_no_statement_without_effect():
    """`assert_solves(a, x, b), name` makes a tuple and drops it: the name is in no message (`cases.saying` puts it
    there). Nor is a comparison without assert a test."""
    found = []
    for path in tracked_files():
        if path.suffix == ".py":
            for node in statements(syntax_tree(path)):
                dropped = isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple | ast.Compare | ast.BoolOp)
                if dropped or (isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple)):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not found


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


def test_a_function_asked_for_in_another_place_is_found():
    with pytest.raises(AttributeError, match=r"no attribute 'gram_schmidt': it is mmlfast\.linalg\.gram_schmidt"):
        mf.gram_schmidt  # noqa: B018
    for package in (mf.linalg, mf.neural_network, mf.stats):
        with pytest.raises(AttributeError, match=r"no attribute 'norm': it is mmlfast\.geometry\.norm") as caught:
            package.norm  # noqa: B018
        assert (caught.value.name, caught.value.obj) == ("norm", package)  # Python suggests what is spelled likewise
    assert not hasattr(mf, "_gram_schmidt")


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


@pytest.mark.parametrize("name", [name for name, thing in public_objects() if hasattr(thing, "__module__")])
def test_public_path(name):
    """What repr shows and pickles keep is where users find it, not where it is written."""
    package, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(package), last)
    if (thing.__module__ or "").startswith("mmlfast"):
        assert thing.__module__ == package
        assert thing.__qualname__ == thing.__name__ == last


@pytest.mark.parametrize("name", MODULES)
def test_module_has_a_docstring_and_a_sorted_all(name):
    module = importlib.import_module(f"mmlfast.{name}")
    assert module.__doc__
    assert list(module.__all__) == sorted(module.__all__)
    assert dir(module) == list(module.__all__)


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
    checker = scipy_doctest.DTChecker(scipy_doctest.DTConfig(rtol=1e-6, atol=1e-14))  # numbers as numbers, not as text
    runner = doctest.DocTestRunner(checker=checker, optionflags=flags, verbose=False)
    report = []
    for example in doctest.DocTestFinder(recurse=False).find(thing, name, globs={}):
        runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)


def test_package_docstring_names_real_functions():
    for module_name, function in re.findall(r"mf\.(\w+)\.(\w+)\(", mf.__doc__ or ""):
        if module_name in MODULES:
            assert hasattr(getattr(mf, module_name), function)
