# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/08_choosing_the_draft_length.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F08_choosing_the_draft_length.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/08_choosing_the_draft_length.ipynb)

# %% [markdown]
# # 08 Choosing the draft length
#
# **Goal**: weigh 15 drafts per round against 2, find the best length for a text without running it again, with
# the costs of your machine, and see what that length depends on.
#
# **Minutes**: 35. **Prerequisites**: lesson 07.

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
from gemma_mtp_edu import PROMPTS, Constant, speculative_generate

# Where the installed transformers version runs no pair, records stand in and the timed runs are left out.
pair, records = lesson.pair_or_records(PAIR)
prompts = {name: PROMPTS[name][0] for name in ("arithmetic", "json", "rewrite", "qa", "story")}

# %% [markdown]
# ## 15 drafts or 2?
#
# Google's tutorial names both sides. Many drafts, such as 15: some will be rejected, and their work is lost, but
# where most are right it is fast. Few drafts: less is lost, but less is won, too.
#
# **Predict**: which of the two needs fewer target passes for a story? Which makes more drafts in vain?

# %%
runs = {
    gamma: speculative_generate(pair, prompts["story"], gamma=gamma, max_new_tokens=64)
    for gamma in (2, 15)
    if pair
}
for gamma, run in runs.items():
    wasted = run.drafter_passes - run.n_accepted
    print(f"{gamma:2} drafts: {run.target_passes} target passes", end=", ")
    print(f"{wasted} of {run.drafter_passes} drafts wasted")

# %% [markdown]
# The text is the same, as always. With 15 drafts the target works less and the drafter much more. Which side
# weighs more is a question of cost. But first: must the models run again for every length?

# %% [markdown]
# ## Draft from everywhere, once
#
# No. Under greedy decoding the target decides the text alone, so it does not depend on the drafts. And all that a
# drafter starts from (the newest token, a hidden state, keys and values) the target made from that text. So what
# it would draft there does not depend on the draft length either. (In our loop. The library may leave the KV of
# rejected drafts in the drafter's sight: lesson 06.)

# %% [markdown]
# When a model samples, as Gemma does by default (temperature 1, top-k 64, top-p 0.95), the text is drawn, and a
# draft is kept with some chance. Then what follows holds for the text at hand and on average, not draft for draft.
#
# `acceptance_profile` writes the text once, lets the drafter draft 16 tokens **from every position**, and counts
# how many would be kept.

# %%
from gemma_mtp_edu import acceptance_profile

profiles = records.profiles if records else {
    name: acceptance_profile(pair, prompt, max_gamma=16, max_new_tokens=64)
    for name, prompt in prompts.items()
}  # fmt: skip
print(profiles["story"])

# %% [markdown]
# One position of it, by hand. After 8 tokens of the story the drafter drafts; the text says what the target wrote.
# Kept are the drafts before the first one that differs.

# %%
story, written = profiles["story"], 8
drafts, text = story.draft_ids[written], story.token_ids[written:]
print("drafts:", *(repr(story.vocabulary[i]) for i in drafts[:8]))
print("text:  ", *(repr(story.vocabulary[i]) for i in text[:8]))
n_kept = 0
while n_kept < len(drafts) and drafts[n_kept] == text[n_kept]:
    n_kept += 1
print(n_kept, "kept")
assert n_kept == story.n_accepted[written]

# %% [markdown]
# The same for every position:

# %%
print(*story.n_accepted)

# %% [markdown]
# The first number is a placeholder: the prefill writes the first token, so nothing is drafted for it. The second
# says how many drafts would be kept after one token, and so on. Near the end no more can be kept than tokens are
# left. Where the numbers fall by one from position to position, it is the same stretch of easy text, entered later
# and later.

# %% [markdown]
# ## Replay
#
# Now a run is an addition. At position i with gamma drafts, `min(kept[i], gamma)` drafts enter the text and one
# token of the target's own; the next round starts after them. **Predict**: is that an estimate, or exactly what
# the models did above?

# %%
my_guess = None  # "estimate" or "exact"

# %% [markdown]
# The walk in plain Python:


