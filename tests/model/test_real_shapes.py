"""Each published pair with its widths divided: its folders load, and every tool works on it.

All but E2B are slow; what is kept of them and where it comes from, the JSON says.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import accelerate
import pytest
import torch
import transformers as hf

import gemma_mtp_edu as course
from gemma_mtp_edu.analysis import ablation, inside
from gemma_mtp_edu.models import files, memory, registry
from gemma_mtp_edu.training import Plan, distillation, new_drafter, train
from tests.cases import tables
from tests.model.tiny import check_rounds, generated
from tools.lessons import parse_source, sources

FACTS = tables(__file__)
PUBLISHED = tables(str(Path(__file__).parents[1] / "unit" / "gemma4_shapes"))["text"]
LARGE = ("12B", "26B-A4B", "31B")
NAMES = ["E2B", *(pytest.param(name, marks=pytest.mark.slow) for name in ("E4B", *LARGE))]
# The bundled tokenizer has those of a turn; the others take its last places.
NEW = FACTS["new tokens"]
IDS = {token: 2048 - len(NEW) + place for place, token in enumerate(NEW)}
TOKENS, SMALL = 20, new_drafter.DrafterShape(16, 32, top_centroids=2)
TURN = [{"role": "user", "content": "Count from 3 to 9, then write a JSON record for Ida Berg."}]


def narrow(record: Any, key: str = "") -> Any:
    if isinstance(record, dict):
        return {name: narrow(value, name) for name, value in record.items()}
    return record // FACTS["divided"].get(key, 1) if type(record) is int else record


def save_model(record: dict[str, Any], settings: dict[str, Any], folder: str) -> None:
    model = hf.AutoModelForCausalLM.from_config(hf.AutoConfig.for_model(**narrow(record)))
    weight = model.get_output_embeddings().weight
    # Small beside what the layers add, as a tied model repeats its input else; then sure of itself.
    torch.nn.init.normal_(weight, std=0.3 * weight.shape[1] ** -0.5)
    if hasattr(model.model, "language_model"):
        torch.nn.init.constant_(model.model.language_model.norm.weight, 20.0)
    elif model.masked_embedding is not None:
        model.masked_embedding.token_ordering.copy_(torch.randperm(2048))
    model.generation_config = hf.GenerationConfig(**settings)
    model.save_pretrained(folder)


def save_tokenizer(folder: Path, template: str) -> None:
    rules = json.loads((files.BUNDLED / "target/tokenizer.json").read_text(encoding="utf-8"))
    model, added = rules["model"], rules["added_tokens"]
    del model["merges"][-len(NEW) :]
    model["vocab"] = {t: i for t, i in model["vocab"].items() if i not in IDS.values()} | IDS
    added += [added[0] | {"id": i, "content": token} for token, i in IDS.items()]
    for name, content in (FACTS["files"] | {"tokenizer": rules}).items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


@pytest.fixture(scope="module", params=NAMES)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pair from its folders; its drafter has learned half of a plain text, to be right there."""
    torch.manual_seed(0)
    name, settings = request.param, FACTS["settings"]
    home = tmp_path_factory.mktemp("hub") / f"gemma-4-{name}-it"
    target = FACTS["targets"][name] | {f"{k}_id": IDS[t] for k, t in FACTS["seen"].items()}
    text = PUBLISHED.get(name, {}) | target["text_config"]
    save_model(target | {"text_config": text}, settings["target"], str(home))
    save_model(FACTS["drafters"][name], settings["drafter"], f"{home}-assistant")
    save_tokenizer(home, "".join([*FACTS["template"], FACTS["ends"][name]]))
    pair = course.load_pair(home, device="cpu")
    ids = pair.encode_messages(TURN)
    plain = course.autoregressive_generate(pair, ids, max_new_tokens=TOKENS)
    whole = torch.tensor([[*plain.prompt_ids, *plain.token_ids[: TOKENS // 2]]])
    texts = distillation.Texts(whole, torch.arange(whole.shape[1])[None] >= ids.shape[1])
    batch = distillation.distillation_batch(pair.target, texts)
    plan = Plan(steps=30, unroll=3, learning_rate=0.02, warmup=2, check_every=5)
    losses = [e.loss for e in train(pair, [batch] * 30, plan).evaluations[1:]]
    return SimpleNamespace(home=home, pair=pair, ids=ids, plain=plain, losses=losses)


def test_it_has_the_published_shape_and_its_sizes_are_counted(real: Any) -> None:
    name, (target, drafter) = real.pair.name, inside.layers(real.pair)
    assert {*FACTS["targets"]} == {*FACTS["drafters"]} == {*registry.PAIRS} - {registry.POCKET}
    own = FACTS["own layers"][name]
    wanted = ["own"] * (own - 2) + ["handed over"] * 2 + ["shared"] * (len(target) - own)
    assert [layer.kv for layer in target] == wanted
    kinds = [f"{layer.attention}_attention" for layer in target]
    assert kinds == PUBLISHED.get(name, {}).get("layer_types", kinds)[: len(kinds)]
    assert [layer.attention for layer in drafter] == ["sliding"] * 3 + ["full"]
    assert (real.pair.drafter.masked_embedding is None) == (name in LARGE)
    for model in (real.pair.target, real.pair.drafter):
        assert memory.count_parameters(model.config) == model.num_parameters()
    # By its folder's name: what is known of the published pair counts for it.
    assert course.memory_plan(name).name == name and name in real.home.name
    assert real.pair.default_gamma() == registry.PAIRS[name].draft_length


@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_is_the_template_s(real: Any, thinking: bool) -> None:
    pair = real.pair
    ids = pair.encode_messages(TURN, enable_thinking=thinking)
    system = "<|turn>system\n<|think|>\n<turn|>\n" if thinking else ""
    closed = "" if thinking or pair.name not in LARGE else "<|channel>thought\n<channel|>"
    user = f"<|turn>user\n{TURN[0]['content']}<turn|>\n<|turn>model\n"
    assert pair.decode(ids[0], skip_special_tokens=False) == f"<bos>{system}{user}{closed}"
    assert [t in ids for t in (IDS["<|think|>"], IDS["<|channel>"])] == [thinking, bool(closed)]
    runs = (course.autoregressive_generate, course.speculative_generate)
    assert len({run(pair, ids, max_new_tokens=6).token_ids for run in runs}) == 1
    assert thinking or torch.equal(ids, pair.encode(TURN[0]["content"]))


def test_every_route_writes_the_plain_text(real: Any) -> None:
    pair, ids, plain, accepted, rejected = real.pair, real.ids, real.plain, 0, 0
    assert plain.stop_reason == "length" and len(set(plain.token_ids)) > TOKENS // 2
    for gamma in (1, 3):
        how = {"gamma": gamma, "max_new_tokens": TOKENS}
        run = course.speculative_generate(pair, ids, **how)
        theirs = course.reference_generate(pair, ids, **how)
        custom = generated(pair, ids, **how).sequences[0, ids.shape[1] :]
        assert run.token_ids == theirs.token_ids == tuple(custom.tolist()) == plain.token_ids
        accepted += sum(r.n_accepted for r in run.draft_rounds)
        rejected += sum(r.n_accepted < len(r.draft_ids) for r in run.draft_rounds)
        check_rounds(run)
        check_rounds(theirs)
    assert accepted and rejected
    check_rounds(course.speculative_generate(pair, ids, temperature=1.0, max_new_tokens=6))
    profile = course.acceptance_profile(pair, ids, max_gamma=3, max_new_tokens=TOKENS)
    assert profile.token_ids == plain.token_ids and max(profile.n_accepted) > 0
    assert course.AcceptanceProfile.from_json(profile.to_json()) == profile
    changed = ablation.ablate(pair, [ids], gamma=3, max_new_tokens=TOKENS)
    assert [result.part for result in changed] == [*ablation.PARTS]


def test_its_own_drafter_learns(real: Any) -> None:
    """With its head; and a folder without processor files loads, for which one is made as well."""
    assert real.losses[-1] < real.losses[0] - 1
    (real.home / "processor_config.json").unlink()
    before, now = course.load_pair(real.home, device="cpu"), real.pair
    changed = [
        {n for n, p in old.named_parameters() if not torch.equal(p, new.get_parameter(n))}
        for old, new in ((before.target, now.target), (before.drafter, now.drafter))
    ]
    wanted = {"masked_embedding.centroids.weight"} if before.name not in LARGE else set()
    assert not changed[0] and wanted | {"pre_projection.weight"} < changed[1]
    assert torch.equal(before.encode_messages(TURN), real.ids)
    made = new_drafter.new_drafter(before.target, SMALL)
    fresh = course.ModelPair(before.target, made, before.processor)
    runs = (course.speculative_generate(pair, "Hi", max_new_tokens=6) for pair in (before, fresh))
    assert len({run.token_ids for run in runs}) == 1


@pytest.mark.parametrize(("device", "dtype"), [("mps", torch.float16), ("cpu", torch.float32)])
def test_where_it_goes_and_how(real: Any, device: str, dtype: Any, monkeypatch: Any) -> None:
    loading = Mock(side_effect=InterruptedError)
    monkeypatch.setattr(files, "load_model", loading)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: device == "mps")
    with pytest.raises(InterruptedError):
        course.load_pair(real.home)
    loading.assert_called_once_with(real.home.resolve(), {"": torch.device(device)}, dtype)


@pytest.mark.slow
def test_lesson_12_runs_on_it(real: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (source,) = (path for path in sources() if path.stem[:2] == "12")
    names: dict[str, Any] = {"lesson": course.lesson, "display": print}
    less = FACTS["less of the lesson"] | {'"auto"  # @param': f'"{real.home}"  #'}
    for cell in parse_source(source.read_text(encoding="utf-8")).cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            for old, new in less.items():
                cell.source = cell.source.replace(old, new)
            exec(cell.source, names)
    assert names["same"] and f"\n{real.pair.name:8} 1 " in capsys.readouterr().out


def test_what_has_no_data_is_named() -> None:
    told = r"got meta, a device without data: leave init_empty_weights\(\) or name cpu"
    with accelerate.init_empty_weights(), pytest.raises(ValueError, match=told):
        course.load_pair()
    with pytest.raises(ValueError, match=told):
        course.load_pair(device="meta")
