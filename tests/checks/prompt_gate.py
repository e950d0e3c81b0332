"""The prompt gate: which share of a model's answers to each prompt is usable, and why the others are not.

    python -m tests.checks.prompt_gate --llm M --out build/gate-M.json             # 40 real examples of every prompt
    python -m tests.checks.prompt_gate --llm M --prompts shared/describe_item cot_rec/summarise_batch --examples 20
    python -m tests.checks.prompt_gate --llm M --answers build/answers.jsonl --draw 200   # also answers, to be read
    python -m tests.checks.prompt_gate --page build/gate-A.json build/gate-B.json        # writes docs/prompt_gate.md

Each prompt gets examples as the graphs make them (`gate_questions.py`), from real data where it is there and from the
generated world otherwise; the model is asked through the prompt's own agent, with its repair. Choices are read from the
letters' probabilities and scored against chance. `prompt_gate_thresholds.json` says what a model has to reach, and what
it reached when last committed: a changed prompt must not fall below that by more than the noise of so few examples.

Exit codes: 0 it holds, 1 something fell short, 2 usage or environment. What `--answers` writes holds real data: it is
for reading, not for committing. No cache is used, so every run asks anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agents.agent import AnswerError
from tests.checks.gate_questions import Question, questions
from whyrec.errors import UsageError
from whyrec.llm import open_provider
from whyrec.llm.model import LanguageModel, ModelError, Reply, Request
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.settings import read_settings

HERE = Path(__file__).parent
THRESHOLDS = HERE / "prompt_gate_thresholds.json"
PAGE = HERE.parents[1] / "docs" / "prompt_gate.md"
_Z = 1.645  # one-sided 95 %


@dataclass
class Measured:
    """What a model made of one prompt.

    Attributes:
        n: examples asked; for a choice, those whose right label is known.
        first, usable: answers usable at once, and after the repair.
        reasons: why first answers were not usable.
        accuracy, chance: of a choice; None for an answer.
        tokens_in, tokens_out, seconds: of all calls.
        lost: examples that got no answer, by the kind of the error.
    """

    prompt: str
    data: str
    n: int = 0
    first: int = 0
    usable: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    accuracy: float | None = None
    chance: float | None = None
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of usable answers after the repair, or the accuracy of a choice."""
        return self.accuracy if self.accuracy is not None else self.usable / self.n if self.n else 0.0


class _Watch(Wrapper):
    """Keeps what was answered, and what the asker thought of it."""

    def __init__(self, inner: LanguageModel) -> None:
        super().__init__(inner)
        self.seen: list[tuple[int, str, Reply]] = []

    async def complete(self, request: Request) -> list[Reply]:
        replies = await self.inner.complete(request)
        judge = request.about.wrong
        for reply in replies:
            wrong = judge(reply) if judge is not None else None
            self.seen.append((request.about.turn, "" if wrong is None else wrong.reason, reply))
        return replies


async def measure(llm: LanguageModel, asked: Sequence[Question], *, at_once: int = 2) -> tuple[Measured, list[Any]]:
    """A prompt's questions put to a model; also every answer with its verdict, for reading."""
    found = Measured(asked[0].prompt, asked[0].data)
    answers: list[Any] = []
    right: list[float] = []
    chance: list[float] = []
    gate = asyncio.Semaphore(at_once)

    async def one(question: Question) -> None:
        watch = _Watch(llm)
        model = question.model(watch)
        async with gate:
            try:
                if question.labels:
                    if not question.right:
                        return
                    about, blanks = question.about, question.blanks
                    reading = await question.asker(model, question.labels, about=about, **blanks)
                    said = max(reading.probabilities, key=lambda label: reading.probabilities[label])
                    right.append(float(said == question.right))
                    chance.append(1 / len(question.labels))
                else:
                    await question.asker.many(model, 1, about=question.about, least=0, **question.blanks)
            except AnswerError:
                pass
            except ModelError as error:
                kind = type(error).__name__
                found.lost[kind] = found.lost.get(kind, 0) + 1
        _count(found, watch.seen, choice=bool(question.labels))
        answers.extend(
            {"prompt": found.prompt, "example": question.about.example or question.about.item, "turn": turn,
             "verdict": why or "usable", "answer": reply.text, "reasoning": reply.reasoning}
            for turn, why, reply in watch.seen if not question.labels
        )  # fmt: skip

    began = time.monotonic()
    await asyncio.gather(*map(one, asked))
    found.seconds = round(time.monotonic() - began, 2)
    if asked[0].labels:
        found.n = len(right)
        found.accuracy, found.chance = (sum(x) / len(x) if x else 0.0 for x in (right, chance))
    else:
        found.n = len(asked)
    return found, answers


def _count(found: Measured, seen: Sequence[tuple[int, str, Reply]], *, choice: bool) -> None:
    for turn, why, reply in seen:
        found.calls += 1
        found.tokens_in += reply.usage.prompt or 0
        found.tokens_out += reply.usage.completion or 0
        if not choice:
            found.first += turn == 0 and not why
            found.usable += not why
            if turn == 0 and why:
                found.reasons[why] = found.reasons.get(why, 0) + 1


