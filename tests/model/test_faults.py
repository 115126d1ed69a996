"""Interrupts, exceptions and NaN: whatever happens, the pair is as before and usable."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gemma_mtp_edu import CostModel, ModelPair, acceptance_profile, reference_generate
from gemma_mtp_edu.analysis.ablation import ablate
from gemma_mtp_edu.analysis.custom import draft_and_verify
from gemma_mtp_edu.analysis.reference import drawing
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.sampling import NonFiniteLogitsError
from gemma_mtp_edu.measure.bench import Plan as BenchPlan
from gemma_mtp_edu.measure.bench import measure
from gemma_mtp_edu.training import training
from gemma_mtp_edu.training.distillation import Texts
from gemma_mtp_edu.training.target_texts import held_out_texts, target_texts
from gemma_mtp_edu.training.training import Plan, shuffled, train
from tests.model.test_training import fresh
from tests.model.tiny import Shape, prompt_ids, tiny_pair

IDS, NEW = prompt_ids(5), 6
NAN, INF = float("nan"), float("inf")


def custom(pair: ModelPair, ids: torch.Tensor) -> Any:
    return pair.target.generate(
        ids, custom_generate=draft_and_verify, drafter=pair.drafter, max_new_tokens=NEW
    )


TASKS: dict[str, Callable[[ModelPair], Any]] = {
    "plain": lambda p: autoregressive_generate(p, IDS, max_new_tokens=NEW),
    "speculative": lambda p: speculative_generate(p, IDS, max_new_tokens=NEW),
    "sampled": lambda p: speculative_generate(p, IDS, max_new_tokens=NEW, temperature=1.0, seed=1),
    "library": lambda p: reference_generate(p, IDS, gamma=3, max_new_tokens=NEW),
    "library, sampled": lambda p: reference_generate(
        p, IDS, gamma=3, max_new_tokens=NEW, temperature=1.0, seed=1
    ),
    "custom": lambda p: custom(p, IDS),
    "profile": lambda p: acceptance_profile(p, IDS, max_gamma=3, max_new_tokens=NEW),
    "calibration": lambda p: CostModel.calibrate(p, lengths=(1, 3), contexts=(16,), repeats=1),
    "ablation": lambda p: ablate(p, [IDS], ["dense head"], gamma=2, max_new_tokens=NEW),
    "target texts": lambda p: target_texts(p, [IDS], max_new_tokens=NEW, temperature=1.0),
    "bench": lambda p: measure(p, IDS, BenchPlan(gammas=(3,), repeats=1, max_new_tokens=6)),
}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")


def state(pair: ModelPair) -> Any:
    """Return all that a run could leave changed."""
    models = (pair.target, pair.drafter)
    return (
        [m.generation_config.to_dict() for m in models],
        [m.config.to_dict() for m in models],
        [m.config.get_text_config()._attn_implementation for m in models],
        [(name, len(getattr(part, hooks))) for m in models for name, part in m.named_modules()
         for hooks in HOOKS],
        [(name, part.training, sorted(vars(part))) for m in models
         for name, part in m.named_modules()],
        [(name, p.requires_grad, p.dtype, p.grad, p.double().sum().item()) for m in models
         for name, p in m.named_parameters()],
        torch.random.get_rng_state().tolist(),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    )  # fmt: skip


class Stop(BaseException):
    """What no handler may swallow, like KeyboardInterrupt."""


@contextmanager
def hooked(module: torch.nn.Module, hook: Callable[..., Any]) -> Iterator[list[int]]:
    """Change a module's output: `hook(n, output)` in its n-th pass; yields a list that counts."""
    calls = [0]

    def counted(module: Any, args: Any, output: Any) -> Any:
        calls[0] += 1
        return hook(calls[0], output)

    handle = module.register_forward_hook(counted)
    try:
        yield calls
    finally:
        handle.remove()


def stopping_at(module: torch.nn.Module, n: int) -> Any:
    """Raise in the n-th pass of a module; yields a list that counts them."""

    def stop(number: int, output: Any) -> None:
        if number == n:
            raise Stop

    return hooked(module, stop)


def spoilt(layer: torch.nn.Module, value: float, n: int) -> Any:
    """Put a value into a layer's output from its n-th pass on."""
    return hooked(layer, lambda number, out: torch.full_like(out, value) if number >= n else out)


