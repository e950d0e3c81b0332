"""Issue 3, Show 5: what the reasoning workflows need of a server, tried on a real vLLM and held against transformers.

    python tests/checks/vllm_reasoning.py --vllm-python VENV/bin/python [--users 10]

Makes a two-layer Qwen2 of random weights that has a reasoning model's tokens and chat template, serves it in float32,
and asks through whyrec's own clients, opened by the names a user types: scores of given texts, option letters,
samples, P(yes) after a thought, the split at the last </think>. Everything is compared with `transformers:FOLDER`. Then
`whyrec run` does pulse.refine, pulse.choose and rallrec.predict. A second server has a reasoning parser and vLLM's
default log-probabilities. Prints a table; exit 0 if every line holds. About nine minutes on two busy cores. The
tokenizer is trained on the prompts, so the numbers change a little when these do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "checks")]

from vllm_preference import serve, wait  # noqa: E402

from agents import pulse, rallrec  # noqa: E402
from agents.ranker import letters  # noqa: E402
from whyrec.data import SplitView, open_data  # noqa: E402
from whyrec.data.generated.world import World  # noqa: E402
from whyrec.llm.labels import read_labels  # noqa: E402
from whyrec.llm.model import About, LanguageModel, Message, Request, Sampling  # noqa: E402
from whyrec.llm.providers.openai import OpenAICompatible  # noqa: E402
from whyrec.llm.reasoning import CLOSE, OPEN  # noqa: E402
from whyrec.llm.registry import open_provider  # noqa: E402
from whyrec.runs import list_runs, open_run  # noqa: E402
from whyrec.settings import read_settings  # noqa: E402

AGREES = 1e-2  # spec 1.4
WORLD = "world:users=60,items=80"
HABITS = ("", '?chat_template_kwargs={"begun":true}', '?chat_template_kwargs={"forgets":true}')
THINK = Request((Message("user", "Think, then answer."),), Sampling(1.0, max_tokens=32, seed=3), tuple(range(24)))
BIASES = (6, 9, 12)
THOUGHTS = ("The history holds warm socks, and the item is warm, too.", "Too dear. Was the rating 5? No: it was 2.")


@dataclass(frozen=True)
class Line:
    """One item of the table."""

    item: str
    value: str
    holds: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", required=True, type=Path)
    parser.add_argument("--users", default=10, type=int)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="whyrec-vllm-"))
    os.environ["WHYREC_HOME"] = str(folder / "home")
    make = [sys.executable, ROOT / "tests/servers/tiny_qwen2.py", folder / "model", "--thinking"]
    subprocess.run(make, check=True)
    # vLLM 0.32 on a CPU dies of a seeded request whose prompt it reads in pieces ("CPU Generator does not use offset")
    whole = "--no-enable-chunked-prefill"
    everything = partial(plain_server, users=asked.users)
    steps: list[tuple[Sequence[str], Callable[[str, Path], list[Line]]]] = [
        (
            (whole, "--logprobs-mode", "processed_logprobs"),
            everything,
        ),
        ((whole, "--reasoning-parser", "qwen3"), parsing_server),
    ]
    lines: list[Line] = []
    for flags, look in steps:
        port = _free_port()
        server = serve(asked.vllm_python, folder, port, dtype="float32", more=flags)
        try:
            wait(server, port, folder / "vllm.log")
            lines += look(f"http://127.0.0.1:{port}/v1", folder / "model")
        finally:
            server.terminate()
            server.wait(60)
    return report(lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(lines: Sequence[Line]) -> int:
    """Print the table; 0 if all of it holds."""
    wide = max(len(line.item) for line in lines)
    print()
    for line in lines:
        print(f"{line.item:<{wide}}  {'holds' if line.holds else 'FAILS'}  {line.value}")
    return int(not all(line.holds for line in lines))


def plain_server(url: str, folder: Path, *, users: int) -> list[Line]:
    """Everything that needs no reasoning parser, which is all of it."""
    lines = [probed(f"{scheme}:tiny@{url}") for scheme in ("openai", "vllm")]
    lines += asyncio.run(compare(url, folder))
    return lines + workflows(f"openai:tiny@{url}", users)


def parsing_server(url: str, folder: Path) -> list[Line]:
    """The same with `--reasoning-parser`, and log-probabilities as vLLM gives them by default."""
    return asyncio.run(_parsed(url, folder))


def probed(name: str) -> Line:
    """`whyrec llm check`: from here on the client knows the server, by whatever scheme it is opened."""
    done = subprocess.run(
        [sys.executable, "-m", "whyrec", "llm", "check", name], cwd=ROOT, capture_output=True, text=True
    )
    can = open_openai(name).can
    known = can.n and can.choice and can.prefix == "continue" and can.score == "tokens" and can.logprobs == 20
    value = f"n {can.n}, choice {can.choice}, prefix {can.prefix}, score {can.score}, logprobs {can.logprobs}"
    return Line(f"whyrec llm check {name.partition('@')[0]}", value, done.returncode == 0 and known)


def open_openai(name: str) -> OpenAICompatible:
    """The bare client of a name."""
    model = open_provider(name, settings=read_settings())
    assert isinstance(model, OpenAICompatible)
    return model


def questions() -> list[Request]:
    """Prompts of three workflows about three users of a generated world."""
    opened = open_data(WORLD, settings=read_settings())
    assert isinstance(opened.world, World)
    view = SplitView(opened.data, "test")
    found = []
    for user in view.users[:3]:
        shown = view.example(int(user), last=8).history
        found.append(pulse.base_reason.request(1, About(), {"history": shown, "similar": shown[:2]}))
    return found


def clicks() -> list[dict[str, Any]]:
    """Blanks of RALLRec+'s question about a click."""
    opened = open_data(WORLD, settings=read_settings())
    view = SplitView(opened.data, "test")
    item = opened.data.item(1)
    return [
        {"profile": "", "history": view.example(int(u), last=6).history, "above": "3", "opinion": "", "item": item}
        for u in view.users[:3]
    ]


