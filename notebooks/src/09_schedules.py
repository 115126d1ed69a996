# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/09_schedules.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F09_schedules.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/09_schedules.ipynb)

# %% [markdown]
# # 09 Schedules
#
# **Goal**: let the draft length change from round to round; compute the oracle, the best lengths that hindsight can
# choose; weigh the rules against it, by replay and with a clock.
#
# **Minutes**: 45. **Prerequisites**: lesson 08.

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
from gemma_mtp_edu import PROMPTS, Confidence, Constant, FromProfile, Heuristic
from gemma_mtp_edu import CostModel, acceptance_profile, best_schedule, replay

# Where the installed transformers version runs no pair, records stand in and the timed runs are left out.
pair, records = lesson.pair_or_records(PAIR)

# %% [markdown]
# As in lesson 08, each text is profiled once, greedily, and rounds are measured once. From there on everything is
# replay, exact and without a model, until the clock has the last word.

# %%
prompts = {name: PROMPTS[name][0] for name in ("arithmetic", "json", "qa", "story")}
profiles = {
    name: acceptance_profile(pair, prompt, max_gamma=16, max_new_tokens=64)
    if pair
    else records.profiles[name]
    for name, prompt in prompts.items()
}
grid = dict(lengths=(1, 2, 3, 5, 9, 17), contexts=(64,), repeats=3)
cost = CostModel.calibrate(pair, **grid) if pair else records.cost

# %% [markdown]
# ## The rule called "heuristic"
#
# The tutorial advises `num_assistant_tokens_schedule = "heuristic"`. Its rule: two drafts more after a round in
# which all were kept, one less after any other.
#
# **Predict**: start with 4. The first round keeps all, the next two do not. How many drafts have these three,
# and the fourth?

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.core import LastRound

rule = Heuristic(4)
# gamma(tokens written, the last round: drafts asked for, made, kept)
first = rule.gamma(1, None)
second = rule.gamma(6, LastRound(first, first, first))
third = rule.gamma(8, LastRound(second, second, 1))
print(first, second, third, rule.gamma(9, LastRound(third, third, 0)))

# %% [markdown]
# Now on a real text, an easy one and a hard one. Where does it climb, where does it fall?

# %%
for name in ("arithmetic", "story"):
    rounds = replay(profiles[name], Heuristic(4)).draft_rounds
    print(f"{name:10} made", *(len(r.draft_ids) for r in rounds))
    print(f"{'':10} kept", *(r.n_accepted for r in rounds))

# %% [markdown]
# The last rounds are cut short where the limit of 64 tokens is near. A 0 is a decode step without drafts.

# %% [markdown]
# ## What the library makes of it
#
# Here is the story again, set as the tutorial says, with transformers' own loop. **Predict**: which draft lengths
# does it take?

# %%
from gemma_mtp_edu import reference_generate

made = []
if pair:
    settings = pair.drafter.generation_config
    before = settings.num_assistant_tokens_schedule
    settings.num_assistant_tokens_schedule = "heuristic"
    library = reference_generate(pair, prompts["story"], gamma=4, max_new_tokens=64)
    settings.num_assistant_tokens_schedule = before
    start = len(library.prompt_ids)
    # Near the limit rounds are cut short: look at the others.
    made = [len(r.draft_ids) for r in library.draft_rounds if r.prefix_length - start < 60]
print("made", *made)
assert set(made) <= {4}  # fails where a transformers version reads the setting again

# %% [markdown]
# It drafts 4 in every round. Nothing reads the setting, and no message says so:
#
# | transformers | "heuristic" for a Gemma 4 drafter |
# |---|---|
# | 5.8 to 5.17, where an assisted call does not fail | works; the first round has 2 more than set |
# | 5.18, 5.19 | every assisted call fails |
# | since 5.20, except 5.23 | ignored without a word (measured up to 5.24) |
# | 5.23 | builds no Gemma 4 drafter |

# %% [markdown]
# So whoever compares "heuristic" with "constant" on these versions compares a thing with itself. In the older
# ones the run also left its last length in `generation_config`, where the next measurement began. Print
# the draft lengths before you believe a setting.

# %% [markdown]
# ## Ask the drafter
#
# `Heuristic` looks back at past rounds. The drafter's own probability looks at this very draft:
# `Confidence(0.4)` drafts on until a draft is below 40%, or until there are 16. The unsure one is still verified,
# because it has been paid for. (transformers has `assistant_confidence_threshold`; its class for Gemma 4 drafters does not read it.)
#
# **Predict**: with a higher threshold, are rounds longer or shorter?

