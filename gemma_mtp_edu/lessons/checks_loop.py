"""The checker of lesson 04: it watches both models while a learner's loop runs.

When a pass of the target begins, all that the round before must have left behind is known, so a
mistake is named in the first round in which it shows.
"""

import traceback
from collections import Counter
from inspect import getgeneratorlocals
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.metrics import first_difference
from gemma_mtp_edu.core.decoding import speculative_generate
from gemma_mtp_edu.core.verification import verify_greedy
from gemma_mtp_edu.lessons.checking import NOT_TRIED, RIGHT, Call, Rows
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.models.pairs import ModelPair

# Prompt, gamma, max_new_tokens: texts that end by themselves or at the limit, long ones first.
CASES = (
    ("Tell me a story.", 5, 24), ("Count from 7 to 12.", 4, 40), ("What is 47 + 38?", 3, 12),
    ("Hello!", 1, 6), ("Hello!", 2, 1),
)  # fmt: skip
PATIENCE = 8  # target passes after the text's end, or draft steps beyond twice gamma
FAILED = marked("{kind}: {error} (at `{line}`)")
COUNTS = marked(
    "Target passes: {passes}, the package's loop: {its_passes}. Drafted: {drafted} and "
    "{its_drafted}; accepted: {accepted} and {its_accepted}."
)


class _FoundError(BaseException):
    """Says what is wrong; no Exception, so that a learner's `except` does not keep it."""


