# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_01_why_decoding_is_slow.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_01_why_decoding_is_slow.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_01_why_decoding_is_slow.ipynb)

# %% [markdown]
# # Solutions to 01 Why decoding is slow
#
# Try the exercises of [01 Why decoding is slow](01_why_decoding_is_slow.ipynb) first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %% [markdown]
# **1.** The round costs a verify pass and `gamma` steps of the drafter. In the same time plain decoding writes one token
# for each one-token pass.


# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def break_even(verify, gamma, drafter):
    return verify + gamma * drafter


check("break_even", break_even)

# %% [markdown]
# **2.** One token leaves a given expert out with probability `1 - chosen / experts`, all of them with that to the power of
# `tokens`. Otherwise it is read. The mean over all experts is their number times this probability: for 8 of 128 and five
# tokens about 35, where no two tokens sharing an expert would give 40.


# %% tags=["nbval-check-output"]
def experts_read(experts, chosen, tokens):
    return experts * (1 - (1 - chosen / experts) ** tokens)


check("experts_read", experts_read)
for tokens in (1, 5, 17):
    print(f"{tokens:2} tokens: {experts_read(128, 8, tokens):5.1f} of 128 experts")
