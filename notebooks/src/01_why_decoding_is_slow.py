# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/01_why_decoding_is_slow.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F01_why_decoding_is_slow.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/01_why_decoding_is_slow.ipynb)

# %% [markdown]
# # 01 Why decoding is slow
#
# **Goal**: measure what a pass over five tokens costs beside a pass over one, and see what speculative
# decoding makes of it.
#
# **Minutes**: 15. **Prerequisites**: lesson 00.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %% [markdown]
# The first passes of a program are slow: memory is allocated, code is loaded. So warm up before any timing.

# %%
from gemma_mtp_edu import load_pair, reference_generate

pair = load_pair(PAIR)
prompt = "Count from 1 to 12."
warm_up = reference_generate(pair, prompt, max_new_tokens=8)

# %% [markdown]
# ## One token, one pass
#
# A language model writes **autoregressively**: each pass of the network yields one token, which is then
# read by the next pass. There is no way to start the second pass before the first is over. First without
# the drafter:

# %% tags=["nbval-check-output"]
trace = reference_generate(pair, prompt, assisted=False, max_new_tokens=64)
print(trace.text)
print(len(trace.token_ids), "tokens,", trace.target_passes, "target passes")
assert trace.target_passes == len(trace.token_ids)

# %% [markdown]
# Only the first pass is different. It is the **prefill**: it reads the whole prompt at once and gives
# the first token. How many tokens did it read, and how long did it take against the passes after it?

# %% tags=["nbval-check-output"]
print("tokens in the prompt:", len(trace.prompt_ids))

# %% tags=["timing"]
import statistics

prefill = trace.rounds[0].verify_seconds
later = statistics.median(r.verify_seconds for r in trace.draft_rounds)
print(f"prefill: {1000 * prefill:.0f} ms, a later pass: {1000 * later:.0f} ms")

# %% [markdown]
# Each later pass reads one token. The prefill read all of the prompt, and it took nowhere near as many times
# longer. So a pass does not cost a fixed time *per token*.

# %% [markdown]
# ## Predict
#
# One pass over 1 token takes some time. How long does one pass over 5 tokens take: five times as long?
# Twice? The same? And over 17? Write your guesses down.

# %%
my_guess = {1: 1.0, 5: None, 9: None, 17: None}  # times as long as one token

# %% [markdown]
# ## Measure
#
# `time_target_passes` lets the target read a prompt, which fills its cache (what it keeps of tokens it has
# read). Then it times passes over 1, 5, 9 and 17 more tokens, again and again in turns. The first of each
# kind only warms up; the median of the others counts.

# %%
from gemma_mtp_edu.analysis import time_target_passes

times = time_target_passes(pair, prompt, lengths=(1, 5, 9, 17))

# %% tags=["timing"]
for length, seconds, ratio in zip(times.lengths, times.seconds, times.relative, strict=True):
    print(f"{length:2} tokens: {1000 * seconds:6.1f} ms, {ratio:.2f} times one token")

# %% [markdown]
# How good were your guesses? A ratio of 1 means that the further tokens come for nothing; anything below 5,
# after *5 tokens*, is a gain. Nothing here insists on a number: where other programs work beside it, a time can
# be anything.

# %% tags=["timing"]
cost_of_five = times.relative[1]
print(f"five passes over 1 token take {5 / cost_of_five:.1f} times as long as one pass over 5")

# %% [markdown]
# Now compare the solid line with the dashed one: as many tokens in one pass, and one by one.

# %% tags=["timing"]
from gemma_mtp_edu import plots

lines = {
    "all in one pass (measured)": dict(zip(times.lengths, times.relative, strict=True)),
    "one by one": {n: n for n in times.lengths},
}
plots.show_figure(plots.lines_chart(lines, "tokens", "times as long as a pass over 1 token"))

# %% [markdown]
# ## Why
#
# A pass must fetch **all weights** of the model, whether it works on one token or on five. On a GPU that
# takes longer than the arithmetic, so the processor waits for memory. On a CPU with a model as small as
# `pocket` something else takes most of the time: starting the many small operations of 30 layers. Both
# costs are paid per pass, not per token.

