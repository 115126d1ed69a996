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
from gemma_mtp_edu.analysis import expected_tokens

# %% [markdown]
# **1.** Draft k is kept where it and all before it are right: alpha to the power of k. The target's own token
# is the term for k = 0.


# %% tags=["nbval-check-output"]
def tokens_per_round(alpha, gamma):
    return sum(alpha**k for k in range(gamma + 1))


check("tokens_per_round", tokens_per_round)

# %% [markdown]
# **2.** Both wrote 1.05 + 1 tokens per round. The speedup is tokens over cost, so the cost is tokens over the
# speedup.

# %% tags=["nbval-check-output"]
first_machine = 2.05 / 1.72
second_machine = 2.05 / 0.52

check("round_costs", first_machine, second_machine)

# %% [markdown]
# On the first machine the three drafts and the verify pass together cost little more than one plain pass. On
# the second one they cost about four. The numbers allow two reasons: dear drafts, or a dear verify pass. The
# source names the second: there a pass over 4 tokens ran as 4 passes over one.
#
# Even drafts that are always right would win next to nothing there, because a round writes 4 tokens at most.

# %% [markdown]
# **3.** More alpha always means more tokens, so the first hundredth that reaches the cost is the answer.


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
from gemma_mtp_edu import load_pair
from gemma_mtp_edu import CostModel

cost = CostModel.calibrate(load_pair(), lengths=(1, 2, 5), contexts=(64,), repeats=3)
round_cost = cost.round_seconds(4) / cost.plain()
print(f"a round of 4 drafts costs {round_cost:.2f} plain passes: it pays from alpha", end=" ")
print(smallest_alpha(4, round_cost))
