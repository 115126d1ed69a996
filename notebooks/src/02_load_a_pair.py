# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/02_load_a_pair.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F02_load_a_pair.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/02_load_a_pair.ipynb)

# %% [markdown]
# # 02 Load a pair: what the two models are
#
# **Goal**: see with tensors what a target pass computes, why one pass can verify several drafts, and what the
# drafter gets from the target.
#
# **Minutes**: 30. **Prerequisites**: lesson 00; you have heard of layers, embeddings and attention.

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
# `load_pair` takes a short name, a hub id or a folder. It picks the device and the dtype, loads both models and
# the tokenizer as lesson 00 did, and checks that they fit.

# %% tags=["nbval-check-output"]
import torch

from gemma_mtp_edu import load_pair

pair = load_pair(PAIR)
target, drafter = pair.target, pair.drafter
torch.set_grad_enabled(False)  # nothing is trained here
print(pair.name, target.dtype)

# %% [markdown]
# Which pairs are there? Memory is what both models take, roughly, in 16 bit (`pocket`: 32 bit). *Effective*
# parameters leave out embedding tables, of which a pass reads a few rows only.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.models import PAIRS

print(f"{'pair':8} {'target':22} {'drafter':8} memory")
for info in PAIRS.values():
    print(f"{info.name:8} {info.target_size:22} {info.drafter_size:8} {info.memory_gb:g} GB")

# %% [markdown]
# ## Two sizes
#
# **Predict**: the table above says how many parameters the two have. Where are most of the target's: in its
# layers, or in its embedding tables? And the drafter's?

# %% tags=["nbval-check-output"]
from collections import Counter

PARTS = {"vision": "vision and audio", "audio": "vision and audio", "embed": "embedding tables",
         "layers.": "layers", "lm_head": "embedding tables"}  # fmt: skip
for role, model in (("target", target), ("drafter", drafter)):
    counts = Counter()
    for name, parameter in model.named_parameters():  # tied weights count once
        counts[next((PARTS[key] for key in PARTS if key in name), "other")] += parameter.numel()
    print(f"{role}: {counts.total():,} parameters,", dict(counts))

# %% tags=["nbval-check-output"]
target_text = target.config.get_text_config()
drafter_text = drafter.config.get_text_config()
print("layers:", target_text.num_hidden_layers, "against", drafter_text.num_hidden_layers)
assert drafter_text.num_hidden_layers < target_text.num_hidden_layers / 4

# %% [markdown]
# A model as small as `pocket` takes its time by the number of layers (lesson 01), so that is what to compare here. In
# E2B it is 35 against 4.

# %% [markdown]
# ## One vocabulary
#
# The drafter passes token *numbers* (ids) on. They mean the same to both models because both use one tokenizer.
# Below, a prompt in its chat template, token by token.

# %% tags=["nbval-check-output"]
ids = pair.encode("Count from 3 to 12.")
print([pair.decode([i], skip_special_tokens=False) for i in ids[0].tolist()])
assert target_text.vocab_size == drafter_text.vocab_size

# %% [markdown]
# `<|turn>` and `<turn|>` are **control tokens**: each is one entry of the vocabulary, made by no letters. They mark
# who speaks. The model was trained to end its answer with `<turn|>`, and generation stops there.

# %% [markdown]
# ## From scores to a token
#
# A pass gives **logits**: for every token that it read, one score for each entry of the vocabulary. The **softmax**
# makes probabilities of a row: raise e to each score, then divide by the sum. It keeps the order, so greedy decoding
# can take the largest score at once (the *argmax*). How could a story begin?

# %% tags=["nbval-check-output"]
asked = pair.encode("Tell me a story.")
logits = target(asked).logits
print(tuple(asked.shape), "tokens give logits", tuple(logits.shape))
scores = logits[0, -1].float()  # after the last token of the prompt
probs = scores.exp() / scores.exp().sum()
assert torch.allclose(probs, scores.softmax(-1), atol=1e-6)
assert probs.argmax() == scores.argmax()
for prob, token in zip(*probs.topk(3), strict=True):
    print(f"{pair.decode([int(token)])!r:6} {prob:.1%}")

# %% [markdown]
# ## Rows
#
# Each token of the prompt has its row of logits. **Predict**: change the *last* token of the prompt. Which
# rows of the logits change: all, or only some? And if you change a token in the middle?


