# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_12_real_checkpoints.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_12_real_checkpoints.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_12_real_checkpoints.ipynb)

# %% [markdown]
# # Solutions to 12 Real checkpoints
#
# Try the exercises of `12_real_checkpoints` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import check

# %% [markdown]
# **1.** A full layer keeps every token, a sliding one the last `window` of them. Until the window is full it
# keeps all as well.


# %% tags=["nbval-check-output"]
def cache_entries(full, sliding, window, context):
    return full * context + sliding * min(context, window)


check("cache_entries", cache_entries)

# %% [markdown]
# **2.** Seconds add up, speedups do not: a workload that takes most of the time matters most, however fast a
# short one becomes. 0 is in the running, so where drafts do not pay none are made.


# %% tags=["nbval-check-output"]
def one_length(sweep):
    return min(sweep, key=lambda gamma: sum(sweep[gamma]))


check("one_length", one_length)

# %% [markdown]
# **3.** The prediction is used once, to choose. A prediction that is 20% too high for every length loses nothing;
# one that is nearly right but names the wrong length does.


# %% tags=["nbval-check-output"]
def kept_speed(predicted, measured):
    chosen = max(predicted, key=predicted.get)
    return measured[chosen] / max(measured.values())


check("kept_speed", kept_speed)
