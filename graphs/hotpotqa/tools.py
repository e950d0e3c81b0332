"""Search, Lookup and Finish over a question's own paragraphs (Yao et al. 2023, for Wikipedia; spec 3.a).

What an action shows is a pure function of the paragraphs and the steps before it: there is no environment to keep. As
in ReAct, Search shows the first five sentences of a paragraph or titles like the one wanted, and Lookup goes through
the sentences of the paragraph found last, one more each time the same word is looked up.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from agents.hotpotqa import Step
from whyrec.data.questions import Paragraph

FIRST_SENTENCES, SIMILAR = 5, 5
_ENOUGH = 0.8  # likeness from which a title counts as the one meant
_WORD = re.compile(r"\w+")
_ASIDE = re.compile(r"\s*\([^)]*\)\s*$")


def observe(paragraphs: Sequence[Paragraph], steps: Sequence[Step], action: str, argument: str) -> str:
    """What an action shows after these steps; a sentence that says so where it is no action."""
    match action:
        case "Search":
            found = find(paragraphs, argument)
            if found is not None:
                return " ".join([s for s in found.sentences if s][:FIRST_SENTENCES]) or "This paragraph is empty."
            titles = [p.title for p in _by_likeness(paragraphs, argument)[:SIMILAR]]
            return f"Could not find {argument}. Similar: {'; '.join(titles) or 'nothing'}."
        case "Lookup":
            hits = [s for s in _sentences(paragraphs, steps) if argument and argument.casefold() in s.casefold()]
            before = _looked_up(paragraphs, steps, argument)
            if before >= len(hits):
                return "No more results." if hits else f"No results for {argument}."
            return f"(Result {before + 1} / {len(hits)}) {hits[before]}"
        case "Finish":
            return "Finished."
    return f"Invalid action: {argument}. It must be Search(title), Lookup(word) or Finish(answer)."


def find(paragraphs: Sequence[Paragraph], title: str) -> Paragraph | None:
    """The paragraph with this title; else the one whose title is most like it, if that is like enough; else None."""
    wanted = _key(title)
    exact = next((p for p in paragraphs if _key(p.title) == wanted), None)
    if exact is not None or not wanted:
        return exact
    best = _by_likeness(paragraphs, title)[:1]
    return best[0] if best and likeness(title, best[0].title) >= _ENOUGH else None


def likeness(wanted: str, title: str) -> float:
    """How alike two titles are, 0 to 1: by their letters, an aside in brackets not counted, or as a part of the other.

    A title all of whose words are wanted ("The Grey Harbour novel" for "Grey Harbour") counts .9, the reverse by the
    share of its words.
    """
    one, full, bare = _key(wanted), _key(title), _key(_ASIDE.sub("", title))
    letters = max(difflib.SequenceMatcher(None, one, other).ratio() for other in (full, bare))
    asked, named = set(one.split()), set(bare.split())
    inside = 0.9 * len(asked & named) / len(named) if named else 0.0
    return max(letters, inside)


def _by_likeness(paragraphs: Sequence[Paragraph], title: str) -> list[Paragraph]:
    """All of them, the most alike title first, equals in their order."""
    return sorted(paragraphs, key=lambda p: -likeness(title, p.title))


def _sentences(paragraphs: Sequence[Paragraph], steps: Sequence[Step]) -> tuple[str, ...]:
    """Sentences of the paragraph found last."""
    for step in reversed(steps):
        if step.action == "Search" and (found := find(paragraphs, step.argument)):
            return found.sentences
    return ()


def _looked_up(paragraphs: Sequence[Paragraph], steps: Sequence[Step], word: str) -> int:
    """How often this word was looked up since the paragraph was found, no other word in between."""
    times = 0
    for step in reversed(steps):
        if step.action == "Search" and find(paragraphs, step.argument):
            break
        if step.action == "Lookup":
            if step.argument.casefold() != word.casefold():
                break
            times += 1
    return times


def _key(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
