# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/03_watch_one_round.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F03_watch_one_round.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/03_watch_one_round.ipynb)

# %% [markdown]
# # 03 Watch one round
#
# **Goal**: see at every position what the drafter proposed and what the target predicts, decide yourself which drafts are
# kept, and compare the library's run with ours.
#
# **Minutes**: 20. **Prerequisites**: lesson 02.

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

from gemma_mtp_edu import load_pair, reference_generate, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## Record a run
#
# `speculative_generate` is this project's own loop. It returns a **trace**: what was drafted in each round,
# what was accepted, and how long it took. Its text stays hidden for now, since you are going to guess. Decoding is
# greedy: the target always writes its most probable token, the **argmax** of its logits.

# %%
prompt = "Name seven musical instruments."
trace = speculative_generate(pair, prompt, gamma=4, max_new_tokens=64)

# %% tags=["nbval-check-output"]
print(len(trace.token_ids), "tokens in", trace.target_passes, "target passes")
assert trace.target_passes <= len(trace.token_ids)

# %% [markdown]
# ## Round 0
#
# Round 0 is the **prefill**: the target reads the prompt and writes one token. There is nothing to draft
# from before it, because an MTP drafter needs the target's hidden state.

# %%
from IPython.display import HTML

from gemma_mtp_edu import plots

HTML(plots.step_html(trace, 0))

# %% [markdown]
# ## Predict round 1
#
# The drafter goes on from that token. Below are its drafts, each with the drafter's own probability. Which of them will the
# target keep? Note a number from 0 to 4.

# %%
first = trace.rounds[1]
for number, (draft, prob) in enumerate(zip(first.draft_ids, first.draft_probs, strict=True)):
    print(f"draft {number}: {trace.token_text(draft)!r:15} probability {prob:.0%}")
my_guess = None  # how many are accepted?

# %% [markdown]
# ## The verify pass
#
# Now the verify pass, as a plain call of the target. It reads the text so far and all drafts at once. A row of logits sees
# only the tokens up to its own position (lesson 02), so each row predicts what comes next as if nothing stood after it.
#
# **Predict**: of all the rows, which ones are needed to verify four drafts, and which one is left over?

# %%
read = [*trace.prompt_ids, *trace.token_ids[:1], *first.draft_ids]
with torch.no_grad():
    logits = pair.target(input_ids=torch.tensor([read], device=pair.device)).logits[0]
rows = logits[-len(first.draft_ids) - 1 :].argmax(-1).tolist()  # from the newest token on

# %% tags=["nbval-check-output"]
print("tokens read:", len(read), "- rows of logits:", len(logits), "- rows used:", len(rows))
assert len(rows) == len(first.draft_ids) + 1

# %% [markdown]
# Here they stand beside the drafts. Row 0 follows the newest token, so it verifies draft 0; row 1 follows draft 0,
# and so on. The last row follows all drafts. In which row, if any, do the two differ first?

# %% tags=["nbval-check-output"]
print("row  follows       target predicts  draft")
for i, own in enumerate(rows):
    ids = read[-len(rows) + i], own
    before, predicted = (repr(pair.decode([t], skip_special_tokens=False)) for t in ids)
    draft = repr(trace.token_text(first.draft_ids[i])) if i < len(first.draft_ids) else "(none)"
    print(f"{i:>3}  {before:12}  {predicted:15}  {draft}")

# %% [markdown]
# ## The rule
#
# Drafts are kept from the left, as long as they are the target's prediction. At the first difference, the target's token of
# that row takes the draft's position. Rows after it do not count: they follow a draft that is not in the text, so they
# predict the continuation of another text. That a draft there may look right helps nobody.

# %% tags=["nbval-check-output"]
n_accepted = 0
while n_accepted < len(first.draft_ids) and first.draft_ids[n_accepted] == rows[n_accepted]:
    n_accepted += 1
print("accepted:", n_accepted, "- the target's own token:", repr(pair.decode([rows[n_accepted]])))
assert n_accepted == first.n_accepted or pair.target.dtype.itemsize < 4  # 16 bits: ties

# %%
HTML(plots.step_html(trace, 1))

# %% [markdown]
# ## Step through
#
# The viewer below walks through the whole run. Move with the slider (arrow keys work) or the buttons. For rounds 2
# to 4, guess first how many drafts are kept, then press *Show the result*. It needs a running notebook; a table
# further below shows the same to everybody.

# %%
from gemma_mtp_edu import RoundViewer

my_guesses = {2: None, 3: None, 4: None}  # accepted drafts by round
viewer = RoundViewer(trace)
viewer

# %% [markdown]
# ## Three endings
#
# A round ends in one of three ways. With a **correction**, the target's token stands in for the first wrong
# draft. With a **bonus**, all drafts hold and one more token follows. Or the text itself ends inside the drafts, and nothing is
# added. **Predict**: which one is most frequent in this run? How few tokens can a round write?

# %%
print(trace.text)
trace

# %% tags=["nbval-check-output"]
from collections import Counter

for kind, count in Counter(r.next_kind for r in trace.draft_rounds).most_common():
    print(f"rounds that end with {kind}: {count}")
assert all(len(r.token_ids) >= 1 for r in trace.rounds)

