# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/07_the_speedup_formula.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F07_the_speedup_formula.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/07_the_speedup_formula.ipynb)

# %% [markdown]
# # 07 The speedup formula
#
# **Goal**: predict what drafts give on your machine from two numbers and a stopwatch, then measure and score
# the prediction.
#
# **Minutes**: 30. **Prerequisites**: lessons 01 and 03.

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
import statistics

from gemma_mtp_edu import autoregressive_generate, load_pair, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## How many tokens does a round write?
#
# Call **alpha** the chance that the target accepts a draft that it judges: one with no rejected draft before
# it. Call **gamma** the number of drafts per round. Suppose that each draft is right in 8 of 10 cases, whatever
# the others are, and a round has 4. **Predict**: how many tokens does a round write on average?

# %%
my_guess = None  # between 1 and 5

# %% [markdown]
# ## Throw dice
#
# No model is needed for that. A round goes on while its drafts are right, and the target's own token always
# follows.


# %% tags=["nbval-check-output"]
import random

dice = random.Random(0)


def one_round(alpha, gamma):
    n_accepted = 0
    while n_accepted < gamma and dice.random() < alpha:
        n_accepted += 1
    return n_accepted + 1


thrown = statistics.mean(one_round(0.8, 4) for _ in range(20_000))
print(f"{thrown:.2f} tokens per round")

# %% [markdown]
# ## The formula
#
# The first draft is kept with the chance alpha. The second one needs two right drafts, alpha², and so on. With
# the target's own token a round writes on average
#
# 1 + alpha + alpha² + ... + alpha^gamma.
#
# That is equation 1 of Leviathan et al.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.analysis import expected_tokens

print(f"{expected_tokens(0.8, 4):.2f} by the formula")
print(f"{expected_tokens(0.8, 4) - 1:.2f} of them are drafts; {0.8 * 4:.1f} drafts were right")
assert abs(expected_tokens(0.8, 4) - thrown) < 0.05

# %% [markdown]
# Was your guess higher? Four drafts that are right in 8 of 10 cases are 3.2 right drafts, and with the target's
# token 4.2. But a right one behind a wrong one is lost: 2.36 are kept. The longer the round, the more are lost:
# the lines below flatten.

# %%
from gemma_mtp_edu import plots

alphas = (0.95, 0.8, 0.6, 0.35)
gammas = range(13)
lines = {f"alpha {a:g}": {gamma: expected_tokens(a, gamma) for gamma in gammas} for a in alphas}
plots.show_figure(plots.lines_chart(lines, "drafts per round (gamma)", "tokens per round"))

# %% [markdown]
# ## Does a real model keep to it?
#
# A vLLM log of Gemma 4 26B-A4B says how often the first, second and third draft of a round were kept:
# 74%, 53%, 37%. If alpha were the same at each place, what would the second and third be?

# %% tags=["nbval-check-output"]
kept = (0.74, 0.53, 0.37)
print("alpha at each place:", [round(b / a, 2) for a, b in zip((1.0, *kept), kept, strict=False)])
print(f"tokens per round: {1 + sum(kept):.2f}, by the formula {expected_tokens(0.74, 3):.2f}")
assert abs(1 + sum(kept) - expected_tokens(0.74, 3)) < 0.1

# %% [markdown]
# Nearly: alpha falls a little from place to place, because later drafts stand on less. One alpha for all is a
# model, and good enough to plan with.

# %% [markdown]
# ## What does a round cost?
#
# Count in **plain passes**, the time in which plain decoding writes one token. The paper says: each draft costs
# c, and the verify pass as much as a plain pass. So a round costs gamma · c + 1, and
#
# speedup = tokens per round / cost of a round.
#
# **Predict**: with alpha 0.8 and c = 0.1, which gamma is best?


# %% tags=["nbval-check-output"]
def expected_speedup(gamma, alpha=0.8, c=0.1):
    return expected_tokens(alpha, gamma) / (gamma * c + 1)