# %% tags=["nbval-check-output"]
story, thresholds = profiles["story"], (0.1, 0.3, 0.5, 0.7, 0.9)
by_threshold = {threshold: replay(story, Confidence(threshold)) for threshold in thresholds}
drafts = [run.drafter_passes for run in by_threshold.values()]
print("a higher threshold makes fewer drafts:", drafts[0] > drafts[-1])

# %%
for threshold, run in by_threshold.items():
    wasted = run.drafter_passes - run.n_accepted
    print(f"threshold {threshold}: {run.target_passes} target passes, {wasted} drafts wasted")

# %% [markdown]
# ## Two prices
#
# Fewer passes or fewer wasted drafts: that needs costs. The paper takes a verify pass for a decode step; here a
# draft of it costs 0.1. The other price is measured: lesson 07 found that the pass over a round's tokens takes longer.


# %% tags=["timing"]
def paper_cost(n_drafts):
    return 1 + 0.1 * n_drafts


def measured_cost(n_drafts):
    return cost.round_seconds(n_drafts) / cost.plain()


def decode_steps(run, round_cost):
    return sum(round_cost(len(record.draft_ids)) for record in run.draft_rounds)


for n in (0, 1, 4, 8, 16):
    print(f"{n:2} drafts: {paper_cost(n):.2f} or, measured, {measured_cost(n):.2f} decode steps")

# %% [markdown]
# ## The oracle
#
# Is a rule good? Good against what? A profile knows how many drafts would be kept at **every** position, so the
# best lengths can be computed with hindsight. No rule can do that, because it takes the future. So the oracle is
# an upper bound for every rule.

# %% [markdown]
# Four tokens, `kept = [0, 2, 0, 1]`, and rounds of 0, 1 or 2 drafts that cost 1.0, 1.1 and 1.2. The prefill has
# written the first token. **Predict**: how many drafts should the round at position 1 make?

# %%
my_guess = None  # 0, 1 or 2

# %% [markdown]
# Work backwards. From position 3 a decode step ends the text: 1.0. At position 2 no draft is kept: 1.0 and then
# the 1.0 of position 3. At position 1 there are three ways: 0 drafts, 1.0 + 2.0; 1 draft leads to position 3,
# 1.1 + 1.0; 2 drafts end the text, 1.2. So: 2.

# %% [markdown]
# In general the cheapest rest from position i is the minimum over n of `costs[n]` and the cheapest rest from
# position i + min(kept[i], n) + 1. After the end it is 0.

# %% [markdown]
# ## Your turn: write it
#
# That is dynamic programming, and takes about eight lines. Return the best draft length of **every** position, also
# of those that the best way does not visit; entry 0 may be 0. `costs[n]` is the cost of a round with n drafts.

# %% [markdown]
# <details><summary>Hint</summary>Make a list <code>rest</code> of zeros, one longer than the text, and walk i from
# the last position down to 1. More drafts than would be kept never help. A round may reach the end, not go past
# it.</details>


# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def cheapest_lengths(kept, costs):
    return None  # your code


costs = [paper_cost(n) for n in range(17)]
check("oracle_lengths", cheapest_lengths(story.n_accepted, costs), story, costs)

# %% [markdown]
# The check compares your rounds with those of the package's `best_schedule`. Until yours are there, the lesson goes
# on with the latter. How does the oracle write the story?

# %%
lengths = cheapest_lengths(story.n_accepted, costs) or best_schedule(story, paper_cost)[0].lengths
oracle = replay(story, FromProfile(tuple(lengths)))
print("made", *(len(r.draft_ids) for r in oracle.draft_rounds))
print("kept", *(r.n_accepted for r in oracle.draft_rounds))

# %% [markdown]
# A 0 is a decode step. The oracle wastes nothing: a draft that will be rejected costs something and gives nothing,
# so it is not made.

# %% tags=["nbval-check-output"]
print("drafts wasted by the oracle:", oracle.drafter_passes - oracle.n_accepted)
assert oracle.drafter_passes == oracle.n_accepted

# %% [markdown]
# ## All of them
#
# Three rules: 4 drafts in every round, heuristic, confidence. The *best constant* is no rule: it is the best
# length of lesson 08, found by trying all of them on this very text. **Predict** the fastest rule for each text.
# And: do the measured costs make another rule the fastest?


# %%
def schedules_for(profile, round_cost):
    constants = {n: decode_steps(replay(profile, Constant(n)), round_cost) for n in range(1, 17)}
    return {
        "4 drafts": Constant(4),
        "heuristic": Heuristic(4),
        "confidence": Confidence(0.4),
        "best constant": Constant(min(constants, key=constants.get)),
        "oracle": best_schedule(profile, round_cost)[0],
    }


