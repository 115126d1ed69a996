# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_05_same_text.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_05_same_text.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_05_same_text.ipynb)

# %% [markdown]
# # Solutions to 05 Same text
#
# Try the exercises of `05_same_text` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
import torch

from gemma_mtp_edu import check

# %% [markdown]
# **1.** What is left of p once accepted drafts have taken min(p, q), made a law again.


# %% tags=["nbval-check-output"]
def residual(p, q):
    left = (p - q).clamp(min=0)
    return left / left.sum()


check("residual", residual)

# %% [markdown]
# **2.** A token is drafted and accepted with probability min(p, q). The refused mass is what that leaves of
# 1, and it goes to the residual. Since that mass is just what normalises the residual, the sum is p.


# %% tags=["nbval-check-output"]
def emitted(p, q):
    kept = torch.minimum(p, q)
    return kept + (1 - kept.sum()) * residual(p, q)


check("emitted", emitted)
