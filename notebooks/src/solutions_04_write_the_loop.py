# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_04_write_the_loop.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_04_write_the_loop.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_04_write_the_loop.ipynb)

# %% [markdown]
# # Solutions to 04 Write the loop
#
# Try the exercises of `04_write_the_loop` first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
import torch

from gemma_mtp_edu import check, load_pair
from gemma_mtp_edu.core import CachedModel, MTPDrafter

pair = load_pair()

# %% [markdown]
# ## The rule
#
# The target's token at the first disagreement is the correction. Without one, the loop runs through, and the
# target's last token is the bonus.


# %% tags=["nbval-check-output"]
def my_rule(drafts, wanted):
    n_accepted = 0
    while n_accepted < len(drafts) and drafts[n_accepted] == wanted[n_accepted]:
        n_accepted += 1
    return n_accepted, wanted[n_accepted]


check("greedy_round", my_rule)

# %% [markdown]
# **1.** One draft round as in the lesson, and the loop around it. Tokens are taken one by one, so that the
# text can end inside a round.

# %%
drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())


def draft(newest, state, length, gamma):
    position = torch.tensor([[length]], device=newest.device)
    hidden, drafts = state.hidden, []
    for _ in range(gamma):
        states, hidden = drafter.step(newest, hidden, position, state.shared_kv)
        scores, candidates = drafter.score(states[0])
        best = scores.argmax()
        newest = (best if candidates is None else candidates[0, best]).view(1, 1)
        drafts.append(newest)
    return torch.cat(drafts, dim=1)


# %% tags=["nbval-check-output"]
@torch.no_grad()
def my_loop(pair, ids, gamma, max_new_tokens):
    target, ends = CachedModel(pair.target, shares_state=True), pair.eos_ids
    output = target.prefill(ids)
    written, n_accepted, n_rejected, text = [int(output.logits[-1].argmax())], 0, 0, []
    while True:
        for token in written:
            text.append(token)
            if token in ends or len(text) == max_new_tokens:
                return text
        state = target.state_after(output, n_accepted, n_rejected)
        newest = torch.tensor([text[-1:]], device=ids.device)
        drafts = draft(newest, state, target.length, gamma)
        output = target.verify(torch.cat([newest, drafts], dim=1))
        n_accepted, own = my_rule(drafts[0].tolist(), output.logits.argmax(-1).tolist())
        n_rejected = gamma - n_accepted
        target.crop(n_rejected)
        written = [*drafts[0, :n_accepted].tolist(), own]


check("greedy_loop", my_loop, pair)

# %% [markdown]
# **2.** The prefill writes one token; the rest comes in rounds, and a part of a round is a round.

# %% tags=["nbval-check-output"]
import math


def passes_needed(n_tokens, per_round):
    return 1 + math.ceil((n_tokens - 1) / per_round)


check("passes_needed", passes_needed)
