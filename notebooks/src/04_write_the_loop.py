# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/04_write_the_loop.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F04_write_the_loop.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/04_write_the_loop.ipynb)

# %% [markdown]
# # 04 Write the loop
#
# **Goal**: write greedy speculative decoding yourself, from plain calls of transformers, and show that its text
# is the one that `generate()` writes.
#
# **Minutes**: 60. **Prerequisites**: lesson 03.

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
from transformers import DynamicCache

from gemma_mtp_edu import check, load_pair
from gemma_mtp_edu.core import CACHE

torch.set_grad_enabled(False)  # nothing is trained here
pair = load_pair(PAIR)
target, drafter = pair.target, pair.drafter

# %% [markdown]
# ## How this lesson works
#
# You write five functions and then the loop. Before each one, a cell shows the call that it needs, once and by hand.
# A check runs what you have written inside a real generation. It watches both models through hooks and names the
# first round in which something goes wrong. What is not written yet is reported as not written: nothing here
# fills the gaps for you.

# %% [markdown]
# ## One pass of the target
#
# The prompt is read with the same call as the drafts are verified. Beside the **logits** (a score for each token of the
# vocabulary) you ask for two things that the drafter needs (lesson 02): the hidden states and the shared keys and
# values. `CACHE` is the name of the cache's argument: `"cache"` since transformers 5.24, `"past_key_values"` before.


# %%
def target_pass(pair, cache, ids):
    """Pass token ids `[1, n]` through the target; the cache grows by n tokens."""
    return pair.target(
        input_ids=ids, use_cache=True, **{CACHE: cache},
        output_hidden_states=True, return_shared_kv_states=True,
    )  # fmt: skip


# %% [markdown]
# `DynamicCache` starts empty. `activate_past_recording()` is called once, after the prompt: from then on, a layer with a
# sliding window keeps what falls out of the window until `crop` says how many tokens stay. Without it nothing could be
# taken back.

# %% tags=["nbval-check-output"]
ids = pair.encode("Count from 7 to 12.")
cache = DynamicCache(config=target.config.get_text_config())
output = target_pass(pair, cache, ids)
cache.activate_past_recording()
print("prompt:", ids.shape[1], "tokens; in the cache:", cache.get_seq_length())
print("logits", list(output.logits.shape))
print("hidden states", list(output.hidden_states[-1].shape))
for kind, keys_and_values in output.shared_kv_states.items():
    print(f"keys, {kind}:", list(keys_and_values[0].shape))

# %% [markdown]
# There is one row of logits and one hidden state for each token that was passed. `hidden_states[-1]` is what the output
# layer reads: the state after the last layer *and* the final normalisation.
#
# ## Step 1: prefill
#
# **Predict**: which row of the logits predicts the first token of the answer? And which hidden state belongs to it?
#
# Write the function; the cell above has the calls that it needs.


# %%
def my_prefill(pair, ids):
    """Return the cache, the first token, its hidden state, and the keys and values.

    The token is an int; the state that predicted it has the shape `[1, 1, hidden]`.
    """
    raise NotImplementedError  # your code


# %% tags=["nbval-check-output"]
def until_prefill(pair, ids, gamma, max_new_tokens):
    _, newest, _, _ = my_prefill(pair, ids)
    return [newest]


check("first_rounds", until_prefill, pair)

# %% [markdown]
# <details><summary>Hint</summary>A row predicts the token <em>after</em> the one that was passed there. A slice such as
# <code>[:, -1:]</code> keeps the dimension; an index drops it.</details>
#
# Whether state, keys and values are the right ones shows in the next step, where the drafter reads them. The new token is
# **not** in the cache: no model has passed it yet. We call it the *newest* token.

# %% [markdown]
# ## Step 2: draft
#
# The drafter has no cache and no prompt. One call gets the target's embedding of the newest token beside the hidden state that
# predicted it, the target's keys and values, and one position. It gives logits, and a state for the next call.
# Here is the first draft, by hand.

