# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/11_train_a_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F11_train_a_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/11_train_a_drafter.ipynb)

# %% [markdown]
# # 11 Train a drafter
#
# **Goal**: write a drafter's training step in plain PyTorch (mask, unroll, loss, optimizer), train two drafters from
# two starts, and see what each learns, on texts like those and on others.
#
# **Minutes**: 50. **Prerequisites**: lessons 03, 05 and 08, and what a loss and a gradient step are;
# lesson 06 helps.

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
# **How long**: 24 steps take some ten seconds on a CPU, for each of the three trainings below. They show that it
# works. Set 400 for a drafter that is worth something; that takes some minutes each.

# %%
STEPS = 24  # @param {type:"integer"}

# %%
import torch

from gemma_mtp_edu import ModelPair, load_pair, plots

pair = load_pair(PAIR)
pair.target.requires_grad_(False)  # the target is frozen: only the drafter learns
bundled = PAIR == "pocket"

# %% [markdown]
# ## What does it learn from?
#
# A drafter is right when it guesses what **this** target writes. Not what is true, not what is good style. So
# it is trained on the target's own answers.
#
# **Predict**: to guess a target's records and counts, does a drafter need millions of them?

# %%
people = ["Ida Berg", "Bolt Reyes", "Mira Okoye", "Otto Lang", "Nora Quist", "Finn Abara"]
cities = ["Lima", "Oslo", "Cairo", "Kyoto"]
records = [
    f"Write a JSON record for a person named {name} who is {20 + 3 * i + j} years old and lives in {city}."
    for i, name in enumerate(people)
    for j, city in enumerate(cities)
]
prompts = records + [f"Count from {start} to {start + 12}." for start in range(1, 25)]
print(len(prompts), "prompts, such as:", prompts[5])

# %% [markdown]
# The target answers them greedily, several at a time. Held-out prompts are answered too: the drafter is evaluated
# on those and never trained on them.

# %%
from gemma_mtp_edu.training.target_texts import evaluate_drafter, held_out_texts, target_texts

held_out_prompts = [
    "Write a JSON record for a person named Vera Novak who is 31 years old and lives in Quito.",
    "Write a JSON record for a person named Ida Stone who is 52 years old and lives in Rome.",
    "Count from 30 to 44.",
    "Count from 28 to 40.",
]
assert not set(held_out_prompts) & set(prompts)
texts = target_texts(pair, prompts, max_new_tokens=40, batch_size=16 if bundled else 2)
held_out = held_out_texts(pair, held_out_prompts, max_new_tokens=40)

# %% [markdown]
# Read one before you train on its like. A target that writes nonsense has a drafter that guesses nonsense.

# %%
print(held_out[0].text)
print(sum(int(batch.is_answer.sum()) for batch in texts), "answer tokens to learn from")

# %% [markdown]
# ## Two starts
#
# A new drafter's sizes are ours, but for three that the target dictates: the vocabulary, the width of the hidden
# state that it gets, and the size of the KV heads that it reads. Its start values are ours as well.

# %% [markdown]
# `new_drafter` does not begin from nothing: where the widths agree it copies the target's embedding table, and
# its centroid head gets clusters of that table (k-means, so that like tokens share one).
#
# For comparison, a second drafter: the same, but table, clusters and centroids are random.

# %%
from gemma_mtp_edu.training.new_drafter import DrafterShape, new_drafter

# For a real pair like E2B's own drafter: 78M parameters, 2,048 centroids, of which 32 are searched.
real = {"hidden_size": 256, "intermediate_size": 2048, "centroids": 2048, "top_centroids": 32}
shape = DrafterShape() if bundled else DrafterShape(**real)


@torch.no_grad()
def new(start):
    drafter = new_drafter(pair.target, shape)
    if start == "random":
        torch.manual_seed(1)
        table, head = drafter.model.embed_tokens.weight, drafter.masked_embedding
        for weight in (table, head.centroids.weight):
            weight.normal_(std=shape.hidden_size**-0.5)
        head.token_ordering.copy_(torch.randperm(len(head.token_ordering)))
    return ModelPair(pair.target, drafter, processor=pair.processor, name=start)


fresh = {start: new(start) for start in ("copied", "random")}

# %%
drafter = fresh["copied"].drafter
table, whole = drafter.lm_head.weight, sum(p.numel() for p in drafter.parameters())
same_width = table.shape[1] == pair.target.get_input_embeddings().weight.shape[1]
print(f"{whole:,} numbers, {table.numel() if same_width else 0:,} of them the target's table")

# %% [markdown]
# **Predict** the acceptance of both, before a single step.

