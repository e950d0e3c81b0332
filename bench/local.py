"""`python -m bench local --model FOLDER`: what 200 calls of cot_rec.preference cost on local weights, by who runs them.

The same calls go, one contender after another, to `transformers:` of revision 4b28f88 (an archive of it, in a process
of its own), to today's in float32 and in bfloat16, and to servers of the same weights where their URL is given. Nobody
enforces a schema, so that all write freely; answers end after `--most` tokens. Counted are CPU seconds of the process
that computes, of a server on this machine by its port. The calls and every contender's outcome are kept under
build/local/, and a contender that is there already is not run again (`--again NAME` does), so that a long comparison
can be made in parts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from whyrec.runs import RunReader
from whyrec.workbench.asked import asked

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "local"
OLD = "4b28f88"
WORKER = Path(__file__).with_name("local_worker.py")
RUN = ["-m", "whyrec", "run", "cot_rec.preference", "--data", "world", "--llm", "extractive", "--yes", "--quiet"]


@dataclass(frozen=True)
class Contender:
    """Who answers.

    Attributes:
        name: as the table says it.
        model: as `--llm` would.
        tree: the source tree that asks.
        port: of a server on this machine whose CPU time counts; 0 where the asking process computes.
    """

    name: str
    model: str
    tree: Path = ROOT
    port: int = 0


def record(calls: int, most: int) -> list[dict[str, Any]]:
    """The calls as JSON-able data, as a run with `extractive` asks them."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "WHYREC_HOME": home}
        command = [sys.executable, *RUN, "--users", str(calls)]  # a user takes one call or more
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        (folder,) = (Path(home) / "runs").iterdir()
        run = RunReader(folder)
        found = [asked(run, number + 1).request for number in range(calls)]
    return [
        {
            "messages": [[message.role, message.content] for message in request.messages],
            "sampling": {
                "temperature": request.sampling.temperature,
                "top_p": request.sampling.top_p,
                "max_tokens": min(request.sampling.max_tokens, most),
                "seed": request.sampling.seed,
            },
            "format": {
                "kind": request.format.kind,
                "name": request.format.name,
                "schema": request.format.schema,
            },
        }
        for request in found
    ]


def archive() -> Path:
    """The old revision's tree."""
    folder = OUT / OLD
    if not folder.is_dir():
        folder.mkdir(parents=True)
        packed = subprocess.run(["git", "archive", OLD], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", str(folder)], input=packed, check=True)
    return folder


def served(name: str, url: str) -> Contender:
    """A server's contender: its only model, no schema enforced, time enough."""
    with urllib.request.urlopen(f"{url.rstrip('/')}/models", timeout=30) as answer:
        model = json.load(answer)["data"][0]["id"]
    return Contender(name, f"openai:{model}@{url}?schema=none&timeout=36000", port=urlsplit(url).port or 0)


def server_cpu(port: int) -> float:
    """CPU seconds so far of whoever listens on this port, children among them; 0.0 for port 0."""
    if not port:
        return 0.0
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
            process = psutil.Process(found.pid)
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
            return sum(time.user + time.system for time in times)
    raise SystemExit(f"bench: nobody on this machine listens on port {port}, so a server's CPU time cannot be told.")


def measure(who: Contender, questions: Path, out: Path) -> dict[str, Any]:
    """Ask in a process of its own; what it wrote, with the server's CPU seconds in place of the asker's."""
    before = server_cpu(who.port)
    command = [sys.executable, str(WORKER), str(questions), who.model, str(out)]
    environment = {**os.environ, "WHYREC_HOME": str(OUT / "home")}
    subprocess.run(command, cwd=who.tree, env=environment, check=True)
    found: dict[str, Any] = json.loads(out.read_text())
    if who.port:
        found |= {"asker": found["cpu"], "cpu": server_cpu(who.port) - before}
        out.write_text(json.dumps(found))
    return found


def table(rows: dict[str, dict[str, Any]]) -> Table:
    """A line per contender, cost first; x and the answers that are alike, letter by letter, are against the first."""
    shown = Table("who", "CPU s", "x", "s on the clock", "tokens read", "written", "written per CPU s", "alike")
    first = next(iter(rows.values()), {})
    for name, row in rows.items():
        rate = row["completion"] / row["cpu"]
        alike = sum(map(str.__eq__, first["answers"], row["answers"]))
        shown.add_row(
            name, f"{row['cpu']:.0f}", f"{first['cpu'] / row['cpu']:.1f}", f"{row['wall']:.0f}", f"{row['prompt']:,}",
            f"{row['completion']:,}", f"{rate:.1f}", f"{alike} of {len(row['answers'])}",
        )  # fmt: skip
    return shown


def main(given: list[str]) -> int:
    """Measure who is named and print the table."""
    read = argparse.ArgumentParser("python -m bench local", description=(__doc__ or "").splitlines()[0])
    read.add_argument("--model", required=True, type=Path, help="folder with weights and tokenizer")
    read.add_argument("--calls", type=int, default=200)
    read.add_argument("--most", type=int, default=400, help="tokens of an answer (400)")
    read.add_argument("--vllm", default="", help="URL of a vLLM with these weights, with /v1")
    read.add_argument("--llamacpp", default="", help="URL of a llama.cpp server, with /v1")
    read.add_argument("--again", action="append", default=[], help="measure this contender again")
    options = read.parse_args(given)
    OUT.mkdir(parents=True, exist_ok=True)
    questions = OUT / f"calls-{options.calls}-{options.most}.json"
    if not questions.exists():
        questions.write_text(json.dumps(record(options.calls, options.most)))
    weights = f"transformers:{options.model.resolve()}"
    contenders = [
        Contender(f"{OLD}, float32", f"{weights}?dtype=float32", archive()),
        Contender("ours, float32", f"{weights}?dtype=float32&grammar=off"),
        Contender("ours, bfloat16", f"{weights}?dtype=bfloat16&grammar=off"),
    ]
    contenders += [served(name, url) for name, url in (("vLLM", options.vllm), ("llama.cpp", options.llamacpp)) if url]
    digest = hashlib.sha256(questions.read_bytes() + str(options.model.resolve()).encode()).hexdigest()[:8]
    rows = {}
    for who in contenders:
        out = OUT / f"{digest}-{who.name.replace(', ', '-').replace(' ', '-')}.json"
        kept = out.exists() and who.name not in options.again
        rows[who.name] = json.loads(out.read_text()) if kept else measure(who, questions, out)
        Console(width=120).print(table(rows))
    return 0