@pytest.mark.parametrize("task", TASKS)
def test_an_interrupt_in_any_pass_of_either_model(task: str) -> None:
    pair = tiny_pair()
    wanted = speculative_generate(pair, IDS, max_new_tokens=NEW).token_ids
    TASKS[task](pair)  # once, the library puts lasting hooks of its own on some models
    before = state(pair)
    for body in (pair.target.model, pair.drafter.model):
        with stopping_at(body, 0) as calls:
            TASKS[task](pair)
        assert state(pair) == before, "also where nothing is stopped"
        total = calls[0]
        # The first passes, the last one, and one between.
        for n in sorted({1, 2, total // 2, total} & {*range(1, total + 1)}):
            with pytest.raises(Stop), stopping_at(body, n):
                TASKS[task](pair)
            assert state(pair) == before, f"{task}, pass {n}"
    assert speculative_generate(pair, IDS, max_new_tokens=NEW).token_ids == wanted


@pytest.mark.parametrize("run", [autoregressive_generate, speculative_generate, reference_generate])
def test_an_exception_in_a_listener_at_any_round(run: Callable[..., Any]) -> None:
    pair = tiny_pair()
    wanted = run(pair, IDS, max_new_tokens=NEW)
    before = state(pair)
    for n in range(1, len(wanted.rounds) + 1):
        heard: list[Any] = []

        def listen(tokens: Any, n: int = n, heard: list[Any] = heard) -> None:
            heard.append(tokens)
            if len(heard) == n:
                raise Stop

        with pytest.raises(Stop):
            run(pair, IDS, max_new_tokens=NEW, on_tokens=listen)
        if run is not reference_generate:
            heard.clear()
            with pytest.raises(Stop):
                run(pair, IDS, max_new_tokens=NEW, streamer=SimpleNamespace(put=listen, end=None))
        assert state(pair) == before
    assert run(pair, IDS, max_new_tokens=NEW).token_ids == wanted.token_ids


def test_an_interrupt_at_any_step_of_a_training(tmp_path: Path) -> None:
    pair = fresh()
    texts = target_texts(pair, [IDS], max_new_tokens=NEW)
    held_out = held_out_texts(pair, [IDS], max_new_tokens=NEW)
    plan = Plan(steps=4, unroll=2, warmup=1, check_every=2, gamma=2)
    # First: once, the library puts hooks of its own on a target that is asked for hidden states.
    expected = train(fresh_of(pair), shuffled(texts), plan, held_out=held_out)
    before = state(pair)
    for n in (1, 3, 4, 7):
        folder = tmp_path / str(n)
        with pytest.raises(Stop), stopping_at(pair.drafter.model, n):
            train(pair, shuffled(texts), plan, held_out=held_out, folder=folder)
        assert state(pair) == before, f"drafter pass {n}"
        again = train(fresh_of(pair), shuffled(texts), plan, held_out=held_out, folder=folder)
        assert again == expected, f"went on after drafter pass {n}"


def fresh_of(pair: ModelPair) -> ModelPair:
    return ModelPair(pair.target, fresh().drafter, name="fresh")


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = fresh()
    texts: list[Texts] = target_texts(pair, [IDS], max_new_tokens=NEW)
    plan = Plan(steps=4, unroll=2, warmup=1, check_every=2, gamma=2)
    expected = train(fresh(), shuffled(texts), plan)
    before, written = state(pair), [0]

    original = training.save_file

    def full(tensors: Any, path: Path, metadata: dict[str, str]) -> None:
        written[0] += 1
        if written[0] == 2:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        original(tensors, path, metadata)

    monkeypatch.setattr(training, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        train(pair, shuffled(texts), plan, folder=tmp_path)
    assert state(pair) == before
    found = training.load_checkpoint(tmp_path, [])
    assert found is not None
    assert found[0]["step"] == 2
    assert train(pair, shuffled(texts), plan, folder=tmp_path) == expected


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("more", [{}, {"temperature": 1.0, "seed": 0}])
@pytest.mark.parametrize("run", [autoregressive_generate, speculative_generate, reference_generate])
def test_a_target_that_gives_no_numbers(
    run: Callable[..., Any], more: dict[str, Any], value: float
) -> None:
    pair = tiny_pair()
    for n in (1, 3):
        with (
            spoilt(pair.target.lm_head, value, n),
            pytest.raises(NonFiniteLogitsError, match=r"the target's best scores are .*(nan|inf)"),
        ):
            run(pair, IDS, max_new_tokens=NEW, **more)


@pytest.mark.parametrize("more", [{}, {"temperature": 1.0, "seed": 0}])
@pytest.mark.parametrize("centroids", [0, 8])
def test_a_drafter_that_gives_no_numbers(centroids: int, more: dict[str, Any]) -> None:
    pair, message = tiny_pair(Shape(centroids=centroids)), "the drafter's best scores are"
    with spoilt(pair.drafter.model.norm, NAN, 1):
        for run in (speculative_generate, reference_generate):
            if run is reference_generate and more:
                continue  # the library may fail in its own words before a round is over
            with pytest.raises(NonFiniteLogitsError, match=message):
                run(pair, IDS, max_new_tokens=NEW, **more)
        with pytest.raises(NonFiniteLogitsError, match=message):
            acceptance_profile(pair, IDS, max_gamma=2, max_new_tokens=NEW)


def test_processors_that_allow_no_token_are_named() -> None:
    def forbid(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.full_like(scores, -INF) if ids.shape[1] >= 7 else scores

    with pytest.raises(NonFiniteLogitsError, match="your logits processors"):
        speculative_generate(tiny_pair(), IDS, max_new_tokens=NEW, logits_processor=[forbid])


def test_a_generation_inside_a_callback_of_another_one() -> None:
    pair = tiny_pair()
    wanted = reference_generate(pair, IDS, gamma=2, max_new_tokens=NEW)
    inner: list[Any] = []

    def nested(tokens: tuple[int, ...]) -> None:
        inner.append(reference_generate(pair, IDS, gamma=2, max_new_tokens=NEW))

    outer = reference_generate(pair, IDS, gamma=2, max_new_tokens=NEW, on_tokens=nested)
    for trace in (outer, *inner):
        assert trace.token_ids == wanted.token_ids
        assert [r.draft_ids for r in trace.rounds] == [r.draft_ids for r in wanted.rounds]


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_seed_leaves_the_global_generators_as_they_were(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apple = ["before"]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda device: apple[-1])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state, device: apple.append(state))
    before, drawn = torch.get_rng_state(), list[torch.Tensor]()

    def draw() -> None:
        with drawing(torch.device(device), 3):
            apple.append("drawn from")
            drawn.append(torch.rand(4))
            raise Stop

    for _ in range(2):
        with pytest.raises(Stop):
            draw()
        assert torch.equal(torch.get_rng_state(), before)
        assert apple[-1] == ("before" if device == "mps" else "drawn from")
        apple[:] = ["before"]
    assert torch.equal(*drawn)
    with drawing(torch.device(device), None):
        torch.rand(1)
    assert not torch.equal(torch.get_rng_state(), before), "without a seed it draws on"
