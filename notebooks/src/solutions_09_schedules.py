# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_09_schedules.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_09_schedules.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_09_schedules.ipynb)

# %% [markdown]
# # Solutions to 09 Schedules
#
# Try the exercises of `09_schedules` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import check, load_pair
from gemma_mtp_edu import acceptance_profile
from gemma_mtp_edu.analysis import Setting, outcome

pair = load_pair()
prompt = "Tell me a short story about a heron."
profile = acceptance_profile(pair, prompt, max_gamma=16, max_new_tokens=64)

# %% [markdown]
# **1.** However many drafts were refused, the rule takes away one.


# %% tags=["nbval-check-output"]
def next_length(gamma, n_accepted):
    return gamma + 2 if n_accepted == gamma else max(1, gamma - 1)


check("heuristic_rule", next_length)

# %% [markdown]
# **2.** Replaying is cheap, so try them all.

# %% tags=["nbval-check-output"]
thresholds = (0.1, 0.3, 0.5, 0.7, 0.9)
speeds = {t: outcome(profile, Setting("confidence", threshold=t), 0.25).speedup for t in thresholds}
my_threshold = max(speeds, key=speeds.get)

check("best_threshold", my_threshold, profile, thresholds, 0.25)
