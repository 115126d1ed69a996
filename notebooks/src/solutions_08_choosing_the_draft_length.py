# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_08_choosing_the_draft_length.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_08_choosing_the_draft_length.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_08_choosing_the_draft_length.ipynb)

# %% [markdown]
# # Solutions to 08 Choosing the draft length
#
# Try the exercises of `08_choosing_the_draft_length` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import acceptance_profile, check

pair, records = lesson.pair_or_records("pocket")
story = "Tell me a short story about a heron."
profile = (
    records.profiles["story"] if records else acceptance_profile(pair, story, max_new_tokens=64)
)

# %% [markdown]
# **1.** A draft counts where all before it are kept. Entry 0 is a placeholder.


# %% tags=["nbval-check-output"]
def alpha_by_position(kept, n):
    def reached(k):
        return sum(count >= k for count in kept[1:])

    return [reached(k + 1) / reached(k) for k in range(n)]


check("alpha_by_position", alpha_by_position)

# %% [markdown]
# On the story, without the positions near its end, where no four drafts fit:

# %%
print(*(f"{share:.2f}" for share in alpha_by_position(profile.n_accepted[:-4], 4)))

# %% [markdown]
# **2.** One function for the cost of a text with a given length, then the cheapest of all lengths. `min` takes the
# first of equals.


# %% tags=["nbval-check-output"]
def cost_of_text(kept, gamma, costs):
    position, total = 1, 0
    while position < len(kept):
        total += costs[gamma]
        position += min(kept[position], gamma) + 1
    return total


def best_constant(kept, costs):
    return min(range(len(costs)), key=lambda gamma: cost_of_text(kept, gamma, costs))


check("best_constant", best_constant)

# %% [markdown]
# On the story, where a draft costs 0.1 decode steps and each further token of a verify pass 0, 0.05 or 0.3:

# %%
for growth in (0, 0.05, 0.3):
    costs = [1 + (0.1 + growth) * n for n in range(17)]
    print(f"growth {growth}: best length {best_constant(profile.n_accepted, costs)}")
