# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/02_load_a_pair.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F02_load_a_pair.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/02_load_a_pair.ipynb)

# %% [markdown]
# # 02 Load a pair: what the two models are
#
# **Goal**: know what a target and its drafter are made of, what they share, what each must get from the
# other, and how to tell that two models fit.
#
# **Minutes**: 20. **Prerequisites**: lesson 00; you have heard of layers, embeddings and attention.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %% [markdown]
# ## One call
#
# `load_pair` takes a short name, a hub id or a folder. It picks the device and the number format, loads
# both models and the tokenizer, and checks that everything fits.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import load_pair

pair = load_pair(PAIR)
print(pair.name, pair.target.dtype)

# %% [markdown]
# Which pairs are there? Sizes are numbers of parameters (*effective*: without look-up tables, of which a
# pass reads a few rows; E4B's row names its layers). Memory is for both models: `pocket` in fp32, the
# others in 16 bit (E2B and E4B as published, the larger ones two bytes a parameter). The doctor of lesson
# 00 adds a cache and working room, so most of its numbers are larger.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.models import PAIRS

print(f"{'pair':8} {'target':22} {'drafter':8} memory")
for info in PAIRS.values():
    print(f"{info.name:8} {info.target_size:22} {info.drafter_size:8} {info.memory_gb:g} GB")

# %% [markdown]
# ## Two sizes
#
# **Predict**: how many times smaller is the drafter than the target?

# %% tags=["nbval-check-output"]
from collections import Counter

PARTS = {  # by what a parameter's name holds; the first match counts
    "vision": "vision and audio", "audio": "vision and audio", "multi_modal": "vision and audio",
    "per_layer": "per-layer embeddings", "embed_tokens": "embeddings", "lm_head": "embeddings",
    "self_attn": "attention", "mlp": "feed-forward", "experts": "feed-forward",
    "router": "feed-forward", "masked_embedding": "centroid head",
    "pre_projection": "projections to and from the target",
    "post_projection": "projections to and from the target",
}  # fmt: skip
totals = []
for role, model in (("target", pair.target), ("drafter", pair.drafter)):
    counts = Counter()
    for name, parameter in model.named_parameters():  # tied weights count once
        part = next((part for key, part in PARTS.items() if key in name), "norms")
        counts[part] += parameter.numel()
    totals.append(counts.total())
    print(f"{role}: {totals[-1]:,} parameters")
    for part, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"    {part:36}{count:>12,}")
print(f"the target is {totals[0] / totals[1]:.1f} times as large")

# %% [markdown]
# A model this small takes its time by the number of layers, whatever their width. So compare the numbers of
# layers. In the real E2B it is 35 against 4.

# %% tags=["nbval-check-output"]
target_text = pair.target.config.get_text_config()
drafter_text = pair.drafter.config.get_text_config()
print("layers:", target_text.num_hidden_layers, "against", drafter_text.num_hidden_layers)
assert drafter_text.num_hidden_layers < target_text.num_hidden_layers / 4

# %% [markdown]
# ## One vocabulary
#
# The drafter hands over token *numbers* (ids). They mean the same to both models only because both use one
# tokenizer: there is no second one to load. Below, a prompt in its chat template, token by token.

# %% tags=["nbval-check-output"]
print("tokens:", target_text.vocab_size, drafter_text.vocab_size)
ids = pair.encode("Name 3 colors.")
print(ids.shape)
print([pair.decode([i], skip_special_tokens=False) for i in ids[0].tolist()])

# %% [markdown]
# `<|turn>` and `<turn|>` mark the turns of the conversation. The model ends its answer with `<turn|>`,
# and generation stops there.

# %% [markdown]
# ## Keys and values
#
# Attention compares the newest token with **keys** and reads **values** of earlier ones; together they are the
# KV that a cache keeps. Look for the layers that compute them. **Predict**: how many has the target, how many
# the drafter?


# %% tags=["nbval-check-output"]
def kv_projections(model):
    # Of the text decoder: a real target has attention for pictures and sound, too.
    return sum(
        name.endswith(".k_proj.weight") for name, _ in model.get_decoder().named_parameters()
    )


print("target layers with keys of their own:", kv_projections(pair.target))
print("drafter layers with keys of their own:", kv_projections(pair.drafter))
assert kv_projections(pair.drafter) == 0

# %% [markdown]
# The drafter has none: no memory of the text, so no KV cache, and no prefill of the prompt. It *looks into the
# target's memory* instead.

# %% [markdown]
# ## Layers
#
# The picture shows each layer as a bar. Tall ones see all earlier tokens (*full attention*), low ones only the
# most recent (*sliding window*). The dotted ones, on the right, make no KV of their own: they read that of an
# earlier layer, further left.

