# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/07_the_speedup_formula.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F07_the_speedup_formula.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/07_the_speedup_formula.ipynb)

# %% [markdown]
# # 07 The speedup formula
#
# **Goal**: predict the speedup on your machine from one property of the text and the costs of a round, then
# measure it and score the prediction.
#
# **Minutes**: 40. **Prerequisites**: lessons 01 and 03.

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

from gemma_mtp_edu import autoregressive_generate, speculative_generate

# Where the installed transformers version runs no pair, records stand in and the timed runs are left out.
pair, records = lesson.pair_or_records(PAIR)

# %% [markdown]
# ## How many tokens does a round write?
#
# Call **alpha** the chance that the target accepts a draft that it verifies: one with no rejected draft before
# it. Call **gamma** the number of drafts per round. Suppose that alpha is 0.8 for each draft, whatever
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
def expected_tokens(alpha, gamma):
    return sum(alpha**k for k in range(gamma + 1))


print(f"{expected_tokens(0.8, 4):.2f} by the formula")
print(f"{expected_tokens(0.8, 4) - 1:.2f} drafts are kept; {0.8 * 4:.1f} of 4 were right")
assert abs(expected_tokens(0.8, 4) - thrown) < 0.05

# %% [markdown]
# Was your guess higher? Four drafts of which each is right in 8 of 10 cases are 3.2 right drafts, and with the
# target's token 4.2. But a right draft after a wrong one is lost: 2.36 are kept. The longer the round, the more
# are lost: the lines below flatten.

# %%
from gemma_mtp_edu import plots

alphas = (0.95, 0.8, 0.6, 0.35)
gammas = range(13)
lines = {f"alpha {a:g}": {gamma: expected_tokens(a, gamma) for gamma in gammas} for a in alphas}
ax = plots.lines_chart(lines, "drafts per round (gamma)", "tokens per round")
ax.set_title("Each further draft adds less than the one before")
plots.show_figure(ax)

# %% [markdown]
# ## Three numbers with similar names
#
# Papers, servers and logs report three different numbers. Here is one real run to tell them apart. Decoding is
# greedy in lessons 06 to 12.

# %%
from gemma_mtp_edu import PROMPTS, Constant, replay

prompts = {name: PROMPTS[name][0] for name in ("arithmetic", "json", "story")}
drafted = {
    name: speculative_generate(pair, prompts[name], gamma=4, max_new_tokens=64)
    if pair
    else replay(records.profiles[name], Constant(4))
    for name in prompts
}
rounds = drafted["story"].draft_rounds
for record in rounds[:4]:
    print(f"{len(record.draft_ids)} drafts, {record.n_accepted} kept, then a {record.next_kind}")

# %% [markdown]
# 1. **beta** of a position is what Leviathan et al. call the acceptance rate (definition 3.1): the chance that
#    the target accepts a draft at that position. **alpha** is its mean over positions.
# 2. **Accepted / drafted** is what servers log as acceptance rate. It also counts drafts that were never
#    verified.
# 3. **Tokens per round** is what logs call *mean acceptance length*, although it counts the target's own token.

# %% [markdown]
# Under greedy decoding a beta is 0 or 1: the draft is the target's argmax or it is not. **Predict**: which of the
# first two numbers is larger?

# %%
betas = []
for record in rounds:
    betas += [1] * record.n_accepted
    betas += [0] * (
        record.next_kind == "correction"
    )  # the first rejected draft; the rest is unverified
n_drafted = sum(len(record.draft_ids) for record in rounds)
print(f"alpha: {sum(betas)} of {len(betas)} verified drafts, {statistics.mean(betas):.2f}")
print(f"accepted / drafted: {sum(betas)} of {n_drafted}, {sum(betas) / n_drafted:.2f}")
print(f"tokens per round: {statistics.mean(len(record.token_ids) for record in rounds):.2f}")
assert len(betas) <= n_drafted

# %% [markdown]
# Alpha is never the smaller one: both have the same numerator, and alpha has the smaller denominator.
#
# When a model samples, a beta lies between 0 and 1 (the overlap of both distributions, lesson 05). Gemma's own
# settings are temperature 1, top-k 64, top-p 0.95: there alpha is another number than the greedy one of this lesson.

# %% [markdown]
# ## Does one alpha describe a real model?
#
# Somebody served Gemma 4 26B-A4B with vLLM and published how often each draft of a round was kept: first with 4
# drafts per round, then with 2. **Predict** from these lists: which run has the higher accepted / drafted, and
# which writes more tokens per round?