def speedups(profile, round_cost):
    schedules = schedules_for(profile, round_cost)
    steps = {n: decode_steps(replay(profile, s), round_cost) for n, s in schedules.items()}
    return {name: (len(profile) - 1) / step for name, step in steps.items()}


by_paper = {name: speedups(profile, paper_cost) for name, profile in profiles.items()}
by_clock = {name: speedups(profile, measured_cost) for name, profile in profiles.items()}

# %%
rows = [*by_paper.values(), *by_clock.values()]
assert all(max(row.values()) <= row["oracle"] + 1e-9 for row in rows)  # nothing beats the oracle
assert all(row["best constant"] >= row["4 drafts"] - 1e-9 for row in rows)
rules = ("4 drafts", "heuristic", "confidence")
for name in profiles:
    for kind, row in (("paper's costs", by_paper[name]), ("measured", by_clock[name])):
        fastest = max(rules, key=row.get)
        print(f"{name:10} {kind:13} fastest rule: {fastest}, {row[fastest]:.2f}x", end="; ")
        print(f"best constant {row['best constant']:.2f}x, oracle {row['oracle']:.2f}x")

# %% [markdown]
# A row is a schedule, a panel a text. The diamond is the paper's price, the dot the measured one.

# %% tags=["timing"]
import statistics

import matplotlib.pyplot as plt

from gemma_mtp_edu import plots

figure, panels = plt.subplots(1, 4, sharey=True, figsize=(9, 2.9), layout="constrained")
for ax, name in zip(panels, profiles, strict=True):
    paper, clock = by_paper[name], by_clock[name]
    ax.hlines(list(paper), list(paper.values()), list(clock.values()), color="#BBBBBB")
    ax.plot(
        list(paper.values()), list(paper), "D", color="black", mfc="white", label="paper's costs"
    )
    ax.plot(list(clock.values()), list(clock), "o", color="#0072B2", label="measured costs")
    ax.set(title=name, xlabel="speedup")
    ax.margins(0.15)
panels[0].invert_yaxis()
figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
changes = [by_clock[n][s] / by_paper[n][s] - 1 for n in profiles for s in by_paper[n]]
figure.suptitle(f"At measured costs speedups change by {statistics.median(changes):+.0%} (median)")
told = f"By replay, at the paper's costs: {plots.listed(by_paper)}; measured: {plots.listed(by_clock)}."
plots.show_figure(figure, told)

# %% [markdown]
# What lies between a rule and the oracle is all that a better rule could win. 4 drafts are a weak baseline: the
# best constant is the one to beat. But it had to see the text first, and the rules had not.

# %% [markdown]
# ## Believe the clock
#
# A replay prices rounds; a real schedule also has to look at the drafts and choose. So time them: an easy
# text and a hard one, all schedules in turns. Each turn gives a speedup of its own, so there is a
# spread. **Predict**: which of the differences above survive it?

# %%
from gemma_mtp_edu import autoregressive_generate, speculative_generate

timed = {name: schedules_for(profiles[name], measured_cost) for name in ("arithmetic", "story")}


def seconds(name, schedule):
    limit = {"max_new_tokens": 64}
    if schedule is None:
        run = autoregressive_generate(pair, prompts[name], **limit)
    else:
        run = speculative_generate(pair, prompts[name], schedule=schedule, **limit)
    return sum(record.seconds for record in run.draft_rounds)


turns = []
for _ in range(4 if pair else 0):  # without a pair there is nothing to time
    todo = [(n, s) for n, schedules in timed.items() for s in ("plain", *schedules)]
    turns.append({(n, s): seconds(n, timed[n].get(s)) for n, s in todo})

# %% tags=["timing"]
ratios = {
    name: {s: [turn[name, "plain"] / turn[name, s] for turn in turns[1:]] for s in schedules}
    for name, schedules in timed.items()
    if turns
}


def fastest_rule(spread):
    first, second, _ = sorted(rules, key=lambda s: -statistics.median(spread[s]))
    return first if min(spread[first]) > max(spread[second]) else f"{first} or {second}, a tie"


found = [f"{name}: {fastest_rule(spread)}" for name, spread in ratios.items()]
print(*found, sep="; ")

# %% [markdown]
# Two schedules whose spreads overlap are a tie: these runs cannot tell which is faster. The bar of a row goes from
# the slowest to the fastest turn, its dot is the median; the circle is what the replay predicted.