async def compare(url: str, folder: Path) -> list[Line]:
    """What the server says beside what the same weights say in this process."""
    lines: list[Line] = []
    served, local = open_openai(f"openai:tiny@{url}"), open_provider(f"transformers:{folder}", settings=read_settings())
    lines += await likelihoods(served, local)
    lines += await options(served, local)
    lines.append(await samples(served))
    for habit in HABITS:
        pair = [f"openai:tiny@{url}{habit}", f"transformers:{folder}{habit}"]
        lines.append(await continued([open_provider(name, settings=read_settings()) for name in pair], habit))
    lines.append(await split(url, folder))
    await served.close()
    return lines


async def likelihoods(served: Any, local: Any) -> list[Line]:
    """PULSE's selector: log-likelihood of given texts, summed and per token."""
    texts = ['{"text": "Warm socks again, since winter is near."}', '{"text": "A tent."}', "é, ü and 日本"]
    sums, means, tokens = 0.0, 0.0, 0
    for request in questions():
        theirs, ours = await served.score(request, texts), await local.score(request, texts)
        for a, b in zip(theirs, ours, strict=True):
            assert len(a.logprobs) == len(b.logprobs), (a, b)
            tokens += len(a.logprobs)
            sums, means = max(sums, abs(a.total - b.total)), max(means, abs(a.mean - b.mean))
    return [
        Line("log-likelihood, sum", f"max |difference| {sums:.1e} over 9 texts, {tokens} tokens", sums <= AGREES),
        Line("log-likelihood, per token", f"max |difference| {means:.1e}", means <= AGREES),
    ]


async def options(served: LanguageModel, local: LanguageModel) -> list[Line]:
    """Option letters: every one of ten, in log-probabilities, by both ways of reading."""
    labels, lines = letters(10), []
    for way in ("logprobs", "score"):
        worst = 0.0
        for request in questions():
            theirs = await read_labels(served, request, labels, ways=(way,))
            ours = await read_labels(local, request, labels, ways=(way,))
            assert theirs.way == ours.way == way
            pairs = zip(theirs.probabilities.values(), ours.probabilities.values(), strict=True)
            worst = max(worst, *(abs(math.log(a) - math.log(b)) for a, b in pairs))
        lines.append(Line(f"letters A to J by {way}", f"max |log difference| {worst:.1e}, 3 prompts", worst <= AGREES))
    return lines