# %% tags=["nbval-check-output"]
logged = {4: (0.844, 0.599, 0.385, 0.271), 2: (0.766, 0.545)}
for gamma, kept in logged.items():
    steps = [round(b / a, 2) for a, b in zip((1.0, *kept), kept, strict=False)]
    verified = 1 + sum(kept[:-1])  # a draft is verified where the one before it is kept
    one_alpha = sum(kept) / verified
    print(
        f"{gamma} drafts: accepted / drafted {sum(kept) / gamma:.2f}, chance of each draft {steps}"
    )
    print(f"  {1 + sum(kept):.2f} tokens per round,", end=" ")
    print(f"{expected_tokens(one_alpha, gamma):.2f} by the formula with alpha {one_alpha:.2f}")
    assert abs(1 + sum(kept) - expected_tokens(one_alpha, gamma)) < 0.15

# %% [markdown]
# The run with 2 drafts has the better rate, and writes fewer tokens. So a rate alone never says which length is
# better. The chances differ from draft to draft, yet one alpha comes within 5%: it is a model,
# good enough to plan with. Lesson 08 does without it.

# %% [markdown]
# ## What does a round cost?
#
# Count in **decode steps**: the time in which plain decoding writes one token. The paper says: each draft costs
# c, and the verify pass as much as a decode step. So a round costs gamma · c + 1, and
#
# speedup = tokens per round / cost of a round.
#
# **Predict**: with alpha 0.8 and c = 0.1, which gamma is best?


# %% tags=["nbval-check-output"]
def expected_speedup(gamma, alpha=0.8, c=0.1):
    return expected_tokens(alpha, gamma) / (gamma * c + 1)


for gamma in (1, 2, 4, 6, 8, 12):
    print(f"gamma {gamma:2}: {expected_speedup(gamma):.2f}x")
assert max(range(17), key=expected_speedup) == 6

# %% [markdown]
# ## Is the verify pass free?
#
# "As much as a decode step" is an assumption. Lesson 01 timed target passes over several tokens with a stopwatch;
# `calibrate` does so for whole rounds of several lengths, in turns, and keeps the medians. **Predict**: how much
# longer than a pass over 1 token does the verify pass with 8 drafts take?

# %%
from gemma_mtp_edu import CostModel

lengths = (1, 2, 3, 5, 7, 9)  # tokens of a verify pass: the newest one and the drafts
cost = CostModel.calibrate(pair, lengths=lengths, contexts=(32, 96)) if pair else records.cost

# %% tags=["timing"]
plain = cost.plain()
print(f"a decode step takes {1000 * plain:.1f} ms")
for n in lengths:
    seconds = cost.verify(n)
    print(
        f"verify({n}): {seconds / plain:.2f} decode steps, {seconds / cost.verify(1):.2f}x verify(1)"
    )
print(f"a draft: {cost.drafter_step() / plain:.2f} decode steps", end="; ")
print(f"the rest of a round: {cost.rest() / plain:.2f}")

# %% [markdown]
# `verify(1)`, a pass over 1 token, is the baseline. A decode step is such a pass and some bookkeeping around it,
# so it should cost a little less than 1. Where a longer pass looks cheaper than a shorter one, take it for noise:
# lesson 10.
#
# The bars below are your rounds, the diamonds are the paper's. What lies between a diamond and the top of its
# bar is what "free" left out.

# %% tags=["timing"]
gammas = (1, 2, 4, 6, 8)
paper = [gamma * cost.drafter_step() / plain + 1 for gamma in gammas]
total = {gamma: cost.round_seconds(gamma) / plain for gamma in gammas}
parts = {
    "verify pass": {gamma: cost.verify(gamma + 1) / plain for gamma in gammas},
    "drafting": {gamma: gamma * cost.drafter_step() / plain for gamma in gammas},
    "the rest": {gamma: cost.rest() / plain for gamma in gammas},
}
ax = plots.axes()
ax.bar_label(plots.bars(ax, parts)[-1], [f"{height:.2f}" for height in total.values()])
ax.plot(paper, "D", color="black", label="if verifying were one decode step")
ax.set(xlabel="drafts per round (gamma)", ylabel="cost of a round, decode steps")
ax.set_title(f"8 drafts: {total[8]:.1f} decode steps here, {paper[-1]:.1f} if verifying cost one")
ax.margins(y=0.1)
plots.tidy(ax, "Stacked bars of a round's cost in decode steps.", plots.listed(parts))
plots.show_figure(ax)