# %% tags=["nbval-check-output"]
newest, hidden = output.logits[0, -1:].argmax(-1, keepdim=True), output.hidden_states[-1][:, -1:]
step = drafter(
    inputs_embeds=torch.cat([target.get_input_embeddings()(newest), hidden], dim=-1),
    position_ids=torch.tensor([[cache.get_seq_length()]], device=pair.device),
    shared_kv_states=output.shared_kv_states,
)
print("inputs", 2 * hidden.shape[-1], "numbers; logits", list(step.logits.shape))
print("state for the next step", list(step.last_hidden_state.shape))

# %%
draft = step.logits[0].argmax(-1, keepdim=True)
print("newest:", repr(pair.decode(newest[0])), "- draft 0:", repr(pair.decode(draft[0])))

# %% [markdown]
# The position is that of the newest token: as many tokens stand before it as the cache holds.
#
# **Predict** what draft 1 gets: the embedding of which token, which hidden state, and which position? Mind that no
# keys and values of draft 0 exist anywhere: the target has not passed it, and the drafter keeps nothing.


# %%
def my_draft(pair, newest, hidden, kv, position, gamma):
    """Return a list of `gamma` token ids; `newest` and `position` are ints."""
    raise NotImplementedError  # your code


# %% tags=["nbval-check-output"]
def until_draft(pair, ids, gamma, max_new_tokens):
    cache, newest, hidden, kv = my_prefill(pair, ids)
    drafts = my_draft(pair, newest, hidden, kv, cache.get_seq_length(), gamma)
    target_pass(pair, cache, torch.tensor([[newest, *drafts]], device=ids.device))
    return [newest]


check("first_rounds", until_draft, pair)

# %% [markdown]
# <details><summary>Hint</summary>A loop over <code>range(gamma)</code> with three things: the token goes on to the draft, the
# state to <code>last_hidden_state</code>, the position stays. The target passes the drafts in this check
# because only then it is known whether they are the drafter's.</details>

# %% [markdown]
# ## Step 3: verify
#
# One pass over the newest token and all drafts. **Predict**: for four drafts, how many rows of logits come back, and which
# token does the last row predict?
#
# By hand with the one draft that we have:

# %% tags=["nbval-check-output"]
from copy import deepcopy

longer = deepcopy(cache)  # a pass adds to its cache, and this cell may run twice
verified = target_pass(pair, longer, torch.cat([newest, draft], dim=1))
rows = verified.logits[0].argmax(-1).tolist()
print("passed: 2 tokens; rows:", len(rows), "; in the cache:", longer.get_seq_length())
assert len(rows) == 2

# %% [markdown]
# Row 0 says what should follow the newest token, so it verifies draft 0. The last row follows all drafts: it gives the bonus
# token when all of them hold. So four drafts give five rows.


# %%
def my_verify(pair, cache, newest, drafts):
    """Return the target's argmax at every position, a list of ints, and the output of the pass."""
    raise NotImplementedError  # your code


def my_accept(drafts, rows):
    """Return how many drafts are accepted, and the token that the target adds after them."""
    raise NotImplementedError  # your code


# %% tags=["nbval-check-output"]
def until_accept(pair, ids, gamma, max_new_tokens):
    cache, newest, hidden, kv = my_prefill(pair, ids)
    drafts = my_draft(pair, newest, hidden, kv, cache.get_seq_length(), gamma)
    rows, _ = my_verify(pair, cache, newest, drafts)
    n_accepted, own = my_accept(drafts, rows)
    return [newest, *drafts[:n_accepted], own]


check("first_rounds", until_accept, pair)

# %% [markdown]
# <details><summary>Hint</summary>Go through the drafts until one differs from the row of the same number. How many were passed by then
# is <code>n_accepted</code>, and the row of that number holds the target's token, also where no draft
# differs.</details>

# %% [markdown]
# ## Step 4: crop
#
# After the pass, the cache holds the newest token and **all** drafts. Rejected ones must go, or the next pass attends to a
# text that was never written. `cache.crop(-n)` forgets the last n tokens. Call it after every verify pass, with 0 too:
# it also trims the layers with a sliding window.