async def samples(served: OpenAICompatible) -> Line:
    """Eight samples: one request, eight texts, and the third alone is the third of eight."""
    sent = []
    post = served._post

    async def counted(where: Any, body: bytes) -> bytes:
        sent.append(json.loads(body))
        return await post(where, body)

    request = replace(questions()[0], sampling=Sampling(1.0, max_tokens=24, seed=11), format=Request(()).format)
    served._post = counted  # type: ignore[method-assign]
    try:
        drawn = await served.complete(replace(request, samples=tuple(range(8))))
        (third,) = await served.complete(replace(request, samples=(2,)))
    finally:
        del served._post  # type: ignore[method-assign]
    distinct, tokens = len({reply.text for reply in drawn}), sum(reply.usage.completion for reply in drawn)
    right = len(sent) == 2 and sent[0]["n"] == 8 and distinct == 8 and third.text == drawn[2].text
    value = f"{len(drawn)} answers from {len(sent) - 1} request, {distinct} distinct, {tokens} tokens; "
    return Line("n samples", f"{value}sample 2 alone is the same: {third.text == drawn[2].text}", right)


async def continued(pair: Sequence[LanguageModel], habit: str) -> Line:
    """RALLRec+'s read-out: the assistant's turn goes on after a thought; P(yes) at the next token."""
    worst, found, ways = 0.0, [], set()
    for blanks in clicks():
        for text in THOUGHTS:
            trace = rallrec.Trace(text, "", 12, "stop")
            both = [await rallrec.read_out(m, trace, way="continue", about=About(), **blanks) for m in pair]
            ways |= {read.way for read in both}
            found.append(both[0].probability)
            worst = max(worst, abs(math.log(both[0].probability) - math.log(both[1].probability)))
    named = habit.partition("{")[2].partition(":")[0].strip('"') or "plain"
    value = (
        f"P(yes) {min(found):.3f} to {max(found):.3f}, by {'+'.join(sorted(ways))}, max |log difference| {worst:.1e}"
    )
    await pair[0].close()
    return Line(f"continued after a thought, template {named}", value, worst <= AGREES and "vote" not in ways)


async def split(url: str, folder: Path) -> Line:
    """Thoughts end at the *last* </think>: its token is made likelier by degrees, so that answers hold none to many."""
    counts, wrong = {"none": 0, "one": 0, "several": 0}, 0
    for bias in BIASES:
        served = open_openai(f"openai:tiny@{url}?extra={_likelier(folder, bias)}")
        replies = await served.complete(THINK)
        await served.close()
        for reply, text in zip(replies, _raw(url, _likelier(folder, bias)), strict=True):
            counts[("none", "one", "several")[min(2, text.count(CLOSE))]] += 1
            thought, found, said = text.rpartition(CLOSE)
            thought = thought.strip().removeprefix(OPEN).strip()
            wrong += (reply.reasoning, reply.text) != ((thought, said.lstrip()) if found else ("", text))
    value = ", ".join(f"{n} answers with {name}" for name, n in counts.items())
    return Line("split at the last </think>", f"{value}; {wrong} split wrongly", not wrong and all(counts.values()))


