# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_04_write_the_loop.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2Fsolutions_04_write_the_loop.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/solutions_04_write_the_loop.ipynb)

# %% [markdown]
# # Solutions to 04 Write the loop
#
# Try [04 Write the loop](04_write_the_loop.ipynb) first: its checks ask questions that help.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
import torch
from transformers import DynamicCache

from gemma_mtp_edu import check, load_pair
from gemma_mtp_edu.core import CACHE

torch.set_grad_enabled(False)
pair = load_pair()


# %%
def target_pass(pair, cache, ids):
    return pair.target(
        input_ids=ids, use_cache=True, **{CACHE: cache},
        output_hidden_states=True, return_shared_kv_states=True,
    )  # fmt: skip


# %% [markdown]
# **Step 1.** The last row follows the last token of the prompt, so it predicts the first new one. The state of the same row
# goes to the drafter.


# %% tags=["nbval-check-output"]
def my_prefill(pair, ids):
    cache = DynamicCache(config=pair.target.config.get_text_config())
    output = target_pass(pair, cache, ids)
    cache.activate_past_recording()
    newest = int(output.logits[0, -1].argmax())
    return cache, newest, output.hidden_states[-1][:, -1:], output.shared_kv_states


def until_prefill(pair, ids, gamma, max_new_tokens):
    _, newest, _, _ = my_prefill(pair, ids)
    return [newest]


check("first_rounds", until_prefill, pair)

# %% [markdown]
# **Step 2.** Token and state go on from draft to draft; position, keys and values stay.


# %% tags=["nbval-check-output"]
def my_draft(pair, newest, hidden, kv, position, gamma):
    embed = pair.target.get_input_embeddings()
    position = torch.tensor([[position]], device=pair.device)
    tokens = [newest]
    for _ in range(gamma):
        token = torch.tensor([[tokens[-1]]], device=pair.device)
        inputs = torch.cat([embed(token), hidden], dim=-1)
        step = pair.drafter(inputs_embeds=inputs, position_ids=position, shared_kv_states=kv)
        hidden = step.last_hidden_state
        tokens.append(int(step.logits.argmax()))
    return tokens[1:]


def until_draft(pair, ids, gamma, max_new_tokens):
    cache, newest, hidden, kv = my_prefill(pair, ids)
    drafts = my_draft(pair, newest, hidden, kv, cache.get_seq_length(), gamma)
    target_pass(pair, cache, torch.tensor([[newest, *drafts]], device=ids.device))
    return [newest]


check("first_rounds", until_draft, pair)

# %% [markdown]
# **Step 3.** The newest token is passed before the drafts, since it is in no cache yet. The row after the accepted drafts holds the
# target's own token, be it a correction or the bonus.


# %% tags=["nbval-check-output"]
def my_verify(pair, cache, newest, drafts):
    output = target_pass(pair, cache, torch.tensor([[newest, *drafts]], device=pair.device))
    return output.logits[0].argmax(-1).tolist(), output


def my_accept(drafts, rows):
    n_accepted = 0
    while n_accepted < len(drafts) and drafts[n_accepted] == rows[n_accepted]:
        n_accepted += 1
    return n_accepted, rows[n_accepted]


def until_accept(pair, ids, gamma, max_new_tokens):
    cache, newest, hidden, kv = my_prefill(pair, ids)
    drafts = my_draft(pair, newest, hidden, kv, cache.get_seq_length(), gamma)
    rows, _ = my_verify(pair, cache, newest, drafts)
    n_accepted, own = my_accept(drafts, rows)
    return [newest, *drafts[:n_accepted], own]


check("first_rounds", until_accept, pair)

# %% [markdown]
# **Step 4.** Row `n_accepted` predicted the token that is now the newest one.


# %%
def my_crop(cache, output, n_accepted, n_rejected):
    cache.crop(-n_rejected)
    kv = {}
    for kind, (keys, values) in output.shared_kv_states.items():
        end = keys.shape[2] - n_rejected
        kv[kind] = keys[:, :, :end], values[:, :, :end]
    return output.hidden_states[-1][:, n_accepted : n_accepted + 1], kv


# %% tags=["nbval-check-output"]
def until_crop(pair, ids, gamma, max_new_tokens):
    cache, newest, hidden, kv = my_prefill(pair, ids)
    text = [newest]
    for _ in range(3):
        drafts = my_draft(pair, text[-1], hidden, kv, cache.get_seq_length(), gamma)
        rows, output = my_verify(pair, cache, text[-1], drafts)
        n_accepted, own = my_accept(drafts, rows)
        hidden, kv = my_crop(cache, output, n_accepted, gamma - n_accepted)
        text += [*drafts[:n_accepted], own]
    return text


check("first_rounds", until_crop, pair)

# %% [markdown]
# **Step 5.** The loop. Tokens are written one by one, so that the text can end inside a round; a loop that looks at the last token of
# a round only would write on after the end.


# %%
def my_loop(pair, ids, gamma, max_new_tokens):
    text, (cache, own, hidden, kv) = [], my_prefill(pair, ids)
    written = [own]
    while True:
        for token in written:
            text.append(token)
            if token in pair.eos_ids or len(text) == max_new_tokens:
                return text
        drafts = my_draft(pair, own, hidden, kv, cache.get_seq_length(), gamma)
        rows, output = my_verify(pair, cache, own, drafts)
        n_accepted, own = my_accept(drafts, rows)
        hidden, kv = my_crop(cache, output, n_accepted, gamma - n_accepted)
        written = [*drafts[:n_accepted], own]


# %%
check("greedy_loop", my_loop, pair)

# %% tags=["nbval-check-output"]
ids = pair.encode("Count from 7 to 12.")
usual = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 64, "do_sample": False}
plain = pair.target.generate(ids, **usual)[0, ids.shape[1] :].tolist()
print("equal to generate():", my_loop(pair, ids, 4, 64) == plain)
assert my_loop(pair, ids, 4, 64) == plain

# %% [markdown]
# ## Exercises
#
# **2.** first, since **1.** follows from it: the loop above with `yield` in place of the list. The draft length is a parameter of its
# own: `room` says how many tokens may still be written, of which the target writes one itself.


# %%
def stream(pair, ids, gamma, max_new_tokens, frugal):
    room, (cache, own, hidden, kv) = max_new_tokens, my_prefill(pair, ids)
    written = [own]
    while True:
        ends = [i for i, token in enumerate(written) if token in pair.eos_ids]
        written = written[: min([room, *(i + 1 for i in ends)])]
        room -= len(written)
        yield written
        if ends or not room:
            return
        length = min(gamma, room - 1) if frugal else gamma
        drafts = my_draft(pair, own, hidden, kv, cache.get_seq_length(), length)
        rows, output = my_verify(pair, cache, own, drafts)
        n_accepted, own = my_accept(drafts, rows)
        hidden, kv = my_crop(cache, output, n_accepted, length - n_accepted)
        written = [*drafts[:n_accepted], own]


# %%
def my_stream(pair, ids, gamma, max_new_tokens):
    yield from stream(pair, ids, gamma, max_new_tokens, frugal=False)


def collected(*given):
    return [token for tokens in my_stream(*given) for token in tokens]


check("greedy_loop", collected, pair)

# %% [markdown]
# **1.** With n tokens left to write, at most n - 1 drafts can enter the text: the verify pass writes one token itself. Where one token is
# left, nothing is drafted.


# %%
def my_frugal_loop(*given):
    return [token for tokens in stream(*given, frugal=True) for token in tokens]


check("greedy_loop", my_frugal_loop, pair)