# %%
def rounds_of(kept, gamma):
    position, rounds = 1, []  # the prefill has written one token
    while position < len(kept):
        n_kept = min(kept[position], gamma)
        rounds.append(n_kept)
        position += n_kept + 1
    return rounds


for gamma in (2, 15):
    print(f"{gamma} drafts:", *rounds_of(story.n_accepted, gamma))

# %% [markdown]
# `replay` of the package also keeps tokens, and knows that a round makes fewer drafts where the limit of 64 tokens
# is near.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import replay

for gamma, run in runs.items():
    replayed = replay(story, Constant(gamma))
    assert len(replayed.draft_rounds) == len(rounds_of(story.n_accepted, gamma))
    same = [r.draft_ids for r in replayed.rounds] == [r.draft_ids for r in run.rounds]
    print(f"{gamma} drafts: the same rounds as in the real run:", same)
    assert same or run.token_ids != story.token_ids or pair.target.dtype.itemsize < 4

# %% [markdown]
# Exactly, draft for draft. (In 16 bit a tie may fall the other way.) So every length from 1 to 16 is
# known, and no model has to run again.

# %% [markdown]
# ## Saved and wasted
#
# Passes saved and drafts wasted are counted in different units: one is a pass of the large model, the other of the
# small one. So put both in decode steps, with costs measured here, as in lesson 07. **Predict**: which of the
# three parts shrinks with longer rounds, which one grows?

# %%
from gemma_mtp_edu import CostModel

grid = dict(lengths=(1, 2, 3, 5, 9, 17), contexts=(64,), repeats=3)
cost = CostModel.calibrate(pair, **grid) if pair else records.cost
step = cost.plain()
draft = cost.drafter_step() / step

# %%
replays = {gamma: replay(story, Constant(gamma)) for gamma in (1, 2, 3, 4, 6, 8, 12, 15)}


def verifying(run):
    return sum(cost.verify(len(r.draft_ids) + 1) + cost.rest() for r in run.draft_rounds) / step


parts = {
    "verify passes": {gamma: verifying(run) for gamma, run in replays.items()},
    "drafts kept": {gamma: draft * run.n_accepted for gamma, run in replays.items()},
    "drafts wasted": {
        gamma: draft * (run.drafter_passes - run.n_accepted) for gamma, run in replays.items()
    },
}

# %% tags=["timing"]
from gemma_mtp_edu import plots

plain = len(story) - 1  # decode steps, the first token being the prefill's
total = {gamma: sum(part[gamma] for part in parts.values()) for gamma in replays}
best = min(total, key=total.get)
ax = plots.axes()
ax.bar_label(plots.bars(ax, parts)[-1], [f"{height:.0f}" for height in total.values()])
ax.axhline(plain, color="black", linestyle=":", label="plain decoding")
ax.set(xlabel="drafts per round (gamma)", ylabel="cost of the story, decode steps")
ax.set_title(f"Cheapest: {best} per round; 15 waste {parts['drafts wasted'][15]:.0f} decode steps")
plots.tidy(ax, "Stacked bars of the cost of a text.", plots.listed(parts))
plots.show_figure(ax)

# %% [markdown]
# What a length saves is the gap between its bar and the dotted line. There are fewer and fewer verify passes, but
# each takes longer; and each additional draft is paid for in every round.

# %% [markdown]
# ## Other texts
#
# How many drafts are kept is a matter of the text. How often is the first, second, third draft
# kept, over all positions that have room for eight drafts? **Predict**: which workload can stand long rounds?