# %% tags=["nbval-check-output"]
def rows_that_change(position):
    other = ids.clone()
    other[0, position] = (other[0, position] + 1) % target_text.vocab_size
    difference = (target(other).logits - output.logits)[0].abs().amax(-1)
    return [row for row, size in enumerate(difference.tolist()) if size > 0.01]


n, output = ids.shape[1], target(ids)
print("tokens 0 to", n - 1)
print("last token changed:  rows", rows_that_change(n - 1))
print("token 10 changed:    rows", rows_that_change(10))
assert min(rows_that_change(10)) == 10

# %% [markdown]
# No row changes before the token that was changed. The model has **causal masking**: while a token is worked on, all
# later ones are hidden from it.
#
# ## The mask
#
# It acts in attention. Each token has a *query*, a *key* and a *value*; a query is compared with keys, the softmax
# turns the scores into shares, and the result is the sum of the values weighted by them. Later keys score minus
# infinity, a share of 0:

# %% tags=["nbval-check-output"]
queries, keys, values = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)).unbind()
compared = queries @ keys.T / 4**0.5  # row: query of a token, column: key of a token
later = torch.ones(5, 5).triu(1).bool()
shares = compared.masked_fill(later, -torch.inf).softmax(-1)
print(shares.numpy().round(2))
print("result:", tuple((shares @ values).shape))

# %% [markdown]
# Row 2 has shares of tokens 0, 1 and 2 and knows of no other. So does every layer, and so do the logits: **row i of a pass
# is what a pass over the first i + 1 tokens alone would give.** One pass answers "what comes next?" after each prefix at
# once. Try it:

# %% tags=["nbval-check-output"]
short = [int(target(ids[:, : i + 1]).logits[0, -1].argmax()) for i in range(n)]
print(n, "passes and 1 pass predict the same:", short == output.logits[0].argmax(-1).tolist())

# %% [markdown]
# ## Why one pass can verify drafts
#
# Now suppose that somebody guessed how the text goes on. Take what the target writes, and spoil the third guess.

# %%
written = target.generate(ids, max_new_tokens=5, do_sample=False)[0, n:]
newest, guesses = written[:1], written[1:].clone()
guesses[2] = (guesses[2] + 1) % target_text.vocab_size
text = torch.cat([ids[0], newest, guesses])[None]

# %% [markdown]
# One pass reads the prompt, the newest token and the four guesses. Row 0 below is that of the newest token. **Predict**:
# in which rows is the target's prediction equal to the guess? Which rows are worth something?

# %% tags=["nbval-check-output"]
predicted = target(text).logits[0, n:].argmax(-1)
names = [pair.decode([token]) for token in predicted.tolist()]
guessed = [pair.decode([token]) for token in guesses.tolist()] + [None]
print("row  predicts  guess")
for row, (name, guess) in enumerate(zip(names, guessed, strict=True)):
    print(f"{row:3}  {name!r:9} {guess!r:9} {'equal' if name == guess else ''}")
print("rows 0 to 2 predict what was written:", torch.equal(predicted[:3], written[1:4]))

# %% [markdown]
# Row 0 saw nothing but the text, so it verifies guess 0. If that was right, row 1 saw nothing but the text, too, and verifies
# guess 1. Row 2 differs from guess 2: it gives the **correction**, the token that the target would have written. Rows 3 and
# 4 read a wrong guess: they continue a text that does not exist, and tell nothing even where they agree. Were all
# four right, row 4 would give the bonus.

# %% [markdown]
# ## The KV cache
#
# To make the next token, must the target read all of the prompt again? Later tokens change nothing about earlier ones, so
# their keys and values stay as they are: keep them. That is the **KV cache**. transformers fills a `DynamicCache`:

# %%
from transformers import DynamicCache

from gemma_mtp_edu.core.target import CACHE  # "cache"; before transformers 5.24 "past_key_values"

cache = DynamicCache(config=target_text)
target(ids, **{CACHE: cache})
layer = target_text.layer_types.index("full_attention")
before = cache.layers[layer].keys.clone()

# %% [markdown]
# **Predict**: now pass only the newest token and the guesses, with this cache. How many rows of logits come back,
# and how many tokens are in the cache then?

# %% tags=["nbval-check-output"]
from copy import deepcopy

