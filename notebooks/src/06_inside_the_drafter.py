# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/06_inside_the_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F06_inside_the_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/06_inside_the_drafter.ipynb)

# %% [markdown]
# # 06 Inside the drafter
#
# **Goal**: follow one draft through the drafter with the real tensors, then take one part away after the
# other and see which drafts depend on it.
#
# **Minutes**: 40. **Prerequisites**: lessons 02 and 03.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %%
from gemma_mtp_edu import autoregressive_generate, load_pair

pair = load_pair(PAIR)

# %% [markdown]
# ## The way of a draft
#
# The whole lesson in one picture, drawn from the shapes of the loaded pair. Read it from the bottom up: two
# vectors of the target go in, four layers look into the target's memory, a head picks a token. The dashed
# lines make the next draft possible: the draft itself and a state are fed back.

# %%
from gemma_mtp_edu import plots

configs = (pair.target.config, pair.drafter.config)
plots.show_figure(plots.plot_drafter(*configs))

# %% [markdown]
# A configuration is enough for that; no weights are read. Here are the published shapes of E2B and of its
# drafter (the number of query heads is that of the E4B drafter in public code). **Predict** before you look:
# how wide is the projection in?

# %%
from transformers import Gemma4AssistantConfig, Gemma4TextConfig

one_kv = {"num_key_value_heads": 1, "head_dim": 256, "global_head_dim": 512}
e2b = Gemma4TextConfig(
    hidden_size=1536,
    num_hidden_layers=35,
    layer_types=(["sliding_attention"] * 4 + ["full_attention"]) * 7,
    num_kv_shared_layers=20,
    **one_kv,
)
own = Gemma4TextConfig(
    hidden_size=256,
    num_hidden_layers=4,
    layer_types=["sliding_attention"] * 3 + ["full_attention"],
    num_attention_heads=4,
    hidden_size_per_layer_input=0,
    vocab_size_per_layer_input=0,
    **one_kv,
)
e2b_drafter = Gemma4AssistantConfig(
    text_config=own, backbone_hidden_size=1536, use_ordered_embeddings=True
)

# %% [markdown]
# The plan is the same. What grows are the numbers in the boxes, most of all the vocabulary: 262,144 tokens.

# %%
plots.show_figure(plots.plot_drafter(e2b, e2b_drafter))

# %% [markdown]
# ## A text to look into
#
# The target writes a story, greedily and alone. We stop it at one place and draft four tokens from there.
# `draft_steps` runs the loaded drafter, and keeps every tensor on the way.

# %%
from gemma_mtp_edu.analysis import draft_steps

trace = autoregressive_generate(pair, "Tell me a short story about a heron.", max_new_tokens=80)
place = 53
print(pair.decode(trace.token_ids[:place]), "...")
steps = draft_steps(pair, trace, place, gamma=4)

# %% [markdown]
# What was drafted, and what does the target write there? Behind a wrong draft the question has no answer: the
# text goes another way.

# %%
for number, step in enumerate(steps, start=1):
    wanted = None if step.target_id is None else pair.decode([step.target_id])
    print(f"draft {number}: {pair.decode([step.draft_id])!r:12} target: {wanted!r}")

# %% [markdown]
# ## What goes in
#
# **Predict** three sizes, without a look back at the picture: one embedding of the target, both vectors side
# by side, and what is left of them after the projection in. Of the other names below, `state` is what the
# head scores tokens with, and `fed_back` is the same at the target's width, for the next step.

# %% tags=["nbval-check-output"]
first = steps[0]
for name in ("embedding", "hidden", "joined", "projected", "state", "fed_back"):
    print(f"{name:10}", tuple(getattr(first, name).shape))
assert len(first.joined) == 2 * pair.target.config.get_text_config().hidden_size

# %% [markdown]
# The first half of the input is the target's **own** embedding of the newest token, scaled as the target does.
# The drafter's embedding table is used for its head only. The second half is a state of the target's last
# layer.

# %% tags=["nbval-check-output"]
import torch

newest = torch.tensor([first.newest_id], device=pair.device)
embedding = pair.target.get_input_embeddings()(newest)[0]
print(
    "first half is the target's embedding:", torch.equal(first.joined[: len(embedding)], embedding)
)
assert torch.equal(first.joined[: len(embedding)], embedding)

# %% [markdown]
# ## What comes round again
#
# The second draft needs the same two vectors, but the target has not run in between. **Predict**: where do
# they come from?

