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
def cache_positions(full, sliding, window, context):
    return full * context + sliding * min(context, window)


check("cache_positions", cache_positions)

# %% [markdown]
# **2.** Seconds add up, speedups do not: a workload that takes most of the time matters most, however fast a
# short one becomes. 0 is in the running, so where drafts do not pay none are made.


# %% tags=["nbval-check-output"]
def one_length(sweep):
    return min(sweep, key=lambda gamma: sum(sweep[gamma]))


check("one_length", one_length)

# %% [markdown]
# **3.** With b requests a decode step takes `max(1, b / knee)`, a verify pass `max(1, b * (gamma + 1) / knee)`, and
# drafting `gamma * draft` decode steps. Drafting pays while a round's tokens are more than its time in decode
# steps. From `b = knee` on both passes compute, the verify pass costs gamma + 1 decode steps, and no round writes
# more tokens than that: so it never pays there.


# %% tags=["nbval-check-output"]
def pays(requests, alpha, gamma, draft, knee):
    step, verify = (max(1, requests * n / knee) for n in (1, gamma + 1))
    tokens = sum(alpha**k for k in range(gamma + 1))
    return tokens > gamma * draft + verify / step


def most_requests(alpha, gamma, draft, knee):
    return max((b for b in range(1, knee + 1) if pays(b, alpha, gamma, draft, knee)), default=0)


check("most_requests", most_requests)
