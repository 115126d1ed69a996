# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_06_inside_the_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_06_inside_the_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_06_inside_the_drafter.ipynb)

# %% [markdown]
# # Solutions to 06 Inside the drafter
#
# Try the exercises of [06_inside_the_drafter](06_inside_the_drafter.ipynb) first: its checks ask questions that help.

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
# **1.** Every score is a product with one row of the same width, so it is enough to count rows.


# %% tags=["nbval-check-output"]
def times_less_work(vocabulary, centroids, top_k):
    return vocabulary / (centroids + vocabulary // centroids * top_k)


check("times_less_work", times_less_work)
print(f"E2B: {times_less_work(262_144, 2048, 32):.1f} times fewer")

# %% [markdown]
# **2.** Two searches, one in the other: the clusters first, then the tokens in the best of them. The argmax is an
# index into the candidates; `candidates` says which token it is.


# %% tags=["nbval-check-output"]
def centroid_head(state, centroids, token_ordering, table, top_k):
    best = (centroids @ state).topk(top_k).indices
    candidates = token_ordering.view(len(centroids), -1)[best].flatten()
    return candidates[(table[candidates] @ state).argmax()]


check("centroid_head", centroid_head)