# %% tags=["nbval-check-output"]
second = steps[1]
print("token is the first draft:", second.newest_id == first.draft_id)
print("state is the drafter's own:", torch.equal(second.hidden, first.fed_back))
assert second.newest_id == first.draft_id and torch.equal(second.hidden, first.fed_back)

# %% [markdown]
# From the second draft on, the drafter lives on its own word: its draft and its own state, projected to the
# target's width. An error in either is carried on. That is one reason why later drafts are worse.

# %% [markdown]
# ## One position
#
# **Predict**: the first step is told the position of the newest token. What are the others told?

# %% tags=["nbval-check-output"]
print([step.position for step in steps])
assert len({step.position for step in steps}) == 1

# %% [markdown]
# The same. A draft has no keys and values, so nothing stands at a later position that a step could look at, and
# what it does look at stays where it was. The model was trained so; below we try what happens otherwise.

# %% [markdown]
# ## The target's memory
#
# In each layer several attention **heads** work side by side; none is the head that picks the token. Each turns
# the input into a **query**, compares it with **keys** that the target made, and reads the **values** behind
# those that fit. The newest token has not been through the target yet. **Predict**: of 72 tokens, the newest
# one included, how many keys does a full layer see? And a sliding one with a window of 64?

# %% tags=["nbval-check-output"]
print("newest token stands at index", first.position)
for index, layer in enumerate(first.layers):
    shapes = f"queries {tuple(layer.queries.shape)}, keys {tuple(layer.keys.shape)}"
    print(f"layer {index} {layer.attention:8} {shapes}, from token {layer.first} on")
    assert layer.first + layer.keys.shape[1] == first.position

# %% [markdown]
# All sliding layers share one set of keys and values, the full one has the other: one layer of the target
# made each of them. That is all the drafter knows of the text, besides its two vectors. These are the entries
# that our loop hands over; transformers' own mask, which says what a layer may see, would let one more through,
# 65.

# %% [markdown]
# ## Where it looks
#
# The weights of all heads in the first step, over the last 40 tokens. A dark field is a token that a head reads
# much of. The column `earlier` is the sum over all tokens before those, so each row sums to 1.

# %%
names = [pair.decode([i], skip_special_tokens=False) for i in (*trace.prompt_ids, *trace.token_ids)]
plots.show_figure(plots.plot_attention(first, names))

# %% [markdown]
# And in the second, where the newest token is a draft: same keys, same position, same colours, other queries.

# %%
plots.show_figure(plots.plot_attention(second, names))

# %% [markdown]
# In the last layer, the full one, some rows have nearly everything in `earlier`. Which token does each of its
# heads read most?

# %%
last = second.layers[-1]
for head, weights in enumerate(last.weights):
    at = last.first + int(weights.argmax())
    print(f"head {head}: {float(weights.max()):.0%} to {names[at]!r}, token {at}")

# %% [markdown]
# A head that looks at the start of the text, or at a mark such as `<|turn>`, often just parks its attention
# there: the rows must sum to 1, and it has nothing to add. Do not read meaning into every dark field.

# %% [markdown]
# ## Which tokens are scored
#
# The centroid head scores clusters first, then only the tokens in the best ones. The target's token can be
# drafted only if its cluster is among them. **Predict**: how often is it?

# %%
for number, step in enumerate(steps, start=1):
    if step.target_rank is not None:
        print(f"draft {number}: {len(step.clusters)} clusters searched, the right one ranks "
              f"{step.target_rank + 1}")  # fmt: skip

# %% [markdown]
# Now for the first draft from every place of the text, and for any number of clusters. (12B and larger pairs
# have dense heads, which score every token: nothing to see for them.)

# %%
from gemma_mtp_edu.analysis import cluster_ranks

head = pair.drafter.config
if head.use_ordered_embeddings:
    ranks = cluster_ranks(pair, trace)
    sizes = [2**n for n in range(head.num_centroids.bit_length())]
    lines = {
        "target's tokens that are searched": {
            k: sum(rank < k for rank in ranks) / len(ranks) for k in sizes
        },
        "share of the vocabulary": {k: k / head.num_centroids for k in sizes},
    }
    words = f"clusters searched (this head: {head.centroid_intermediate_top_k})"
    ax = plots.lines_chart(lines, words, "share")
    ax.set_xscale("log", base=2)
    plots.show_figure(ax)

# %% [markdown]
# What does it save? Count multiplications: the whole vocabulary, against clusters plus the tokens in the best
# of them.

