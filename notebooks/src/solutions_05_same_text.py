# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_05_same_text.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_05_same_text.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_05_same_text.ipynb)

# %% [markdown]
# # Solutions to 05 Same text
#
# Try the exercises of [05_same_text](05_same_text.ipynb) first: its checks ask questions that help.

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
# **1.** As an accepted draft x comes with probability q(x) · accept(x). The rest of the mass was rejected, and goes
# to `instead`. With min(1, p/q) and the residual this is p; with another rule it is not, as in the library.


# %% tags=["nbval-check-output"]
def emitted(q, accept, instead):
    kept = q * accept
    return kept + (1 - kept.sum()) * instead


check("emitted", emitted)

# %% [markdown]
# **2.** A draft that comes in every round was drawn from a q that is 1 there and 0 elsewhere. So it is accepted
# with min(1, p(d)/1) = p(d), and the residual max(0, p - q) is p without d, normalised.
#
# Where p(d) is 1, nothing is left, and 0/0 would be NaN. The draft is then never rejected: any distribution will
# do, such as p.


# %% tags=["nbval-check-output"]
def argmax_rule(p, draft):
    left = p.clone()
    left[draft] = 0
    total = left.sum()
    return p[draft], left / total if total > 0 else p


check("argmax_rule", argmax_rule)

# %% [markdown]
# The package does this for drafts that were not drawn: `verify_sampling` with `draft_probs=None`.

# %% [markdown]
# **3.** The first rejection decides the row. Only there is a residual needed, and there p is not q: a draft with
# p/q = 1 is never rejected, for uniform numbers are below 1. If all are accepted, the bonus comes from p's last
# row.


# %% tags=["nbval-check-output"]
def sampling_round(p, q, drafts, uniforms):
    for i, (draft, uniform) in enumerate(zip(drafts, uniforms, strict=True)):
        if uniform >= p[i, draft] / q[i, draft]:
            left = (p[i] - q[i]).clamp(min=0)
            return i, left / left.sum()
    return len(drafts), p[-1]


check("sampling_round", sampling_round)