print("keys of a layer [batch, heads, tokens, size]:", tuple(before.shape))
longer = deepcopy(cache)  # a pass adds to its cache, and this cell may run twice
step = target(text[:, n:], **{CACHE: longer})
after = longer.layers[layer].keys
print("rows of logits:", step.logits.shape[1])
print("keys then:                                   ", tuple(after.shape))
assert torch.equal(after[:, :, :n], before)
print("the same predictions:", torch.equal(step.logits[0].argmax(-1), predicted))

# %% [markdown]
# Five rows for five tokens, as in the long pass. This is the pass that verifies drafts: five queries, and the keys
# of the whole text. Afterwards the cache also holds keys and values of the two guesses that are discarded;
# lesson 04 cuts them off.

# %% [markdown]
# ## Keys and values
#
# Look for the layers that compute keys. **Predict**: how many has the target, how many the drafter?


# %% tags=["nbval-check-output"]
def kv_projections(model):
    # Of the text decoder: a real target has attention for pictures and sound, too.
    return sum(
        name.endswith(".k_proj.weight") for name, _ in model.get_decoder().named_parameters()
    )


print("target layers with keys of their own:", kv_projections(target))
print("drafter layers with keys of their own:", kv_projections(drafter))
assert kv_projections(drafter) == 0

# %% [markdown]
# The drafter has none: no memory of the text, so no KV cache, and no prefill of the prompt. It *attends to the target's*
# keys and values instead.

# %% [markdown]
# ## What goes from where to where
#
# Each layer is a bar. Tall ones see all earlier tokens (*full attention*), low ones only the most recent (*sliding
# window*). The dotted ones make no keys and values: they read those of an earlier layer of their kind. Arrows lead to
# the drafter.

# %%
from gemma_mtp_edu import plots

plots.show_figure(plots.plot_layers(pair))

# %% [markdown]
# The same as tensors. transformers returns them on request:

# %% tags=["nbval-check-output"]
output = target(ids, output_hidden_states=True, return_shared_kv_states=True)
state = output.hidden_states[-1]
print(f"{'last hidden state':26}{tuple(state.shape)}")
for kind, (keys_of_kind, values_of_kind) in sorted(output.shared_kv_states.items()):
    print(f"{kind + ' keys':26}{tuple(keys_of_kind.shape)}")
    print(f"{kind + ' values':26}{tuple(values_of_kind.shape)}")

# %% [markdown]
# The hidden state is `[batch, tokens, hidden size]`. It is **not** what the last layer returns, but the state after the
# final RMSNorm (a scaling that ends the stack): the one from which the head makes the logits. Whoever ports a drafter and
# takes the layer's output loses acceptance. So check it:

# %% tags=["nbval-check-output"]
remade = target.get_output_embeddings()(state)
if cap := target_text.final_logit_softcapping:  # Gemma 4 bends its scores to -cap..cap
    remade = cap * torch.tanh(remade / cap)
print("the head makes the logits from it:", torch.allclose(remade, output.logits, atol=1e-3))

# %% [markdown]
# ## What goes in
#
# A round's first draft starts from two vectors of the target, side by side: the **embedding of the newest
# token**, and the **hidden state that predicted it**. A projection brings them to the drafter's width. For the
# next draft a second projection turns the drafter's own state into the hidden state; the embedding is still the
# target's.

# %% tags=["nbval-check-output"]
print("hidden size of the target:", target_text.hidden_size)
print("what the drafter expects: ", drafter.config.backbone_hidden_size)
print("projection in:", tuple(drafter.pre_projection.weight.shape))
assert drafter.pre_projection.in_features == 2 * target_text.hidden_size

# %% [markdown]
# ## What comes out
#
# To score the whole vocabulary would be the drafter's most expensive step. A **centroid head** (E2B, E4B and
# `pocket` have one) first picks a few clusters of tokens (each has a centre, its *centroid*) and scores only
# the tokens in them.

# %% tags=["nbval-check-output"]
config = drafter.config
share = config.centroid_intermediate_top_k / config.num_centroids
if not config.use_ordered_embeddings:  # a dense head
    share = 1.0
print(f"share of the vocabulary that is scored per draft: {share:.1%}")

