# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_11_train_a_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_11_train_a_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_11_train_a_drafter.ipynb)

# %% [markdown]
# # Solutions to 11 Train a drafter
#
# Try the exercises of `11_train_a_drafter` first: its checks ask questions that help.

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
# **1.** A draft x comes with probability q(x) and is kept with min(1, p(x)/q(x)); the product is min(p(x), q(x)).
# What is left of 1 is refused. This is the loss called "acceptance".


# %% tags=["nbval-check-output"]
def refused(p, q):
    return 1 - sum(min(a, b) for a, b in zip(p, q, strict=True))


check("rejection_probability", refused)

# %% [markdown]
# **2.** Earlier tokens only, because the newest one has not been passed; and no further back than the window.


# %% tags=["nbval-check-output"]
def seen(newest, key):
    return newest - 4 <= key < newest


check("may_see", seen)
