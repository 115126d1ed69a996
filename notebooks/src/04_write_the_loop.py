# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/04_write_the_loop.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F04_write_the_loop.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/04_write_the_loop.ipynb)

# %% [markdown]
# # 04 Write the loop
#
# **Goal**: write the greedy loop yourself, with the true Gemma 4 drafter, and show that it gives what the
# package and the library give.
#
# **Minutes**: 35. **Prerequisites**: lesson 03.

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
from gemma_mtp_edu.core import CachedModel, MTPDrafter

pair = load_pair(PAIR)
prompt = "Count from 7 to 12."
ids = pair.encode(prompt)

# %% [markdown]
# ## The parts
#
# Two small objects do the bookkeeping. `CachedModel` holds the large model and its KV cache (keys and values of the
# text so far): `prefill`, `verify`, `crop`, and `state_after`, which gives the drafter a hidden state (one row of
# the last pass) and the keys and values. `MTPDrafter` makes one draft `step`. Everything else is yours.

# %% [markdown]
# ## Step 1: prefill
#
# The target reads the prompt. The last row of its **logits** (a score for each token of the vocabulary) gives
# the first token. `prefill` returns that row only.

# %%
target = CachedModel(pair.target, shares_state=True)
with torch.no_grad():
    output = target.prefill(ids)
newest = output.logits[-1:].argmax(-1, keepdim=True)
print("first token:", repr(pair.decode(newest[0])), "- tokens in the cache:", target.length)

# %% [markdown]
# The new token is **not** in the cache: no model has passed it yet. We call it the *newest* token.
#
# ## Step 2: draft
#
# The drafter has no cache. It gets the newest token, the hidden state that predicted it, and the target's
# keys and values. Each step returns a state for the head and one for the next step.

# %%
drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())


@torch.no_grad()
def draft(newest, state, length, gamma):
    position = torch.tensor([[length]], device=newest.device)  # the same for all drafts
    hidden, drafts = state.hidden, []
    for _ in range(gamma):
        states, hidden = drafter.step(newest, hidden, position, state.shared_kv)
        scores, candidates = drafter.score(states[0])
        best = scores.argmax()
        newest = (best if candidates is None else candidates[0, best]).view(1, 1)
        drafts.append(newest)
    return torch.cat(drafts, dim=1)


# %% [markdown]
# `position` stays that of the newest token: drafts leave no keys and values, so what the drafter attends to
# does not grow. `candidates` is lesson 02's centroid head: the scores of the tokens in the best clusters, and
# their ids (None where the whole vocabulary was scored). `prefill` returned one row, so the state to hand over
# is that of row 0.


# %%
state = target.state_after(output, row=0, n_rejected=0)
drafts = draft(newest, state, target.length, gamma=4)
print([pair.decode([t]) for t in drafts[0].tolist()])

# %% [markdown]
# ## Step 3: verify
#
# One pass over the newest token and the four drafts. **Predict**: how many rows of logits come back, and
# which token does the last row predict?

# %%
with torch.no_grad():
    output = target.verify(torch.cat([newest, drafts], dim=1))
wanted = output.logits.argmax(-1)
print("drafts:", drafts[0].tolist())
print("target:", wanted.tolist())
assert len(wanted) == drafts.shape[1] + 1

# %% [markdown]
# Row 0 says what should follow the newest token, so it judges draft 0. The last row follows all drafts: that
# is where the bonus token comes from.

# %% [markdown]
# ## Your rule
#
# Which drafts are kept, and which token does the target add? Write it for plain lists. `drafts` has gamma
# token ids, `wanted` has one more.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def my_rule(drafts, wanted):
    """Return (n_accepted, next_id)."""
    return None  # your code


check("greedy_round", my_rule)

# %% [markdown]
# <details><summary>Hint</summary>Walk through the drafts until one differs from what the target wanted at
# the same place. The target's token at that place is <code>next_id</code>, also when none
# differs.</details>
#
# The rest of the lesson uses the package's rule where yours is not written yet.

# %%
from gemma_mtp_edu.core import verify_greedy


def rule(drafts, wanted):
    verdict = verify_greedy(torch.tensor(wanted), torch.tensor(drafts, dtype=torch.long))
    return my_rule(drafts, wanted) or (verdict.n_accepted, verdict.next_id)


# %% tags=["nbval-check-output"]
n_accepted, next_id = rule(drafts[0].tolist(), wanted.tolist())
print("accepted:", n_accepted, "- the target adds", repr(pair.decode([next_id])))

# %% [markdown]
# ## Step 4: crop
#
# The cache now holds the newest token and **all** drafts. Rejected ones must go, or the next pass would
# attend to a text that was never written. The same holds for what the drafter gets next.

# %%
n_rejected = drafts.shape[1] - n_accepted
before = target.length
target.crop(n_rejected)
state = target.state_after(output, n_accepted, n_rejected)
print(before, "entries, without rejected ones", target.length)
assert target.length == ids.shape[1] + 1 + n_accepted

# %% [markdown]
# Why `n_accepted` in `state_after`? Row `n_accepted` of the pass predicted the token that is now the newest
# one, and the drafter wants exactly that hidden state.

# %% [markdown]
# ## All together
#
# Here is the round as one function. `written` is what the round **commits**, that is, adds to the text for
# good. `row` is for an experiment below; leave it alone for now.


# %%
@torch.no_grad()
def one_round(target, newest, state, gamma, row=None):
    drafts = draft(newest, state, target.length, gamma)
    output = target.verify(torch.cat([newest, drafts], dim=1))
    n_accepted, next_id = rule(drafts[0].tolist(), output.logits.argmax(-1).tolist())
    target.crop(gamma - n_accepted)
    state = target.state_after(output, n_accepted if row is None else row, gamma - n_accepted)
    written = [*drafts[0, :n_accepted].tolist(), next_id]
    return written, torch.tensor([[next_id]], device=newest.device), state


