"""What a template may say: print a blank or a field of it, through a filter or not; ask whether one is there; loop.

A template is a file that somebody edited, or a text that came with somebody else's run, and a template language can
compute: `{{ 9**(9**9) }}` never ends, `{{ 'a' * 1000000000 }}` fills the memory, both while it is being compiled. So
the syntax tree is held against this list, before anything is compiled, and what is not on it is refused by its line and
its name. What is on it takes time and memory in proportion to the template and to its blanks: loops do not nest, and
nothing but printing runs a filter, which the bound on what is printed (`MOST_RENDERED`) then holds.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import Environment, nodes

from prompts.lines import FILTERS, LONGEST

MOST_RENDERED = 4_000_000  # characters of one message: more than any model reads
MOST_SOURCE = 32_768  # characters of a template
_DEEPEST = 12
_COMPUTED = object()
_NAMES = {
    nodes.Pow: "a power (**)", nodes.Mul: "a product (*)", nodes.Add: "a sum (+)", nodes.Sub: "a difference (-)",
    nodes.Div: "a quotient (/)", nodes.FloorDiv: "a quotient (//)", nodes.Mod: "a remainder (%)",
    nodes.Concat: "a joined text (~)", nodes.Call: "a call", nodes.Getitem: "a subscript ([...])",
    nodes.Compare: "a comparison", nodes.Test: "a test (is ...)", nodes.CondExpr: "an inline if",
    nodes.Assign: "an assignment ({% set %})", nodes.AssignBlock: "an assignment ({% set %})",
    nodes.Include: "an include", nodes.Import: "an import", nodes.FromImport: "an import", nodes.Extends: "an extends",
    nodes.Macro: "a macro", nodes.CallBlock: "a call block", nodes.FilterBlock: "a filter block",
    nodes.Block: "a block ({% block %})", nodes.With: "a with block", nodes.List: "a list", nodes.Tuple: "a tuple",
    nodes.Dict: "a mapping", nodes.Const: "a fixed value", nodes.Filter: "a filter elsewhere",
    nodes.Scope: "a block of another kind",
}  # fmt: skip
RULE = (
    f"A template may print blanks and their fields, as they are or through one of the filters {', '.join(FILTERS)}, "
    "ask whether one is there (if, not, and, or), and loop over a list; nothing else."
)


def refusals(environment: Environment, source: str, tree: nodes.Template) -> list[str]:
    """Every construct of a template that it may not have, by line and name; `RULE` says what it may."""
    raw = [
        f"line {line} of its last section has a raw block"
        for line, token, _ in environment.lex(source)
        if token == "raw_begin"
    ]
    return raw + list(_statements(tree.body, 0, looping=False))


def _statements(body: Sequence[nodes.Node], depth: int, *, looping: bool) -> Iterator[str]:
    for node in body:
        if depth > _DEEPEST:
            yield _refused(node, "more blocks inside one another than anyone can read")
        elif isinstance(node, nodes.Output):
            for part in node.nodes:
                if not isinstance(part, nodes.TemplateData):
                    yield from _printed(part)
        elif isinstance(node, nodes.If):
            yield from _condition(node.test, depth)
            for some in (node.body, node.elif_, node.else_):
                yield from _statements(some, depth + 1, looping=looping)
        elif isinstance(node, nodes.For):
            yield from _loop(node, looping)
            yield from _statements(node.body, depth + 1, looping=True)
        else:
            yield _refused(node)


def _loop(node: nodes.For, looping: bool) -> Iterator[str]:
    if looping:
        yield _refused(node, "a loop inside a loop")
    if node.recursive or node.test is not None or node.else_:
        yield _refused(node, "a loop with a condition, an else or recursion")
    if not isinstance(node.target, nodes.Name):
        yield _refused(node.target, "a loop over several names")
    if not _is_value(node.iter):
        yield _refused(node.iter)


def _printed(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Filter):
        inner = node.node
        parts = inner.items if isinstance(inner, nodes.List) else [inner]
        yield from (_refused(part) for part in parts if part is None or not _is_value(part))
        yield from _arguments(node)
    elif not _is_value(node) and not isinstance(node, nodes.Const):
        yield _refused(node)


def _arguments(node: nodes.Filter) -> Iterator[str]:
    if node.name not in FILTERS:
        yield _refused(node, f"the unknown filter {node.name!r}")
        return
    args, named = [_fixed(arg) for arg in node.args], {str(pair.key): _fixed(pair.value) for pair in node.kwargs}
    if node.dyn_args is not None or node.dyn_kwargs is not None or _COMPUTED in (*args, *named.values()):
        yield _refused(node, f"a computed argument of the filter {node.name}")
        return
    signature = inspect.signature(FILTERS[node.name])
    try:
        if len(named) < len(node.kwargs):
            raise TypeError("one is given twice")
        given = signature.bind(None, *args, **named).arguments
    except TypeError as error:
        yield _refused(node, f"a wrong argument of the filter {node.name} ({error})")
        return
    for name, value in list(given.items())[1:]:
        if complaint := _wrong(value, signature.parameters[name].default):
            yield _refused(node, f"{name}={str(value)[:20]!r} for the filter {node.name}, where {name} is {complaint}")


def _fixed(node: nodes.Expr) -> Any:
    return node.value if isinstance(node, nodes.Const) else _COMPUTED


def _wrong(value: Any, default: Any) -> str:
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LONGEST
    return "" if fits else f"a number from 0 to {LONGEST}"


def _condition(node: nodes.Node, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield _refused(node, "a condition of too many parts")
    elif isinstance(node, nodes.Not):
        yield from _condition(node.node, depth + 1)
    elif isinstance(node, (nodes.And, nodes.Or)):
        yield from _condition(node.left, depth + 1)
        yield from _condition(node.right, depth + 1)
    elif not _is_value(node):
        yield _refused(node)


def _is_value(node: nodes.Node) -> bool:
    """A blank, or a field of one that is nobody's own affair."""
    if isinstance(node, nodes.Getattr):
        return isinstance(node.node, nodes.Name) and not node.attr.startswith("_")
    return isinstance(node, nodes.Name)


def _refused(node: nodes.Node | None, what: str = "") -> str:
    assert node is not None
    named = what or _NAMES.get(type(node), type(node).__name__)
    if isinstance(node, nodes.Getattr) and not what:
        named = f"the field {node.attr[:40]!r} of something that is no blank, or a hidden one"
    line = node.lineno or next((inner.lineno for inner in node.find_all(nodes.Node) if inner.lineno), 1)
    return f"line {line} of its last section has {named}"