# %% [markdown]
# No round is empty: even when every draft is wrong, the target's own token is written. That is why there are never more
# target passes than in plain decoding.
#
# The third ending would be counted as `none`; this run of `pocket` has none of that kind. Drafts after the end of
# the text are *dropped*: they were not rejected, they were not needed. `plain` is a pass without drafts: where one
# token is left to write, the loop drafts nothing.

# %% [markdown]
# ## Is the drafter's confidence worth anything?
#
# The drafter gives each draft a probability. If it is *calibrated*, it is the share of such drafts that are right,
# and unsure drafts are rejected more often. Drafts after a rejected one are thrown away, whether good or bad, so
# they are not counted. **Predict**: of the drafts it gave less than 50%, what share was accepted?

# %%
verified = [
    (r.draft_probs[i], i < r.n_accepted)
    for r in trace.draft_rounds
    for i in range(min(r.n_accepted + (r.next_kind == "correction"), len(r.draft_ids)))
]
for name, low, high in (("below 50%", 0.0, 0.5), ("50% and more", 0.5, 1.01)):
    kept = [accepted for prob, accepted in verified if low <= prob < high]
    print(f"{name}: {sum(kept)} of {len(kept)} accepted")

# %% [markdown]
# Compare the two shares. Where they differ, the confidence tells in advance what will be wasted. Lesson
# 09 uses it: a schedule that stops drafting when the drafter is unsure. One short text is a hint, not a measurement.

# %% [markdown]
# ## The library beside ours
#
# Now the same prompt with transformers' own loop. **Predict**: must the texts be equal? Must the rounds?

# %%
library = reference_generate(pair, prompt, gamma=4, max_new_tokens=64)
same = library.token_ids == trace.token_ids
print("same text:", same)
assert same or pair.target.dtype.itemsize < 4  # 16 bits: a tie may fall the other way

# %%
for name, run in (("ours", trace), ("library", library)):
    accepted = f"{run.n_accepted} of {run.drafter_passes} drafts accepted"
    print(f"{name}: {run.target_passes} target passes, {accepted}")
pairs = enumerate(zip(trace.rounds, library.rounds, strict=False))
differs = [i for i, (a, b) in pairs if a.draft_ids[: a.n_accepted] != b.draft_ids[: b.n_accepted]]
print("first round that differs:", differs[0] if differs else "none")

# %% [markdown]
# In exact arithmetic the text must be equal: the target decides it. The rounds need not be, even if they are here:
# the two drafters may see different things. After a rejection, transformers 5.24.0 leaves keys and values of a
# rejected token in what the drafter attends to, and more of them once the text is longer than the sliding window
# (lesson 06). Our loop cuts all of them off.

# %% [markdown]
# ## The picture
#
# Time runs downwards. After the prefill each round has two rows: what the drafter proposes, and below it the
# one token that the target adds. A column is a position in the round, so a correction stands under the draft
# that it replaces.

# %%
shown = trace.rounds[:5]
written, drafted = sum(len(r.token_ids) for r in shown), sum(len(r.draft_ids) for r in shown)
kept = sum(r.n_accepted for r in shown)
ax = plots.plot_rounds(trace, count=len(shown))
title = f"{written} tokens from {len(shown)} target passes; {kept} of {drafted} drafts kept"
ax.set_title(title, loc="left")
plots.show_figure(ax)

# %% [markdown]
# ## Change this
#
# The cell below runs a text that is easy to guess. **Predict**: will `gamma=8` halve its target passes? Try it,
# then `gamma=1`, then a prompt of your own.

# %% tags=["nbval-check-output"]
easy = speculative_generate(pair, "Count from 3 to 12.", gamma=4, max_new_tokens=96)
print(len(easy.token_ids), "tokens,", easy.target_passes, "target passes")
assert easy.target_passes <= len(easy.token_ids)

# %% [markdown]
# ## Takeaways
#
# 1. One pass predicts a token at every position, so it verifies all drafts of a round and gives one token more.
# 2. Drafts after a rejected one are lost, however good they look: they continue another text.
# 3. The text is the target's alone; what the drafter sees changes only how many drafts are kept.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) Put the text together again: write a function that returns the token ids of a trace, from
# its rounds only (`draft_ids`, `n_accepted`, `next_id`).
#
# <details><summary>Hint</summary>Of each round's drafts only the first <code>n_accepted</code> count, and
# <code>next_id</code> may be None where the text ended.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def tokens_of_rounds(trace):
    return None  # your code


check("tokens_of_rounds", tokens_of_rounds, trace)

# %% [markdown]
# **2.** (medium, 15 minutes) Verify without a target. Greedy text does not depend on the drafts, so whoever knows the finished text
# can verify any drafts. Return how many drafts of each round are accepted, one number per round, from `prompt_ids`,
# `token_ids` and each round's `prefix_length` (tokens of prompt and text before the round) and `draft_ids` alone.
#
# <details><summary>Hint</summary>Which token of the text would stand at the position of draft 0? The text may end before the drafts
# do.</details>


# %% tags=["nbval-check-output"]
def accepted_by_text(trace):
    return None  # your code


check("accepted_by_text", accepted_by_text, trace)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), Algorithm 1
# - transformers 5.24.0, `SinglePositionMultiTokenCandidateGenerator` (what the library's loop passes to the drafter)
#
# [Solutions](solutions_03_watch_one_round.ipynb) · Next: [04 Write the loop](04_write_the_loop.ipynb)
