"""SCoTER's reasoning, one agent per step (paper 3.2, 3.3.1, Figures 9 to 11; spec 4.a, 10).

`generate` reasons along a path of its own and `follow` along given steps; both end in twenty described items, which are
mapped to the catalogue elsewhere. `abstract` turns paths that worked into a template. `teach` writes a chain with one
section per step of a template.

Unusual: the answer type of a chain is made for its template (`chain_type`), a field per step, so that a section that
is missing is a missing field: it is named to the model and asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, create_model, model_validator

from agents.agent import Agent
from agents.answers import Answer, Words
from agents.usable import Asked
from prompts.neutral import neutralise
from whyrec.llm.model import Unusable

RECOMMENDATIONS = 20
MOST_STEPS, STEP_WORDS = 6, 8
ARROW = " → "  # between the steps of a path, in prompts and on screens
_ARROWS = re.compile(
    r"(?<!\s)\s*+(?:(?<!-)-++\s*+[>›]|(?<!=)=++\s*+[>›]|[→⇒➔➜>›])\s*+"
)  # linear, whatever is in the text
_ITEM = re.compile(r"<item>(.*?)(?=</?item>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?item>", re.IGNORECASE)
_PARTS = ("overall_analysis", "summary")
_NUMBER = re.compile(r"^\s*(?:step\s*)?\d+\s*[.):]\s*", re.IGNORECASE)


def split_path(given: list[str]) -> list[str]:
    """A path's steps, however they were written: with arrows on one line, or a line each."""
    whole = ", ".join(given) if any(_ARROWS.search(part) for part in given) else ""
    parts = _ARROWS.split(whole.strip("[] \n")) if whole else given
    return [step for part in parts if (step := clean_step(part))]


def split_steps(given: list[str]) -> list[str]:
    """A template's steps: a list, or one text with arrows."""
    return split_path(given) if len(given) == 1 else [step for part in given if (step := clean_step(part))]


def clean_step(step: str) -> str:
    """A step as it is kept and shown: one harmless line without number, quotes or final stop."""
    return _NUMBER.sub("", neutralise(step).strip(" \"'`*")).strip(" ,;.\"'`*")


def split_items(given: list[str]) -> list[str]:
    """Descriptions, one per line or each in a tag of its own as in the paper's Figure 9."""
    whole = "\n".join(given)
    parts = _ITEM.findall(whole) if "<item>" in whole.lower() else given
    return [text for part in parts if (text := " ".join(_TAG.sub(" ", part).split()))]


Step: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=60, description="what is done in this step, at most 8 words"), Words(STEP_WORDS)
]
Finding: TypeAlias = Annotated[str, Field(min_length=1, max_length=480)]
Reasons: TypeAlias = Annotated[
    tuple[Finding, ...],
    Field(min_length=1, max_length=10, description="what each step finds in the history, in the order of the steps"),
    Asked(distinct=0.5),
]
Description: TypeAlias = Annotated[str, Field(min_length=1, max_length=240)]
Descriptions: TypeAlias = Annotated[
    tuple[Description, ...],
    Field(
        min_length=RECOMMENDATIONS,
        max_length=RECOMMENDATIONS,
        description="twenty items the user may want next, with kind, brand, function and features, likeliest first",
    ),
    Asked(distinct=0.5),
]
Sentence: TypeAlias = Annotated[str, Field(min_length=1, max_length=480)]


class _Sample(Answer):
    """Lists are put in order in the data itself, so that what is cut for being too long stays cut."""

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, data: Any) -> Any:
        for name, split in (("cot_path", split_path), ("recommendations", split_items), ("steps", split_steps)):
            given = data.get(name) if isinstance(data, dict) else None
            if isinstance(given, list) and all(isinstance(part, str) for part in given):
                data[name] = split(given)
        return data


class ChainSample(_Sample):
    """A path of the model's own, what its steps find, and what it leads to (spec 10, gvm_generate)."""

    cot_path: Annotated[
        tuple[Step, ...],
        Field(min_length=2, max_length=8, description="the steps of the reasoning, the recommendation last"),
    ]
    reason: Reasons
    recommendations: Descriptions


class GuidedSample(_Sample):
    """What the steps of a given template find, and what it leads to."""

    reason: Reasons
    recommendations: Descriptions


