# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_07_the_speedup_formula.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_07_the_speedup_formula.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_07_the_speedup_formula.ipynb)

# %% [markdown]
# # Solutions to 07 The speedup formula
#
# Try the exercises of `07_the_speedup_formula` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import check


def expected_tokens(alpha, gamma):
    return sum(alpha**k for k in range(gamma + 1))


# %% [markdown]
# **1.** More alpha always means more tokens, so the first hundredth that reaches the cost is the answer.


# %% tags=["nbval-check-output"]
def smallest_alpha(gamma, round_cost):
    for hundredth in range(101):
        if expected_tokens(hundredth / 100, gamma) >= round_cost:
            return hundredth / 100
    return float("inf")  # not even drafts that are always right pay


check("smallest_alpha", smallest_alpha)

# %% [markdown]
# And on this machine, with the bundled pair:

# %% tags=["timing"]
from gemma_mtp_edu import CostModel

pair, records = lesson.pair_or_records("pocket")
measure = dict(lengths=(1, 2, 5), contexts=(64,), repeats=3)
cost = CostModel.calibrate(pair, **measure) if pair else records.cost
round_cost = cost.round_seconds(4) / cost.plain()
print(f"a round of 4 drafts costs {round_cost:.2f} decode steps: it pays from alpha", end=" ")
print(smallest_alpha(4, round_cost))

# %% [markdown]
# **2.** A round verifies its first draft, and each further one where the one before it was kept. That is
# 1 + alpha + ... + alpha^(gamma - 1): what a round with one draft less would write.


# %% tags=["nbval-check-output"]
def pooled_alpha(shares, alphas, gamma):
    kinds = list(zip(shares, alphas, strict=True))
    kept = sum(share * (expected_tokens(alpha, gamma) - 1) for share, alpha in kinds)
    verified = sum(share * expected_tokens(alpha, gamma - 1) for share, alpha in kinds)
    return kept / verified


check("pooled_alpha", pooled_alpha)

# %% [markdown]
# Easy rounds verify more drafts, so they weigh more: the log shows an alpha above the mean of both. Does the
# formula with it give the right number of tokens?

# %% tags=["nbval-check-output"]
shares, alphas = (0.5, 0.5), (0.9, 0.3)
shown = pooled_alpha(shares, alphas, 4)
true = sum(share * expected_tokens(alpha, 4) for share, alpha in zip(shares, alphas, strict=True))
print(f"the log shows alpha {shown:.2f}, the mean of both is {sum(alphas) / 2:.2f}")
print(
    f"tokens per round: {true:.2f}, by the formula with the log's alpha {expected_tokens(shown, 4):.2f}"
)
assert sum(alphas) / 2 < shown

# %% [markdown]
# Not quite: a text whose rounds are of different kinds is not described by one alpha. Profiles, in lesson 08, need
# none.