# %% tags=["nbval-check-output"]
before = {
    start: evaluate_drafter(models, held_out, 4).acceptance for start, models in fresh.items()
}
for start, acceptance in before.items():
    print(f"{start}: accepted before training: {acceptance:.0%}")
assert max(before.values()) < 0.05

# %% [markdown]
# ## What the target gives
#
# One pass of the frozen target over a text gives all that a drafter ever gets of it: the last hidden state (after
# the final norm), the shared keys and values, and, as the thing to learn, the target's distribution of the next
# token, at every position.

# %%
KEPT = {}  # the target is frozen, so its part need not be made twice where memory allows


@torch.no_grad()
def given(batch):
    if id(batch) in KEPT:
        return KEPT[id(batch)]
    ids, how = batch.input_ids.to(pair.device), {"use_cache": False, "output_hidden_states": True}
    out = pair.target(ids, return_shared_kv_states=True, **how)
    kv = {kind: (k.float(), v.float()) for kind, (k, v) in out.shared_kv_states.items()}
    result = out.hidden_states[-1].float(), out.logits.float().softmax(-1), kv
    if bundled:
        KEPT[id(batch)] = result
    return result


hidden, probs, kv = given(texts[0])
print(
    "hidden", *hidden.shape, "| distributions", *probs.shape, "| KV", *kv["full_attention"][0].shape
)

# %% [markdown]
# ## The mask
#
# In a run a draft is made when the target has passed all tokens **before** the newest one. Here one pass has made
# the keys and values of the whole text. **Predict**: with the newest token at position `i`, which keys `j` must
# be hidden, in a full and in a sliding layer? Draw it for 6 tokens before you look.

# %%
WINDOW = pair.target.config.get_text_config().sliding_window


def seen(length, window):
    """Return who sees what, `[newest, key]`, by attention type; drafts start after tokens 1, 2, ..."""
    newest, key = torch.arange(1, length)[:, None], torch.arange(length)[None]
    before = key < newest  # its own keys and values do not exist yet
    return {"full_attention": before, "sliding_attention": before & (key >= newest - window)}


# %%
from matplotlib import pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained", sharey=True)
for ax, (kind, mask) in zip(panels, seen(12, window=4).items(), strict=True):
    ax.imshow(mask, cmap="Greys", extent=(-0.5, 11.5, 11.5, 0.5))
    ax.set(title=kind.replace("_", " "), xlabel="position of the key", ylabel="of the newest token")
figure.suptitle("Black is seen: only keys before the newest token, and 4 of them in the window")
alt = "Two matrices, newest token by key. Full: all keys below the diagonal. Sliding: the last 4 of them."
plots.show_figure(figure, alt)

# %% [markdown]
# With the diagonal the drafter would learn from a token's own keys and values, which no run has. It would look
# brilliant in training and fail in use. Attention adds the mask to its scores, so what is hidden gets a huge
# negative number.


# %%
def additive(masks, first):
    """Return masks `[1, 1, newest, key]` for drafts after `first` and later tokens."""
    hide = torch.tensor(torch.finfo(torch.float32).min)
    rows = {kind: torch.where(mask[first - 1 :], 0.0, hide) for kind, mask in masks.items()}
    return {kind: row[None, None].to(pair.device) for kind, row in rows.items()}


# %% [markdown]
# ## The unroll
#
# Drafts start after **every** answer token at once, four steps deep. Two things are as in a run: the position stays
# that of the newest token, and each step gets the drafter's own state of the step before. One is not: the tokens are
# the text's own (**teacher forcing**), as if all drafts so far had been right. **Predict**: why is that right here,
# where it is a weakness elsewhere?


# %%
def unroll(drafter, batch, depth=4):
    """Yield of each draft step the states that score tokens, and the target's distribution."""
    ids, is_answer = batch.input_ids.to(pair.device), batch.is_answer.to(pair.device)
    (hidden, probs, kv), length = given(batch), ids.shape[1]
    first = int(is_answer.any(dim=0).int().argmax())  # prompts only: nothing to draft
    newest = torch.arange(first, length, device=ids.device).expand(len(ids), -1)
    hidden = hidden[:, first - 1 : -1]  # the state that predicted the newest stands one before it
    masks = additive(seen(length, WINDOW), first)
    for step in range(depth):
        at = (newest + step).clamp(max=length - 1)
        embeds = pair.target.get_input_embeddings()(ids.gather(1, at)).float()
        states = drafter.model(
            inputs_embeds=drafter.pre_projection(torch.cat([embeds, hidden], dim=-1)),
            attention_mask=masks, position_ids=newest, shared_kv_states=kv, use_cache=False,
            logits_to_keep=torch.tensor(0),  # all rows; an int fails in transformers 5.24.0
        ).last_hidden_state  # fmt: skip
        hidden = drafter.post_projection(states)
        following = (newest + step + 1).clamp(max=length - 1)
        counts = is_answer.gather(1, newest) & is_answer.gather(1, following)
        counts &= newest + step + 1 < length
        yield states[counts], probs.take_along_dim(at[:, :, None], 1)[counts]


