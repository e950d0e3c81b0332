"""The rules of the house that a machine can check (design section 3, rule 10)."""

import ast
import graphlib
import re
import statistics
import subprocess
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("whyrec", "prompts", "agents", "graphs", "rec_models", "evals", "bench")
FILES = sorted(f for room in OURS for f in (ROOT / room).rglob("*.py"))
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|manager)(_|$)")


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, f"{file} wants a new room"
    assert not FORBIDDEN_NAMES.search(file.stem), f"{file.name} says nothing about what is in it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 50, f"{file}:{node.lineno} {node.name} has {lines} lines"
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(("Manager", "Helper", "Utils")), f"{file}:{node.lineno} {node.name}"


def test_the_median_file_is_short() -> None:
    assert statistics.median(f.read_text(encoding="utf-8").count("\n") for f in FILES) <= 150


def test_no_folder_outgrows_a_glance() -> None:
    """Subfolders count, what marks a package or is only made (caches) does not."""
    for room in {file.parent for file in FILES}:
        entries = [e.name for e in room.iterdir() if not e.name.startswith("__")]
        assert len(entries) <= 18, f"{room.relative_to(ROOT)} holds {len(entries)} entries and wants rooms"


def test_no_module_imports_in_a_circle_not_even_for_its_types() -> None:
    graph = grimp.build_graph(*OURS[:-1], include_external_packages=False, cache_dir=None)
    edges = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    graphlib.TopologicalSorter(edges).prepare()  # a CycleError names the circle


def test_no_machine_path_registry_host_or_real_data_is_committed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    assert not [f for f in tracked if f.endswith((".gz", ".parquet", ".npz", ".dat", ".safetensors", ".sqlite"))]
    words = re.compile("|".join(["/work" + "/main", "/opt" + "/pypi", "/opt" + "/wheels", "pypi" + r"\.org/simple"]))
    for name in tracked:
        file = ROOT / name
        if file.suffix in {".png", ".svg"} or not file.exists():
            continue
        assert not words.search(file.read_text(encoding="utf-8", errors="replace")), f"{name} names a machine"
