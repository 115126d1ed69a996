# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_09_schedules.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_09_schedules.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_09_schedules.ipynb)

# %% [markdown]
# # Solutions to 09 Schedules
#
# Try the exercises of `09_schedules` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import CostModel, acceptance_profile, check

pair, records = lesson.pair_or_records("pocket")
story = "Tell me a short story about a heron."
profile = (
    records.profiles["story"] if records else acceptance_profile(pair, story, max_new_tokens=64)
)
grid = dict(lengths=(1, 2, 3, 5, 9, 17), contexts=(64,), repeats=3)
cost = CostModel.calibrate(pair, **grid) if pair else records.cost

# %% [markdown]
# **Your turn: write it.** `rest[i]` is the cheapest rest of the text from position i. Longer rounds than
# `kept[i]` waste drafts, so they are not tried.


# %% tags=["nbval-check-output"]
def cheapest_lengths(kept, costs):
    rest, lengths = [0.0] * (len(kept) + 1), [0] * len(kept)
    for i in reversed(range(1, len(kept))):
        longest = min(kept[i], len(costs) - 1)
        ways = [costs[n] + rest[min(i + n + 1, len(kept))] for n in range(longest + 1)]
        rest[i] = min(ways)
        lengths[i] = ways.index(rest[i])
    return lengths


costs = [1 + 0.1 * n for n in range(17)]
print("the worked example:", cheapest_lengths([0, 2, 0, 1], [1.0, 1.1, 1.2]))
assert cheapest_lengths([0, 2, 0, 1], [1.0, 1.1, 1.2])[1] == 2

# %%
check("oracle_lengths", cheapest_lengths(profile.n_accepted, costs), profile, costs)

# %% [markdown]
# **1.** Replaying is cheap, so try them all.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import Confidence, replay


def decode_steps(run):
    return sum(cost.round_seconds(len(record.draft_ids)) for record in run.draft_rounds)


thresholds = (0.1, 0.3, 0.5, 0.7, 0.9)
my_threshold = min(thresholds, key=lambda t: decode_steps(replay(profile, Confidence(t))))

check("best_threshold", my_threshold, profile, thresholds, cost)

# %% [markdown]
# **2.** Tokens over cost for each length, with the alpha so far. `max` takes the first of equals.


# %% tags=["nbval-check-output"]
def next_length(accepted, verified, costs):
    alpha = (accepted + 1) / (verified + 2)

    def speedup(n):
        return sum(alpha**k for k in range(n + 1)) / costs[n]

    return max(range(len(costs)), key=speedup)


check("next_length", next_length)

# %% [markdown]
# As a schedule: it counts what was verified, which are the kept drafts and the first rejected one. Without a memory
# from one round to the next it could not; so it starts anew where there is no last round.

# %%
from gemma_mtp_edu import best_schedule
from gemma_mtp_edu.core import Schedule


class Adaptive(Schedule):
    def gamma(self, position, last):
        if last is None:
            self.accepted = self.verified = 0
        else:
            self.accepted += last.n_accepted
            self.verified += last.n_accepted + (last.n_accepted < last.n_drafted)
        return next_length(self.accepted, self.verified, costs)


run, (_, oracle) = replay(profile, Adaptive()), best_schedule(profile, costs.__getitem__)
print("made", *(len(record.draft_ids) for record in run.draft_rounds))
steps = [sum(costs[len(r.draft_ids)] for r in trace.draft_rounds) for trace in (run, oracle)]
print(f"{steps[1] / steps[0]:.0%} of the oracle's speed")
assert steps[1] <= steps[0] + 1e-9

# %% [markdown]
# It looks back, as heuristic does, but at all rounds. And it has a trap: once it takes 0 drafts, nothing is verified
# any more, and alpha stays what it is. A rule for a server would try a draft now and then.