class MinedTemplate(_Sample):
    """The template that a cluster of paths has in common (spec 10, gvm_abstract)."""

    core_logic: Annotated[Sentence, Field(description="the shared way of reasoning, one sentence"), Asked(least=5)]
    strengths: Annotated[Sentence, Field(description="why it works, at most 60 words"), Words(60)]
    limits: Annotated[Sentence, Field(description="what holds it back, at most 60 words"), Words(60)]
    steps: Annotated[
        tuple[Step, ...],
        Field(min_length=2, max_length=MOST_STEPS, description="the template's steps, the recommendation last"),
    ]
    rationale: Annotated[
        Sentence, Field(description="how the template answers the limits, at most 60 words"), Words(60)
    ]


class StepChain(Answer):
    """The parts of a chain that every template has; `chain_type` puts a template's steps between them."""

    model_config = ConfigDict(protected_namespaces=())

    overall_analysis: Annotated[
        str, Field(max_length=640, description="what the history as a whole is about, at most 60 words"), Words(60)
    ]
    summary: Annotated[
        str, Field(max_length=640, description="the kind of item to recommend and why, at most 60 words"), Words(60)
    ]


def usable_steps(steps: Sequence[str]) -> tuple[str, ...]:
    """Steps of a template as they are shown and looked for as headers: clean, each once, none a word of pydantic's."""
    kept: dict[str, str] = {}
    for step in filter(None, map(clean_step, steps)):
        taken = hasattr(StepChain, step_field(step)) or step_field(step) in _PARTS
        named = f"{step} step" if taken else step
        kept.setdefault(step_field(named), named)
    return tuple(kept.values())


def step_field(step: str) -> str:
    """Name of a step as a field of its chain and, with spaces, as the header of its section."""
    return re.sub(r"\s+", "_", step.strip().lower()).lstrip("_")


@lru_cache(maxsize=64)
def chain_type(steps: tuple[str, ...]) -> type[StepChain]:
    """The answer type of a chain that follows these steps: a section may be empty here, which `teach`'s check minds."""
    sections: dict[str, Any] = {step_field(s): (_section(f"what this step finds: {s}"), "") for s in steps}
    overall, summary = (_section(StepChain.model_fields[n].description or "") for n in _PARTS)
    made = create_model(  # in the order in which the sections are written
        "StepChain",
        __base__=_Sections,
        overall_analysis=(overall, ""),
        **sections,
        summary=(summary, ""),
    )
    return made  # type: ignore[return-value]


class _Sections(Answer):
    model_config = ConfigDict(protected_namespaces=())


def _section(description: str) -> Any:
    said = description if "at most" in description else f"{description}, at most 80 words"
    return Annotated[str, Field(max_length=800, description=said), Words(80), Asked(least=8)]


def missing_steps(chain: Answer, steps: Sequence[str]) -> list[int]:
    """Places of the steps without a section, from 0."""
    return [k for k, step in enumerate(steps) if not getattr(chain, step_field(step))]


def _whole(chain: Answer, blanks: Mapping[str, Any]) -> Unusable | None:
    gone = [blanks["steps"][k] for k in missing_steps(chain, blanks["steps"])]
    said = f"it lacks the sections {'; '.join(gone)}, each of which needs a header line of its own"
    return Unusable("incomplete", said) if gone else None


def _template_holds(template: MinedTemplate, blanks: Mapping[str, Any]) -> Unusable | None:
    if "steps" in template.cut:
        said = f"steps has more than {MOST_STEPS} entries, so its end would be lost; merge some of them"
        return Unusable("incomplete", said)
    if len(usable_steps(template.steps)) < 2:
        return Unusable("repeats", "steps repeats one step; a template has two to six different ones")
    return None


def teach(steps: Sequence[str], *, whole: bool = True) -> Agent[Any]:
    """The agent that writes chains along these steps; with `whole`, it asks again for sections that are missing."""
    return Agent(
        "scoter/teach", answer=chain_type(tuple(steps)), repairs=2 if whole else 0, check=_whole if whole else None
    )


generate = Agent("scoter/generate", answer=ChainSample, repairs=2)
follow = Agent("scoter/follow", answer=GuidedSample, repairs=2)
abstract = Agent("scoter/abstract", answer=MinedTemplate, repairs=2, check=_template_holds)
