# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/06_inside_the_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F06_inside_the_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/06_inside_the_drafter.ipynb)

# %% [markdown]
# # 06 Inside the drafter
#
# **Goal**: follow one draft through the drafter with the real tensors, caught by hooks in the library's own run;
# then take away one part after another and see which drafts depend on it.
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
import torch

from gemma_mtp_edu import load_pair

pair = load_pair(PAIR)
target, drafter = pair.target, pair.drafter

# %% [markdown]
# ## One step, in a picture
#
# The whole lesson in one diagram, drawn from the shapes of the loaded pair. Read the drafter from the bottom up:
# two vectors of the target go in, four layers attend to the target's keys and values, a head picks a token. The
# dashed lines make the next draft possible: the draft itself and a state are fed back.

# %%
from gemma_mtp_edu import plots

plots.show_figure(plots.plot_drafter(target.config, drafter.config))

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
# The architecture is the same. What grows are the numbers in the boxes, most of all the vocabulary: 262,144
# tokens.

# %%
plots.show_figure(plots.plot_drafter(e2b, e2b_drafter))

# %% [markdown]
# ## What goes in
#
# A **hook** is a function that PyTorch calls whenever a module runs; it sees what goes in and what comes out. Put
# one on the drafter and one on the target's last norm, and let `generate()` run. Each call of the drafter is one
# draft step.

# %%
prompt = "Tell me a short story about a heron."
ids = pair.encode(prompt)
steps, norms = [], []


def on_drafter(module, args, kwargs, output):
    steps.append(kwargs | {"output": output, "norm": norms[-1]})


def on_norm(module, args, output):
    norms.append((args[0], output))


# %%
drafter.generation_config.num_assistant_tokens = 4
hooks = [
    drafter.register_forward_hook(on_drafter, with_kwargs=True),
    target.get_decoder().norm.register_forward_hook(on_norm),
]
text = target.generate(
    ids, attention_mask=torch.ones_like(ids), assistant_model=drafter,
    max_new_tokens=80, do_sample=False,
)  # fmt: skip
for hook in hooks:
    hook.remove()
print(len(steps), "draft steps,", len(norms), "target passes")

# %% [markdown]
# The diagram gives the last size of `inputs_embeds`. **Predict** what it does not give: how many keys each
# attention type has in the very first step, right after the prompt.

# %%
first, second = steps[:2]
print("prompt:", ids.shape[1], "tokens")
print("inputs_embeds", tuple(first["inputs_embeds"].shape))
print("position_ids", first["position_ids"].tolist())
for kind, (keys, values) in first["shared_kv_states"].items():
    print(f"{kind}: keys {tuple(keys.shape)}, values {tuple(values.shape)}")

# %% [markdown]
# Two vectors of the target's width, side by side; a key and a value for every token of the prompt, and none for
# the newest token: the prefill has just chosen it, and it has not been through the target yet.

# %% [markdown]
# ## Which two vectors?
#
# The first half should be the target's embedding of the newest token. The second, says the diagram, is the hidden
# state after the final RMSNorm, not the sum that the last layer leaves. Whoever ports a drafter should check it.
# **Predict**: by what could you tell the two apart, if you saw the numbers only?

# %%
newest = text[:, ids.shape[1] : ids.shape[1] + 1]
before, after = (states[:, -1] for states in first["norm"])
embedding, hidden = first["inputs_embeds"][:, -1].chunk(2, dim=-1)
print("root mean square of the hidden state:", f"{hidden.pow(2).mean().sqrt():.2f}")
for name, state in (("before", before), ("after", after)):
    print(f"  {name} the final norm: {state.pow(2).mean().sqrt():.2f}")
assert torch.equal(embedding, target.get_input_embeddings()(newest)[:, 0])
assert torch.equal(hidden, after) and not torch.equal(hidden, before)

