"""System text for models without a system role: it stands at the head of the first question.

Gemma's and other templates refuse a system message, and some drop it without a word. What the model is told is then
part of the user's turn that follows, which is how such models are told to be used. Answers differ by where the text
stands, so a cache key says which was sent (`Wrapper.system_way`).
"""

from __future__ import annotations

from whyrec.llm.model import Message

FOLDED = "system=user"


def folded(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without system turns: each one's text leads the user's next turn, or is a turn of the user's."""
    if all(message.role != "system" for message in messages):
        return messages
    sent: list[Message] = []
    held: list[str] = []
    for message in messages:
        if message.role == "system":
            held.append(message.content)
            continue
        if held and message.role == "user":
            message = Message("user", "\n\n".join([*held, message.content]))
        elif held:
            sent.append(Message("user", "\n\n".join(held)))
        held = []
        sent.append(message)
    return (*sent, Message("user", "\n\n".join(held))) if held else tuple(sent)