# %% tags=["nbval-check-output"]
for name, config in ((pair.name, pair.drafter.config), ("E2B", e2b_drafter)):
    if config.use_ordered_embeddings:
        text, clusters = config.get_text_config(), config.num_centroids
        searched = config.centroid_intermediate_top_k * (text.vocab_size // clusters)
        scores = (text.vocab_size, clusters, searched)
        dense, first, then = (n * text.hidden_size for n in scores)
        print(f"{name}: {dense:,} against {first:,} + {then:,}")
        print(f"    {dense / (first + then):.1f} times less")

# %% [markdown]
# ## Take a part away
#
# Four stories, drafts from every place of them, one thing changed each time. **Predict** for each whether it hurts the first draft, the fourth, both or none:
#
# - hidden state: zeros; or the target's in every step, none fed back
# - values shuffled, with their keys or alone
# - values of one layer type set to zero: only the other is read
# - positions that advance; a dense head

# %%
from gemma_mtp_edu.analysis import ablate

prompts = [f"Tell me a short story about a {word}." for word in ("heron", "fox", "kite", "lamp")]
results = ablate(pair, prompts, gamma=4, max_new_tokens=64)
for result in results:
    print(f"{result.part:34}", *(f"{share:4.0%}" for share in result.kept), f" n={result.n_chains}")

# %% [markdown]
# Four drafts from one place are a *chain*; `n` counts them. Each number is the share of chains in which that
# draft **and all before it** are what the target writes. So their sum is the mean number of drafts kept, the
# length of a bar. The black line is the whole drafter from the same places.

# %%
plots.show_figure(plots.plot_ablations(results))

# %% [markdown]
# ## What hurts, and where
#
# Without the hidden state already the first draft suffers: keys and values say what was, the state says what
# the target was about to say. If only the feeding back is cut, the first draft is untouched, and each later
# one sees a state that is too old.

# %% tags=["nbval-check-output"]
by_part = {result.part: result for result in results}
whole, old = by_part["as is"], by_part["hidden state not fed back"]
print("first draft untouched:", old.kept[0] == whole.kept[0])
print("fourth draft worse:", old.kept[3] < whole.kept[3])
assert old.kept[0] == whole.kept[0] and old.kept[3] < whole.kept[3]

# %% [markdown]
# Shuffled **together**, keys and values do no harm: attention is a sum, and a sum has no order. The order of the
# text is inside the keys: the target rotated each by angles that grow with its position (rotary position
# embedding). Shuffled **apart**, each key points to a wrong value.

# %% tags=["nbval-check-output"]
together, apart = by_part["keys and values shuffled together"], by_part["values shuffled alone"]
print("together as good as unshuffled:", abs(together.mean_kept - whole.mean_kept) < 0.05)
print("apart worse:", apart.mean_kept < whole.mean_kept)
assert abs(together.mean_kept - whole.mean_kept) < 0.05 and apart.mean_kept < whole.mean_kept

# %% [markdown]
# Both kinds of KV are needed. Here the sliding one is worth more: more drafts are kept with it alone than with
# the full one alone. Three of the four layers read it. E2B's drafter has the same four layers, but another
# window and other texts: measure it there.

# %% tags=["nbval-check-output"]
for part in ("full KV alone", "sliding KV alone"):
    print(part, "is worse than both:", by_part[part].mean_kept < whole.mean_kept)
    assert by_part[part].mean_kept < whole.mean_kept
sliding, full = by_part["sliding KV alone"], by_part["full KV alone"]
print("sliding is worth more than full:", sliding.mean_kept > full.mean_kept)

# %% [markdown]
# And two that cost little or nothing. Positions that advance are a thing the drafter never saw in training.
# They cost a little, and only from the second draft on; the distance is at most three here. The dense head
# finds no more than the clusters do: the search almost never misses the token that would have won.

# %% tags=["nbval-check-output"]
dense, moved = by_part["dense head"], by_part["advancing positions"]
print("first draft has the same position:", moved.kept[0] == whole.kept[0])
print("dense head wins less than 0.05 drafts:", dense.mean_kept - whole.mean_kept < 0.05)
assert moved.kept[0] == whole.kept[0] and dense.mean_kept - whole.mean_kept < 0.05

# %% [markdown]
# ## What the library leaves in the KV
#
# After a rejection, transformers cuts the shared KV at the length of the text. The newest token has
# no entry yet, so one entry of a rejected draft stays; in a sliding layer past its window up to all of them do.
# The cell says what was measured of your release.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.checkup import library_parts

print("the installed release hands over clean KV:", library_parts().get("hands over clean KV"))

# %% [markdown]
# Only rounds after a rejection can tell. So run the library's own loop, and ask the profile of the same text
# what a clean KV would have kept from the very same places.

# %%
from itertools import pairwise

from gemma_mtp_edu import acceptance_profile, reference_generate

stale, clean = [], []
more = [f"Tell me a short story about a {word}." for word in ("drum", "bear")]

# %%
for prompt in prompts + more:
    profile = acceptance_profile(pair, prompt, max_gamma=4, max_new_tokens=64)
    library = reference_generate(pair, prompt, gamma=4, max_new_tokens=64)
    for before, now in pairwise(library.draft_rounds):
        place = now.prefix_length - len(library.prompt_ids)
        if before.next_kind == "correction" and place + 4 < len(profile):
            stale.append(now.n_accepted)
            clean.append(profile.n_accepted[place])

# %%
kept, possible = (sum(counts) / len(counts) for counts in (stale, clean))
print(f"{len(stale)} rounds after a rejection: {kept:.2f} kept, {possible:.2f} with a clean KV")

# %% [markdown]
# Is that much? With this few rounds a difference of a tenth or two of a draft may be chance. Here a few of some
# 80 entries are stale. So the direction is plausible; how much it is, six stories do not tell: with a pair of
# your own, take more texts before you believe either number. Lesson 03 showed what it can make of one text:
# other rounds, in another number.

# %% [markdown]
# ## The text does not mind
#
# Break the drafter as badly as you like and generate. **Predict**: what happens to the text?

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import speculative_generate
from gemma_mtp_edu.analysis import without

good = speculative_generate(pair, prompts[0], gamma=4, max_new_tokens=48)
with without(pair, "values shuffled alone"):
    bad = speculative_generate(pair, prompts[0], gamma=4, max_new_tokens=48)
print("same text:", bad.token_ids == good.token_ids)
print("more target passes:", bad.target_passes > good.target_passes)
assert bad.token_ids == good.token_ids or pair.target.dtype.itemsize < 4

# %% [markdown]
# ## Change this
#
# Take another `place` and look again: which heads stay where they are, and which follow the text? Then take a
# part away for a text that is easy to guess.

# %%
(easy,) = ablate(pair, ["Count from 7 to 24."], ["no hidden state"], gamma=4, max_new_tokens=64)
print(f"counting without hidden state: {easy.mean_kept:.2f} kept, whole: {sum(easy.as_is):.2f}")

# %% [markdown]
# ## Takeaways
#
# 1. A draft is made of the newest token's embedding, one hidden state, and the target's keys and values of one
#    sliding and one full layer; position and KV stay the same for the whole round.
# 2. Later drafts live on the drafter's own state: where it is not fed back, only the first one is as good.
# 3. The centroid head scores a small part of the vocabulary and loses next to nothing, as you can count.

# %% [markdown]
# ## Exercises
#
# **1.** How many entries does a full and a sliding layer of the drafter see, when the text has `length` tokens
# with the newest one? Return both numbers.
#
# <details><summary>Hint</summary>Which tokens of the text have been through the target?</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def visible_entries(length, window):
    return None  # your code


check("visible_entries", visible_entries)

# %% [markdown]
# **2.** How many times fewer scores does a centroid head compute than a dense one?
#
# <details><summary>Hint</summary>It scores each cluster once, and then the tokens of the best ones.</details>


# %% tags=["nbval-check-output"]
def times_less_work(vocabulary, centroids, top_k):
    return None  # your code


check("times_less_work", times_less_work)

# %% [markdown]
# **3.** Which part is the one that only later drafts need? Take the name of the row that leaves the first draft
# alone and costs the others most.
#
# <details><summary>Hint</summary>Compare the first column of the rows with that of "as is".</details>

# %% tags=["nbval-check-output"]
my_part = None

check("needs_the_loop", my_part, results)

# %% [markdown]
# ## Sources
#
# - transformers 5.22.2, `Gemma4AssistantForCausalLM` and `SinglePositionMultiTokenCandidateGenerator`
# - [transformers documentation of gemma4_assistant](https://huggingface.co/docs/transformers/model_doc/gemma4_assistant)
# - vllm-project/recipes, Google/Gemma4.md (which drafters have centroids; it rounds the saving to 45 times);
#   2,048 clusters and 32 searched are the defaults of `Gemma4AssistantConfig`
#
# Solutions: `solutions_06_inside_the_drafter`. Next: `07_the_speedup_formula`.