async def _parsed(url: str, folder: Path) -> list[Line]:
    """The server splits: `reasoning` is read; letters are read by scoring, since a parser delays the restriction."""
    served = open_openai(f"vllm:tiny@{url}?extra={_likelier(folder, BIASES[1])}")
    replies = await served.complete(THINK)
    thoughts, answers = sum(bool(r.reasoning) for r in replies), sum(bool(r.text) for r in replies)
    tagged = sum(CLOSE in r.text for r in replies)
    await served.close()
    value = f"{thoughts} of 24 with reasoning, {answers} with an answer, {tagged} answers that hold </think>"
    lines = [Line("reasoning parser on: the server splits", value, thoughts > 0 and answers > 0 and not tagged)]
    plain, local = open_openai(f"vllm:tiny@{url}"), open_provider(f"transformers:{folder}", settings=read_settings())
    worst, ways = 0.0, set()
    for question in questions():
        theirs, ours = [await read_labels(model, question, letters(10)) for model in (plain, local)]
        ways.add(theirs.way)
        pairs = zip(theirs.probabilities.values(), ours.probabilities.values(), strict=True)
        worst = max(worst, *(abs(math.log(a) - math.log(b)) for a, b in pairs))
    await plain.close()
    value = f"read by {'+'.join(sorted(ways))}, max |log difference| {worst:.1e}"
    return [*lines, Line("letters, parser on, raw log-probabilities", value, worst <= AGREES)]


def _likelier(folder: Path, bias: int) -> str:
    """A field for every request that makes </think> likelier."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    close = next(added["id"] for added in tokenizer["added_tokens"] if added["content"] == CLOSE)
    return json.dumps({"logit_bias": {str(close): bias}})


def _raw(url: str, extra: str) -> list[str]:
    """The same answers as the server sends them, read past whyrec's client."""
    how, n = THINK.sampling, len(THINK.samples)
    body = {"model": "tiny", "messages": [{"role": "user", "content": THINK.messages[0].content}], **json.loads(extra)}
    body |= {"max_tokens": how.max_tokens, "temperature": how.temperature, "seed": how.seed, "n": n}
    asked = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=300) as answer:
        choices = json.loads(answer.read())["choices"]
    return [choice["message"]["content"] or "" for choice in sorted(choices, key=lambda c: c["index"])]


def workflows(model: str, users: int) -> list[Line]:
    """Whole workflows by `whyrec run`: every example ends done or failed with a reason, and most of them done."""
    refine = ["pulse.refine", "-o", "widths=2,2", "-o", "rationales=none", "-o", "selectors=likelihood,embedding"]
    lines = [_ran(refine, model, users)]
    reasons = next((run.id for run in list_runs(read_settings().home) if run.id.startswith("pulse.refine")), "none")
    lines.append(_ran(["pulse.choose", "-o", f"reasons={reasons}", "-o", "selector=likelihood"], model, users))
    lines.append(_ran(["rallrec.predict", "-o", "samples=3", "-o", "expert_rows=200"], model, users))
    return lines


def _ran(graph: Sequence[str], model: str, users: int) -> Line:
    start = time.perf_counter()
    command = ["run", *graph, "--data", WORLD, "--users", str(users), "--llm", model, "--yes", "--quiet"]
    done = subprocess.run([sys.executable, "-m", "whyrec", *command], cwd=ROOT, capture_output=True, text=True)
    home = read_settings().home
    info = next((run for run in list_runs(home) if run.id.startswith(graph[0])), None)
    if info is None:
        return Line(graph[0], f"no run: {(done.stderr or done.stdout).strip()[-200:]}", False)
    results = list(open_run(home, info.id).results())
    good = [r for r in results if r.status == "done"]
    reasons = [r.reason for r in results if r.status == "failed"]
    seen = {key: sorted({_flat(r.payload, key) for r in good}) for key in ("chosen", "way", "ways") if good}
    told = "; ".join(f"{k} {', '.join(v)}" for k, v in seen.items() if any(v))
    value = f"{len(good)} done, {len(reasons)} failed with a reason, {time.perf_counter() - start:.0f} s; {told}"
    if reasons:
        value += f"; first reason: {reasons[0][:160]}"
    return Line(" ".join(graph[:1]), value, len(results) == users and 2 * len(good) > users and all(reasons))


def _flat(payload: Any, key: str) -> str:
    found = (payload or {}).get(key, "")
    return "+".join(sorted(set(map(str, found)))) if isinstance(found, list | dict) else str(found)


if __name__ == "__main__":
    raise SystemExit(main())