# %% [markdown]
# ## The same alpha, two machines
#
# Published: Gemma 4 12B with 3 drafts per round and one prompt, on two machines. On both, 35% of the drafts were
# kept: 1.05 per round. **Predict** what a round costs on the machine where drafting was 1.72x as fast, and on the
# one where it was 0.52x.

# %% tags=["nbval-check-output"]
for speedup in (1.72, 0.52):
    print(f"{speedup}x: 2.05 tokens per round / {speedup} = {2.05 / speedup:.2f} decode steps")
# Even if every draft were right, a round of 3 writes 4 tokens:
print(f"most that the second machine can reach: {4 / (2.05 / 0.52):.2f}x")

# %% [markdown]
# The source gives the reason: on the second machine a pass over 4 tokens ran as 4 passes over one. No drafter
# repairs that.
#
# ## Predict your machine
#
# What is still missing is alpha, and that depends on the text. `alpha` does what you saw above.

# %%
from gemma_mtp_edu.analysis import alpha

by_workload = {name: alpha(run) for name, run in drafted.items()}
print({name: round(value, 2) for name, value in by_workload.items()})
assert abs(by_workload["story"] - statistics.mean(betas)) < 1e-9

# %% [markdown]
# Where alpha is 1, the pair has memorised the answer. The bundled pair was trained on such counting and such
# records; do not expect as much of a real Gemma on your texts.
#
# `cost.predict(alpha, gamma)` divides the tokens by the cost of a round. Before you run it: for which text do more
# drafts help most, and for which do they stop helping first?

# %% tags=["timing"]
for name, value in by_workload.items():
    row = ", ".join(f"gamma {gamma}: {cost.predict(value, gamma):.2f}" for gamma in (1, 2, 4, 8))
    print(f"{name:10} {row}")
assert cost.predict(0.5, 4) == expected_tokens(0.5, 4) * plain / cost.round_seconds(4)

# %% [markdown]
# ## Then measure
#
# Each text without drafts, with 2 and with 6. All of them take turns, so that a machine that
# gets slower hits all alike. The first turn only warms up. What counts are the seconds after the prefill,
# which no drafter changes. (Without a pair there is nothing to time: the cells below then print nothing.)


# %%
def run(name, gamma):
    if gamma == 0:
        return autoregressive_generate(pair, prompts[name], max_new_tokens=64)
    return speculative_generate(pair, prompts[name], gamma=gamma, max_new_tokens=64)


turns = []
for _ in range(4 if pair else 0):
    turns.append({(name, gamma): run(name, gamma) for name in prompts for gamma in (0, 2, 6)})


def seconds(turn, case):
    return sum(record.seconds for record in turn[case].draft_rounds)


# %% [markdown]
# Each turn gives one speedup, so there is a median and a spread. Two predictions stand beside them. *From alpha*
# is the formula. *From the rounds* adds up the costs of the rounds that really happened; it needs a run, but no
# clock.

# %%
cases = [(name, gamma) for name in prompts for gamma in (2, 6) if turns]
measured = {
    case: [seconds(turn, (case[0], 0)) / seconds(turn, case) for turn in turns[1:]]
    for case in cases
}
predicted = {
    "from alpha": {(n, gamma): cost.predict(by_workload[n], gamma) for n, gamma in cases},
    "from the rounds": {case: cost.predict_trace(turns[-1][case]).speedup for case in cases},
}

# %% [markdown]
# ## The score
#
# A prediction that is not scored is worth little. By how much did the two miss the medians?

# %% tags=["timing"]
middle = {case: statistics.median(ratios) for case, ratios in measured.items()}
missed = {}
for kind, by_case in predicted.items():
    errors = [abs(by_case[case] / middle[case] - 1) for case in cases] or [0]
    missed[kind] = statistics.median(errors)
    print(f"{kind}: median error {missed[kind]:.0%}, worst {max(errors):.0%}")

# %% [markdown]
# A point on the dotted line was predicted right; below it, the prediction was too high. The grey lines are the
# spread of the turns.