# %% tags=["nbval-check-output"]
cropped = deepcopy(longer)
cropped.crop(-1)
before, after = longer.get_seq_length(), cropped.get_seq_length()
print(before, "tokens; as if draft 0 were rejected:", after)
assert after == before - 1

# %% [markdown]
# The keys and values that the drafter reads end with the same rejected tokens. Cut them **from the end**: past its window,
# a sliding layer holds fewer keys than the text has tokens, so an absolute index would cut in the wrong position.
#
# **Predict**: of four drafts one is accepted. Which row's hidden state does the next round start from?


# %%
def my_crop(cache, output, n_accepted, n_rejected):
    """Crop the cache; return the state for the next draft `[1, 1, hidden]` and its keys and values.

    `output.shared_kv_states` has for each kind of layer a pair of tensors `[1, heads, tokens, dim]`.
    """
    raise NotImplementedError  # your code


# %% tags=["nbval-check-output"]
def until_crop(pair, ids, gamma, max_new_tokens):
    cache, newest, hidden, kv = my_prefill(pair, ids)
    text = [newest]
    for _ in range(3):
        drafts = my_draft(pair, text[-1], hidden, kv, cache.get_seq_length(), gamma)
        rows, output = my_verify(pair, cache, text[-1], drafts)
        n_accepted, own = my_accept(drafts, rows)
        hidden, kv = my_crop(cache, output, n_accepted, gamma - n_accepted)
        text += [*drafts[:n_accepted], own]
    return text


check("first_rounds", until_crop, pair)

# %% [markdown]
# <details><summary>Hint</summary>The drafter wants the state that predicted the newest token, and the newest token is the prediction of row
# <code>n_accepted</code>. For the end of a cut use
# <code>keys.shape[2] - n_rejected</code>: a slice up to <code>-0</code> is empty.</details>

# %% [markdown]
# ## Step 5: stop
#
# Three rounds work; a text needs as many as it takes, and a right end. Two things end it: a token of
# `pair.eos_ids` (*end of sequence*, such as `<turn|>`), which belongs to the text, and `max_new_tokens`. Both can
# happen in the middle of a round.
#
# **Predict**: what goes wrong if a loop looks only at the last token of each round?
#
# Now write the whole loop, from your functions or in one piece.


# %%
def my_loop(pair, ids, gamma, max_new_tokens):
    """Return the list of new token ids."""
    raise NotImplementedError  # your code


# %% tags=["nbval-check-output"]
check("greedy_loop", my_loop, pair)

# %% [markdown]
# <details><summary>Hint</summary>Append the tokens of a round one by one, the first token of the prefill as well, and return as soon as one of
# them ends the text.</details>
#
# The check counts target passes, drafted and accepted tokens, beside those of the package's loop. Passes must agree. Your loop may
# draft a few more tokens: exercise 1 says why.

# %% [markdown]
# ## Equal to `generate()`?
#
# The library runs twice, without the drafter and with it; then the package's loop, then yours. In 16 bits a tie between two tokens
# may fall the other way (lesson 05), so the assert holds for 32 bits.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import speculative_generate

drafter.generation_config.num_assistant_tokens = 4
usual = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 64, "do_sample": False}
plain = target.generate(ids, **usual)[0, ids.shape[1] :].tolist()
assisted = target.generate(ids, assistant_model=drafter, **usual)[0, ids.shape[1] :].tolist()
package = list(speculative_generate(pair, ids, gamma=4, max_new_tokens=64).token_ids)
print("with the drafter:", assisted == plain, "- the package:", package == plain)
assert assisted == plain == package or target.dtype.itemsize < 4

# %% tags=["nbval-check-output"]
try:
    print("your loop:", my_loop(pair, ids, 4, 64) == plain)
except NotImplementedError:
    print("your loop: not written yet")