# %% [markdown]
# It is the state **after** the final norm, what `lm_head` reads: `hidden_states[-1]` in transformers. An engine
# that passes the layer's sum instead gives the drafter a vector of another scale than it was trained on. The
# embedding is the target's own, scaled as the target does it; the drafter's table serves its head only.

# %% [markdown]
# ## The next steps
#
# The second step needs the same two vectors, but the target has not run in between. The diagram says where each
# comes from; the cell checks it. **Predict**: at which positions do the steps of the first round stand, in
# numbers?

# %%
embedding, hidden = second["inputs_embeds"][:, -1].chunk(2, dim=-1)
draft = first["output"].logits[:, -1].argmax(-1)
print("first draft:", repr(pair.decode(draft)))
print("positions:", [int(step["position_ids"]) for step in steps[:4]])
assert torch.equal(embedding, target.get_input_embeddings()(draft))
assert torch.equal(hidden, first["output"].last_hidden_state[:, -1])

# %% [markdown]
# From its own output: the draft, and its own state, projected to the target's width. An error in either is
# carried on, which is one reason why later drafts are worse. The position stays: a draft has no keys and values,
# so there is nothing at a later position to attend to. The model was trained so.

# %% [markdown]
# ## A forward pass of our own
#
# Enough to draft from any position of the text. One target pass over the whole text gives all that is needed: by
# causal masking, a token's state and its keys and values do not depend on what comes later.

# %%
drafter.set_attn_implementation("eager")  # the others do not return attention weights
embed = target.get_input_embeddings()
window = target.config.get_text_config().sliding_window
with torch.no_grad():
    whole = target(
        input_ids=text, use_cache=False, output_hidden_states=True, return_shared_kv_states=True
    )


@torch.no_grad()
def draft_from(n, gamma=4, earliest=window):
    """Draft after the first n tokens, with what the target knew when it wrote the last of them."""
    token, hidden = text[:, n - 1 : n], whole.hidden_states[-1][:, n - 2 : n - 1]
    start = {"full_attention": 0, "sliding_attention": max(0, n - 1 - earliest)}
    kv = {kind: tuple(part[:, :, start[kind] : n - 1] for part in both)
          for kind, both in whole.shared_kv_states.items()}  # fmt: skip
    position = torch.tensor([[n - 1]], device=text.device)
    for _ in range(gamma):
        output = drafter(
            inputs_embeds=torch.cat([embed(token), hidden], dim=-1), position_ids=position,
            shared_kv_states=kv, output_attentions=True,
        )  # fmt: skip
        token, hidden = output.logits.argmax(-1), output.last_hidden_state
        yield output


# %% [markdown]
# After a wrong draft the target's text goes another way, so what it would have said to the next draft is not
# known: the cell stops there.

# %%
length = min(ids.shape[1] + 53, text.shape[1] - 5)
outputs = list(draft_from(length))
print(pair.decode(text[0, ids.shape[1] : length]), "...")
for number, output in enumerate(outputs):
    token, wanted = int(output.logits.argmax()), int(text[0, length + number])
    print(f"draft {number + 1}: {pair.decode([token])!r:12} target: {pair.decode([wanted])!r}")
    if token != wanted:
        break

# %% [markdown]
# ## How far back?
#
# A sliding layer of `pocket` has a window of 64 tokens. The target's causal mask counts the token itself: it attends
# to itself and to 63 earlier ones. The drafter's newest token has no key yet. **Predict** how many keys its sliding
# layers read when the library is given more of them than that.

# %%
(output,) = draft_from(length, gamma=1, earliest=text.shape[1])
for layer, weights in enumerate(output.attentions):
    reads = int((weights[0, 0, 0] > 0).sum())
    print(f"layer {layer}: {weights.shape[-1]} keys given, {reads} read")
kinds = drafter.config.get_text_config().layer_types
sliding = output.attentions[kinds.index("sliding_attention")][0, 0, 0]
assert int((sliding > 0).sum()) == min(window + 1, length - 1)

