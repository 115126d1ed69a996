# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/08_choosing_the_draft_length.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F08_choosing_the_draft_length.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/08_choosing_the_draft_length.ipynb)

# %% [markdown]
# # 08 Choosing the draft length
#
# **Goal**: see what 15 drafts per round win and waste against 2, find the best length for a text without
# running it again, and see why no one length is best.
#
# **Minutes**: 25. **Prerequisites**: lesson 07.

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
from gemma_mtp_edu import Constant, load_pair, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## 15 drafts or 2?
#
# Google's tutorial names both sides. Many drafts, such as 15: some will be refused, and their work is lost, but
# where most are right it is fast. Few drafts: less is lost, but less is won, too.
#
# **Predict**: which of the two needs fewer target passes for a story? Which makes more drafts in vain?

# %%
prompts = {
    "arithmetic": "Count from 7 to 24.",
    "json": "Write a JSON record for a person named Ida Berg who is 44 years old and lives in Lima.",
    "rewrite": "Repeat this sentence: The quick heron met a patient gardener near the old mill.",
    "qa": "Explain the concepts of speculative decoding and MTP in 3 sentences.",
    "story": "Tell me a short story about a heron.",
}

# %%
runs = {
    gamma: speculative_generate(pair, prompts["story"], gamma=gamma, max_new_tokens=64)
    for gamma in (2, 15)
}
for gamma, run in runs.items():
    wasted = run.drafter_passes - run.n_accepted
    print(f"{gamma:2} drafts: {run.target_passes} target passes, {wasted} drafts thrown away")

# %% [markdown]
# The text is the same, as always. With 15 drafts the target works less and the drafter much more. Which side
# weighs more is a question of cost. But first: must we run the models again for every length?

# %% [markdown]
# ## Draft from everywhere, once
#
# No. The target decides the text alone, so it does not depend on the drafts. And all that a drafter starts from,
# the newest token, a hidden state, keys and values, the target made from that text. So what it would say there
# does not depend on the draft length either. (In our loop. The library may leave entries of rejected drafts in
# the KV: lesson 06.)

# %% [markdown]
# `acceptance_profile` writes the text once, lets the drafter draft 16 tokens **from every position**, and counts
# how many would be kept.

# %%
from gemma_mtp_edu import acceptance_profile

profiles = {
    name: acceptance_profile(pair, prompt, max_gamma=16, max_new_tokens=64)
    for name, prompt in prompts.items()
}

# %%
print(profiles["story"])
print("kept from each position:", *profiles["story"].n_accepted)

# %% [markdown]
# The first entry is a placeholder: the prefill writes the first token, so nothing is drafted for it. The second
# says how many drafts would be kept after one token, and so on. Near the end no more can be kept than tokens are
# left.
#
# Where the entries fall by one from place to place, it is the same stretch of easy text, entered later and
# later.

# %% [markdown]
# ## Replay
#
# Now a run is an addition. At position i with g drafts, `min(kept[i], g)` drafts enter the text and one token
# of the target's own; go on behind them. **Predict**: is that an estimate, or exactly what the models did
# above?

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import replay

replayed = replay(profiles["story"], Constant(15))
same_text = replayed.token_ids == runs[15].token_ids
same = [r.draft_ids for r in replayed.rounds] == [r.draft_ids for r in runs[15].rounds]
print("the same rounds:", same)
assert same or not same_text or pair.target.dtype.itemsize < 4

# %% [markdown]
# Exactly, draft for draft. (In 16 bit a near tie may fall the other way.) So every length from 1 to 16 is
# known, and no model had to run again.

# %% [markdown]
# ## Saved and wasted
#
# One line counts the target passes that the drafts saved, the other the drafts that were thrown away.
# **Predict**: from which length on does the first line hardly grow?

# %%
from gemma_mtp_edu import plots

saved, wasted = {}, {}
for gamma in (1, 2, 3, 4, 6, 8, 12, 15):
    run = replay(profiles["story"], Constant(gamma))
    saved[gamma] = len(run.token_ids) - run.target_passes
    wasted[gamma] = run.drafter_passes - run.n_accepted
counts = {"target passes saved": saved, "drafts thrown away": wasted}
plots.show_figure(plots.lines_chart(counts, "drafts per round", "count"))
assert wasted[15] > wasted[1]

# %% [markdown]
# ## Other texts
#
# How many drafts are kept is a matter of the text. The figure says how often the first, second, third draft is
# kept, over all positions that have room for eight drafts. Where lines lie on each other, the smaller sign
# stands in the larger one. Which workload can stand long rounds?

# %%
from gemma_mtp_edu.analysis import kept_by_place

shares = {name: kept_by_place(profile) for name, profile in profiles.items()}
lines = {name: dict(enumerate(row, 1)) for name, row in shares.items()}
plots.show_figure(plots.lines_chart(lines, "place of the draft in its round", "share kept"))

# %% [markdown]
# No line ever rises: behind a rejected draft all others are lost.

# %% tags=["nbval-check-output"]
never_rises = all(list(row) == sorted(row, reverse=True) for row in shares.values())
print("no line rises:", never_rises)

# %% [markdown]
# ## Speed
#
# Say that a draft costs 0.1 plain passes, and that a verify pass costs as much as a plain one. That is the
# paper's model, not your machine. **Predict**: which text has the shortest best length, which the longest?

# %%
from gemma_mtp_edu.analysis import speedups_by_length