for gamma in (1, 2, 4, 6, 8, 12):
    print(f"gamma {gamma:2}: {expected_speedup(gamma):.2f} times as fast")
assert max(range(17), key=expected_speedup) == 6

# %% [markdown]
# ## Is the verify pass free?
#
# "As much as a plain pass" is a hope. Lesson 01 showed that more tokens take somewhat longer, and how much
# longer depends on the machine. So measure: `calibrate` times plain steps and rounds of several lengths, in
# turns, and keeps the medians.

# %%
from gemma_mtp_edu import CostModel

cost = CostModel.calibrate(pair, lengths=(1, 2, 3, 5, 7, 9), contexts=(32, 96))

# %% tags=["timing"]
plain = cost.plain()
print(f"a plain step takes {1000 * plain:.1f} ms; in such steps")
print(
    f"a draft costs {cost.drafter_step() / plain:.2f}, the rest of a round {cost.rest() / plain:.2f}"
)
for gamma in (1, 2, 4, 8):
    print(f"a verify pass with gamma {gamma} costs {cost.verify(gamma + 1) / plain:.2f}")

# %% [markdown]
# Where a pass over more tokens looks a little cheaper than one over fewer, take it for noise: lesson 10.
#
# The bars below are your rounds, the diamonds are the paper's. Between a diamond and the top of its bar lies
# what "free" left out.

# %% tags=["timing"]
gammas = (1, 2, 4, 6, 8)
plots.show_figure(plots.plot_round_costs(cost, gammas))

# %% [markdown]
# ## Predict your machine
#
# What is still missing is alpha, and that depends on the text. One run with drafts of each text gives it: the
# share of right ones among the drafts that the target judged.

# %%
from gemma_mtp_edu import PROMPTS
from gemma_mtp_edu.analysis import alpha

prompts = {name: PROMPTS[name][0] for name in ("arithmetic", "json", "story")}
by_workload = {
    name: alpha(speculative_generate(pair, prompt, gamma=4, max_new_tokens=32))
    for name, prompt in prompts.items()
}
print({name: round(value, 2) for name, value in by_workload.items()})

# %% [markdown]
# Now `cost.predict(alpha, gamma)` says what each draft length should give. Before you look: for which text do
# more drafts help most, and for which do they stop helping first?

# %% tags=["timing"]
for name, value in by_workload.items():
    row = ", ".join(f"gamma {gamma}: {cost.predict(value, gamma):.2f}" for gamma in (1, 2, 4, 8))
    print(f"{name:10} {row}")

# %% [markdown]
# ## Then measure
#
# Now for real: each text without drafts, with 2 and with 6. All of them take turns, so that a machine that
# gets slower hits all alike. The first turn only warms up. What counts are the seconds after the prefill,
# which no drafter changes.


# %%
def run(name, gamma):
    if gamma == 0:
        return autoregressive_generate(pair, prompts[name], max_new_tokens=32)
    return speculative_generate(pair, prompts[name], gamma=gamma, max_new_tokens=32)


traces = {(name, gamma): [] for name in prompts for gamma in (0, 2, 6)}
for _ in range(4):
    for (name, gamma), runs in traces.items():
        runs.append(run(name, gamma))

seconds = {
    case: statistics.median(sum(r.seconds for r in trace.draft_rounds) for trace in runs[1:])
    for case, runs in traces.items()
}

# %% [markdown]
# Two predictions stand beside each measured speedup. *From alpha* is the formula. *From the rounds* prices the
# rounds that really happened, one by one; it needs a run, but no clock.

# %%
speedups = {
    f"{name}, {gamma} drafts": {
        "measured": seconds[name, 0] / seconds[name, gamma],
        "from alpha": cost.predict(by_workload[name], gamma),
        "from the rounds": cost.predict_trace(runs[-1]).speedup,
    }
    for (name, gamma), runs in traces.items()
    if gamma
}