# %% [markdown]
# The library's mask for the drafter lets window + 1 keys through, 65 here: it counts distances from the last key,
# 0 to 64. Our loop passes exactly the last 64 keys. The target reads 63 earlier ones and its own. Each is a
# convention; whoever compares two engines must know which one each of them takes.

# %% [markdown]
# ## Where it looks
#
# In each layer several attention **heads** work side by side (not to be confused with the head that scores
# tokens). Each turns the input into a **query**, compares it with the target's **keys**, and takes the average of
# the **values**, weighted by what fits. Here are the weights of the first step; the column `earlier` is the sum
# over all tokens before those shown.

# %%
names = [pair.decode([i], skip_special_tokens=False) for i in text[0, : length - 1].tolist()]


def attention(output):
    return plots.plot_attention([layer[0, :, 0] for layer in output.attentions], kinds, names)


plots.show_figure(attention(outputs[0]))

# %% [markdown]
# In the second step the newest token is a draft: same keys, same position, same colours, other queries.
# **Predict**: do the heads of the full layer look somewhere else?

# %%
plots.show_figure(attention(outputs[1]))

# %% [markdown]
# Some rows may have nearly everything in `earlier`. Which token does each head of the full layer read most?

# %%
for head, weights in enumerate(outputs[1].attentions[-1][0, :, 0]):
    at = int(weights.argmax())
    print(f"head {head}: {float(weights.max()):.0%} to {names[at]!r}, token {at}")

# %% [markdown]
# A head that looks at the start of the text, or at a control token such as `<|turn>`, often just parks its
# attention there: the weights must sum to 1, and it has nothing to add. Do not read meaning into every dark field.

# %% [markdown]
# ## Which tokens are scored
#
# A centroid head scores clusters of tokens first, then only the tokens in the best clusters. The target's token
# can be drafted only if its cluster is among them. **Predict**: in what share of the positions is it?
# (12B and larger pairs have dense heads, which score every token: the cells print nothing.)

# %%
head = drafter.masked_embedding
scores = []
if head is not None:
    hook = head.centroids.register_forward_hook(lambda module, args, output: scores.append(output))
    for n in range(ids.shape[1] + 1, text.shape[1]):
        list(draft_from(n, gamma=1))
    hook.remove()

# %% [markdown]
# `token_ordering` lists all tokens, cluster after cluster. So a token's cluster is its index in that list, divided
# by the size of a cluster; its rank is the number of clusters that score higher.

# %%
if head is not None:
    cluster = head.token_ordering.long().argsort() // head.vocab_size_per_centroid
    own = cluster[text[0, ids.shape[1] + 1 :]]
    rows = torch.cat(scores)[:, 0]
    ranks = (rows > rows.gather(1, own[:, None])).sum(1)
    k = head.centroid_intermediate_top_k
    found = (ranks < k).double().mean()
    print(f"{found:.0%} of {len(ranks)} tokens are in one of the best {k} clusters")

# %%
if head is not None:
    sizes = [2**n for n in range(head.num_centroids.bit_length())]
    lines = {
        "target's tokens that can be drafted": {
            k: float((ranks < k).double().mean()) for k in sizes
        },
        "share of the vocabulary that is scored": {k: k / head.num_centroids for k in sizes},
    }
    ax = plots.lines_chart(lines, f"clusters searched, of {sizes[-1]} (log scale)", "share")
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, sizes)
    ax.axvline(k, color="black", linestyle=":")
    ax.legend(frameon=False, loc="center left")
    ax.set_title(f"{k} clusters (dotted) hold {found:.0%} of the target's tokens, "
                 f"{k / head.num_centroids:.0%} of the vocabulary", fontsize=10)  # fmt: skip
    plots.show_figure(ax)

# %% [markdown]
# What that saves, exercise 1 lets you count.