# %% [markdown]
# A loop around it writes the text: prefill once, then round after round.


# %%
@torch.no_grad()
def some_rounds(prompt, n_rounds, gamma=4, row=None):
    target = CachedModel(pair.target, shares_state=True)
    output = target.prefill(pair.encode(prompt))
    newest = output.logits[-1:].argmax(-1, keepdim=True)
    state, chunks = target.state_after(output, 0, 0), [newest[0].tolist()]
    for _ in range(n_rounds):
        written, newest, state = one_round(target, newest, state, gamma, row)
        chunks.append(written)
    return chunks


# %% tags=["nbval-check-output"]
chunks = some_rounds(prompt, n_rounds=3)
for chunk in chunks:
    print("tokens:", len(chunk), repr(pair.decode(chunk)))

# %% [markdown]
# ## Equal to the package and to the library?
#
# Twelve rounds write more than the whole text: your loop does not know yet where to stop (exercise 1), so
# the comparison ends where the text does. The library's `generate()` runs twice, without the drafter and
# with it.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import autoregressive_generate, reference_generate, speculative_generate

ours = speculative_generate(pair, prompt, gamma=4, max_new_tokens=64).token_ids
plain = autoregressive_generate(pair, prompt, max_new_tokens=64).token_ids
text = [token for chunk in some_rounds(prompt, n_rounds=12) for token in chunk]
length = min(len(text), len(plain))
print("the loop above:", tuple(text[:length]) == plain[:length])
print("the package:   ", ours == plain)
assert tuple(text[:length]) == plain[:length] or PAIR != "pocket"

# %% tags=["nbval-check-output"]
generated = pair.target.generate(
    ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False
)
assisted = reference_generate(pair, prompt, gamma=4, max_new_tokens=64).token_ids
print("generate():    ", tuple(generated[0, ids.shape[1] :].tolist()) == ours)
print("with drafter:  ", assisted == ours)

# %% [markdown]
# ## The loop you can hand to transformers
#
# The package's loop also runs behind `generate()`. Compared with the tutorial's call, one argument
# changes: `assistant_model=` becomes `custom_generate=` with the drafter under a name of its own.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.analysis import draft_and_verify

inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
output = pair.target.generate(
    **inputs, custom_generate=draft_and_verify, drafter=pair.drafter, max_new_tokens=64,
    do_sample=False,
)  # fmt: skip
print(pair.decode(output[0, ids.shape[1] :]))

# %% [markdown]
# ## The picture
#
# The rounds of your text, as the package recorded them. Look at the last one: the text ends at an accepted
# draft, so the target adds nothing. Exercise 1 needs that.

# %%
from gemma_mtp_edu import plots

trace = speculative_generate(pair, prompt, gamma=4, max_new_tokens=64)
plots.show_figure(plots.plot_rounds(trace, count=6))

# %% [markdown]
# ## Change this
#
# Give the drafter the wrong hidden state: that of row 0, in every round. **Predict**: do more or fewer drafts
# hold? Does the text change?

# %%
story = "Tell me a short story about a heron."
texts = []
for name, row in (("right row", None), ("row 0", 0)):
    chunks = some_rounds(story, 10, row=row)
    accepted = [len(chunk) - 1 for chunk in chunks[1:]]
    print(f"{name}: accepted {accepted}, {sum(accepted)} in all")
    texts.append([token for chunk in chunks for token in chunk])
length = min(map(len, texts))
print("same text:", texts[0][:length] == texts[1][:length])
assert texts[0][:length] == texts[1][:length] or PAIR != "pocket"

# %% [markdown]
# The text stays, because the target decides it. With `pocket` fewer drafts hold, but not many fewer, and at
# first the rounds are the same. Row 0 is itself the right row where no draft was accepted; elsewhere the newest
# token and the target's keys and values are still right. Lesson 06 takes such parts away one by one. Now try
# rows 1 to 4: which is worst?

# %% [markdown]
# ## Takeaways
#
# 1. The loop is short: draft, verify, commit, crop.
# 2. One pass over gamma + 1 tokens gives gamma judgements and one token more.
# 3. What is rejected must leave both models' sight: the target's cache and the drafter's keys and values.

# %% [markdown]
# ## Exercises
#
# **1.** Write the whole loop: prefill, rounds, and the right end. It must stop after `max_new_tokens` and
# right after a token that ends texts, also where that is an accepted draft in the middle of a round.
# Those tokens are `pair.eos_ids`.
#
# <details><summary>Hint</summary>Collect tokens one by one from each round's <code>written</code>, and
# return as soon as one ends the text. What a round writes beyond the limit is simply not
# taken.</details>


# %% tags=["nbval-check-output"]
def my_loop(pair, ids, gamma, max_new_tokens):
    """Return the list of new token ids."""
    return None  # your code


check("greedy_loop", my_loop, pair)

# %% [markdown]
# **2.** How many target passes does a text of `n_tokens` need when every round commits `per_round` tokens,
# and round 0 commits one? (You met this in lesson 00; now you know why.)
#
# <details><summary>Hint</summary>The prefill writes the first token. A last round that is not full is still
# a round.</details>


# %% tags=["nbval-check-output"]
def passes_needed(n_tokens, per_round):
    return None  # your code


check("passes_needed", passes_needed)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), Algorithm 1
# - transformers 5.22.2, `Gemma4AssistantForCausalLM` and `GenerationMixin.generate(custom_generate=...)`
#
# Solutions: `solutions_04_write_the_loop`. Next: `05_same_text`.
