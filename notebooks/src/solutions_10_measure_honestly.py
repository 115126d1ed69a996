# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_10_measure_honestly.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_10_measure_honestly.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_10_measure_honestly.ipynb)

# %% [markdown]
# # Solutions to 10 Measure honestly
#
# Try the exercises of `10_measure_honestly` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
import statistics

from gemma_mtp_edu import check

# %% [markdown]
# **1.** Turns, so that drift meets both alike; the first turn is dropped, for it warms up; medians, because a
# disturbed run moves a mean. Each of the three is needed: with blocks the drift counts, with means the
# disturbance, with all runs the slow start. A speedup has the plain seconds on top.


# %% tags=["nbval-check-output"]
def benchmark(plain, drafted, repeats):
    turns = [(plain(), drafted()) for _ in range(1 + repeats)][1:]
    seconds = [statistics.median(method) for method in zip(*turns, strict=True)]
    return seconds[0] / seconds[1]


check("benchmark", benchmark)

# %% [markdown]
# **2.** In A the texts differ. In B the machine gets slower from run to run, so what comes later loses. C is
# fine: first runs dropped, 2.0 over 1.6. D counts the slow first run, which only the plain side has. E has one
# run of each, and a difference that noise alone could make.

# %% tags=["nbval-check-output"]
my_answers = {
    "A": "different texts",
    "B": "not in turns",
    "C": "fine",
    "D": "warm-up",
    "E": "one run",
}

check("wrong_benchmarks", my_answers)

# %% [markdown]
# **3.** The prefill stays, decoding shrinks. So even an endlessly fast drafter cannot get beyond
# `(prefill + decoding) / prefill`.


# %% tags=["nbval-check-output"]
def end_to_end(prefill, decoding, speedup):
    return (prefill + decoding) / (prefill + decoding / speedup)


check("end_to_end", end_to_end)
