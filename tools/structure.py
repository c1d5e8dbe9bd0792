"""Prints how large the code is, and how the imports of each folder are layered.

    python tools/structure.py [TREE] [--json]

TREE is a checkout of this repository, by default the one that contains this program. Nothing of it
is imported: all numbers come from the sources in TREE/processor and TREE/workers.

The first table is about all of them:
    code lines      lines that are not blank, a comment or a docstring
    file lines      lines of a Python file
    function lines  lines of a function with its docstring, without its decorators

The second table has a row for each folder, and a first row `.` for the children of `processor`
together with `workers`. Each row is about the direct children of the folder, files and subfolders:
    modules         how many there are; an `__init__.py` counts if it has code
    layers          the length of the longest chain of imports between them
    arrows          pairs of children of which one imports the other
    arrows up       imports inside a function or under TYPE_CHECKING that point to the same or a
                    higher layer; the layers are those of the other imports
    circles         groups of children that import each other, by imports of any kind
"""

import argparse
import ast
import io
import json
import statistics
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

PACKAGES = ("processor", "workers")
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Spread:
    """Median, 90th percentile and maximum of some numbers."""

    median: float
    p90: int
    max: int

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Spread":
        """The spread of numbers, of which there is at least one."""
        ranked = sorted(numbers)
        return cls(statistics.median(ranked), ranked[len(ranked) * 9 // 10], ranked[-1])


@dataclass(frozen=True)
class Size:
    """The first table."""

    python_files: int
    python_lines: int
    python_code_lines: int
    lua_files: int
    lua_lines: int
    lua_code_lines: int
    classes: int
    functions: int
    file_lines: Spread
    function_lines: Spread


@dataclass(frozen=True)
class Folder:
    """A row of the second table."""

    folder: str
    modules: int
    layers: int
    arrows: int
    arrows_up: list[str]
    circles: list[list[str]]


@dataclass
class Module:
    """One Python file, and the modules that it imports."""

    name: str
    path: Path
    text: str
    tree: ast.Module
    runtime: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)  # inside functions or under TYPE_CHECKING


def modules(root: Path) -> dict[str, Module]:
    """All Python files by dotted name, which of a package's own file ends with `__init__`."""
    found = {}
    for path in sorted(p for package in PACKAGES for p in (root / package).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        text = path.read_text()
        found[name] = Module(name, path, text, ast.parse(text))
    for module in found.values():
        _read_imports(module, module.tree.body, module.runtime, found)
    return found


def _read_imports(
    module: Module, body: Iterable[ast.AST], into: set[str], known: dict[str, Module]
) -> None:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            into.update(_targets(module, node, known))
        elif isinstance(node, FUNCTIONS) or _is_typing_only(node):
            _read_imports(module, ast.iter_child_nodes(node), module.other, known)
        else:
            _read_imports(module, ast.iter_child_nodes(node), into, known)


def _is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _targets(
    module: Module, node: ast.Import | ast.ImportFrom, known: dict[str, Module]
) -> Iterator[str]:
    """The modules of this repository that a statement imports; for a package its `__init__`."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = node.module or ""
        if node.level:
            above = module.name.split(".")[: -node.level]
            base = ".".join([*above, *filter(None, [node.module])])
        names = [_deeper(base, alias.name, known) for alias in node.names]
    for name in names:
        if name in known:
            yield name
        elif f"{name}.__init__" in known:
            yield f"{name}.__init__"


def _deeper(base: str, name: str, known: dict[str, Module]) -> str:
    """What `from base import name` imports: a module of the package, or the package itself."""
    inner = f"{base}.{name}"
    return inner if inner in known or f"{inner}.__init__" in known else base


def measure(root: Path, found: dict[str, Module]) -> Size:
    """Count all files of a tree."""
    nodes = [node for module in found.values() for node in ast.walk(module.tree)]
    functions = [node for node in nodes if isinstance(node, FUNCTIONS)]
    lua = [p.read_text() for package in PACKAGES for p in (root / package).rglob("*.lua")]
    return Size(
        python_files=len(found),
        python_lines=sum(_lines(module.text) for module in found.values()),
        python_code_lines=sum(_code_lines(module) for module in found.values()),
        lua_files=len(lua),
        lua_lines=sum(map(_lines, lua)),
        lua_code_lines=sum(_is_lua_code(line) for text in lua for line in text.splitlines()),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        functions=len(functions),
        file_lines=Spread.of(_lines(module.text) for module in found.values()),
        function_lines=Spread.of((f.end_lineno or f.lineno) - f.lineno + 1 for f in functions),
    )


def _lines(text: str) -> int:
    return len(text.splitlines())


def _is_lua_code(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("--")


def _code_lines(module: Module) -> int:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            lines -= _docstring_lines(node.body)
    return len(lines)


def _docstring_lines(body: list[ast.stmt]) -> set[int]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())) as first, *_]:
            return set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
        case _:
            return set()


def folders(found: dict[str, Module]) -> list[Folder]:
    """All rows: `.`, then the folders by name."""
    names = {name.rpartition(".")[0] for name in found}
    inner = [folder(name, found, name.split(".")) for name in sorted(names)]
    return [folder(".", found, []), *inner]


def folder(name: str, found: dict[str, Module], path: list[str]) -> Folder:
    """The row of one folder, or of `.` if its path is empty."""
    runtime, everything = _graph(found, path, lazy=False), _graph(found, path, lazy=True)
    layer = _layers(runtime)
    arrows = [(a, b) for a, targets in everything.items() for b in targets]
    circles = [sorted(group) for group in _groups(everything) if len(group) > 1]
    return Folder(
        folder=name.replace(".", "/") if path else name,
        modules=len(everything),
        layers=max(_layers(everything).values(), default=0),
        arrows=len(arrows),
        arrows_up=sorted(
            f"{a} -> {b}" for a, b in arrows if b not in runtime[a] and layer[a] <= layer[b]
        ),
        circles=sorted(circles),
    )


def _graph(found: dict[str, Module], path: list[str], *, lazy: bool) -> Graph:
    """Which children of a folder import which others of them."""
    graph: Graph = {}
    for module in found.values():
        child = _child(module.name, path)
        if child is None or (child == "__init__" and not _has_code(module)):
            continue
        targets = module.runtime | (module.other if lazy else set())
        others = {_child(target, path) for target in targets}
        graph.setdefault(child, set()).update(c for c in others if c not in (None, child))
    return {child: {other for other in others if other in graph} for child, others in graph.items()}


def _child(name: str, path: list[str]) -> str | None:
    """The child of a folder that a module is, or that contains it; None for modules elsewhere."""
    parts = name.split(".")
    if not path:
        return parts[1] if parts[0] == PACKAGES[0] else parts[0]
    if parts[: len(path)] != path:
        return None
    return parts[len(path)]


def _has_code(module: Module) -> bool:
    return len(module.tree.body) > bool(_docstring_lines(module.tree.body))


def _layers(graph: Graph) -> dict[str, int]:
    """The layer of each child, counted from 1 at the bottom; a circle is in one layer."""
    layer: dict[str, int] = {}
    for group in _groups(graph):
        below = {layer[other] for child in group for other in graph[child] - group}
        layer.update(dict.fromkeys(group, 1 + max(below, default=0)))
    return layer


def _groups(graph: Graph) -> list[set[str]]:
    """The strongly connected components by Tarjan's algorithm: imported ones come first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    done: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = stack.index(node)
            done.append(set(stack[start:]))
            del stack[start:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return done


def table(size: Size, rows: list[Folder]) -> str:
    """Both tables as text."""
    lines = []
    for name, value in asdict(size).items():
        text = " / ".join(f"{n:g}" for n in value.values()) if isinstance(value, dict) else value
        suffix = " (median / p90 / max)" if isinstance(value, dict) else ""
        lines.append(f"{name.replace('_', ' '):20}{text:>16}{suffix}")
    head = ("folder", "modules", "layers", "arrows", "arrows up", "circles")
    lines += ["", "{:32}{:>9}{:>8}{:>8}{:>11}{:>9}".format(*head)]
    for row in rows:
        named = ", ".join([*row.arrows_up, *map(" = ".join, row.circles)])
        lines.append(
            f"{row.folder:32}{row.modules:9}{row.layers:8}{row.arrows:8}{len(row.arrows_up):11}"
            f"{len(row.circles):9}  {named}".rstrip()
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables of one tree."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    found = modules(given.tree)
    size, rows = measure(given.tree, found), folders(found)
    if given.json:
        print(json.dumps({"size": asdict(size), "folders": [asdict(row) for row in rows]}))
    else:
        print(table(size, rows))


if __name__ == "__main__":
    main()