# %% [markdown]
# ## Take a part away
#
# A hook can also change what goes in. This one sets the hidden state to zero in every step, and `generate()` runs
# as before. **Predict**: what happens to the text, and to the number of target passes?


# %%
def no_hidden_state(module, args, kwargs):
    embedding, hidden = kwargs["inputs_embeds"].chunk(2, dim=-1)
    return args, kwargs | {"inputs_embeds": torch.cat([embedding, 0 * hidden], dim=-1)}


def passes():
    count = []
    hook = target.register_forward_hook(lambda *given: count.append(1))
    written = target.generate(
        ids, attention_mask=torch.ones_like(ids), assistant_model=drafter,
        max_new_tokens=48, do_sample=False,
    )  # fmt: skip
    hook.remove()
    return written, len(count)


# %%
good, n_good = passes()
hook = drafter.register_forward_pre_hook(no_hidden_state, with_kwargs=True)
bad, n_bad = passes()
hook.remove()
print("same text:", torch.equal(good, bad))
print("target passes:", n_good, "whole,", n_bad, "without the hidden state")
assert torch.equal(good, bad) or target.dtype.itemsize == 2
assert n_bad > n_good

# %% [markdown]
# The target decides every token, so the text stays; only time is lost. `ablate` does such things in turn: four
# stories, four drafts from every position of them. **Predict** for each whether it hurts the first draft, the
# fourth, both or none:
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
# Four drafts from one position are a *chain*; `n` counts them. Each number is the share of chains in which that
# draft **and all before it** are what the target writes. So their sum is the mean number of drafts kept.

# %%
plots.show_figure(plots.plot_ablations(results))

# %% [markdown]
# ## What hurts, and where
#
# A warning first. The drafter was never trained without these parts: zeros instead of a state, or of one layer's
# values, are **out of distribution** for it. The numbers tell how much *this* drafter relies on a part, not how
# good one would be that was trained without it. To know that, train it (lesson 11).

# %%
by_part = {result.part: result for result in results}
whole_kept = by_part["as is"].kept
for part in ("no hidden state", "hidden state not fed back"):
    kept = by_part[part].kept
    print(
        f"{part}: first draft {kept[0] - whole_kept[0]:+.0%}, fourth {kept[3] - whole_kept[3]:+.0%}"
    )
assert by_part["hidden state not fed back"].kept[0] == whole_kept[0]
assert by_part["hidden state not fed back"].kept[3] < whole_kept[3]

# %% [markdown]
# Without the hidden state already the first draft suffers: keys and values say what was, the state says what
# the target was about to say. If only the feeding back is cut, the first draft is untouched, and each later
# one sees a state that is too old.

# %% [markdown]
# Shuffled **together**, keys and values do no harm: attention is a sum, and a sum has no order. The order of the
# text is inside the keys: the target rotated each by angles that grow with its position (rotary position
# embedding). Shuffled **apart**, each key points to a wrong value.

# %%
mean = {part: result.mean_kept for part, result in by_part.items()}
together, apart = "keys and values shuffled together", "values shuffled alone"
print(f"drafts kept: {mean['as is']:.2f}, {mean[together]:.2f} together, {mean[apart]:.2f} apart")
assert abs(mean[together] - mean["as is"]) < 0.05 and mean[apart] < mean["as is"]

# %% [markdown]
# Which KV is worth more? The two rows do not say. Three of four layers read the sliding one and only one the full
# one, so zeros there disturb more layers; and with a text of some 80 tokens a window of 64 holds nearly all of it.
# On long texts, where only the full layer sees the beginning, measure again.

# %%
kept = {part: f"{mean[part]:.2f}" for part in ("as is", "sliding KV alone", "full KV alone")}
print("drafts kept:", kept)
print(
    "moved positions:", f"{mean['advancing positions']:.2f}", "dense:", f"{mean['dense head']:.2f}"
)
assert by_part["advancing positions"].kept[0] == whole_kept[0]

