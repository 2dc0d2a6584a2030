"""The layout: four parts, whose imports point one way.

A module stands one floor above the highest that it imports. The graph is read from the source.
It has the imports inside functions and the lazy names of a package, which are imports of its
`__init__`; it lacks those for type checkers only.
"""

import ast
import re
import tokenize
from functools import cache

from tests.conftest import REPOSITORY, run_python

EXPERIMENTS = REPOSITORY / "experiments"
PATHS = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(EXPERIMENTS.rglob("*.py"))
}
PARTS = ("foldstack", "harness", "reporting")
TENSORFLOW = {"tensorflow", "keras", "scikeras"}


def part(module):
    """Return the part that a module belongs to; "scripts" for those in none of the folders."""
    return next((part for part in PARTS if module.split(".")[1:2] == [part]), "scripts")


@cache
def tree(module):
    return ast.parse(PATHS[module].read_text(encoding="utf-8"))


SCRIPTS = {name for name in PATHS if part(name) == "scripts" and "__main__" in ast.dump(tree(name))}


def import_statements(node):
    """Yield the import statements under a node, except those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from import_statements(child)


@cache
def imports(module):
    """Return the modules that a module imports: the project's own, and of others the package."""
    package = module if PATHS[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in import_statements(tree(module)):
        base = [] if isinstance(node, ast.Import) else [node.module] if node.module else []
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [package.rsplit(".", node.level - 1)[0], *base]
        for alias in node.names:
            name = ".".join([*base, alias.name])
            found.add(name if name in PATHS or not base else ".".join(base))
    if any(getattr(node, "name", None) == "__getattr__" for node in tree(module).body):
        nodes = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Constant)]
        found |= {f"{module}.{str(node.value).lstrip('.')}" for node in nodes} & PATHS.keys()
    return {name if name in PATHS else name.split(".")[0] for name in found} - {module}


def reachable(module, found=()):
    """Return all that importing a module leads to, itself included."""
    found = {module, *found}
    for name in imports(module) - found if module in PATHS else ():
        found |= reachable(name, found)
    return found


def floor(module, above=()):
    """Return the length of the longest chain of imports below a module."""
    assert module not in above, f"a circle of imports: {' → '.join([*above, module])}"
    below = [floor(name, (*above, module)) for name in imports(module) & PATHS.keys()]
    return 1 + max(below, default=-1)


def test_there_are_at_most_six_floors():
    floors = {name: floor(name) for name in PATHS}
    assert {name: number for name, number in floors.items() if number > 5} == {}


def test_imports_point_one_way():
    order = [*PARTS, "scripts"]  # a part imports itself and those before it
    for name in PATHS:
        allowed = order[: order.index(part(name)) + 1]
        assert not [below for below in imports(name) & PATHS.keys() if part(below) not in allowed]


def test_the_library_imports_itself_relatively():
    library = [name for name in PATHS if part(name) == "foldstack"]
    statements = [ast.unparse(node) for name in library for node in import_statements(tree(name))]
    assert not [text for text in statements if re.match(r"\w+ (experiments|foldstack)\b", text)]


def test_no_script_imports_another():
    assert len(SCRIPTS) >= 15
    assert not {(a, b) for a in SCRIPTS for b in imports(a) & SCRIPTS}


def test_reporting_reaches_no_tensorflow():
    modules = [name for name in PATHS if part(name) == "reporting"]
    assert not [name for name in modules if reachable(name) & TENSORFLOW]
    code = f"import sys, {', '.join(modules)}; sys.exit('tensorflow' in sys.modules)"
    run_python("-c", code, check=True)


def test_modules_are_imported_by_statements_at_the_top():
    """With four exceptions: lazy names in the library, and what takes seconds to import."""
    dynamic, late = set(), set()
    for module in PATHS:
        for node in ast.walk(tree(module)):
            names = {getattr(node, "id", None), getattr(node, "attr", None)}
            if names & {"import_module", "__import__", "run_module", "run_path"}:
                dynamic.add(module)
            if isinstance(node, ast.FunctionDef):
                statements = map(ast.unparse, import_statements(node))
                late |= {(module, re.split("[ .]", statement)[1]) for statement in statements}
    assert dynamic <= {"experiments.foldstack"}
    tensorflow, cluster = "experiments.harness.tensorflow", "experiments.harness.cluster"
    late -= {("experiments.stopping", "keras")}
    assert late <= {(tensorflow, "experiments"), (cluster, "distributed")}


def test_the_formatter_formats_everything():
    for path in [*PATHS.values(), *(REPOSITORY / "tests").rglob("*.py")]:
        with path.open("rb") as file:
            tokens = list(tokenize.tokenize(file.readline))
        comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
        assert not [comment for comment in comments if "fmt:" in comment], path
