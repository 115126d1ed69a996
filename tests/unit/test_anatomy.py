"""What a model's parameters are counted as."""

from torch.nn import Linear, ModuleDict

from gemma_mtp_edu.analysis.anatomy import parameter_counts


def test_attention_of_the_towers_is_not_the_text_s() -> None:
    towers = {
        name: ModuleDict({"self_attn": Linear(2, 2, bias=False)}) for name in ("vision", "audio")
    }
    model = ModuleDict({**towers, "layers": ModuleDict({"self_attn": Linear(3, 3, bias=False)})})
    assert parameter_counts(model) == {"vision and audio": 8, "attention": 9}