# %%
from gemma_mtp_edu import plots

plots.show_figure(plots.plot_layers(pair))

# %% [markdown]
# This is what a target pass over a prompt hands to the drafter, by shape:

# %% tags=["nbval-check-output"]
output = pair.target(input_ids=ids, output_hidden_states=True, return_shared_kv_states=True)
print(f"{'last hidden state':26}{tuple(output.hidden_states[-1].shape)}")
for kind, (keys, values) in sorted(output.shared_kv_states.items()):
    print(f"{kind + ' keys':26}{tuple(keys.shape)}")
    print(f"{kind + ' values':26}{tuple(values.shape)}")

# %% [markdown]
# The first is `[batch, tokens, hidden size]`: the output of the target's last layer. The others are `[batch,
# heads, tokens, head size]`. There is one pair of keys and values per attention type, from the last layer
# of that type that makes its own: the two bars marked *handed over*.

# %% [markdown]
# ## What goes in
#
# A round's first draft starts from two vectors of the target, side by side: the **embedding of the newest
# token**, and the **hidden state that predicted it**. A projection brings them to the drafter's width. For the
# next draft a second projection turns the drafter's own state into the hidden state; the embedding is still the
# target's. The drafter's own embedding table serves only its head, which scores tokens.

# %% tags=["nbval-check-output"]
print("hidden size of the target:", target_text.hidden_size)
print("what the drafter expects: ", pair.drafter.config.backbone_hidden_size)
print("projection in:", tuple(pair.drafter.pre_projection.weight.shape))
assert pair.drafter.pre_projection.in_features == 2 * target_text.hidden_size

# %% [markdown]
# ## What comes out
#
# To score the whole vocabulary would be the drafter's most expensive step. A **centroid head** (E2B, E4B and
# `pocket` have one) first picks a few clusters of tokens (each has a centre, its *centroid*) and scores only
# the tokens in them.

# %% tags=["nbval-check-output"]
config = pair.drafter.config
share = config.centroid_intermediate_top_k / config.num_centroids
if not config.use_ordered_embeddings:  # a dense head
    share = 1.0
print(f"share of the vocabulary that is scored per draft: {share:.1%}")

# %% [markdown]
# ## When two models do not fit
#
# Swap target and drafter. What should happen?

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import ModelPair

try:
    ModelPair(pair.drafter, pair.target, pair.processor)
except ValueError as error:
    print(error)

# %% [markdown]
# The check reads the two configurations, so it costs nothing and needs no weights. It compares vocabulary,
# hidden size, and heads of keys and values. Another target of the same shapes would pass it: then few
# drafts would be accepted, but the text would still be right.

# %% [markdown]
# ## Change this
#
# Pretend that the drafter was made for a wider target. **Predict**: which number will the error name?

# %% tags=["nbval-check-output"]
import copy

from gemma_mtp_edu.models import check_pair

wrong = copy.deepcopy(pair.drafter.config)
wrong.backbone_hidden_size = 2560
try:
    check_pair(pair.target.config, wrong)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Takeaways
#
# 1. A pair is a large target and a small drafter that share one vocabulary.
# 2. The drafter has no KV and no cache: it reads the target's keys, values and hidden state.
# 3. So a drafter is of use only to the target that it was made for. Whether shapes fit can be checked
#    beforehand; with a wrong target of the same shapes acceptance suffers, never the text.

# %% [markdown]
# ## Exercises
#
# **1.** Which layer of the target hands its *full-attention* keys and values to the drafter? Count from 0.
#
# <details><summary>Hint</summary>In the picture, look for the tall bar that is marked as handed
# over.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check

layer = None  # your answer
check("kv_layer", layer, pair)

# %% [markdown]
# **2.** A centroid head cuts a vocabulary into clusters of equal size and searches the `top_k` best ones.
# How many tokens does it score?
#
# <details><summary>Hint</summary>First find the size of one cluster.</details>


# %% tags=["nbval-check-output"]
def scored_tokens(vocabulary, centroids, top_k):
    return None  # your code


check("scored_tokens", scored_tokens)

# %% [markdown]
# ## Sources
#
# - transformers 5.22.2, `Gemma4TextAttention` (which layer stores shared KV) and
#   `Gemma4AssistantForCausalLM` (projections, centroid head)
# - [transformers documentation of gemma4_assistant](https://huggingface.co/docs/transformers/model_doc/gemma4_assistant)
# - vllm-project/recipes, Google/Gemma4.md (recommended draft lengths)
#
# Solutions: in `docs/instructor_guide.md`. Next: `03_watch_one_round`.
