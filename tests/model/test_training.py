"""Distilling a drafter: the step against decoding, the loop, its checkpoints, its errors."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Gemma4AssistantForCausalLM

from gemma_mtp_edu import ModelPair, acceptance_profile, autoregressive_generate, load_pair
from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.training.distillation import LOSSES, Handover, LossName, Texts, Unroll, hand_over
from gemma_mtp_edu.training.new_drafter import DrafterShape, balanced_clusters, new_drafter
from gemma_mtp_edu.training.target_texts import held_out_texts, own_texts
from gemma_mtp_edu.training.training import Look, Plan, Training, held_out_look, shuffled, train
from tests.model.tiny import WINDOW, Shape, prompt_ids, tiny_pair

SMALL = DrafterShape(32, 48, layers=2, attention_heads=2, centroids=8, searched=4)
PLAN = Plan(steps=8, unroll=2, warmup=2, check_every=2, gamma=2)


def fresh(shape: DrafterShape = SMALL) -> ModelPair:
    target = tiny_pair().target
    return ModelPair(target, new_drafter(target, shape, seed=3), name="fresh")


def prompts(n: int, seed: int = 0) -> list[Tensor]:
    return [prompt_ids(4 + i % 3, seed=seed + i) for i in range(n)]


@pytest.fixture(scope="module")
def texts() -> list[Texts]:
    return own_texts(tiny_pair(), prompts(8), max_new_tokens=3 * WINDOW, batch_size=4)


def weights(pair: ModelPair) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in pair.drafter.state_dict().items()}


def test_own_texts_are_what_the_target_writes(texts: list[Texts]) -> None:
    pair = tiny_pair()
    seen = 0
    for batch in texts:
        for ids, is_answer in zip(batch.input_ids, batch.is_answer, strict=True):
            start = int(is_answer.int().argmax())
            plain = autoregressive_generate(pair, ids[None, :start], max_new_tokens=3 * WINDOW)
            assert ids[is_answer].tolist() == list(plain.token_ids)
            seen += 1
    assert seen == 8


def test_sampled_texts_repeat_with_their_seed_and_leave_the_random_state() -> None:
    before = torch.random.get_rng_state()
    draw = [
        own_texts(tiny_pair(), prompts(4), max_new_tokens=12, temperature=1.0, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draw[0][0].input_ids, draw[1][0].input_ids)
    assert not torch.equal(draw[0][0].input_ids, draw[2][0].input_ids)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_unroll_sees_what_a_run_sees() -> None:
    """Its first two steps' choices are the drafts of a profile, where those are right."""
    pair = tiny_pair(Shape(centroids=0))
    plain = autoregressive_generate(pair, prompt_ids(5), max_new_tokens=3 * WINDOW)
    ids = torch.tensor([[*plain.prompt_ids, *plain.token_ids]])
    is_answer = torch.arange(ids.shape[1])[None] >= 5
    chosen: list[Tensor] = []

    def watch(law: Tensor, logits: Tensor) -> Tensor:
        chosen.append(logits.argmax(-1))
        return law.sum(-1) + 0 * logits.sum(-1)

    unroll = Unroll(pair.drafter, 1)
    unroll.loss = watch
    unroll(hand_over(pair.target, Texts(ids, is_answer)))
    profile = profile_of(pair, plain, max_gamma=1)
    assert chosen[0].tolist() == [draft[0] for draft in profile.draft_ids[1:]]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("centroids", [0, 8])
def test_training_makes_a_drafter_better(
    loss: LossName, centroids: int, texts: list[Texts]
) -> None:
    pair = fresh(DrafterShape(32, 48, 2, 2, centroids, min(4, centroids)))
    given = [hand_over(pair.target, batch) for batch in texts]
    looks: list[Look] = []
    plan = Plan(steps=60, unroll=2, loss=loss, learning_rate=1e-2, warmup=5, check_every=20)
    train(pair, shuffled(given), plan, on_look=looks.append)
    assert [look.step for look in looks] == [0, 20, 40, 60]
    first, last = looks[1], looks[-1]
    assert first.loss is not None
    assert last.loss is not None
    assert last.loss < first.loss
    assert last.agreement[0] > first.agreement[0]


def test_losses_are_zero_where_both_agree_and_the_acceptance_is_exact() -> None:
    law = torch.tensor([[0.3, 0.3, 0.25, 0.15]])
    logits = torch.tensor([[0.6, 0.2, 0.1, 0.1]]).log()
    for name in ("kl", "reverse-kl", "acceptance"):
        assert LOSSES[name](law, law.log()).item() == pytest.approx(0, abs=1e-6)
        assert LOSSES[name](law, logits).item() > 0.01
    # min(p, q) sums to .3 + .2 + .1 + .1
    assert LOSSES["acceptance"](law, logits).item() == pytest.approx(0.3)
    entropy = LOSSES["cross-entropy"](law, law.log())
    difference = LOSSES["cross-entropy"](law, logits) - entropy
    assert LOSSES["kl"](law, logits).item() == pytest.approx(difference.item())


