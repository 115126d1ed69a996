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
from gemma_mtp_edu import check, load_pair
from gemma_mtp_edu import acceptance_profile
from gemma_mtp_edu.analysis import speedups_by_length

pair = load_pair()
prompt = "Write a JSON record for a person named Ida Berg who is 44 years old and lives in Lima."
profile = acceptance_profile(pair, prompt, max_gamma=16, max_new_tokens=64)

# %% [markdown]
# **1.** A round never keeps more than it drafts, and always writes one token of the target's own.


# %% tags=["nbval-check-output"]
def rounds_needed(kept, gamma):
    position, rounds = 1, 0
    while position < len(kept):
        position += min(kept[position], gamma) + 1
        rounds += 1
    return rounds


check("rounds_needed", rounds_needed)

# %% [markdown]
# **2.** The list begins with one draft, so the place of its greatest number is one short.

# %% tags=["nbval-check-output"]
speeds = speedups_by_length(profile, 0.25)
my_length = speeds.index(max(speeds)) + 1

check("best_length", my_length, profile, 0.25)
