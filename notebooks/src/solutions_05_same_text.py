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
import importlib
import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

REPOSITORY = "https://github.com/gemma-mtp-edu/gemma_mtp_edu"
KEPT = ("torch", "numpy", "ipywidgets")

if importlib.util.find_spec("gemma_mtp_edu") is None:
    found = [d for d in importlib.metadata.distributions() if d.name in KEPT]
    pins = pathlib.Path(tempfile.mkdtemp()) / "constraints.txt"
    pins.write_text("".join(f"{d.name}=={d.version}\n" for d in found))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
    subprocess.run([*pip, f"git+{REPOSITORY}"], check=True)
    importlib.invalidate_caches()

from gemma_mtp_edu import lesson

lesson.setup()

# %%
import torch

from gemma_mtp_edu import checks

# %% [markdown]
# **1.** What is left of p once accepted drafts have taken min(p, q), made a law again.


# %% tags=["nbval-check-output"]
def residual(p, q):
    left = (p - q).clamp(min=0)
    return left / left.sum()


checks.residual(residual)

# %% [markdown]
# **2.** A token is drafted and accepted with probability min(p, q). The refused mass is what that leaves of
# 1, and it goes to the residual. Since that mass is just what normalises the residual, the sum is p.


# %% tags=["nbval-check-output"]
def emitted(p, q):
    kept = torch.minimum(p, q)
    return kept + (1 - kept.sum()) * residual(p, q)


checks.emitted(emitted)
