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
# Installs the course where it is missing; torch, numpy and ipywidgets stay as they are.
import importlib.util
import re
import subprocess
import sys

COURSE = "git+https://github.com/gemma-mtp-edu/gemma_mtp_edu"

new = importlib.util.find_spec("gemma_mtp_edu") is None
if new:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-color", "--no-deps", COURSE]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        said = re.findall("(?:fatal|ERROR|error: ext|No module).*", done.stderr) or ["nothing"]
        raise RuntimeError(f"could not fetch {COURSE} (is the internet on?): pip said {said[0]}")
    importlib.invalidate_caches()

from gemma_mtp_edu import lesson

lesson.setup(install=new)

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
