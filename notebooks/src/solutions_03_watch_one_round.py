# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_03_watch_one_round.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_03_watch_one_round.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_03_watch_one_round.ipynb)

# %% [markdown]
# # Solutions to 03 Watch one round
#
# Try the exercises of [03 Watch one round](03_watch_one_round.ipynb) first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
from gemma_mtp_edu import check, load_pair, speculative_generate

pair = load_pair()
trace = speculative_generate(pair, "Name seven musical instruments.", gamma=4, max_new_tokens=64)

# %% [markdown]
# **1.** Of each round's drafts the first `n_accepted` entered the text, and then the target's own token,
# if there is one.


# %% tags=["nbval-check-output"]
def tokens_of_rounds(trace):
    tokens = []
    for record in trace.rounds:
        tokens += record.draft_ids[: record.n_accepted]
        if record.next_id is not None:
            tokens.append(record.next_id)
    return tokens


check("tokens_of_rounds", tokens_of_rounds, trace)

# %% [markdown]
# **2.** Under greedy decoding the target's prediction after a part of its own text is the next token of that text. So draft 0 is
# compared with the token at `prefix_length`, draft 1 with the one after it, up to the first difference or the end of the text.
# Lesson 08 builds on this: a text and the drafts at each position are enough to replay any draft length.


# %% tags=["nbval-check-output"]
def accepted_by_text(trace):
    whole, counts = trace.prompt_ids + trace.token_ids, []
    for record in trace.rounds:
        rest, n = whole[record.prefix_length :], 0
        while n < min(len(rest), len(record.draft_ids)) and record.draft_ids[n] == rest[n]:
            n += 1
        counts.append(n)
    return counts


check("accepted_by_text", accepted_by_text, trace)
