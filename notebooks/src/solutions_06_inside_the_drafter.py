# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_06_inside_the_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_06_inside_the_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_06_inside_the_drafter.ipynb)

# %% [markdown]
# # Solutions to 06 Inside the drafter
#
# Try the exercises of `06_inside_the_drafter` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import check
from gemma_mtp_edu import load_pair
from gemma_mtp_edu.analysis import AS_IS, ablate

pair = load_pair()

# %% [markdown]
# **1.** The newest token has not been through the target: all others have. A sliding layer sees the last
# `window` of them.


# %% tags=["nbval-check-output"]
def visible_entries(length, window):
    return length - 1, min(window, length - 1)


check("visible_entries", visible_entries)

# %% [markdown]
# **2.** Every score is a product with one row of the same width, so it is enough to count rows.


# %% tags=["nbval-check-output"]
def times_less_work(vocabulary, centroids, top_k):
    return vocabulary / (centroids + vocabulary // centroids * top_k)


check("times_less_work", times_less_work)

# %% [markdown]
# **3.** Three changes are enough to see it: two leave the first draft alone.

# %%
prompts = [f"Tell me a short story about a {word}." for word in ("heron", "fox")]
parts = [AS_IS, "no hidden state", "hidden state not fed back", "advancing positions"]
results = ablate(pair, prompts, parts, gamma=4, max_new_tokens=64)
for result in results:
    print(f"{result.part:26}", *(f"{share:4.0%}" for share in result.kept))

# %% [markdown]
# The one that costs more is the state that is fed back.

# %% tags=["nbval-check-output"]
my_part = "hidden state not fed back"

check("needs_the_loop", my_part, results)