# %% [markdown]
# A later draft counts only if the earlier ones were right, so a right past is the one that matters.
#
# ## The loss
#
# The cross-entropy of the drafter's distribution against the target's, over the whole vocabulary. A centroid head
# chooses its clusters by a top-k, which has no gradient; so the centroids are trained beside it, to give each
# cluster the probability of its tokens together.


# %%
def loss_of(drafter, states, probs):
    logits = drafter.lm_head(states)
    tokens = -(probs * logits.log_softmax(-1)).sum(-1).mean()
    head = drafter.masked_embedding
    of_clusters = probs[:, head.token_ordering.view(head.num_centroids, -1)].sum(-1)
    clusters = -(of_clusters * head.centroids(states).log_softmax(-1)).sum(-1).mean()
    return tokens + 0.5 * clusters


def batch_loss(drafter, batch):
    return torch.stack([loss_of(drafter, *step) for step in unroll(drafter, batch)]).mean()


# %% [markdown]
# **Predict** the first term of an untrained drafter, in nats, where it knows nothing of 2,048 tokens. And where its
# table is the target's?

# %%
import math

vocabulary = pair.target.config.get_text_config().vocab_size
print(f"ln({vocabulary}) = {math.log(vocabulary):.2f}")
for start, models in fresh.items():
    states, target_probs = next(unroll(models.drafter, texts[0]))
    with torch.no_grad():
        logits = models.drafter.lm_head(states)
    print(f"{start}: {-(target_probs * logits.log_softmax(-1)).sum(-1).mean():.2f}")

# %% [markdown]
# More than the logarithm is worse than knowing nothing: the copied table gives large logits, so the drafter is
# sure of the wrong tokens. The package has the same loss. It must: here are both, for one batch and one start.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.training import Plan, train

mine = batch_loss(new("copied").drafter, texts[0]).item()
theirs = train(new("copied"), texts[:1], Plan(steps=1)).evaluations[-1].loss
print("the package's loss is the same:", math.isclose(mine, theirs, rel_tol=1e-4))
assert math.isclose(mine, theirs, rel_tol=1e-4)

# %% [markdown]
# ## Does it fit?
#
# Distributions over the vocabulary outweigh the model. Every token has one from the target. For each answer token
# and each draft step there are four arrays of that size: the logits, their log probabilities, and a gradient of
# each. With a real pair every one of them holds 262,144 numbers.

# %%
largest = max(texts, key=lambda batch: batch.input_ids.numel())
tokens, answers = largest.input_ids.numel(), int(largest.is_answer.sum())
float32 = 4  # bytes
needs = {
    "target's weights": sum(p.numel() * p.element_size() for p in pair.target.parameters()),
    "drafter, gradients, 2 x AdamW": float32 * 4 * whole,
    "2 snapshots (start, best)": float32 * 2 * whole,
    "target's distributions": float32 * tokens * vocabulary,
    "drafter's distributions": float32 * 4 * answers * 4 * vocabulary,
}
for what, size in {**needs, "together, at least": sum(needs.values())}.items():
    print(f"{what:30} {size / 1e9:8.2f} GB")

# %% [markdown]
# The snapshots are those of the package's `train`, which gives the drafter back as it was after an interrupt, and
# keeps the best evaluation's weights. Our loop makes none.
#
# ## One step
#
# Loss, gradient, a bound on the gradient's size, and AdamW. The learning rate rises at first and falls at the end.


