# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_00_first_run.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_00_first_run.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_00_first_run.ipynb)

# %% [markdown]
# # Solutions to 00 First run
#
# Try the exercises of [00 First run](00_first_run.ipynb) first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
import math

from gemma_mtp_edu import check, load_pair

pair = load_pair()

# %% [markdown]
# **1.** The prefill gives one token in one pass. The rest comes in rounds of `per_round` tokens, the last of which may
# be used in part only.


# %% tags=["nbval-check-output"]
def passes_needed(n_tokens, per_round):
    return 1 + math.ceil((n_tokens - 1) / per_round)


check("passes_needed", passes_needed)

# %% [markdown]
# **2.** The hook counts every pass of the target, the prefill too. It is removed at the end: otherwise each further call
# of the function would count twice, three times and so on.


# %% tags=["nbval-check-output"]
def compare_runs(prompt, pair):
    messages = [{"role": "user", "content": prompt}]
    text = pair.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = pair.processor(text=text, return_tensors="pt").to(pair.target.device)
    counts, texts = [], []
    for options in ({}, {"assistant_model": pair.drafter}):
        passes = []
        hook = pair.target.register_forward_hook(lambda *_, seen=passes: seen.append(1))
        output = pair.target.generate(**inputs, max_new_tokens=128, do_sample=False, **options)
        hook.remove()
        counts.append(len(passes))
        texts.append(output[0].tolist())
    return texts[0] == texts[1], counts[0], counts[1]


check("compare_runs", compare_runs, pair)