def short(found: Measured, wanted: Mapping[str, Any]) -> str:
    """What a prompt falls short of, "" where it holds.

    Args:
        found: what was measured.
        wanted: "least", the share it has to have, and "was" of "n", what was committed; any may be left out.
    """
    if not found.n:
        return ""
    least = wanted.get("least")
    if least is not None and found.share < least:
        return f"{found.prompt}: {found.share:.2f} of {found.n} usable, and {least:.2f} are needed"
    was, n = wanted.get("was"), wanted.get("n", found.n)
    if was is not None:
        pooled = (was * n + found.share * found.n) / (n + found.n)
        noise = _Z * math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / found.n))
        if found.share < was - noise:
            return f"{found.prompt}: {found.share:.2f}, and it was {was:.2f} (noise {noise:.2f})"
    return ""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """docs/prompt_gate.md out of results, one column of each model."""
    rows: dict[str, list[str]] = {}
    for number, result in enumerate(results):
        for one in result["prompts"]:
            cells = rows.setdefault(one["prompt"], [""] * len(results))
            cells[number] = _cell(Measured(**one))
    names = [result["model"] for result in results]
    lines = [
        "# Prompt gate", "",
        "Written by `python -m tests.checks.prompt_gate --page FILE …`; not to be edited by hand.", "",
        f"Which share of a model's answers is usable, on up to {max(r['examples'] for r in results)} examples of each "
        "prompt, made as the graphs make them (their earlier steps answered by `extractive`): at once, then after one "
        "repair, and why first answers were of no use. Choices: how often the likeliest letter is the right one, "
        "against chance.", "",
        "| prompt | " + " | ".join(names) + " |", "|---|" + "---|" * len(names),
        *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in sorted(rows.items())), "",
    ]  # fmt: skip
    for result in results:
        spent = [Measured(**one) for one in result["prompts"]]
        lines.append(
            f"{result['model']}: {sum(m.calls for m in spent):,} calls, {sum(m.tokens_in for m in spent):,} tokens in, "
            f"{sum(m.tokens_out for m in spent):,} out. Prompts {result['digest']}."
        )
    return "\n".join(lines) + "\n"


def _cell(one: Measured) -> str:
    if not one.n:
        return "no example"
    if one.accuracy is not None and one.chance is not None:
        return f"{one.accuracy:.2f} right, chance {one.chance:.2f} (n {one.n})"
    why = ", ".join(f"{times} {reason}" for reason, times in Counter(one.reasons).most_common(3))
    return f"{one.first / one.n:.2f}, then {one.usable / one.n:.2f} (n {one.n}{'; ' + why if why else ''})"


def prompts_digest() -> str:
    """8 hex digits of all prompts of the house."""
    import hashlib

    import prompts

    digests = "".join(prompts.load(name).digest for name in prompts.names())
    return hashlib.sha256(digests.encode()).hexdigest()[:8]


async def _all(given: argparse.Namespace) -> tuple[list[Measured], list[Any]]:
    settings = read_settings()
    llm = open_provider(given.llm, settings=settings)
    measured: list[Measured] = []
    answers: list[Any] = []
    asked = await asyncio.to_thread(lambda: list(questions(given.prompts, most=given.examples, data=given.data)))
    try:
        for name, some in asked:
            if not some:
                measured.append(Measured(name, ""))
                print(f"{name}: no graph asked it", flush=True)
                continue
            found, said = await measure(llm, some, at_once=given.concurrency)
            measured.append(found)
            answers += said
            print(f"{name} ({found.data}): {_cell(found)}; {found.calls} calls, {found.tokens_out} tokens out, "
                  f"{found.seconds} s", flush=True)  # fmt: skip
    finally:
        await llm.close()
    return measured, answers


def main() -> int:
    """Measure, write, and say what fell short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", default="extractive")
    parser.add_argument("--name", default="", help="what the page calls the model")
    parser.add_argument("--data", default="", help="a data set in place of those of the plans")
    parser.add_argument("--prompts", nargs="*", default=[])
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--answers", type=Path, help="also write answers with their verdicts, to be read one by one")
    parser.add_argument("--draw", type=int, default=200, help="how many of them, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path, nargs="+", help="results to write docs/prompt_gate.md from")
    given = parser.parse_args()
    if given.page:
        PAGE.write_text(page([json.loads(path.read_text()) for path in given.page]))
        return 0
    try:
        measured, answers = asyncio.run(_all(given))
    except (UsageError, LookupError) as error:
        print(f"prompt_gate: {error}", file=sys.stderr)
        return 2
    name = given.name or given.llm
    if given.answers:
        drawn = random.Random(given.seed).sample(answers, min(given.draw, len(answers)))
        given.answers.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in drawn))
    if given.out:
        result = {"model": name, "examples": given.examples, "digest": prompts_digest(),
                  "prompts": [asdict(one) for one in measured]}  # fmt: skip
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    wanted = json.loads(THRESHOLDS.read_text())["models"].get(name, {})
    fallen = [said for one in measured if (said := short(one, wanted.get(one.prompt, {})))]
    for said in fallen:
        print(f"falls short: {said}")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