# %%
def kept_by_position(profile, most=8):
    most = min(most, len(profile) // 2)
    kept = profile.n_accepted[1 : len(profile) - most + 1]
    return [sum(n > k for n in kept) / len(kept) for k in range(most)]


shares = {name: kept_by_position(profile) for name, profile in profiles.items()}
last = {name: row[-1] for name, row in shares.items()}
high, low = max(last, key=last.get), min(last, key=last.get)
lines = {name: dict(enumerate(row, 1)) for name, row in shares.items()}
ax = plots.lines_chart(lines, "position of the draft in its round", "share kept")
ax.set_title(f"The 8th draft: {last[high]:.0%} are kept on {high}, {last[low]:.0%} on {low}")
plots.show_figure(ax)

# %% [markdown]
# Where lines lie on each other, the smaller sign stands in the larger one.
#
# A line that stays near 1 is a **memorised** answer: target and drafter were trained on it or on its template. Such
# a text can stand any length, and tells nothing about texts that nobody has seen. Look at the other lines.

# %% tags=["nbval-check-output"]
never_rises = all(list(row) == sorted(row, reverse=True) for row in shares.values())
print("no line rises:", never_rises)
assert never_rises  # after a rejected draft all others are lost

# %% [markdown]
# ## Speed, at two prices
#
# The paper takes a verify pass for a decode step. Lesson 07 has refuted that, so price each round twice: as the
# paper does, with a draft at 0.1 decode steps, and as measured here. **Predict**: which of the two
# favours longer rounds?


# %%
def speedup(run, round_cost):
    rounds = run.draft_rounds
    return (len(run.token_ids) - 1) / sum(round_cost(len(r.draft_ids)) for r in rounds)


def paper_cost(n_drafts):
    return 1 + 0.1 * n_drafts


def measured_cost(n_drafts):
    return cost.round_seconds(n_drafts) / step


def by_length(profile, round_cost):
    return {n: speedup(replay(profile, Constant(n)), round_cost) for n in range(1, 17)}


# %% tags=["timing"]
paper = {name: by_length(profile, paper_cost) for name, profile in profiles.items()}
speeds = {name: by_length(profile, measured_cost) for name, profile in profiles.items()}
for name in profiles:
    for kind, row in (("paper's costs", paper[name]), ("measured", speeds[name])):
        best = max(row, key=row.get)
        print(f"{name:10} {kind:13} best with {best:2} drafts: {row[best]:.2f}x")


# %% tags=["timing"]
def show_speeds(speeds, title):
    best = {name: max(row, key=row.get) for name, row in speeds.items()}
    lines = {f"{name}, best {best[name]}": row for name, row in speeds.items()}
    plain = {"plain decoding": 1}
    ax = plots.lines_chart(lines, "drafts per round (gamma)", "speedup, measured costs", plain)
    ax.set_title(title)
    plots.show_figure(ax)


best = [max(row, key=row.get) for row in speeds.values()]
show_speeds(speeds, f"The best length goes from {min(best)} to {max(best)}, by text alone")

# %% [markdown]
# Where both prices name the same length, they still differ in the speedup: the paper's promises too much. Lines
# have steps, because a text has only so many rounds: one more draft often changes where later rounds begin. A best
# length found on one short text is a hint: lesson 10 asks for several prompts of a kind.

# %% [markdown]
# ## The best length moves
#
# Keep the text and the target and change the drafter: one that is nearly free (0.02 decode steps a draft), one at
# 0.1, and an expensive one (0.7). **Predict** the direction.

# %% tags=["timing"]
by_cost = {
    f"a draft costs {ratio:g}": by_length(
        story, lambda n, ratio=ratio: measured_cost(n) + (ratio - draft) * n
    )
    for ratio in (0.02, 0.1, 0.7)
}
best = [max(row, key=row.get) for row in by_cost.values()]
show_speeds(by_cost, f"More expensive drafts, shorter rounds: best {', '.join(map(str, best))}")
made = [replay(story, Constant(n)).drafter_passes for n in best]
assert made == sorted(made, reverse=True)

# %% [markdown]
# The assert holds on every machine: if a drafter gets more expensive, the cheapest way to write the text never
# makes more drafts than before.

# %% [markdown]
# ## Your machine on the map
#
# Last, the formula of lesson 07 with the costs measured here: a line for each alpha, one of them the story's.
# It says something about this pair on this machine, nothing about another. **Predict**: from which alpha on
# does drafting pay at all?

# %% tags=["timing"]
from gemma_mtp_edu.analysis import alpha

own = alpha(replay(story, Constant(4)))
by_alpha = {
    f"alpha {a:.2f}": {n: cost.predict(a, n) for n in range(1, 17)}
    for a in sorted({0.1, 0.3, 0.6, 0.9, own})
}
needed = [a / 100 for a in range(101) if max(cost.predict(a / 100, n) for n in range(1, 17)) > 1]
row = by_alpha[f"alpha {own:.2f}"]
pays = f"Drafting pays from alpha {needed[0]:.2f}" if needed else "Drafting never pays"
show_speeds(by_alpha, f"{pays}; the story's {own:.2f} is best with {max(row, key=row.get)}")

# %% [markdown]
# The higher alpha, the longer the best rounds. Where a line stays below 1, no length pays. Even a drafter that is
# right in nine of ten cases has its best length: later drafts count only if all before them are right.

# %% [markdown]
# ## Change this
#
# The explorer holds all of it, with this machine's costs. First a few lengths are timed, so that the
# predictions have something to answer to.

# %%
from statistics import median

from gemma_mtp_edu.analysis import timed_runs

two = {name: prompts[name] for name in ("arithmetic", "story") if pair}
timed = timed_runs(pair, two, (2, 4, 8), max_new_tokens=64, repeats=2) if pair else {}
seconds = {
    case: median(sum(record.seconds for record in run.draft_rounds) for run in turns)
    for case, turns in timed.items()
}
measured = {name: {n: seconds[name, 0] / seconds[name, n] for n in (2, 4, 8)} for name in two}

# %% [markdown]
# Choose `story` and draft length 4 (Tab and arrow keys work). **Predict**: at what cost of a draft does the
# speedup fall below 1? Move the cost until it does. Then the same for `arithmetic`. The *oracle* is that of
# lesson 09: lengths chosen round by round that know the future. The explorer needs a running
# notebook; the table below it shows one setting to everybody.

# %%
from gemma_mtp_edu import TradeoffExplorer

explorer = TradeoffExplorer(profiles, cost, measured=measured)
explorer

# %% tags=["timing"]
from IPython.display import HTML

from gemma_mtp_edu.analysis import Setting

chosen, known = Setting("constant", 4), measured.get("arithmetic")
HTML(
    plots.summary_html(profiles["arithmetic"], chosen, cost, workload="arithmetic", measured=known)
)

# %% [markdown]
# ## Takeaways
#
# 1. In the long run, longer rounds save ever fewer passes and waste ever more drafts. Count both in decode steps.
# 2. Under greedy decoding the text fixes all drafts, so one profile answers exactly for every length.
# 3. The best length grows with a text that is easy to guess and shrinks with drafts and verify passes that cost
#    more: it belongs to text, pair and machine together.

# %% [markdown]
# ## Exercises
#
# `kept` is a list like the one above: entry i says how many drafts would be kept after i tokens, entry 0 is a
# placeholder.

# %% [markdown]
# **1.** (medium, 10 minutes) The formula of lesson 07 has one alpha for all drafts of a round. Has it? Write how
# often the first, second, ... draft is right **where all before it are**: a list of `n` shares.
#
# <details><summary>Hint</summary>The draft at index k was reached where at least k drafts are kept. In which
# share of these positions are more than k kept?</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def alpha_by_position(kept, n):
    return None  # your code


check("alpha_by_position", alpha_by_position)

# %% [markdown]
# **2.** (hard, 15 minutes) Which constant length writes the text at the lowest cost? `costs[n]` is the cost of a
# round with `n` drafts; 0 is a choice, too. Of equals the shortest counts.
# Every round makes all its drafts. The text has as many tokens as `kept` has entries.
#
# <details><summary>Hint</summary>Write first what a text costs with a given length: <code>rounds_of</code> above
# walks through it. Then compare all lengths that have a cost.</details>


# %% tags=["nbval-check-output"]
def best_constant(kept, costs):
    return None  # your code


check("best_constant", best_constant)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), sections 3.3
#   and 3.5
# - Google, Gemma 4 Multi-Token Prediction using Hugging Face Transformers, section on the number of draft tokens
#
# [Solutions](solutions_08_choosing_the_draft_length.ipynb) · Next: [09 Schedules](09_schedules.ipynb)