class _Watch:
    def __init__(self, pair: ModelPair, name: str, gamma: int, limit: int) -> None:
        self.pair, self.name, self.gamma, self.limit = pair, name, gamma, limit
        ids = pair.encode(name) if pair.processor else torch.arange(3, 19, device=pair.device)[None]
        self.ids, self.prompt, self.text, self.ended = ids, ids[0].tolist(), list[int](), ""
        self.late, self.counts, self.steps = 0, Counter[str](), list[dict[str, Any]]()
        self.passed = self.prompt

    def run(self, function: Call) -> Any:
        """Return what the loop returns."""
        target, drafter = self.pair.target, self.pair.drafter
        handles = [
            target.register_forward_pre_hook(self._target_starts, with_kwargs=True),
            target.register_forward_hook(self._target_ends),
            drafter.pre_projection.register_forward_pre_hook(self._step_starts),
            drafter.model.register_forward_pre_hook(self._step_sees, with_kwargs=True),
            drafter.register_forward_hook(lambda *seen: self.steps[-1].update(seen[-1])),
        ]
        try:
            with torch.no_grad():
                return function(self.pair, self.ids.clone(), self.gamma, self.limit)
        finally:
            for handle in handles:
                handle.remove()

    def here(self, text: str, /, **known: Any) -> str:
        """Return a text, after the place that it is about."""
        where = {"name": self.name, "gamma": self.gamma, "at": max(0, self.counts["passes"] - 1)}
        return sentences(tr("{name!r}, gamma {gamma}, round {at}:", **where), tr(text, **known))

    def tell(self, rows: Any) -> None:
        """Stop the loop where one of the rows holds."""
        for holds, text in rows:
            if holds:
                raise _FoundError(self.here(text, **getgeneratorlocals(rows)))

    def _step_starts(self, module: Any, given: tuple[Tensor]) -> None:
        self.steps.append({"given": given[0].flatten()})
        self.counts["drafted"] += 1
        self.tell(self._passes(endless=len(self.steps) > 2 * self.gamma + PATIENCE))

    def _step_sees(self, module: Any, args: Any, given: dict[str, Any]) -> None:
        self.steps[-1].update(given)

    def _passes(self, endless: bool = False, n_rows: int = 1, drafted: int = 0) -> Rows:
        yield endless, "the loop never ends. What in it must change for it to stop?"
        yield n_rows <= drafted, "the pass gives {n_rows} rows of logits. Which verify the drafts?"
        prompt = not self.text and self.passed != self.prompt
        yield prompt, "the first pass reads the prompt: all of it, and nothing else."

    def _target_starts(self, module: Any, args: Any, given: dict[str, Any]) -> None:
        cache = given.get("cache") or given.get("past_key_values")
        self.passed = given.get("input_ids", *args[:1])[0].tolist()
        self.start = cache.get_seq_length() if cache else 0
        self.counts["passes"] += 1
        self.late += bool(self.ended)
        self.tell(self._passes(endless=self.late > PATIENCE))
        if self.text and not self.ended:
            self.tell(self._round())

    def _round(self) -> Rows:
        """Yield what may be wrong with what the round before left, and with the drafts."""
        passed, start, steps, drafts, rows = self.passed, self.start, self.steps, *self.last
        n, newest, got, room = self.n, self.text[-1], passed[0], self.limit - len(self.text)
        rejected, extra, wrong = len(drafts) - n, start - self.length, got != newest
        made = [int(s["logits"].argmax()) if "logits" in s else None for s in steps]
        yield not start, "no cache is passed. Shall each pass read the whole text again?"
        yield not steps and room > 1, "nothing was drafted. Which model proposes tokens?"
        yield made == passed, "only drafts are passed. Which token, in no cache yet, comes first?"
        yield wrong and not drafts, "which row of the prefill's logits predicts the first token?"
        kept = n + extra
        few = wrong and 0 <= kept < n and got == rows[kept]
        yield few, "drafts accepted: {kept}, but {n} held. Where does your comparison stop?"
        last = wrong and rejected and got == rows[-1]
        yield last, "the correction comes from the last row. Which text does that row go on from?"
        yield wrong, "token {got} is passed as the newest, not {newest}. What follows the drafts?"
        yield extra == rejected > 1, "all {extra} rejected drafts are in the cache: never cropped?"
        yield extra > 0, "cropped too few: {extra} of {rejected} rejected drafts are in the cache."
        lost = -extra
        yield lost > 0, "cropped too many: tokens of the text that the cache lacks: {lost}."
        count = len(passed) - 1
        fits = count in (self.gamma, min(self.gamma, room - 1))
        yield not fits, "{count} drafts are verified. How many does gamma ask for?"
        best = [d if m is None else m for m, d in zip(made, passed[1:], strict=False)]
        unlike = len(made) != count or best != passed[1:]
        yield unlike, "the drafts passed are not the best tokens of the drafter's logits, in order."
        for i, step in enumerate(steps):
            embedding, hidden = step["given"].chunk(2)
            token = torch.tensor(passed[i], device=self.pair.device)
            unlike = not _same(embedding, self.pair.target.get_input_embeddings()(token))
            yield unlike, "draft {i}: it needs the target's embedding of the token before it."
            states = [s.get("last_hidden_state", hidden) for s in steps[:i]] or self.states[: n + 1]
            unlike = len(states) > 0 and not _same(hidden, states[-1])
            row = [j for j, state in enumerate(self.states) if unlike and _same(hidden, state)]
            other = row and not i
            yield other, "draft 0: hidden state of row {row}. Which row predicted its token?"
            yield unlike, "draft {i}: a wrong hidden state. Which one goes with its token?"
            moved = step["position_ids"] is None or bool((step["position_ids"] != start).any())
            yield moved, "draft {i}: its position is not {start}, that of the newest token."
            for kind, (keys, _) in step["shared_kv_states"].items():
                longer = kind == "full_attention" and keys.shape[2] > start
                stale = longer or not _same(keys[:, :, -1], self.kv.get(kind, keys[:0]))
                yield stale, "the drafter sees keys and values of rejected drafts ({kind})."

    def _target_ends(self, module: Any, args: Any, output: Any) -> None:
        if self.ended:
            return
        drafts = self.passed[1:] if self.text else []
        rows = output.logits[0].argmax(-1)[-len(drafts) - 1 :].cpu()
        self.tell(self._passes(n_rows=len(rows), drafted=len(drafts)))
        verdict = verify_greedy(rows, torch.tensor(drafts, dtype=torch.long))
        self.n, self.last, self.steps = verdict.n_accepted, (drafts, rows.tolist()), []
        rejected = len(drafts) - self.n
        self.length = self.start + len(self.passed) - rejected
        shared = output.shared_kv_states or {}
        self.states = output.hidden_states[-1][0, -len(rows) :] if output.hidden_states else ()
        self.kv = {kind: kv[0][:, :, kv[0].shape[2] - rejected - 1] for kind, kv in shared.items()}
        for i, token in enumerate([*drafts[: self.n], verdict.next_id]):
            if not self.ended:
                self.text.append(token)
                self.counts["accepted"] += i < self.n
                full = "length" if len(self.text) == self.limit else ""
                self.ended = "eos" if token in self.pair.eos_ids else full

    def returned(self, answer: Any, whole: bool) -> Rows:
        """Yield what may be wrong with the text that the loop returned."""
        text, late, passes = self.text, self.late, self.counts["passes"]
        yield answer is None, "nothing is returned. Which statement is missing?"
        yield not passes, "the target was never called. Where does your text come from?"
        flat = all(getattr(token, "ndim", not isinstance(token, int)) == 0 for token in answer)
        yield not flat, "a flat list of ids is needed, no tensor of shape [1, n]: see tolist()."
        got, more = [int(token) for token in answer], len(answer) - len(text)
        prompt = more > 0 and got[: len(self.prompt)] == self.prompt
        yield prompt, "the prompt is returned too. Which tokens are new?"
        forgot = got != text[:-1] and got[: len(text) - 1] == text[1:] != text[:-1]
        yield forgot, "the first token is missing. Which pass gave it?"
        first = first_difference(got, text)
        yield first == 0 < len(got), "which row of the prefill's logits predicts the first token?"
        over = self.ended and first == len(text)
        eos = over and self.ended == "eos"
        yield eos, "tokens after the one that ends the text: {more}. Is every token tested?"
        yield over, "tokens beyond max_new_tokens: {more}. May a round write all that it has?"
        early = whole and not self.ended
        yield early, "the loop stops too early, after {passes} passes. What ends a text?"
        short = first == len(got) and (whole or first != 1)
        yield short, "the end is missing: {more} tokens. Does all that a round writes get there?"
        other = first is not None and first < len(got)
        yield other, "token {first} that you return is not what your rounds wrote."
        yield late, "target passes after the end of the text: {late}. When is it tested?"
        if whole:
            gamma, limit = self.gamma, self.limit
            best = speculative_generate(self.pair, self.ids, gamma=gamma, max_new_tokens=limit)
            its = best.target_passes
            unlike = self.pair.target.dtype.itemsize > 2 and best.token_ids != tuple(text)
            yield unlike, "alone the target writes another text. Are all tokens at their positions?"
            yield passes > 1.2 * its + 1, "{passes} target passes, where {its} do. What is lost?"
            drafted, accepted = best.drafter_passes, best.n_accepted
            self.counts.update(its_passes=its, its_drafted=drafted, its_accepted=accepted)


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.flatten(), other.flatten().to(one))