# %% tags=["timing"]
ax = plots.axes(4.2, 6.5)
looks, told = {"from alpha": ("o", "black"), "from the rounds": ("D", "white")}, []
for kind, (marker, inside) in looks.items():
    x = [predicted[kind][case] for case in cases]
    ax.plot(x, list(middle.values()), marker, color="black", mfc=inside, label=kind)
    ax.vlines(x, [min(r) for r in measured.values()], [max(r) for r in measured.values()], "grey")
    told += [f"{n}, {g} drafts, {kind}: {predicted[kind][n, g]:.2f} predicted" for n, g in cases]
ax.axline((1, 1), slope=1, color="black", linestyle=":", label="predicted = measured")
ax.set(xlabel="predicted speedup", ylabel="measured speedup, with its spread")
ax.set_title("Median error: " + ", ".join(f"{error:.0%} {kind}" for kind, error in missed.items()))
told += [f"{n}, {g} drafts: {at:.2f} measured" for (n, g), at in middle.items()]
plots.show_figure(plots.tidy(ax, "; ".join(told) or "Nothing was measured."))

# %% [markdown]
# *From the rounds* tests the costs alone: if it is far off, something else used the machine. What *from alpha*
# misses beyond that is the model's: drafts are not right independently of each other, and a text of 64 tokens
# has few rounds, the last of which is cut short.

# %% [markdown]
# ## What would change the answer?
#
# A drafter five times as slow, a target pass that grows twice as fast, a drafter that is right half as often:
# which of them hurts most here? **Predict**, then change the numbers.

# %% tags=["timing"]
from dataclasses import replace

slow = replace(cost, drafter_seconds=tuple(5 * s for s in cost.drafter_seconds))
first = [row[0] for row in cost.verify_seconds]
rows = zip(first, cost.verify_seconds, strict=True)
steep = replace(cost, verify_seconds=tuple(tuple(2 * s - one for s in row) for one, row in rows))
print(f"alpha 0.8, 4 drafts: {cost.predict(0.8, 4):.2f}x")
print(f"with a drafter five times as slow: {slow.predict(0.8, 4):.2f}x")
print(f"with verify passes that grow twice as fast: {steep.predict(0.8, 4):.2f}x")
print(f"with alpha 0.4: {cost.predict(0.4, 4):.2f}x")

# %% [markdown]
# ## Takeaways
#
# 1. A round writes 1 + alpha + ... + alpha^gamma tokens: each further draft adds less.
# 2. Speedup is tokens per round over the cost of a round in decode steps. The verify pass is not free, and how
#    expensive it is depends on the machine.
# 3. Alpha belongs to the text, the costs belong to the machine. Accepted / drafted is neither: it falls when
#    rounds get longer, also where they get faster.

# %% [markdown]
# ## Exercises
#
# **1.** (medium, 10 minutes) A round of `gamma` drafts costs `round_cost` decode steps. What is the smallest
# alpha, to a hundredth, that makes it as fast as plain decoding? Write the function; then ask it about your
# machine, with `cost.round_seconds(4) / cost.plain()`.
#
# <details><summary>Hint</summary>Try 0.00, 0.01, 0.02, ... and return the first alpha whose
# <code>expected_tokens</code> reach the cost.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def smallest_alpha(gamma, round_cost):
    return None  # your code


check("smallest_alpha", smallest_alpha)

# %% [markdown]
# **2.** (hard, 15 minutes) A text has two kinds of stretches. `shares` says which share of the **rounds** starts in
# each, `alphas` which alpha holds in such a round. Which alpha, accepted drafts over verified ones, does the log
# of the run show? Does the formula give the right tokens per round with it?
#
# <details><summary>Hint</summary>A round keeps alpha + ... + alpha^gamma drafts. It verifies the
# first one, and each further one where the one before it is kept.</details>


# %% tags=["nbval-check-output"]
def pooled_alpha(shares, alphas, gamma):
    return None  # your code


check("pooled_alpha", pooled_alpha)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192): definition 3.1
#   (beta and alpha), equation 1, theorem 3.8
# - [eugr/spark-vllm-docker#343](https://github.com/eugr/spark-vllm-docker/issues/343): Gemma 4 26B-A4B (NVFP4) in
#   vLLM with 4 and 2 drafts, kept drafts by position
# - [lablup/mlxcel#744](https://github.com/lablup/mlxcel/pull/744): one prompt, two machines, 1.72x and 0.52x
# - [llama.cpp#24536](https://github.com/ggml-org/llama.cpp/pull/24536): mean acceptance length counts the target's
#   own token
#
# [Solutions](solutions_07_the_speedup_formula.ipynb) · Next: [08 Choosing the draft length](08_choosing_the_draft_length.ipynb)