class Killed(BaseException):
    """What no handler may swallow."""


def killed_after(n: int, batches: Iterator[Handover]) -> Iterator[Handover]:
    yield from islice(batches, n)
    raise Killed


@pytest.mark.parametrize("n_batches", [1, 3, 4, 7])
def test_a_killed_training_ends_with_the_same_weights(
    n_batches: int, texts: list[Texts], tmp_path: Path
) -> None:
    given = [hand_over(tiny_pair().target, batch) for batch in texts]
    held_out = held_out_texts(tiny_pair(), prompts(2, seed=50), max_new_tokens=12)
    whole, cut = fresh(), fresh()
    expected = train(whole, shuffled(given), PLAN, held_out=held_out)
    with pytest.raises(Killed):
        train(cut, killed_after(n_batches, shuffled(given)), PLAN, held_out=held_out,
              folder=tmp_path)  # fmt: skip
    assert not cut.drafter.training
    assert all(parameter.requires_grad for parameter in cut.drafter.parameters()), "as before"
    for name, value in weights(fresh()).items():
        assert torch.equal(value, weights(cut)[name]), name
    again = fresh()
    got = train(again, shuffled(given), PLAN, held_out=held_out, folder=tmp_path)
    assert got == expected
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(again)[name]), name


def test_it_stops_early_and_keeps_the_best_weights(texts: list[Texts]) -> None:
    pair = fresh()
    held_out = held_out_texts(pair, prompts(2, seed=50), max_new_tokens=12)
    plan = Plan(steps=40, unroll=2, learning_rate=1e-9, check_every=2, gamma=2, patience=2)
    before = weights(pair)
    result = train(pair, shuffled(texts), plan, held_out=held_out)
    assert result.stopped_early
    assert result.kept_step == 0
    assert [look.step for look in result.looks] == [0, 2, 4]
    for name, value in weights(pair).items():
        assert torch.equal(value, before[name]), name


def test_held_out_acceptance_is_that_of_a_real_run() -> None:
    pair = tiny_pair()
    held_out = held_out_texts(pair, prompts(3), max_new_tokens=20)
    runs = [reference_like(pair, text.prompt_ids) for text in held_out]
    look = held_out_look(pair, held_out, 3)
    drafted = sum(drafts for drafts, _ in runs)
    assert look.acceptance == pytest.approx(sum(kept for _, kept in runs) / drafted)


def test_a_drafter_in_another_number_format_is_judged_as_a_copy() -> None:
    pair = load_pair(device="cpu", dtype="bfloat16")
    held_out = held_out_texts(pair, ["Count from 3 to 9."], max_new_tokens=12)
    own = held_out_look(pair, held_out, 2)
    pair.drafter.float()
    assert held_out_look(pair, held_out, 2) == own
    assert pair.drafter.dtype == torch.float32


def reference_like(pair: ModelPair, ids: tuple[int, ...]) -> tuple[int, int]:
    from gemma_mtp_edu import speculative_generate

    run = speculative_generate(pair, torch.tensor([ids]), gamma=3, max_new_tokens=20)
    rounds = run.draft_rounds
    return sum(len(r.draft_ids) for r in rounds), sum(r.n_accepted for r in rounds)


def test_a_trained_drafter_is_saved_loaded_and_run_by_the_library(tmp_path: Path) -> None:
    bundled = load_pair()
    shape = DrafterShape(hidden_size=32, intermediate_size=32, layers=2)
    pair = ModelPair(
        bundled.target, new_drafter(bundled.target, shape), processor=bundled.processor
    )
    texts = own_texts(pair, ["Count from 3 to 9.", "Count from 5 to 12."], max_new_tokens=16)
    train(pair, shuffled(texts), Plan(steps=3, unroll=2, warmup=1))
    pair.drafter.save_pretrained(tmp_path / "drafter")
    loaded = load_pair("pocket", drafter=tmp_path / "drafter")
    assert loaded.drafter.generation_config.num_assistant_tokens == 4
    for name, value in weights(pair).items():
        assert torch.equal(value, weights(loaded)[name]), name
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