def show_speeds(speeds):
    best = {name: row.index(max(row)) + 1 for name, row in speeds.items()}
    lines = {f"{name}, best {best[name]}": dict(enumerate(speeds[name], 1)) for name in speeds}
    plain = {"plain decoding": 1}
    plots.show_figure(plots.lines_chart(lines, "drafts per round", "speed, plain = 1", plain))


show_speeds({name: speedups_by_length(profile, 0.1) for name, profile in profiles.items()})

# %% [markdown]
# Lines have steps, because a text has only so many rounds: one more draft often changes where later rounds
# begin. The story and the rewrite want shorter rounds, the learned answer the longest ones. A best length found
# on one short text is a hint, no law.

# %% [markdown]
# ## The best length moves
#
# Keep the text and change the cost: drafts that are nearly free (0.02), as before (0.1), and very dear (0.7).
# **Predict** the direction.

# %%
by_cost = {
    f"a draft costs {ratio:g}": speedups_by_length(profiles["story"], ratio)
    for ratio in (0.02, 0.1, 0.7)
}
show_speeds(by_cost)

# %% tags=["nbval-check-output"]
best = [speeds.index(max(speeds)) + 1 for speeds in by_cost.values()]
print("best lengths:", best)
drafts = [replay(profiles["story"], Constant(gamma)).drafter_passes for gamma in best]
print("where drafts are dearer, fewer are made:", drafts == sorted(drafts, reverse=True))
assert drafts == sorted(drafts, reverse=True)

# %% [markdown]
# ## Your machine on the map
#
# Last, the formula of lesson 07 with the costs **measured here**: a line for each alpha, one of them the story's.
# It says something about the bundled pair on this machine, nothing about a real Gemma. **Predict**: which lines
# stay below 1, whatever the length?

# %% tags=["timing"]
from gemma_mtp_edu import CostModel
from gemma_mtp_edu.analysis import alpha

cost = CostModel.calibrate(pair, lengths=(1, 3, 5, 9, 13), contexts=(64,), repeats=3)
here = alpha(replay(profiles["story"], Constant(4)))
by_alpha = {
    f"alpha {a:.2f}": [cost.predict(a, gamma) for gamma in range(1, 13)]
    for a in sorted({0.3, 0.5, 0.7, 0.9, here})
}
show_speeds(by_alpha)

# %% [markdown]
# The higher alpha, the longer the best rounds. Where a line stays below 1, no length pays. Even a drafter that is
# right in nine of ten cases has its best length: later drafts count only if all before them are right.

# %% [markdown]
# ## Change this
#
# All of it at your fingertips, with this machine's costs. First a few lengths are measured, so that the
# predictions have something to answer to.

# %%
from statistics import median

from gemma_mtp_edu.analysis import timed_runs

two = {name: prompts[name] for name in ("arithmetic", "story")}
runs = timed_runs(pair, two, (2, 4, 8), max_new_tokens=64, repeats=2)
seconds = {
    case: median(sum(record.seconds for record in trace.draft_rounds) for trace in traces)
    for case, traces in runs.items()
}
measured = {name: {n: seconds[name, 0] / seconds[name, n] for n in (2, 4, 8)} for name in two}

# %% [markdown]
# Choose `story` and draft length 4 (Tab and arrow keys work). **Predict**: at what cost of a draft does the
# speed fall below 1? Move the cost until it does. Then the same for `arithmetic`. *Best possible* is what
# lengths chosen round by round would give that know the future: lesson 09. The explorer needs a running
# notebook; the table below it shows one setting to everybody.

# %%
from gemma_mtp_edu import TradeoffExplorer

explorer = TradeoffExplorer(profiles, cost, measured=measured)
explorer

# %% tags=["timing"]
from IPython.display import HTML

from gemma_mtp_edu.analysis import Setting

chosen, known = Setting("constant", 4), measured["arithmetic"]
HTML(
    plots.summary_html(profiles["arithmetic"], chosen, cost, workload="arithmetic", measured=known)
)

# %% [markdown]
# ## Takeaways
#
# 1. In the long run, longer rounds save few more passes and waste ever more drafts. A single step can go the
#    other way.
# 2. Under greedy decoding the text fixes all drafts, so one profile answers exactly for every length.
# 3. The best length grows with a text that is easy to guess and shrinks with drafts that cost more: it belongs
#    to text, pair and machine together.

# %% [markdown]
# ## Exercises
#
# **1.** Write the replay yourself: how many rounds does a text take? `kept[i]` is how many drafts would be kept
# after `i` tokens. The text has as many tokens as `kept` has entries. The prefill has written the first.
#
# <details><summary>Hint</summary>Start at position 1. A round moves you by the kept drafts, at most
# <code>gamma</code>, and one more. Stop at the end of the text.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def rounds_needed(kept, gamma):
    return None  # your code


check("rounds_needed", rounds_needed)

# %% [markdown]
# **2.** A drafter that takes a quarter of a plain pass: which constant length is best for the JSON record?
#
# <details><summary>Hint</summary><code>speedups_by_length(profile, 0.25)</code> gives the speeds with 1, 2,
# 3, ... drafts. The first entry is of one draft, not of none.</details>

# %% tags=["nbval-check-output"]
my_length = None

check("best_length", my_length, profiles["json"], 0.25)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), sections 3.3
#   and 3.5
# - Google, Gemma 4 Multi-Token Prediction using Hugging Face Transformers, section on the number of draft tokens
#
# Solutions: `solutions_08_choosing_the_draft_length`. Next: `09_schedules`.
