"""Distilling a drafter: the step against decoding, the loop, its checkpoints, its errors."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gemma_mtp_edu import ModelPair, acceptance_profile, load_pair
from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.training.distillation import (
    LOSSES,
    DistillationBatch,
    Texts,
    Unroll,
    distillation_batch,
)
from gemma_mtp_edu.training.new_drafter import DrafterShape, balanced_clusters, new_drafter
from gemma_mtp_edu.training.target_texts import (
    Evaluation,
    evaluate_drafter,
    held_out_texts,
    target_texts,
)
from gemma_mtp_edu.training.training import CHECKPOINT, Plan, shuffled, train
from tests.model.tiny import WINDOW, Shape, prompt_ids, tiny_pair

SMALL = DrafterShape(32, 48, layers=2, attention_heads=2, centroids=8, top_centroids=4)
PLAN = Plan(steps=8, unroll=2, warmup=2, check_every=2, gamma=2)


def fresh(shape: DrafterShape = SMALL) -> ModelPair:
    target = tiny_pair().target
    return ModelPair(target, new_drafter(target, shape, seed=3), name="fresh")


def assert_same(pair: ModelPair, other: ModelPair) -> None:
    """Compare the weights of two drafters."""
    for name, value in other.drafter.state_dict().items():
        assert torch.equal(value, pair.drafter.state_dict()[name]), name


def prompts(n: int, seed: int = 0) -> list[Tensor]:
    return [prompt_ids(4 + i % 3, seed=seed + i) for i in range(n)]


@pytest.fixture(scope="module")
def texts() -> list[Texts]:
    return target_texts(tiny_pair(), prompts(8), max_new_tokens=3 * WINDOW, batch_size=4)


def test_target_texts_are_what_the_target_writes(texts: list[Texts]) -> None:
    pair = tiny_pair()
    seen = 0
    for batch in texts:
        for ids, is_answer in zip(batch.input_ids, batch.is_answer, strict=True):
            start = int(is_answer.int().argmax())
            plain = autoregressive_generate(pair, ids[None, :start], max_new_tokens=3 * WINDOW)
            assert ids[is_answer].tolist() == list(plain.token_ids)
            seen += 1
    assert seen == 8


def test_what_is_drawn_repeats_with_its_seed_and_leaves_the_random_state() -> None:
    pair, before = tiny_pair(), torch.random.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        (found,) = target_texts(pair, prompts(4), max_new_tokens=12, temperature=1.0, seed=seed)
        weights = new_drafter(pair.target, SMALL, seed=seed).pre_projection.weight
        drawn.append((found.input_ids, weights))
    for first, second, other in zip(*drawn, strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_unroll_sees_what_a_run_sees() -> None:
    """The choices of its first step are the first drafts of a profile."""
    pair = tiny_pair(Shape(centroids=0))
    plain = autoregressive_generate(pair, prompt_ids(5), max_new_tokens=3 * WINDOW)
    ids = torch.tensor([[*plain.prompt_ids, *plain.token_ids]])
    is_answer = torch.arange(ids.shape[1])[None] >= 5
    chosen: list[Tensor] = []

    def watch(probs: Tensor, logits: Tensor) -> Tensor:
        chosen.append(logits.argmax(-1))
        return probs.sum(-1) + 0 * logits.sum(-1)

    unroll = Unroll(pair.drafter, pair.target.get_input_embeddings(), 1, "kl")
    unroll.loss = watch
    unroll(distillation_batch(pair.target, Texts(ids, is_answer)))
    profile = profile_of(pair, plain, max_gamma=1)
    assert chosen[0].tolist() == [draft[0] for draft in profile.draft_ids[1:]]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("centroids", [0, 8])
def test_training_makes_a_drafter_better(loss: str, centroids: int, texts: list[Texts]) -> None:
    pair = fresh(DrafterShape(32, 48, 2, 2, centroids, min(4, centroids)))
    given = [distillation_batch(pair.target, batch) for batch in texts]
    seen: list[Evaluation] = []
    plan = Plan(steps=60, unroll=2, loss=loss, learning_rate=1e-2, warmup=5, check_every=20)
    train(pair, shuffled(given), plan, on_evaluation=seen.append)
    assert [done.step for done in seen] == [0, 20, 40, 60]
    first, last = seen[1], seen[-1]
    assert first.loss is not None
    assert last.loss is not None
    assert last.loss < first.loss
    assert last.agreement[0] > first.agreement[0]


def test_losses_are_zero_where_both_agree_and_the_acceptance_is_exact() -> None:
    probs = torch.tensor([[0.3, 0.3, 0.25, 0.15]])
    logits = torch.tensor([[0.6, 0.2, 0.1, 0.1]]).log()
    for name in ("kl", "reverse-kl", "acceptance"):
        assert LOSSES[name](probs, probs.log()).item() == pytest.approx(0, abs=1e-6)
        assert LOSSES[name](probs, logits).item() > 0.01
    # min(p, q) sums to .3 + .2 + .1 + .1
    assert LOSSES["acceptance"](probs, logits).item() == pytest.approx(0.3)
    entropy = LOSSES["cross-entropy"](probs, probs.log())
    difference = LOSSES["cross-entropy"](probs, logits) - entropy
    assert LOSSES["kl"](probs, logits).item() == pytest.approx(difference.item())


class Killed(BaseException):
    """What no handler may swallow."""


def killed_after(n: int, batches: Iterator[DistillationBatch]) -> Iterator[DistillationBatch]:
    yield from islice(batches, n)
    raise Killed


@pytest.mark.parametrize("n_batches", [1, 3, 4, 7])
def test_a_killed_training_ends_with_the_same_weights(
    n_batches: int, texts: list[Texts], tmp_path: Path
) -> None:
    given = [distillation_batch(tiny_pair().target, batch) for batch in texts]
    held_out = held_out_texts(tiny_pair(), prompts(2, seed=50), max_new_tokens=12)
    whole, cut = fresh(), fresh()
    expected = train(whole, shuffled(given), PLAN, held_out=held_out)
    with pytest.raises(Killed):
        train(cut, killed_after(n_batches, shuffled(given)), PLAN, held_out=held_out,
              folder=tmp_path)  # fmt: skip
    for model in (cut.drafter, cut.target):
        assert all(p.requires_grad and p.grad is None for p in model.parameters()), "as before"
    assert_same(cut, fresh())
    again = fresh()
    got = train(again, shuffled(given), PLAN, held_out=held_out, folder=tmp_path)
    assert got == expected
    assert_same(again, whole)


def test_it_stops_early_and_keeps_the_best_weights(texts: list[Texts]) -> None:
    pair = fresh()
    held_out = held_out_texts(pair, prompts(2, seed=50), max_new_tokens=12)
    plan = Plan(steps=40, unroll=2, learning_rate=1e-9, check_every=2, gamma=2, patience=2)
    result = train(pair, shuffled(texts), plan, held_out=held_out)
    assert result.stopped_early
    assert result.kept_step == 0
    assert [done.step for done in result.evaluations] == [0, 2, 4]
    assert_same(pair, fresh())


def test_held_out_acceptance_is_that_of_real_runs() -> None:
    pair = tiny_pair()
    held_out = held_out_texts(pair, prompts(3), max_new_tokens=20)
    runs = [
        speculative_generate(pair, torch.tensor([text.prompt_ids]), gamma=3, max_new_tokens=20)
        for text in held_out
    ]
    rounds = [record for run in runs for record in run.draft_rounds]
    accepted = sum(record.n_accepted for record in rounds)
    found = evaluate_drafter(pair, held_out, 3)
    assert found.acceptance == accepted / sum(len(record.draft_ids) for record in rounds)
    assert found.tokens_per_round == (accepted + len(rounds)) / len(rounds)


def test_a_drafter_in_another_dtype_is_evaluated_as_a_copy() -> None:
    pair = load_pair(device="cpu", dtype="bfloat16")
    held_out = held_out_texts(pair, ["Count from 3 to 9."], max_new_tokens=12)
    own = evaluate_drafter(pair, held_out, 2)
    pair.drafter.float()
    assert evaluate_drafter(pair, held_out, 2) == own
    assert pair.drafter.dtype == torch.float32


def test_a_trained_drafter_is_saved_loaded_and_run_by_the_library(tmp_path: Path) -> None:
    bundled = load_pair()
    shape = DrafterShape(hidden_size=32, intermediate_size=32, layers=2)
    pair = ModelPair(
        bundled.target, new_drafter(bundled.target, shape), processor=bundled.processor
    )
    texts = target_texts(pair, ["Count from 3 to 9.", "Count from 5 to 12."], max_new_tokens=16)
    train(pair, shuffled(texts), Plan(steps=3, unroll=2, warmup=1))
    pair.drafter.save_pretrained(tmp_path / "drafter")
    loaded = load_pair("pocket", drafter=tmp_path / "drafter")
    assert loaded.drafter.generation_config.num_assistant_tokens == 4
    assert_same(loaded, pair)
    run = reference_generate(loaded, "Count from 3 to 9.", max_new_tokens=16)
    plain = autoregressive_generate(bundled, "Count from 3 to 9.", max_new_tokens=16)
    assert run.token_ids == plain.token_ids
    mine = acceptance_profile(pair, "Count from 3 to 9.", max_gamma=4, max_new_tokens=16)
    theirs = acceptance_profile(loaded, "Count from 3 to 9.", max_gamma=4, max_new_tokens=16)
    assert mine.draft_ids == theirs.draft_ids


def test_clusters_are_a_permutation_of_the_vocabulary() -> None:
    table = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    clusters, centers = balanced_clusters(table, 8)
    assert clusters.shape == (8, 8)
    assert sorted(clusters.flatten().tolist()) == list(range(64))
    assert centers.shape == (8, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fresh(DrafterShape(centroids=10)), "got 10 centroids, need a number that divides"),
        (lambda: target_texts(tiny_pair(), []), r"got \[\], need a list of prompts"),
        (lambda: held_out_texts(tiny_pair(), "Hello"), "got 'Hello', need a list of prompts"),
        (lambda: next(shuffled([])), "got no items"),
        (lambda: train(fresh(), [], PLAN), "got 0 batches, need 8"),
    ],
)
def test_what_cannot_be_trained_says_why(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_checkpoint_of_another_drafter_changes_nothing(
    texts: list[Texts], tmp_path: Path
) -> None:
    train(fresh(), shuffled(texts), PLAN, folder=tmp_path)
    shape = DrafterShape(16, 48, 2, 2, 8, 4)
    other = fresh(shape)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train(other, shuffled(texts), PLAN, folder=tmp_path)
    assert_same(other, fresh(shape))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: save_file({}, path),
        lambda path: save_file({}, path, metadata={"notes": '{"step": 3'}),
    ],
)
def test_a_damaged_checkpoint_is_not_gone_on_from(
    damage: Callable[[Path], None], texts: list[Texts], tmp_path: Path
) -> None:
    train(fresh(), shuffled(texts), PLAN, folder=tmp_path)
    damage(tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match=r"cannot be read .*remove it to begin anew"):
        train(fresh(), shuffled(texts), PLAN, folder=tmp_path)


def test_a_checkpoint_of_another_plan_is_refused(texts: list[Texts], tmp_path: Path) -> None:
    train(fresh(), shuffled(texts), PLAN, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    other, written = fresh(), path.read_bytes()
    with pytest.raises(ValueError, match=r"another plan \(loss cross-entropy -> kl\): train into"):
        train(other, shuffled(texts), replace(PLAN, loss="kl"), folder=tmp_path)
    assert path.read_bytes() == written
    assert_same(other, fresh())
    longer = replace(PLAN, steps=PLAN.steps + 2, patience=9)
    result = train(other, shuffled(texts), longer, folder=tmp_path)
    assert [done.step for done in result.evaluations][-1] == PLAN.steps + 2


def test_a_training_that_goes_on_for_longer_tells_the_losses_of_its_own_steps(
    texts: list[Texts], tmp_path: Path
) -> None:
    """Its last evaluation was no multiple of `check_every`."""
    plan = replace(PLAN, steps=5, check_every=4, decay_from=50)
    train(fresh(), shuffled(texts), plan, folder=tmp_path)
    resumed = train(fresh(), shuffled(texts), replace(plan, steps=8), folder=tmp_path)
    each = train(fresh(), shuffled(texts), replace(plan, steps=8, check_every=1))
    losses = [done.loss for done in each.evaluations[6:9]]
    assert resumed.evaluations[-1].step == 8
    assert resumed.evaluations[-1].loss == pytest.approx(sum(losses) / 3)  # type: ignore[arg-type]


def test_both_kinds_of_attention_see_the_same(texts: list[Texts]) -> None:
    given, losses = distillation_batch(tiny_pair().target, texts[0]), []
    for attention in ("sdpa", "eager"):
        drafter = new_drafter(tiny_pair().target, SMALL, seed=3)
        drafter.set_attn_implementation(attention)
        embedding = tiny_pair().target.get_input_embeddings()
        losses.append(Unroll(drafter, embedding, 2, "kl")(given)[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_caller_who_wants_no_gradients_gets_the_same_training(
    mode: Callable[[], Any], texts: list[Texts]
) -> None:
    expected, got = fresh(), fresh()
    train(expected, shuffled(texts), PLAN)
    with mode():
        train(got, shuffled(texts), PLAN)
    assert_same(got, expected)


def test_a_loss_that_is_no_number_is_reported(texts: list[Texts]) -> None:
    pair = fresh()
    with torch.no_grad():
        pair.drafter.pre_projection.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="at step 1: lower the learning rate"):
        train(pair, shuffled(texts), PLAN)


def test_a_target_in_bfloat16_gets_a_drafter_in_bfloat16() -> None:
    target = tiny_pair(dtype=torch.bfloat16).target
    pair = ModelPair(target, new_drafter(target, SMALL).to(torch.bfloat16))
    texts = target_texts(pair, prompts(4), max_new_tokens=10)
    train(pair, shuffled(texts), PLAN, held_out=held_out_texts(pair, prompts(1)))
    assert pair.drafter.dtype == torch.bfloat16


def test_the_rate_warms_up_holds_and_falls() -> None:
    plan = Plan(steps=100, warmup=10, decay_from=50, learning_rate=2.0)
    assert plan.rate(0) == pytest.approx(0.2)
    assert plan.rate(9) == plan.rate(49) == 2.0
    assert plan.rate(75) == pytest.approx(2.0 * (1 - 0.98 * 0.5))
    assert plan.rate(100) == pytest.approx(0.04)


def test_every_epoch_has_all_items_in_an_order_of_its_own() -> None:
    stream = shuffled(list(range(10)), seed=1)
    epochs = [[next(stream) for _ in range(10)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    again = shuffled(list(range(10)), seed=1)
    assert [next(again) for _ in range(10)] == epochs[0]