# %% tags=["timing"]
figure, panels = plt.subplots(1, 2, sharey=True, figsize=(9, 2.9), layout="constrained")
told = []
for ax, (name, spread) in zip(panels, ratios.items(), strict=False):
    low, high = ([limit(values) for values in spread.values()] for limit in (min, max))
    middle = [statistics.median(values) for values in spread.values()]
    circles = [by_clock[name][s] for s in spread]
    ax.hlines(list(spread), low, high, "#0072B2", lw=3)
    ax.plot(middle, list(spread), "o", color="#0072B2", label="timed, with spread")
    ax.plot(circles, list(spread), "o", color="black", mfc="none", ms=10, label="predicted")
    ax.set(title=name, xlabel="speedup")
    ax.margins(0.15)
    rows = zip(spread, middle, circles, strict=True)
    told += [f"{name}, {s}: {timed:.2f} timed, {at:.2f} predicted" for s, timed, at in rows]
panels[0].invert_yaxis()
marks = panels[0].get_legend_handles_labels()
figure.legend(*marks, loc="outside lower center", ncols=2, frameon=False)
figure.suptitle("; ".join(found) or "Nothing was timed")
plots.show_figure(figure, "; ".join(told) or "Nothing was timed.")

# %% [markdown]
# ## What neither count shows
#
# On a GPU, reading a probability after each draft makes the processor wait for the device, which a fixed length
# does not. Many requests at once share each pass, and one draft length: lessons 10 and 12. And these are this
# pair's greedy texts: how well a drafter knows itself differs from pair to pair, and with temperature.

# %% [markdown]
# ## Change this
#
# **Predict**: on arithmetic, which rule wins where drafts are nearly free, and which where they are very
# expensive?

# %% tags=["timing"]
text, own = profiles["arithmetic"], cost.drafter_step() / cost.plain()
for ratio in (0.02, 0.1, 0.3, 0.6):
    row = speedups(text, lambda n, ratio=ratio: measured_cost(n) + (ratio - own) * n)
    fastest = max(rules, key=row.get)
    print(f"a draft costs {ratio}: {fastest} wins, {row[fastest]:.2f}x")

# %% [markdown]
# Now change the text in that cell, or move the explorer's sliders and look for the setting where another rule
# wins. It needs a running notebook; the table below it shows one setting to everybody.

# %%
from gemma_mtp_edu import TradeoffExplorer

explorer = TradeoffExplorer(profiles, cost)
explorer.schedule.value = "confidence"
explorer

# %% tags=["timing"]
from IPython.display import HTML

HTML(plots.summary_html(profiles["arithmetic"], explorer.setting, cost, workload="arithmetic"))

# %% [markdown]
# ## Takeaways
#
# 1. "heuristic" adds 2 after a perfect round and takes 1 away after any other; transformers
#    ignores it for Gemma 4 drafters.
# 2. The oracle's lengths follow from the profile by dynamic programming, from the end backwards. They waste no
#    draft and bound every rule.
# 3. Compare a rule with the oracle and with the best constant, at measured costs; then time it. What the spread
#    covers is a tie.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) Which of the five `thresholds` is fastest for the story, at the measured costs?
#
# <details><summary>Hint</summary><code>by_threshold</code> has the replays, <code>decode_steps</code> prices
# them.</details>

# %% tags=["nbval-check-output"]
my_threshold = None

check("best_threshold", my_threshold, story, thresholds, cost)

# %% [markdown]
# **2.** (hard, 20 minutes) A rule of your own: estimate alpha from the drafts verified so far, as
# (`accepted` + 1) / (`verified` + 2), and take the length that the formula of lesson 07 makes fastest at `costs`; 0
# is a length, too. Of equals the shortest counts. Then make a schedule of it and compare it with the oracle on
# the four texts.
#
# <details><summary>Hint</summary>A round with n drafts writes 1 + alpha + ... + alpha^n tokens for
# <code>costs[n]</code>.</details>

# %% [markdown]
# A schedule is a class with `gamma(position, last)`, which is called before every round with a `LastRound`, and with
# None before the first.


# %% tags=["nbval-check-output"]
def next_length(accepted, verified, costs):
    return None  # your code


check("next_length", next_length)

# %% [markdown]
# ## Sources
#
# - transformers 5.17.0 and 5.22.2, `generation/candidate_generator.py`; schedule dropped in
#   [PR 48982](https://github.com/huggingface/transformers/pull/48982)
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), section 3.5
# - Google, Gemma 4 Multi-Token Prediction using Hugging Face Transformers, section on the number of draft tokens
#
# [Solutions](solutions_09_schedules.ipynb) · Next: [10 Measure honestly](10_measure_honestly.ipynb)