def _reply(function: Call, pair: ModelPair, whole: bool = True) -> str:
    total = Counter[str]()
    for case in CASES[: None if whole else 1]:
        watch = _Watch(pair, *case)
        try:
            answer = watch.run(function)
            if answer is None and not watch.counts:
                return tr(NOT_TRIED)
            watch.tell(watch.returned(answer, whole))
        except _FoundError as found:
            return str(found)
        except Exception as error:
            if isinstance(error, NotImplementedError) and not error.args:
                return tr(NOT_TRIED)
            lines = [c for c in traceback.extract_tb(error.__traceback__) if c.filename != __file__]
            own = [c.line for c in lines if "site-packages" not in c.filename]
            said = {"kind": type(error).__name__, "error": str(error).split("\n")[0]}
            return watch.here(FAILED, line=own[-1] if own else "", **said)
        total.update(watch.counts)
    return sentences(tr(RIGHT), tr(COUNTS, **total)) if whole else tr("Right so far.")


def greedy_loop(function: Call, pair: ModelPair) -> None:
    """Lesson 04: a whole loop, against the text that the target writes alone."""
    print(_reply(function, pair))


def first_rounds(function: Call, pair: ModelPair) -> None:
    """Lesson 04: the first passes of a loop that is not finished."""
    print(_reply(function, pair, whole=False))