# %% [markdown]
# ## A loop inside `generate()`
#
# A loop need not replace `generate()`. The package's one also runs behind it: in the tutorial's call one argument changes,
# `assistant_model=` becomes `custom_generate=`, and the drafter gets a name of its own.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.analysis import draft_and_verify

inside = target.generate(ids, custom_generate=draft_and_verify, drafter=drafter, **usual)
print(inside[0, ids.shape[1] :].tolist() == package)

# %% [markdown]
# ## The picture
#
# The rounds of this text, recorded by the package's loop. Look at the last one. Where the text ends at an accepted draft, the
# target adds nothing, and the drafts after it are *dropped*: nobody rejected them, the text was over.

# %%
from gemma_mtp_edu import plots

trace = speculative_generate(pair, ids, gamma=4, max_new_tokens=64)
ax = plots.plot_rounds(trace, count=6)
ax.set_title(f"{len(trace.token_ids)} tokens from {trace.target_passes} target passes", loc="left")
plots.show_figure(ax)

# %% [markdown]
# ## Change this
#
# What if `crop` is forgotten? Below, four wrong drafts are verified and rejected. Then the target's own token is passed, with the
# wrong drafts still in the cache or without them. **Predict**: does the target's next distribution change?

# %%
story = pair.encode("Tell me a short story about a heron.")


def next_probs(n_cropped):
    cache = DynamicCache(config=target.config.get_text_config())
    first = target_pass(pair, cache, story).logits[0, -1:].argmax(-1, keepdim=True)
    cache.activate_past_recording()
    wrong = story[:, :4]  # the prompt's own beginning: no answer goes on with it
    own = target_pass(pair, cache, torch.cat([first, wrong], dim=1)).logits[0, :1].argmax(-1)
    cache.crop(-n_cropped)
    return target_pass(pair, cache, own[None]).logits[0, -1].softmax(-1)


# %%
cropped, forgotten = next_probs(4), next_probs(0)
moved = (cropped - forgotten).abs().sum() / 2
print(f"probability that moved to other tokens: {moved:.1%}")
assert moved > 0

# %% [markdown]
# It changes: the new token attends to tokens that are not in the text, and stands four positions too late. How much it changes
# depends on how sure the target is there. Where the argmax changes too, the text is another one. Now leave one token
# too many, then crop one too many. Which of the two moves more?

# %% [markdown]
# ## Takeaways
#
# 1. The loop is short: draft, verify, accept, crop, stop.
# 2. One pass over gamma + 1 tokens verifies gamma drafts and gives one token more.
# 3. A rejected token must leave the target's cache and the keys and values that the drafter reads.

# %% [markdown]
# ## Exercises
#
# **1.** (medium, 15 minutes) The check reports that your loop drafts more tokens than the package's, for the same text. Find out which of
# them can never be written, and stop drafting those. The numbers of drafted tokens must agree.
#
# <details><summary>Hint</summary>How many tokens may still be written when a round begins, and how many of them does the target
# write itself?</details>


# %% tags=["nbval-check-output"]
def my_frugal_loop(pair, ids, gamma, max_new_tokens):
    raise NotImplementedError  # your code


check("greedy_loop", my_frugal_loop, pair)

# %% [markdown]
# **2.** (hard, 30 minutes) Who chats wants to see tokens as they come. Write the loop as a generator that yields one list of
# tokens per target pass, as soon as they are certain. The lists together are the text.
#
# <details><summary>Hint</summary>What did the loop append in one round? That list is yielded, cut where the text ends, before the next round
# drafts. The first list holds one token.</details>


# %% tags=["nbval-check-output"]
def my_stream(pair, ids, gamma, max_new_tokens):
    raise NotImplementedError  # your code


def collected(*given):
    return [token for tokens in my_stream(*given) for token in tokens]


check("greedy_loop", collected, pair)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), Algorithm 1
# - transformers 5.24.0, `Gemma4AssistantForCausalLM`, `DynamicCache.crop` and `GenerationMixin.generate(custom_generate=...)`
#
# [Solutions](solutions_04_write_the_loop.ipynb) · Next: [05 Same text](05_same_text.ipynb)
