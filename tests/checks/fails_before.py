"""Does every test of tests/regressions fail at an older revision, and by its assertion?

    python tests/checks/fails_before.py 4b28f88 --log build/fails_before.txt

Checks the revision out beside a temporary folder, copies tests/regressions and tests/servers of *this* tree into it,
runs them there and says, test by test, how it ended. Exit 1 where one passes, cannot be imported or ends in another
exception than an assertion's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("tests/regressions", "tests/servers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision")
    parser.add_argument("--log", type=Path, help="write the list there, too")
    parser.add_argument("--only", default="", help="pytest's -k")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whyrec-before-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", tree, arguments.revision], check=True)
        try:
            report = _run(tree, arguments.only)
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)
    lines, wrong = _lines(report)
    head = [
        f"tests/regressions at {arguments.revision}: {len(lines)} tests, {len(lines) - wrong} fail by their assertion, "
        f"{wrong} do not"
    ]
    text = "\n".join([*head, "", *lines]) + "\n"
    print(text)
    if arguments.log:
        arguments.log.parent.mkdir(parents=True, exist_ok=True)
        arguments.log.write_text(text, encoding="utf-8")
    return 1 if wrong or not lines else 0


def _run(tree: Path, only: str) -> ElementTree.Element:
    for name in COPIED:
        shutil.rmtree(tree / name, ignore_errors=True)
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    report = tree / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += [*(["-k", only] if only else []), "tests/regressions"]
    shared = ROOT.parent / "shared"
    environment = {
        **os.environ,
        "SHARED_CASES": os.environ.get("SHARED_CASES", str(shared / "cases")),
        "WHYREC_DATA": os.environ.get("WHYREC_DATA", str(shared / "data")),
    }
    subprocess.run(command, cwd=tree, env=environment, check=False)
    return ElementTree.parse(report).getroot()


def _lines(report: ElementTree.Element) -> tuple[list[str], int]:
    lines, wrong = [], 0
    for case in report.iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        failure = case.find("failure")
        message = "" if failure is None else " ".join((failure.get("message") or "").split())
        by_assertion = failure is not None and message.startswith(("AssertionError", "assert "))
        wrong += not by_assertion
        how = "passes" if failure is None else message[:200]
        if case.find("error") is not None:
            how = "error: " + " ".join((case.find("error").get("message") or "").split())[:200]
        if case.find("skipped") is not None:
            how = "skipped"
        lines.append(f"{'fails ' if by_assertion else 'WRONG '} {name}: {how}")
    return sorted(lines), wrong


if __name__ == "__main__":
    sys.exit(main())