# %% [markdown]
# ## Other drafters
#
# | drafter | reads | own keys, values |
# | --- | --- | --- |
# | prompt lookup | token ids: copies what followed before | no model |
# | ordinary small model | token ids | all layers |
# | Medusa | last hidden state; one head per draft | none |
# | EAGLE | hidden states before the head, embeddings | one layer |
# | EAGLE-3 | states of low, middle, high layers, embeddings | one layer |
# | MTP, DeepSeek-V3 | hidden states, embeddings | one block per draft |
# | Gemma 4 | hidden state, embedding, keys and values of two layers | none |

# %% [markdown]
# The more a drafter reads of its target, the smaller it can be, and the less it fits any other target. An ordinary small model
# drafts for every target with its tokenizer, but must read the prompt as well. The sources are at the end. In
# transformers, `use_mtp` is for models such as DeepSeek-V3; Gemma 4's drafter comes in by `assistant_model`.

# %% [markdown]
# ## When two models do not fit
#
# Swap target and drafter. What should happen?

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import ModelPair

try:
    ModelPair(drafter, target, pair.processor)
except ValueError as error:
    print(error)

# %% [markdown]
# The check reads the two configurations, so it costs nothing and needs no weights. It compares vocabulary,
# hidden size, and heads of keys and values. Another target of the same shapes would pass it: then few
# drafts would be accepted, but the target would still decide every token.

# %% [markdown]
# ## Change this
#
# Pretend that the drafter was made for a wider target. **Predict**: which number will the error name?

# %% tags=["nbval-check-output"]
import copy

from gemma_mtp_edu.models import check_pair

wrong = copy.deepcopy(drafter.config)
wrong.backbone_hidden_size = 2560
try:
    check_pair(target.config, wrong)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Takeaways
#
# 1. Causal masking lets row i of a pass see the first i + 1 tokens only. So one pass verifies every draft whose
#    predecessors are right, and the KV cache may keep what was computed.
# 2. The drafter has no keys, values or cache: it reads the target's, and its hidden state after the final RMSNorm.
# 3. So it is of use only to its own target. With a wrong one acceptance suffers, never the text.

# %% [markdown]
# ## Exercises
#
# **1.** (medium, 10 minutes) Which layers does a drafter read? Write it for any target: `layer_types` lists the kinds of
# its layers, such as `["sliding", "full", "sliding", "full"]`; the last `n_shared` of them make no keys and values. Return
# the numbers of the full and of the sliding layer, counted from 0.
#
# <details><summary>Hint</summary>In the figure: which layers do the arrows start from? What is
# <code>layer_types[:-n_shared]</code> when nothing is shared?</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def kv_sources(layer_types, n_shared):
    """Return (full_layer, sliding_layer)."""
    return None  # your code


check("kv_sources", kv_sources)

# %% [markdown]
# **2.** (hard, 20 minutes) Write the attention of a verify pass. `queries` are those of the last tokens only, `[m, size]`;
# `keys` and `values` are of the whole text, cache included, `[n, size]` with n >= m. No loop is needed.
#
# <details><summary>Hint</summary>Start from the 5 by 5 cell. Query 0 belongs to token n - m: how many columns may it see?
# <code>triu</code> takes a diagonal.</details>


# %% tags=["nbval-check-output"]
def attend(queries, keys, values):
    """Return [m, size]."""
    return None  # your code


check("attend", attend)

# %% [markdown]
# ## Sources
#
# - transformers, `Gemma4TextAttention` (which layer stores shared KV) and `Gemma4AssistantForCausalLM`;
#   [gemma4_assistant](https://huggingface.co/docs/transformers/model_doc/gemma4_assistant)
# - ordinary model: Leviathan et al. 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192); prompt lookup: Saxena 2023,
#   [apoorvumang/prompt-lookup-decoding](https://github.com/apoorvumang/prompt-lookup-decoding)
# - Medusa: [arXiv:2401.10774](https://arxiv.org/abs/2401.10774); EAGLE: [arXiv:2401.15077](https://arxiv.org/abs/2401.15077);
#   EAGLE-3: [arXiv:2503.01840](https://arxiv.org/abs/2503.01840)
# - MTP: DeepSeek-V3, [arXiv:2412.19437](https://arxiv.org/abs/2412.19437), section 2.2
#
# [Solutions](solutions_02_load_a_pair.ipynb) · Next: [03 Watch one round](03_watch_one_round.ipynb)