def test_a_fresh_drafter_leaves_the_random_state_and_repeats_with_its_seed() -> None:
    target, before = tiny_pair().target, torch.random.get_rng_state()
    first, second, other = (new_drafter(target, SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    name = "pre_projection.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (DrafterShape(layers=1), "got 1 layers, need 2 or more"),
        (DrafterShape(centroids=10), "got 10 centroids.*such as 8"),
        (DrafterShape(centroids=8, searched=9), "got 9 searched clusters, need 1 to 8"),
    ],
)
def test_wrong_shapes_are_refused_before_the_first_step(shape: DrafterShape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        new_drafter(tiny_pair().target, shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Plan(steps=0), "got steps 0"),
        (lambda: Plan(learning_rate=float("nan")), "got learning rate nan"),
        (lambda: Plan(loss="hinge"), "got loss 'hinge', need one of cross-entropy"),
        (lambda: Plan(patience=-1), "patience -1"),
        (lambda: own_texts(tiny_pair(), []), "got no prompts"),
        (lambda: train(fresh(), [], PLAN), "the batches ended after 0 steps, need 8"),
        (lambda: train(no_clusters(), [], PLAN), "token_ordering"),
        (lambda: train(two_targets(), [], PLAN), "need a Gemma 4 MTP drafter"),
    ],
)
def test_what_cannot_be_trained_says_why(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def no_clusters() -> ModelPair:
    pair = fresh()
    pair.drafter.masked_embedding.token_ordering.zero_()
    return pair


def two_targets() -> ModelPair:
    return ModelPair(tiny_pair().target, tiny_pair(Shape(seed=1)).target)


def test_a_checkpoint_of_another_drafter_is_refused(texts: list[Texts], tmp_path: Path) -> None:
    train(fresh(), shuffled(texts), PLAN, folder=tmp_path)
    other = fresh(DrafterShape(16, 48, 2, 2, 8, 4))
    before = weights(other)
    with pytest.raises(ValueError, match="of another shape"):
        train(other, shuffled(texts), PLAN, folder=tmp_path)
    for name, value in weights(other).items():
        assert torch.equal(value, before[name]), name
    newest = next(tmp_path.glob("weights-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        train(fresh(), shuffled(texts), PLAN, folder=tmp_path)


def test_a_checkpoint_of_another_plan_is_refused(texts: list[Texts], tmp_path: Path) -> None:
    train(fresh(), shuffled(texts), PLAN, folder=tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other, before = fresh(), weights(fresh())
    with pytest.raises(ValueError, match=r"another plan \(loss cross-entropy -> kl\): train into"):
        train(other, shuffled(texts), replace(PLAN, loss="kl"), folder=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    for name, value in weights(other).items():
        assert torch.equal(value, before[name]), name
    longer = replace(PLAN, steps=PLAN.steps + 2, patience=9)
    result = train(other, shuffled(texts), longer, folder=tmp_path)
    assert [look.step for look in result.looks][-1] == PLAN.steps + 2


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("looks", [{"step": "two"}], "step is 'two', need count"),
        ("looks", None, "NoneType"),
        ("plan", None, "NoneType|mapping"),
        ("plan", {"unroll": 0}, "got unroll 0"),
        ("looks", [], "'looks' is missing"),
    ],
)
def test_damaged_notes_of_a_checkpoint_are_told(
    field: str, value: Any, message: str, texts: list[Texts], tmp_path: Path
) -> None:
    train(fresh(), shuffled(texts), PLAN, folder=str(tmp_path))
    marker = tmp_path / "step.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), field: value}))
    with pytest.raises(ValueError, match=rf"cannot be read \(.*({message}).*remove that folder"):
        train(fresh(), shuffled(texts), PLAN, folder=tmp_path)


def test_numpy_s_numbers_are_stored(texts: list[Texts], tmp_path: Path) -> None:
    rate = np.float32(PLAN.learning_rate)
    train(fresh(), shuffled(texts), replace(PLAN, learning_rate=rate), folder=tmp_path)  # type: ignore[arg-type]
    record = json.loads((tmp_path / "step.json").read_text())
    assert record["plan"]["learning_rate"] == float(rate)


def without_sums(folder: Path) -> None:
    record = json.loads((folder / "step.json").read_text())
    (folder / "step.json").write_text(json.dumps({**record, "sha256": {}}))


def empty_optimizers(folder: Path) -> None:
    (path,) = folder.glob("optimizers-*.safetensors")
    save_file({}, path)


def without_best(folder: Path) -> None:
    (path,) = folder.glob("weights-*.safetensors")
    save_file({k: v for k, v in load_file(path).items() if k.startswith("newest.")}, path)


def another_step(folder: Path) -> None:
    for path in folder.glob("*-8.safetensors"):
        path.rename(path.with_name(path.name.replace("-8.", "-0.")))
    record = json.loads((folder / "step.json").read_text())
    (folder / "step.json").write_text(json.dumps({**record, "step": 0}))


@pytest.mark.parametrize("damage", [empty_optimizers, without_best, another_step, without_sums])
def test_a_checkpoint_that_was_altered_is_not_gone_on_from(
    damage: Callable[[Path], None], texts: list[Texts], tmp_path: Path
) -> None:
    held_out = held_out_texts(tiny_pair(), prompts(1, seed=50), max_new_tokens=8)
    train(fresh(), shuffled(texts), PLAN, held_out=held_out, folder=tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=r"cannot be read.*remove that folder"):
        train(fresh(), shuffled(texts), PLAN, held_out=held_out, folder=tmp_path)


def test_a_training_that_goes_on_for_longer_tells_its_own_steps_losses(
    texts: list[Texts], tmp_path: Path
) -> None:
    """Its last look was no multiple of `check_every`."""
    plan = replace(PLAN, steps=5, check_every=4, decay_from=50)
    train(fresh(), shuffled(texts), plan, folder=tmp_path)
    resumed = train(fresh(), shuffled(texts), replace(plan, steps=8), folder=tmp_path)
    each = train(fresh(), shuffled(texts), replace(plan, steps=8, check_every=1))
    losses = [look.loss for look in each.looks[6:9]]
    assert resumed.looks[-1].step == 8
    assert resumed.looks[-1].loss == pytest.approx(sum(losses) / 3)  # type: ignore[arg-type]


def test_both_kinds_of_attention_see_the_same(texts: list[Texts]) -> None:
    given, losses = hand_over(tiny_pair().target, texts[0]), []
    for attention in ("sdpa", "eager"):
        drafter = new_drafter(tiny_pair().target, SMALL, seed=3)
        drafter.set_attn_implementation(attention)
        losses.append(Unroll(drafter, 2)(given)[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_caller_who_wants_no_gradients_gets_the_same_training(
    mode: Callable[[], Any], texts: list[Texts]
) -> None:
    expected, got = fresh(), fresh()
    train(expected, shuffled(texts), PLAN)
    with mode():
        train(got, shuffled(texts), PLAN)
    for name, value in weights(expected).items():
        assert torch.equal(value, weights(got)[name]), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folder": " "}, "got folder ' ', need a folder"),
        (
            {"optimizers": lambda module, rate: []},
            r"got optimizers \[\], need a list of one or more",
        ),
        ({"optimizers": lambda module, rate: None}, "got a NoneType as optimizers"),
        ({"optimizers": lambda module, rate: [module]}, "got a Unroll|got a Gemma4Assistant"),
        ({"pair": None}, "got a NoneType as pair"),
        ({"batches": None}, "got a NoneType as batches, need what own_texts returns"),
        ({"batches": ["text"]}, "got a str as batch, need what own_texts or hand_over returns"),
        ({"plan": 300}, r"got a int as plan, need training.Plan"),
        ({"held_out": ["text"]}, "got a str as held_out, need what own_texts.held_out_texts"),
        ({"held_out": 5}, "got a int as held_out"),
        ({"folder": 5}, "got a int as folder, need a folder for checkpoints"),
        ({"folder": __file__}, "got the file test_training.py as folder"),
        ({"on_look": "print"}, "got a str as on_look"),
        ({"optimizers": None}, "got a NoneType as optimizers"),
    ],
)
def test_a_training_that_cannot_begin_says_why(
    arguments: dict[str, Any], message: str, texts: list[Texts]
) -> None:
    pair = fresh()
    before = weights(pair)
    given = {"pair": pair, "batches": shuffled(texts), "plan": PLAN, **arguments}
    with pytest.raises(ValueError, match=message):
        train(**given)
    for name, value in weights(pair).items():
        assert torch.equal(value, before[name]), name


def test_a_loss_that_is_no_number_is_reported(texts: list[Texts]) -> None:
    pair = fresh()
    with torch.no_grad():
        pair.drafter.pre_projection.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="at step 1: lower the learning rate"):
        train(pair, shuffled(texts), PLAN)


def test_a_target_in_bfloat16_gets_a_drafter_in_bfloat16() -> None:
    target = tiny_pair(dtype=torch.bfloat16).target
    pair = ModelPair(target, new_drafter(target, SMALL).to(torch.bfloat16))
    texts = own_texts(pair, prompts(4), max_new_tokens=10)
    result = train(pair, shuffled(texts), PLAN, held_out=held_out_texts(pair, prompts(1)))
    assert isinstance(result, Training)
    assert isinstance(pair.drafter, Gemma4AssistantForCausalLM)
    assert pair.drafter.dtype == torch.bfloat16