# %% [markdown]
# Positions that advance leave the first draft alone, and move the others by three at most: the drafter never saw
# that in training either. And if a dense head keeps no more drafts than the centroid head, the clusters almost
# never miss the token that would have won.

# %% [markdown]
# ## What the library leaves in the KV
#
# After a rejection, rejected drafts have keys and values, too. They must go before the next round. `steps` holds
# what the library gave its drafter, so count: the newest token, at position P, has no key, so a full layer may
# see P keys. **Predict**: how many does it get in a round after a rejection?

# %%
starts = [0] + [i for i in range(1, len(steps))
                if not torch.equal(steps[i]["position_ids"], steps[i - 1]["position_ids"])]  # fmt: skip
extra = [steps[i]["shared_kv_states"]["full_attention"][0].shape[2]
         - int(steps[i]["position_ids"]) for i in starts]  # fmt: skip
print("keys beyond P, round by round:", extra)
assert extra[0] == 0

# %% [markdown]
# A 1 is the key of a rejected draft: transformers 5.20 to 5.24.0 cut at the length of the text, one more than the
# newest token's position. In a sliding layer past its window up to all rejected ones stay. The text does not
# change, but the drafter attends to a token that is not in it. Our loop cuts from the end, by the number of
# rejected drafts; lesson 03 compared the two.

# %% [markdown]
# ## Change this
#
# Take another `length` and look again: which heads stay where they are, and which follow the text? Then take a
# part away for a text that is easy to guess.

# %%
(easy,) = ablate(pair, ["Count from 7 to 24."], ["no hidden state"], gamma=4, max_new_tokens=64)
print(f"counting without hidden state: {easy.mean_kept:.2f} kept, whole: {sum(easy.as_is):.2f}")

# %% [markdown]
# ## Takeaways
#
# 1. A draft is made of the newest token's embedding, one hidden state after the final norm, and the target's keys
#    and values of two layers; position and KV stay the same for the whole round.
# 2. Later drafts depend on the drafter's own state: where it is not fed back, only the first one is as good.
# 3. The centroid head scores a small part of the vocabulary and loses next to nothing, as you can count.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) How many times fewer scores does a centroid head compute than a dense one? All clusters
# have the same size. Try it with E2B: 262,144 tokens, 2,048 centroids, 32 searched.
#
# <details><summary>Hint</summary>It scores each cluster once, and then the tokens of the best ones.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def times_less_work(vocabulary, centroids, top_k):
    return None  # your code


check("times_less_work", times_less_work)

# %% [markdown]
# **2.** (medium, 15 minutes) Write the head. `state` `[hidden]` comes from the last layer, `centroids`
# `[clusters, hidden]` has a row for each cluster, `table` `[vocabulary, hidden]` one for each token, and
# `token_ordering` `[vocabulary]` lists the tokens, cluster after cluster. Scores are dot products. Search
# `top_k` clusters; return the id of the draft.
#
# <details><summary>Hint</summary>Give <code>token_ordering</code> a row for each cluster
# (<code>view</code>). Then <code>topk</code>, and an argmax that says where among the candidates, not
# which token.</details>


# %% tags=["nbval-check-output"]
def centroid_head(state, centroids, token_ordering, table, top_k):
    return None  # your code


check("centroid_head", centroid_head)

# %% [markdown]
# ## Sources
#
# - transformers 5.24.0, `Gemma4AssistantForCausalLM` and `SinglePositionMultiTokenCandidateGenerator`
# - [transformers documentation of gemma4_assistant](https://huggingface.co/docs/transformers/model_doc/gemma4_assistant)
# - vllm-project/recipes, Google/Gemma4.md (which drafters have centroids; it rounds the saving to 45 times);
#   2,048 clusters and 32 searched are the defaults of `Gemma4AssistantConfig`
#
# [Solutions](solutions_06_inside_the_drafter.ipynb) · Next: [07 The speedup formula](07_the_speedup_formula.ipynb)