# %% tags=["timing"]
plots.show_figure(plots.plot_speeds(speedups))

# %% [markdown]
# ## The score
#
# A prediction that is not scored is an opinion. Here is by how much the predictions missed.

# %% tags=["timing"]
for kind in ("from alpha", "from the rounds"):
    errors = [abs(row[kind] / row["measured"] - 1) for row in speedups.values()]
    print(f"{kind}: median error {statistics.median(errors):.0%}, worst {max(errors):.0%}")

# %% [markdown]
# *From the rounds* tests the costs alone: if it is far off, something else used the machine. What *from alpha*
# misses beyond that is the model's: drafts are not right independently of each other, and a text of 32 tokens
# has few rounds, the last of which is cut short.

# %% [markdown]
# ## The verdict
#
# The same numbers can be asked what would change the answer. This run had 2 drafts per round, the one above
# had 4: other drafts were judged, so alpha differs a little.

# %% tags=["timing"]
print(plots.verdict_text(cost.verdict(traces["story", 2][-1])))

# %% [markdown]
# ## Change this
#
# A drafter five times as slow, or one that is right half as often: what would they do here? Use other
# numbers, too.

# %% tags=["timing"]
from dataclasses import replace

slow = replace(cost, drafter_seconds=tuple(5 * s for s in cost.drafter_seconds))
print(f"alpha 0.8, 4 drafts: {cost.predict(0.8, 4):.2f}")
print(f"with a drafter five times as slow: {slow.predict(0.8, 4):.2f}")
print(f"with alpha 0.4: {cost.predict(0.4, 4):.2f}")

# %% [markdown]
# ## Takeaways
#
# 1. A round writes 1 + alpha + ... + alpha^gamma tokens: more drafts add ever less.
# 2. Speedup is tokens per round over the cost of a round in plain passes. The verify pass is not free, and how
#    dear it is depends on the machine.
# 3. Alpha belongs to the text, the costs belong to the machine. Measure both, predict, then score.

# %% [markdown]
# ## Exercises
#
# **1.** Write the formula yourself: tokens per round from alpha and gamma.
#
# <details><summary>Hint</summary>Add up alpha to the power of k, for k from 0 to gamma. The short form with
# a division fails where alpha is 1.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def tokens_per_round(alpha, gamma):
    return None  # your code


check("tokens_per_round", tokens_per_round)

# %% [markdown]
# **2.** Published: Gemma 4 12B with 3 drafts per round, the same prompt on two machines. On both 35% of the
# drafts were kept, 1.05 per round. One ran 1.72 times as fast as plain decoding, the other 0.52 times. What
# did a round cost on each, in plain passes? And what could explain the second number?
#
# <details><summary>Hint</summary>How many tokens did a round write? Speedup is that over the cost.</details>

# %% tags=["nbval-check-output"]
first_machine = None
second_machine = None

check("round_costs", first_machine, second_machine)

# %% [markdown]
# **3.** Turn it round: a round of `gamma` drafts costs `round_cost` plain passes. What is the smallest alpha,
# to a hundredth, that makes it as fast as plain decoding? Then ask it about your machine, with
# `cost.round_seconds(4) / cost.plain()`.
#
# <details><summary>Hint</summary>Try 0.00, 0.01, 0.02, ... and return the first alpha whose
# <code>expected_tokens</code> reach the cost.</details>


# %% tags=["nbval-check-output"]
def smallest_alpha(gamma, round_cost):
    return None  # your code


check("smallest_alpha", smallest_alpha)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), equation 1 and
#   theorem 3.8
# - [lablup/mlxcel PR 744](https://github.com/lablup/mlxcel/pull/744): one prompt, two machines, 1.72 and 0.52
# - a vLLM log of Gemma 4 26B-A4B with 3 drafts: kept drafts by position
#
# Solutions: `solutions_07_the_speedup_formula`. Next: `08_choosing_the_draft_length`.
