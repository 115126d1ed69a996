# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_02_load_a_pair.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_02_load_a_pair.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_02_load_a_pair.ipynb)

# %% [markdown]
# # Solutions to 02 Load a pair
#
# Try the exercises of [02 Load a pair](02_load_a_pair.ipynb) first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %% [markdown]
# **1.** Cut off the layers that share, then take the last one of each kind. `layer_types[:-n_shared]` would be empty
# for a target that shares nothing, such as 26B-A4B, so count from the front.


# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def kv_sources(layer_types, n_shared):
    own = layer_types[: len(layer_types) - n_shared]
    last = {kind: layer for layer, kind in enumerate(own)}  # later layers overwrite earlier ones
    return last["full"], last["sliding"]


check("kv_sources", kv_sources)
print("E2B:", kv_sources((["sliding"] * 4 + ["full"]) * 7, 20))

# %% [markdown]
# **2.** Query i belongs to token `n - m + i` and may see that many keys and its own. So the diagonal from which keys are
# hidden is moved to the right by the `n - m` tokens that only the cache has.


# %% tags=["nbval-check-output"]
import torch


def attend(queries, keys, values):
    m, n = len(queries), len(keys)
    scores = queries @ keys.T / keys.shape[1] ** 0.5
    later = torch.ones(m, n).triu(n - m + 1).bool()
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ values


check("attend", attend)

# %% [markdown]
# PyTorch has this as one function. Given a mask of what may be *seen*, it gives the same:

# %% tags=["nbval-check-output"]
queries, keys, values = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0)).unbind()
seen = torch.ones(5, 7).tril(2).bool()
theirs = torch.nn.functional.scaled_dot_product_attention(queries[2:], keys, values, attn_mask=seen)
print(torch.allclose(attend(queries[2:], keys, values), theirs, atol=1e-6))