# %% [markdown]
# ## The floor
#
# Memory gives a lower bound for the time of a pass: bytes of the weights divided by bytes per second. Take
# the 2.3 billion effective parameters of E2B (without the look-up tables, of which a pass reads a few rows)
# in 16 bit (2 bytes each) and a T4 GPU, which reads 320 GB/s:

# %% tags=["nbval-check-output"]
parameters, bytes_each, bandwidth = 2.3e9, 2, 320e9
floor = parameters * bytes_each / bandwidth
print(f"at least {1000 * floor:.1f} ms per pass, so at most {1 / floor:.0f} tokens/s")

# %% [markdown]
# That bound holds for plain decoding, however fast the arithmetic is. There are two ways under it: make the
# weights smaller (*quantisation*: fewer bits for each), or **get more than one token out of a pass**.

# %% [markdown]
# ## Five for the price of one
#
# Suppose somebody hands us four tokens that *might* come next. One pass over the newest token and these four
# checks them all and gives one more. When all four are right, we get five tokens for about the price of
# one.

# %% tags=["nbval-check-output"]
assisted = reference_generate(pair, prompt, gamma=4, max_new_tokens=64)
assert assisted.token_ids == trace.token_ids or PAIR != "pocket"
print("tokens per round:", [len(r.token_ids) for r in assisted.rounds])
print(trace.target_passes, "passes became", assisted.target_passes)

# %% [markdown]
# The guesses are not free: the drafter must make them, and its cost decides whether anything is won. Here is
# what one round spends on drafting and on verifying.

# %% tags=["timing"]
draft = statistics.median(r.draft_seconds for r in assisted.draft_rounds)
verify = statistics.median(r.verify_seconds for r in assisted.draft_rounds)
print(f"a round: drafting 4 tokens {1000 * draft:.0f} ms, verifying {1000 * verify:.0f} ms")
print(f"up to five tokens in {1000 * (draft + verify):.0f} ms; plain: {5000 * later:.0f} ms")

# %% [markdown]
# ## Change this
#
# Does the advantage last for longer passes? Try other lengths, or a longer prompt. On a GPU with a real pair,
# try a pass over 257 tokens: sooner or later the arithmetic takes over.

# %% tags=["timing"]
more = time_target_passes(pair, prompt, lengths=(1, 33, 65), repeats=3)
for length, ratio in zip(more.lengths, more.relative, strict=True):
    print(f"{length:2} tokens: {ratio:.2f} times one token")

# %% [markdown]
# ## Takeaways
#
# 1. Plain decoding makes one pass of the whole model for every token.
# 2. A pass over five tokens costs little more than a pass over one, and far less than five passes.
# 3. Whoever can guess the next tokens cheaply turns that into speed: the drafter.

# %% [markdown]
# ## Exercises
#
# **1.** Write the floor as a function: seconds per pass from parameters, bytes per parameter and
# bandwidth in bytes per second.
#
# <details><summary>Hint</summary>All bytes are read once per pass. Seconds are bytes divided by bytes
# per second.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def memory_floor(parameters, bytes_per_parameter, bandwidth):
    return None  # your code


check("memory_floor", memory_floor)

# %% [markdown]
# **2.** A verify pass takes `verify` times as long as a one-token pass; each drafter step takes `drafter`
# times as long. How many tokens must a round with `gamma` drafts **commit** (add to the text for good) to
# be as fast as plain decoding?
#
# <details><summary>Hint</summary>What does the round cost, counted in one-token passes? Plain decoding
# writes one token for each of those.</details>


# %% tags=["nbval-check-output"]
def break_even(verify, gamma, drafter):
    return None  # your code


check("break_even", break_even)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), section 3
# - Shazeer 2019, *Fast Transformer Decoding*, [arXiv:1911.02150](https://arxiv.org/abs/1911.02150),
#   on decoding as a memory-bandwidth problem
# - NVIDIA T4 data sheet (320 GB/s memory bandwidth)
#
# Solutions: in `docs/instructor_guide.md`. Next: `02_load_a_pair`.
