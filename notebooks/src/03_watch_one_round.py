# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/03_watch_one_round.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F03_watch_one_round.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/03_watch_one_round.ipynb)

# %% [markdown]
# # 03 Watch one round
#
# **Goal**: see what drafter and target say in each round, guess the verdict before it is shown, and compare
# the library's run with ours.
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
from gemma_mtp_edu import load_pair, reference_generate, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## Record a run
#
# `speculative_generate` is this project's own loop. It returns a **trace**: what was drafted in each round,
# what was accepted, and how long it took. Its text stays hidden for now, since you are going to guess. The
# next sections only look at this trace; models run again where the library's loop is compared.

# %%
prompt = "Tell me a short story about a fox named Ida."
trace = speculative_generate(pair, prompt, gamma=4, max_new_tokens=96)

# %% tags=["nbval-check-output"]
print(len(trace.token_ids), "tokens in", trace.target_passes, "target passes")
assert trace.target_passes < len(trace.token_ids)

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
# Below are the drafts of round 1, each with the drafter's own probability (in its hover text, and printed
# below). Which of them will the target keep? Note a number from 0 to 4.

# %%
HTML(plots.step_html(trace, 1, revealed=False))

# %%
first = trace.rounds[1]
for draft, prob in zip(first.draft_ids, first.draft_probs, strict=True):
    print(f"{trace.token_text(draft)!r:15} drafter is {prob:.0%} sure")
my_guess = None  # how many are accepted?

# %% [markdown]
# ## Reveal it
#
# The target passes the newest token and all drafts at once. After each of them it has an opinion on what
# comes next. It keeps the drafts that are its own opinion, up to the first one that is not.

# %%
HTML(plots.step_html(trace, 1))

# %% [markdown]
# ## Step through
#
# The viewer below walks through the whole run. Move with the slider (arrow keys work) or the buttons;
# guess first, then press *Reveal the verdict*. It needs a running notebook; the table after it shows the
# same to everybody.

# %%
from gemma_mtp_edu import RoundViewer

viewer = RoundViewer(trace)
viewer

# %%
print(trace.text)
trace

# %% [markdown]
# ## Three endings
#
# A round ends in one of three ways. With a **correction**, the target's token stands in for the first wrong
# draft. With a **bonus**, all drafts hold and one more token follows. Or the text itself ends. How often
# does each occur here?

# %%
from collections import Counter

print(Counter(r.next_kind for r in trace.rounds))
assert all(len(r.token_ids) == r.n_accepted + (r.next_id is not None) for r in trace.rounds)

# %% [markdown]
# So no round is empty: even when every draft is wrong, the target's own token is written. That is why the
# number of target passes can never be larger than in plain decoding.

# %% [markdown]
# The third ending would be counted as `none`: the text ends inside the drafts, and nothing is added. Here it
# does not occur: the limit of 96 tokens cut the story. The last round may also draft fewer than `gamma`: the
# loop drafts no more than `max_new_tokens` leaves room for.

# %% [markdown]
# ## Is the drafter's confidence worth anything?
#
# The drafter gives each draft a probability. If it knew itself well, unsure drafts would be rejected more
# often. Drafts behind a rejected one are thrown away unjudged, so they are not counted; where a hover text
# gives a target's percentage for them, it holds after the wrong draft, for a text that is never written.
# **Predict**: of the drafts it gave less than 50%, how many were accepted?

# %%
judged = [
    (r.draft_probs[i], i < r.n_accepted)
    for r in trace.draft_rounds
    for i in range(min(r.n_accepted + 1, len(r.draft_ids)))
]
for name, low, high in (("unsure", 0.0, 0.5), ("sure", 0.5, 1.01)):
    kept = [accepted for prob, accepted in judged if low <= prob < high]
    print(f"{name}: {sum(kept)} of {len(kept)} accepted")

# %% [markdown]
# So the drafter's confidence is worth something: sure drafts mostly hold, unsure ones mostly do not. Lesson
# 09 uses it: a schedule that stops drafting when the drafter is unsure.

# %% [markdown]
# ## The library beside ours
#
# Now the same prompt with transformers' own loop. The text must be the same: the target decides it. The
# rounds need not be.

# %%
library = reference_generate(pair, prompt, gamma=4, max_new_tokens=96)
same = library.token_ids == trace.token_ids
print("same text:", same)
assert same or pair.target.dtype.itemsize < 4  # 16 bit rounds: a near tie may fall the other way

# %%
print("accepted per round, ours:   ", [r.n_accepted for r in trace.draft_rounds])
print("accepted per round, library:", [r.n_accepted for r in library.draft_rounds])

# %% [markdown]
# Where they differ, the drafter saw different things. After a rejection, transformers' loop leaves an
# entry of a rejected token in what the drafter attends to, and more of them once the text is longer than the
# sliding window (lesson 06). Our loop cuts all of them off. The text is safe either way; the acceptance is not.

# %% [markdown]
# ## The picture
#
# Time runs downwards. After the prefill each round has two rows: what the drafter proposes, and below it the
# one token that the target adds. A column is a place in the round, so a correction stands under the draft
# that it replaces.

# %%
from gemma_mtp_edu import plots

plots.show_figure(plots.plot_rounds(trace, count=5))

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
# 1. A round drafts several tokens, verifies them in one target pass, and adds one token of the target's
#    own, unless the text ends inside the drafts.
# 2. Drafts behind a rejected one are lost, however good they are.
# 3. The text is the target's alone; what the drafter sees changes only how many drafts are kept.

# %% [markdown]
# ## Exercises
#
# **1.** Put the text together again: write a function that returns the token ids of a trace, from
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
# **2.** Count only the *first* rejected draft of each round, the one that the target judged. In which round was
# the drafter surest of it?
#
# <details><summary>Hint</summary>Look at rounds whose <code>next_kind</code> is
# <code>"correction"</code>. The first refused draft has the index <code>n_accepted</code>.</details>

# %% tags=["nbval-check-output"]
my_round = None  # the round's number

check("surest_mistake", my_round, trace)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), Algorithm 1
# - transformers 5.22.2, `SinglePositionMultiTokenCandidateGenerator` (what the library's loop hands over)
#
# Solutions: `solutions_03_watch_one_round`. Next: `04_write_the_loop`.
