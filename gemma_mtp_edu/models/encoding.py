"""From what a caller gives as a prompt to token ids that a model can read."""

from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from gemma_mtp_edu.lessons.language import marked, tr

KINDS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_ROLES = ("user", "assistant", "model", "system")
_NEEDED = marked("need a text, or integer ids of shape (1, seq) with seq >= 1")


def placeholders(config: Any) -> frozenset[int]:
    """Return the ids that stand for pictures, films and sound, which are not read here.

    Args:
        config: Of the target.
    """
    names = [f"{kind}_token_id" for kind in ("image", "video", "audio")]
    return frozenset(i for name in names if isinstance(i := getattr(config, name, None), int))


def check_ids(
    ids: Any, vocabulary: int, positions: int | None, unread: frozenset[int] = frozenset()
) -> Tensor:
    """Return a prompt's ids as they are.

    Args:
        ids: What the caller gave.
        vocabulary: Number of tokens that the target knows.
        positions: How many tokens the target was made for; None where it does not say.
        unread: Ids of `placeholders`: without its picture the target takes one for padding.

    Raises:
        ValueError: They are of another kind or shape, too many, or no tokens of the target.
    """
    if not isinstance(ids, Tensor):
        raise ValueError(
            tr(
                "got a {kind} as prompt, {needed}: {hint}",
                kind=type(ids).__name__,
                needed=tr(_NEEDED),
                hint=_hint(ids),
            )
        )
    if ids.is_meta or ids.layout != torch.strided:
        raise ValueError(
            tr(
                "got ids without values in memory ({device}, {layout}), {needed}",
                device=ids.device,
                layout=ids.layout,
                needed=tr(_NEEDED),
            )
        )
    if ids.ndim != 2 or ids.shape[0] != 1 or ids.shape[1] == 0 or ids.dtype not in KINDS:
        raise ValueError(
            tr(
                "got ids of shape {shape} and dtype {dtype}, {needed}: {hint}assisted decoding "
                "takes one prompt at a time",
                shape=tuple(ids.shape),
                dtype=ids.dtype,
                needed=tr(_NEEDED),
                hint=tr("ids[None] makes one row; ") if ids.ndim == 1 else "",
            )
        )
    if positions is not None and ids.shape[1] >= positions:
        raise ValueError(
            tr(
                "got a prompt of {count} tokens, need fewer than {positions}: the target has no "
                "more positions (max_position_embeddings); shorten the prompt",
                count=ids.shape[1],
                positions=positions,
            )
        )
    least, most = (int(value) for value in ids.aminmax())
    if least < 0 or most >= vocabulary:
        raise ValueError(
            tr(
                "got id {id}, need ids from 0 to {last}: the target knows no others; encode the "
                "text with this pair's own tokenizer",
                id=least if least < 0 else most,
                last=vocabulary - 1,
            )
        )
    if unread and (found := unread.intersection(ids[0].tolist())):
        raise ValueError(
            tr(
                "got id {id}, which stands for a picture, a film or a sound, need text alone: the "
                "loops here read no others, so leave them out, or use generate() with "
                "assistant_model=...",
                id=min(found),
            )
        )
    return ids


def message_ids(processor: Any, messages: Any) -> Tensor:
    """Return the ids `[1, seq]` of a conversation, the mark that begins the answer included.

    Raises:
        ValueError: There is no processor or no chat template, the messages are none, or the
            template refuses them.
    """
    if processor is None:
        raise ValueError(
            tr(
                "got text, but this pair has no processor: give one as ModelPair(..., "
                "processor=...), or pass token ids of shape (1, seq)"
            )
        )
    turns = messages if isinstance(messages, list | tuple) else ()
    if not turns or not all(_is_turn(turn) for turn in turns):
        raise ValueError(
            tr(
                "got messages {messages!r}, need a list of turns with texts, such as {example}",
                messages=messages,
                example='[{"role": "user", "content": "Hello!"}]',
            )
        )
    for turn in turns:
        _check_turn(turn)
    if not getattr(processor, "chat_template", None):
        raise ValueError(
            tr(
                "this pair's processor ({kind}) has no chat template: take an instruction-tuned "
                "checkpoint (its id ends with -it), or pass token ids of shape (1, seq)",
                kind=type(processor).__name__,
            )
        )
    try:
        text = processor.apply_chat_template(
            list(turns), tokenize=False, add_generation_prompt=True
        )
    except TemplateError as error:
        raise ValueError(
            tr(
                "this pair's chat template refuses the messages ({error}): begin with a user's "
                "turn (or one system turn before it), and let user and assistant take turns",
                error=error,
            )
        ) from error
    # The template writes the mark of the beginning itself; some tokenizers would add another one.
    ids: Tensor = processor(text=text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    return ids


def _is_turn(turn: Any) -> bool:
    # Processors also take a list of parts, such as {"type": "text", "text": "Hello!"}.
    return (
        isinstance(turn, dict)
        and isinstance(turn.get("role"), str)
        and isinstance(turn.get("content"), str | list)
    )


def _check_turn(turn: dict[str, Any]) -> None:
    content = turn["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if turn["role"] not in _ROLES or not parts or not all(_is_text(part) for part in parts):
        raise ValueError(
            tr(
                "got the turn {turn!r:.200}, need a role of {roles}, and content that is a text of "
                "at least one word: only text is read here, so leave images, sounds and empty "
                "turns out",
                turn=turn,
                roles=", ".join(_ROLES),
            )
        )
    for part in parts:
        check_text(part["text"])


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
        and bool(part["text"].strip())
    )


def check_text(text: str) -> None:
    """Raise unless a tokenizer can read a text.

    Raises:
        ValueError: It holds half a character, which cannot be written as UTF-8.
    """
    place = half_character(text)
    if place is not None:
        raise ValueError(
            tr(
                "got a text with half a character at place {place} (a lone surrogate), need text "
                "that can be written as UTF-8: read files with encoding='utf-8'",
                place=place,
            )
        )


def half_character(text: str) -> int | None:
    """Return where a text holds half a character first, so that UTF-8 cannot write it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _hint(ids: Any) -> str:
    if isinstance(ids, list | tuple) and ids and all(isinstance(turn, dict) for turn in ids):
        return tr("a conversation becomes ids by pair.encode_messages(messages)")
    if isinstance(ids, list | tuple):
        return tr("ids in a list become torch.tensor([ids])")
    if type(ids).__module__ == "numpy":
        return tr("torch.from_numpy(ids) keeps numpy's ids")
    if hasattr(ids, "keys"):
        return tr('pass inputs["input_ids"] of what a tokenizer returns')
    return tr("bytes become text by .decode()" if isinstance(ids, bytes) else "such as 'Hello!'")
