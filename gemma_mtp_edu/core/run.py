"""What both loops share: one generation's target, text and sampler, and who listens."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemma_mtp_edu.core.drafters import Draft
from gemma_mtp_edu.core.options import OnTokens, Options, Streamer
from gemma_mtp_edu.core.recording import Recorder, draft_probabilities, make_trace
from gemma_mtp_edu.core.sampling import Sampler, check_scores
from gemma_mtp_edu.core.stopping import Text, check_max_new_tokens, stop_criteria
from gemma_mtp_edu.core.target import HandOver, Target, TargetOutput
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.core.verification import Verification, verify_greedy, verify_sampling
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair, eos_ids


@dataclass(slots=True, eq=False)
class Run:
    """One generation."""

    target: Target
    text: Text
    sampler: Sampler
    recorder: Recorder
    on_tokens: OnTokens | None = None
    streamer: Streamer | None = None

    def prefill(self) -> HandOver | None:
        """Read the prompt, write the first token, and hand over what a drafter needs."""
        if self.streamer is not None:
            # Its own copy: what listens must not be able to change the text.
            self.streamer.put(self.text.ids.cpu().clone())
        self.recorder.lap()
        output = self.target.prefill(self.text.ids)
        verdict, _ = self.judge(output, None)
        verify_seconds = self.recorder.lap()
        self.commit(None, verdict, None)
        self.recorder.end_round(0.0, verify_seconds)
        return self.target.hand_over(output, 0, 0)

    def judge(
        self, output: TargetOutput, draft: Draft | None
    ) -> tuple[Verification, Float[Tensor, " gamma"]]:
        """Apply the accept rule, greedy or lossless sampling.

        Returns:
            What is accepted, and the target's probability of each draft.

        Raises:
            NonFiniteLogitsError: A model gave NaN or infinity.
        """
        where = tr(
            "after {tokens} tokens, in round {round}",
            tokens=self.text.n_new,
            round=self.recorder.round,
        )
        drafts = self.text.ids[:, :0] if draft is None else draft.ids
        scores = self.sampler.processed(output.logits, self.text.ids, drafts)
        best = scores.max(-1)
        check_scores(best.values, "target", where)
        if draft is not None:
            check_scores(draft.own_probs, "drafter", where)
        if self.sampler.generator is None:
            verdict = verify_greedy(best.indices, drafts[0])
        else:
            law = None if draft is None else draft.probs
            verdict = verify_sampling(scores.softmax(-1), law, drafts[0], self.sampler.generator)
        return verdict, draft_probabilities(scores, drafts)

    def commit(
        self, draft: Draft | None, verdict: Verification, target_probs: Tensor | None
    ) -> int:
        """Write the accepted drafts and the target's own token, and tell who listens.

        Returns:
            How many tokens were written: fewer where the text ends inside the drafts.
        """
        accepted = [] if draft is None else draft.ids[0, : verdict.n_accepted].tolist()
        tokens = [*accepted, verdict.next_id]
        prefix_length = self.text.ids.shape[1]
        n_written = self.text.append(tokens)
        self.recorder.add(prefix_length, draft, verdict, n_written, target_probs)
        written = tuple(tokens[:n_written])
        if self.on_tokens is not None:
            self.on_tokens(written)
        if self.streamer is not None:
            self.streamer.put(torch.tensor(written))
            if self.text.stop_reason is not None:
                self.streamer.end()
        return n_written

    def trace(self, pair: ModelPair, method: str) -> GenerationTrace:
        """Return the trace of the finished run."""
        assert self.text.stop_reason is not None
        start = self.text.prompt_length
        return make_trace(
            pair,
            self.text.ids[:, :start],
            self.text.ids[0, start:].tolist(),
            self.recorder.records(),
            self.text.stop_reason,
            method,
        )


def new_run(pair: ModelPair, prompt: Any, options: Options, *, hands_over: bool) -> Run:
    """Check what the caller gave and return a run that has not started.

    Args:
        pair: The models.
        prompt: What `pair.encode` takes, and checks.
        options: How to write.
        hands_over: Whether the drafter reads the target's states.

    Raises:
        ValueError: The prompt or a number is out of range.
    """
    ids = pair.encode(prompt)
    limit = check_max_new_tokens(options.max_new_tokens, ids.shape[1], pair.positions)
    criteria = stop_criteria(options.stop_strings, pair.tokenizer)
    return Run(
        Target(pair.target, hands_over=hands_over),
        Text(ids, limit, eos_ids(pair.target), criteria),
        options.sampler(pair.device),
        Recorder(pair.device),
        options.on_tokens,
        options.streamer,
    )
