"""A model that answers from a recorded run: the same questions get the answers they got then, at no cost.

Requests are found by the digest of everything that can change an answer except the model (`request_digest`), so a run
may be repeated without its server: to render it again, to debug a graph, to show that a result follows from its
calls. A question that was not asked then is an error, not a guess: its prompt, its data or its settings have changed
since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whyrec.errors import UsageError
from whyrec.llm.model import Refused, Reply, Request, TokenScores
from whyrec.llm.wrappers.cached import request_digest, score_digest
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World
    from whyrec.runs import RunReader


class Replay:
    """Answers of a run, read-only. A `LanguageModel` and a `Scorer`."""

    def __init__(self, run: RunReader) -> None:
        self._run = run
        info = run.info()
        self.name, self.revision = f"replay:{run.id}", " ".join(filter(None, (info["model"], info["model_revision"])))

    async def complete(self, request: Request) -> list[Reply]:
        """What each sample was answered first.

        Raises:
            Refused: the run never asked this.
        """
        return [self._find(request, sample) for sample in request.samples]

    def _find(self, request: Request, sample: int) -> Reply:
        reply = self._run.reply_for(request_digest(request, sample), example=request.about.example)
        if reply is None:
            raise self._unasked(request, f"sample {sample} of this request")
        return reply

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """What these continuations scored.

        Raises:
            Refused: the run never scored them together.
        """
        found = self._run.scores_for(score_digest(request, continuations))
        if found is None:
            raise self._unasked(request, "these texts to score")
        return found

    def _unasked(self, request: Request, what: str) -> Refused:
        about = request.about
        asked = " ".join(
            filter(None, (about.prompt and f"prompt {about.prompt}", about.example and f"of {about.example}"))
        )
        return Refused(
            f"The run {self._run.id} has no answer to {what}{f' ({asked})' if asked else ''}: its prompt, data or "
            f"settings are not those of the run. `whyrec runs show {self._run.id}` tells what was asked."
        )

    async def close(self) -> None:
        """Close the run's file. Idempotent."""
        self._run.close()


def open_replay(rest: str, *, settings: Settings, world: World | None) -> Replay:
    """`replay:RUN`.

    Raises:
        UsageError: no run is named, or its file cannot be read.
        UnknownNameError: there is no such run.
    """
    from whyrec.runs import open_run

    if not rest:
        raise UsageError("replay:RUN needs the id of a run; `whyrec runs ls` lists them.")
    return Replay(open_run(settings.home, rest))
