"""The checkers of lessons 05 and 06: rules of draft and verify, and the drafter's head."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.core.verification import residual_distribution
from gemma_mtp_edu.lessons.checking import Rows, agrees, dtype_of, numbers, tried


def _rounds(seeds: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Yield rounds of three drafts of four tokens; in every third one q is p."""
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        p, q = torch.randn(2, 4, 4, generator=draw).double().softmax(-1)
        q = q[:3] if seed % 3 else p[:3].clone()
        drafts = torch.multinomial(q, 1, generator=draw)[:, 0].tolist()
        yield p, q, drafts, torch.rand(3, generator=draw).tolist()


# The lesson's rule, followed by another distribution; and one that keeps half as many.
_RULES = [
    (q[0], (p[0] / q[0]).clamp(max=1) / n, p[3]) for p, q, *_ in _rounds((2, 3)) for n in (1, 2)
]


@tried(_RULES, lambda q, keep, after: q * keep + (1 - (q * keep).sum()) * after, got="")
def emitted(answer: Tensor, best: Tensor, q: Tensor, accept: Tensor, instead: Tensor) -> Rows:
    """Lesson 05: the distribution of the token that any rule of draft and verify emits."""
    yield agrees(answer, q * accept), "It sums to less than 1. What is written after a rejection?"
    yield agrees(answer, q), "Those are the drafts. With which probability is each accepted?"
    yield True, "How often is x drafted and accepted; how often is any draft rejected?"


@tried([(row, 2) for p, *_ in _rounds((1, 2)) for row in [*p, torch.eye(4).double()[2]]],
       lambda p, draft: torch.cat([p[draft, None], p]), got="")  # fmt: skip
def _argmax_rule(answer: Tensor, best: Tensor, p: Tensor, draft: int) -> Rows:
    accept = {"accept": float(answer[0]), "best": float(best[0])}
    yield answer.isnan().any(), "NaN, for p(draft) = {best:.2f}. What is left to draw from?", accept
    lossless = agrees(answer[1:], p)
    yield lossless, "Lossless, but {best:.2f} are possible, not {accept:.2f}: how?", accept
    yield agrees(answer[:1], best[:1]), "Accepted right. Which tokens may follow a rejection?"
    yield True, "Not p. The draft comes in every round: how often may it be accepted at most?"


def argmax_rule(function: Callable[..., Any]) -> None:
    """Lesson 05: how to accept a draft that was not drawn, and what to draw from instead."""

    def written(p: Tensor, draft: int) -> Any:
        given = function(p, draft)
        try:
            whole = torch.tensor(numbers(given)).to(p)
            own = torch.nn.functional.one_hot(torch.tensor(draft), len(p))
            whole = torch.cat([whole[:1], whole[0] * own + (1 - whole[0]) * whole[1:]])
            return whole.to(dtype_of(given))
        except Exception:  # of another form, which is said
            return given

    _argmax_rule(written)


def _round(p: Tensor, q: Tensor, drafts: list[int], uniforms: list[float]) -> Tensor:
    steps = enumerate(zip(drafts, uniforms, strict=True))
    n = next((i for i, (x, u) in steps if u >= p[i, x] / q[i, x]), len(drafts))
    last = p[n] if n == len(drafts) else residual_distribution(p[n], q[n])
    return torch.cat([torch.tensor([n]).to(p), last])


@tried([*_rounds(range(1, 13))], _round, got="")
def sampling_round(answer: Tensor, best: Tensor, p: Tensor, *_: Any) -> Rows:
    """Lesson 05: how many drafts of a round are accepted, and what the next token is drawn from."""
    n, right, last = int(answer[0]), int(best[0]), answer[1:]
    yield n > right, "{n} accepted, not {right}. Does a draft count that follows a rejected one?"
    yield n < right, "{n} accepted, not {right}. Is it the uniform number that p/q is compared to?"
    yield n == 3, "All drafts are accepted. Which row of p comes after the last one?"
    yield agrees(last, p[n]), "That is p. Of which tokens has the accepted share come already?"
    yield True, "Which row was rejected, and what has p there that q lacks: is it normalised?"


def _heads(seeds: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Yield a state, centroids, the order of tokens, their embeddings, clusters to search."""
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        state, *rows = torch.randn(31, 4, generator=draw)
        order = torch.randperm(24, generator=draw)
        yield state, torch.stack(rows[:6]), order, torch.stack(rows[6:]), 2


def _searched(state: Tensor, centroids: Tensor, tokens: Tensor, table: Tensor, k: int) -> Tensor:
    tokens = tokens.view(len(centroids), -1)[(centroids @ state).topk(k).indices].flatten()
    return tokens[(table[tokens] @ state).argsort(descending=True)]


@tried([*_heads(range(6))], lambda *head: int(_searched(*head)[0]), got="")
def centroid_head(answer: int, best: int, state: Tensor, *head: Any) -> Rows:
    """Lesson 06: the token that a centroid head drafts."""
    centroids, order, table, k = head
    candidates = _searched(state, centroids, order, table, k)
    best = (table @ state).argmax()
    yield answer == best, "That is the best of all tokens. Is it in one of the best clusters?"
    simple = _searched(state, centroids, torch.arange(len(order)), table, k)[0]
    yield answer == simple, "token_ordering goes cluster by cluster: which are those of cluster c?"
    found = answer in candidates
    yield found, "It is a candidate, but another one scores higher. With which embeddings?"
    yield True, "{answer} is no candidate. Is it a token, or where the token stands among them?"


# The second case is the real E2B: about 43.
@tried([(2048, 128, 16), (262_144, 2048, 32), (90, 9, 9)], lambda v, c, k: v / (c + v // c * k))
def times_less_work(answer: float, best: float, vocabulary: int, clusters: int, k: int) -> Rows:
    """Lesson 06: how many times less a centroid head multiplies."""
    yield agrees(answer * best, 1), "That share of the work is left. How many times less is it?"
    yield agrees(answer, clusters / k), "What must be scored first, to know the clusters?"
    yield True, "How many scores does each head compute: of the vocabulary, clusters, tokens?"
