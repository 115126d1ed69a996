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
import itertools
import math

import torch

from gemma_mtp_edu import check

# %% [markdown]
# **1.** A draft x comes with probability q(x) and is accepted with min(1, p(x)/q(x)); the product is min(p(x), q(x)).
# What is left of 1 is rejected.


# %% tags=["nbval-check-output"]
def acceptance_loss(probs, logits):
    return 1 - torch.minimum(probs, logits.softmax(-1)).sum(-1)


check("acceptance_loss", acceptance_loss)

# %% [markdown]
# A gradient goes through the minimum only where q is the smaller one, and a softmax scales it by q. A random start
# has q near 0 on the tokens that matter, so almost nothing arrives. The cross-entropy divides by q, and pushes
# hardest where q is smallest:

# %%
probs = torch.tensor([[0.97, 0.01, 0.01, 0.01]])
for wrong in (0.0, 4.0, 8.0):
    sizes = []
    for loss in (acceptance_loss, lambda p, z: -(p * z.log_softmax(-1)).sum(-1)):
        logits = torch.tensor([[0.0, wrong, wrong, wrong]], requires_grad=True)
        loss(probs, logits).sum().backward()
        sizes.append(logits.grad.abs().max().item())
    q = torch.tensor([0.0, wrong, wrong, wrong]).softmax(-1)[0]
    print(f"q of the right token {q:.4f}: gradients {sizes[0]:.4f} and {sizes[1]:.4f}")

# %% [markdown]
# **2.** The first k drafts are all right with the product of the first k numbers. Each such chain adds a token, and
# the target's own token comes on top.


# %% tags=["nbval-check-output"]
def tokens_of(agreement):
    return 1 + sum(itertools.accumulate(agreement, lambda a, b: a * b))


check("round_tokens", tokens_of)
assert math.isclose(tokens_of([0.5, 0.5]), 1.75)