# %%
def train_step(drafter, optimizer, batch, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = batch_loss(drafter, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(drafter.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def fit(models, batches, steps, held_out, rate=3e-3):
    """Train in place; return the held-out acceptance by step."""
    curve = {0: evaluate_drafter(models, held_out, 4).acceptance}
    settings = {"betas": (0.9, 0.98), "weight_decay": 0.0}
    optimizer = torch.optim.AdamW(models.drafter.parameters(), **settings)
    for step in range(1, steps + 1):
        factor = min(1, step / 10, 3 * (steps - step + 1) / steps)
        train_step(models.drafter, optimizer, batches[step % len(batches)], rate * factor)
        if step % max(1, steps // 3) == 0:
            curve[step] = evaluate_drafter(models, held_out, 4).acceptance
    return curve


# %% [markdown]
# **Predict**: does the copied table help, and by how much, after these steps?

# %%
trained = {start: new(start) for start in fresh}
curves = {start: fit(models, texts, STEPS, held_out) for start, models in trained.items()}
for start, curve in curves.items():
    print(f"{start}:", ", ".join(f"{value:.0%} after {step}" for step, value in curve.items()))

# %%
after = {start: evaluate_drafter(models, held_out, 4) for start, models in trained.items()}
own = {"the drafter that came with the pair": evaluate_drafter(pair, held_out, 4).acceptance}
ax = plots.lines_chart(curves, "training step", "held-out acceptance", own)
ax.set_title(f"After {STEPS} steps: {after['copied'].acceptance:.0%} copied, "
             f"{after['random'].acceptance:.0%} random")  # fmt: skip
plots.show_figure(ax)

# %% [markdown]
# Both begin at 0: a copied table is no skill yet. Is the copied table ahead, by more than four texts can show? In
# the stored run the random one was. It depends on steps and optimizer; so compare with a random start before you
# praise a training. A real E2B drafter is narrower than its target (256 against 1,536) and has no table to copy.

# %% [markdown]
# The dotted line had many more steps and texts, and the same loss. 48 answers and a few steps already took it from
# 0% to what you see; `STEPS = 400` shows how much of the rest is steps, not texts.

# %% tags=["nbval-check-output"]
learned = after["copied"]
print("acceptance rose:", learned.acceptance > before["copied"] + 0.2)
print("no target weight has a gradient:", all(p.grad is None for p in pair.target.parameters()))
assert learned.acceptance > before["copied"] + 0.2

# %% [markdown]
# ## What was memorised?
#
# **Predict**: evaluated on texts that it was trained on, is its acceptance higher, and by how much?

# %%
trained_on = held_out_texts(pair, [*records[:2], *prompts[-2:]], max_new_tokens=40)
known = evaluate_drafter(trained["copied"], trained_on, 4)
print(
    f"accepted: {known.acceptance:.0%} of training texts, {learned.acceptance:.0%} of held-out ones"
)

# %% [markdown]
# Much of what is between the two was memorised; the rest is that the held-out prompts have new cities, and counts
# that begin beyond 24. The held-out number counts, for nothing in it was trained on.

# %% [markdown]
# ## The library runs it
#
# A drafter that only our own loop could run would prove little. So save it, load it as any other, and give it to
# transformers' own `generate(assistant_model=...)`.

# %% tags=["nbval-check-output"]
import tempfile

from transformers import AutoModelForCausalLM

folder = tempfile.mkdtemp()
trained["copied"].drafter.save_pretrained(folder)
saved = AutoModelForCausalLM.from_pretrained(folder, dtype=pair.target.dtype).to(pair.device)
saved.generation_config.num_assistant_tokens = 4
ids = pair.encode("Count from 7 to 19.")
how = {"max_new_tokens": 40, "do_sample": False, "attention_mask": torch.ones_like(ids)}
plain = pair.target.generate(ids, **how)
assisted = pair.target.generate(ids, assistant_model=saved, **how)
print("the same text:", assisted.tolist() == plain.tolist())
# 16 bit rounds: there a tie may fall the other way (lesson 05).
assert assisted.tolist() == plain.tolist() or pair.target.dtype.itemsize < 4

# %% [markdown]
# ## Texts that it has not seen
#
# It knows records and counts. **Predict** what becomes of acceptance, and of the text, when you ask for code.

# %%
code = ["Write a Python function that returns the sum of two numbers.",
        "Write a Python function that counts the vowels in a text.",
        "Write a Python function that returns the largest of three numbers."]  # fmt: skip
held_out_code = held_out_texts(pair, code, max_new_tokens=40)
shifted = evaluate_drafter(trained["copied"], held_out_code, 4)
print(f"code accepted: {shifted.acceptance:.0%}, {shifted.tokens_per_round:.2f} tokens per round")

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import speculative_generate

drafted = speculative_generate(trained["copied"], code[0], gamma=4, max_new_tokens=40)
print("the text is still right:", drafted.token_ids == held_out_code[0].token_ids)
print("acceptance is lower:", shifted.acceptance < learned.acceptance)
assert drafted.token_ids == held_out_code[0].token_ids or pair.target.dtype.itemsize < 4

# %% [markdown]
# Outside its training data a drafter costs time; the text stays the target's. More training on texts of the new
# kind, mixed with the old ones, should help. **Predict**: how far back up does it come with as many steps again,
# and what happens to records and counts?

# %%
import copy

values = ["sum", "product", "difference", "average", "minimum", "maximum"]
inputs = ["two numbers", "three numbers", "a list of numbers"]
functions = [
    f"Write a Python function that returns the {v} of {i}." for v in values for i in inputs
]
functions = [prompt for prompt in functions if prompt not in code]
code_texts = target_texts(pair, functions, max_new_tokens=40, batch_size=9 if bundled else 2)
again = copy.deepcopy(trained["copied"].drafter)
wider = ModelPair(pair.target, again, processor=pair.processor, name="wider")
second = fit(wider, texts + code_texts, STEPS, held_out_code)

# %%
remembered = evaluate_drafter(wider, held_out, 4).acceptance
repaired = evaluate_drafter(wider, held_out_code, 4).acceptance
came = evaluate_drafter(pair, held_out_code, 4).acceptance
lines = {"records and counts, first training": curves["copied"], "code, second training": second}
across = {"code, the drafter that came with the pair": came}
ax = plots.lines_chart(lines, "step of its training", "held-out acceptance", across)
ax.set_title(f"Code: {shifted.acceptance:.0%} before, {repaired:.0%} after; pair's own {came:.0%}")
plots.show_figure(ax)
print(f"records and counts: {learned.acceptance:.0%} before, {remembered:.0%} now")

# %% [markdown]
# Each line is evaluated on held-out texts of its own kind. More training on the new kind gets *some* of the loss
# back, not all: two of the five batches are code, and 17 functions show little of what code can be. How far `STEPS
# = 400` gets takes some minutes to find out.

# %% tags=["nbval-check-output"]
print("acceptance of code rose:", repaired > shifted.acceptance)
assert repaired > shifted.acceptance

# %% [markdown]
# ## Change this
#
# All of it is in this notebook, so change it, run `fit` on `new("copied")` again and compare:
#
# - in `seen`, `key <= newest`: what do training loss and held-out acceptance say?
# - in `unroll`, `position_ids=at`: advancing positions, which no run has; or `depth=1`
# - in `loss_of`, leave the clusters out; or train on the target's argmax alone
# - `DrafterShape(layers=2)`: half the layers. Does acceptance fall by half?

# %% [markdown]
# The package's `train` is this loop with what long runs need: Muon beside AdamW, checkpoints to go on from, early
# stopping, several GPUs. The drafter that came with `pocket` was made with it.

# %% [markdown]
# ## Takeaways
#
# 1. A drafter is taught the target's distribution on the target's own texts; the target stays as it is.
# 2. It must be trained with what it will see in a run: earlier KV only, one position, its own state fed back.
# 3. On texts of another kind acceptance falls, the text stays right; a few steps more get part of it back. Held-out
#    texts and a second start tell what was learned and what was given.

# %% [markdown]
# ## Exercises
#
# **1.** (hard, 15 minutes) Sampling accepts a draft with probability `sum(min(p, q))` (lesson 05). Make the chance
# of a **rejection** a loss: from the target's `probs` and the drafter's `logits`, both `[n, vocab]`, return `n`
# numbers that a gradient can go through. Then train with its mean in `loss_of`. Why does it start slowly from the
# random start?
#
# <details><summary>Hint</summary>q is a softmax. For the last question look at the gradient where p and q
# have nothing in common.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def acceptance_loss(probs, logits):
    return None  # your code


check("acceptance_loss", acceptance_loss)

# %% [markdown]
# **2.** (medium, 8 minutes) A training reports, for each draft step, how often the draft is right after right ones,
# such as `[0.9, 0.8, 0.7, 0.6]`. How many tokens does a round write on average?
#
# <details><summary>Hint</summary>The third draft is kept only if the first two are. And what does every
# round write, even if no draft is right?</details>

# %% tags=["nbval-check-output"]


def tokens_of(agreement):
    return None  # your code


check("round_tokens", tokens_of)

# %% [markdown]
# ## Sources
#
# - Zhou et al. 2023, DistillSpec, [arXiv:2310.08461](https://arxiv.org/abs/2310.08461): on-policy texts, and losses
# - Leviathan et al. 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), corollary 3.6: acceptance from the
#   two distributions
# - transformers, `Gemma4AssistantForCausalLM` and `Gemma4AssistantMaskedEmbedder`
#
# [Solutions](solutions_11_train_a_drafter.ipynb) · Next: [12 Real checkpoints](12_real_checkpoints.ipynb)
