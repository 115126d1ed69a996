# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/01_why_decoding_is_slow.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F01_why_decoding_is_slow.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/01_why_decoding_is_slow.ipynb)

# %% [markdown]
# # 01 Why decoding is slow
#
# **Goal**: time a target pass by the number of tokens in it, find out what the time is spent on, and see what
# that means for drafting.
#
# **Minutes**: 20. **Prerequisites**: lesson 00; a little PyTorch.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %%
import torch

from gemma_mtp_edu import load_pair

pair = load_pair(PAIR)
target = pair.target
torch.set_grad_enabled(False)  # nothing is trained here
ids = pair.encode("Count from 1 to 12.")
print("token ids:", tuple(ids.shape))

# %% [markdown]
# The first number is the **batch**, the texts that go through the model at a time. Here, and wherever this course
# drafts, it is 1: one user who waits. (transformers drafts for batch 1 only.)

# %% [markdown]
# ## One token, one pass
#
# A language model writes **autoregressively**: a pass yields a row of scores, the best one is the next token, and
# that token is read by the next pass. In plain PyTorch:

# %% tags=["nbval-check-output"]
text = ids
for _ in range(8):
    logits = target(text).logits  # scores [batch, tokens, vocabulary]
    newest = logits[:, -1].argmax(-1, keepdim=True)
    text = torch.cat([text, newest], dim=1)
print(pair.decode(text[0, ids.shape[1] :]))

# %% [markdown]
# Pass 2 cannot start before pass 1 is over, since it reads its token. (This loop reads the whole text again each
# time. Lesson 02 shows the cache that saves this; what follows holds with it as well.)
#
# ## Predict
#
# A pass over 1 token takes some time. How long does one over 5 tokens take: five times as long? Twice? The
# same? And over 33? Write your guesses down.

# %%
my_guess = {1: 1.0, 5: None, 17: None, 33: None}  # times as long as one token

# %% [markdown]
# ## Measure
#
# To time something: warm up once, because the first call loads code and allocates memory; repeat; let what is compared
# take turns, so that a slow moment hits all alike; take the median. A GPU works on while Python goes on, so wait
# for it before you look at the clock.


# %%
import statistics
import time


def clock():
    if pair.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def time_all(works, repeats=9):
    """Return the seconds of every call of each function, by its name, without the first."""
    samples = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            start = clock()
            work()
            samples[name].append(clock() - start)
    return {name: seconds[1:] for name, seconds in samples.items()}


# %% [markdown]
# Now a pass over the first n tokens of a longer text, for several n:

# %%
long = pair.encode("Tell me a story about a lighthouse keeper who counts ships. " * 4)
lengths = (1, 5, 9, 17, 33)
passes = time_all({n: lambda n=n: target(long[:, :n], use_cache=False) for n in lengths})
middle = {n: statistics.median(seconds) for n, seconds in passes.items()}

# %% tags=["timing"]
for n in lengths:
    print(f"{n:2} tokens: {1000 * middle[n]:6.1f} ms, {middle[n] / middle[1]:.2f} times one token")

# %% [markdown]
# How good were your guesses? In the figure the bars reach from the fastest to the slowest pass. The dashed line is what
# as many tokens cost one by one.

# %% tags=["timing"]
import matplotlib.pyplot as plt

from gemma_mtp_edu import plots

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ms = {n: 1000 * seconds for n, seconds in middle.items()}
spread = [[ms[n] - 1000 * min(passes[n]) for n in lengths],
          [1000 * max(passes[n]) - ms[n] for n in lengths]]  # fmt: skip
ax.errorbar(lengths, list(ms.values()), spread, marker="o", capsize=4, label="in one pass")
ax.plot(lengths, [n * ms[1] for n in lengths], "k--", label="one by one")
ax.set(xlabel="tokens", ylabel="milliseconds", ylim=(0, 2.5 * ms[33]), xticks=lengths)
ax.set_title(f"5 tokens in one pass take {ms[5] / ms[1]:.1f} times as long as 1 token")
ax.legend(frameon=False)
alt = "Milliseconds by tokens in one pass: " + ", ".join(f"{n}: {ms[n]:.0f}" for n in lengths)
plots.show_figure(figure, alt + ". A dashed line shows as many passes over one token.")

# %% tags=["timing"]
machine = torch.cuda.get_device_name() if pair.device.type == "cuda" else "CPU"
print(f"{machine}, threads: {torch.get_num_threads()}, {target.dtype}, batch 1, median of 9")

# %% [markdown]
# ## What is the time spent on?
#
# Three things could take it: **fetching** the weights from memory, the **arithmetic**, and **starting** the operations
# from Python. Only the arithmetic grows with the tokens. Look at each alone, first at a matrix.
#
# **Predict**: a linear layer multiplies 1 row by its weights, then 5 rows. Five times the arithmetic: is it five
# times the time?

# %%
from torch import nn

layer = nn.Linear(4096, 4096, bias=False, dtype=target.dtype, device=pair.device)
weights = layer.weight
rows = (1, 5, 17, 65, 257)
inputs = {n: torch.randn(n, 4096, dtype=target.dtype, device=pair.device) for n in rows}
linear = {
    n: statistics.median(seconds)
    for n, seconds in time_all({n: lambda n=n: layer(inputs[n]) for n in rows}, 5).items()
}

# %% tags=["timing"]
for n in rows:
    print(f"{n:3} rows: {1000 * linear[n]:6.2f} ms, {linear[n] / linear[1]:5.2f} times one row")

# %% [markdown]
# Every weight is fetched once, whether for one row or for many, and used once **per row**. With few rows the processor
# mostly waits for memory. How fast are memory and arithmetic here?

# %%
size = weights.numel() * weights.element_size()
square = torch.randn(1024, 1024, dtype=target.dtype, device=pair.device)
works = {"sum": lambda: weights.sum(), "multiply": lambda: square @ square}
best = {name: min(seconds) for name, seconds in time_all(works).items()}
bandwidth = max(size / best["sum"], size / linear[1])  # bytes per second
peak = max(2 * 1024**3 / best["multiply"], 2 * 257 * weights.numel() / linear[257])  # FLOP/s

# %% tags=["timing"]
print(f"memory {bandwidth / 1e9:.1f} GB/s, arithmetic {peak / 1e9:.1f} GFLOP/s")
print(f"so {peak / bandwidth:.1f} operations could be done for each byte that arrives")

# %% [markdown]
# **Arithmetic intensity** is the number of operations (FLOP: a multiplication or an addition) done for each byte
# fetched. n rows do 2n operations with every weight, so a weight of 4 bytes gives n / 2, and one of 2 bytes gives n. A
# pass is *memory-bound* while that is less than what the processor could do per byte.

# %% tags=["timing"]
figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
intensity = {n: 2 * n / weights.element_size() for n in rows}
reached = {n: 2 * n * weights.numel() / linear[n] / 1e9 for n in rows}  # GFLOP/s
edge = [min(intensity.values()), peak / bandwidth, max(intensity.values())]
roof = [min(peak, bandwidth * x) / 1e9 for x in edge]
ax.plot(edge, roof, "k--", label="roof: memory, then arithmetic")
ax.plot(list(intensity.values()), list(reached.values()), "o-", label="nn.Linear, 1 to 257 rows")
for n in rows:
    ax.annotate(str(n), (intensity[n], reached[n]), (0, -16), textcoords="offset points")
ax.set(xscale="log", yscale="log", xlabel="operations per byte fetched", ylabel="GFLOP/s")
ax.set_ylim(bottom=min(reached.values()) / 2)
ax.set_title(f"5 rows do {reached[5] / reached[1]:.1f} times the work of 1 row in the same time")
ax.legend(frameon=False)
told = ", ".join(f"{n} rows {reached[n]:.1f}" for n in rows)
plots.show_figure(figure, f"Roofline: GFLOP/s of a linear layer by operations per byte: {told}.")

# %% [markdown]
# This picture is called a **roofline**; the numbers at the points are rows. On its slope more rows should come
# nearly for nothing; where it is flat, each row costs its share. Points below the roof show that the routine for
# so few rows is not ideal: on a CPU five rows may well take twice as long as one.

# %% [markdown]
# ## And pocket?
#
# It has 5 million weights, not 16 million in one layer. **Predict**: what takes most of the time of its pass:
# fetching, arithmetic, or starting its operations?

# %%
from torch.overrides import TorchFunctionMode


class Counter(TorchFunctionMode):
    """Counts the operations that Python starts."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += function.__name__ != "__get__"  # looking at a shape is no operation
        return function(*args, **(kwargs or {}))


def started(n):
    with Counter() as seen:
        target(long[:, :n], use_cache=False)
    return seen.count


counts = {n: started(n) for n in (1, 5)}
assert abs(counts[5] / counts[1] - 1) < 0.2  # per pass, not per token

# %% tags=["timing"]
used = sum(p.numel() for name, p in target.named_parameters() if "embed_tokens" not in name)
used += target.get_output_embeddings().weight.numel()  # of the other tables a few rows are read
fetching, arithmetic = used * weights.element_size() / bandwidth, 2 * used / peak
rest = middle[1] - fetching - arithmetic
print(f"fetching {used / 1e6:.1f} million weights: {1000 * fetching:.2f} ms")
print(f"arithmetic, one token: {1000 * arithmetic:.2f} ms")
print(f"the rest: {1000 * rest:.1f} ms, or {1e6 * rest / counts[1]:.0f} us for each of", end=" ")
print(f"{counts[1]:,} operations")

# %% [markdown]
# On a CPU, nearly all of it is Python and the start of thousands of small operations, about as many for five tokens as for
# one. So `pocket` shows the right effect **for another reason**: in a model of billions of weights fetching takes most of
# the time. Both are paid per pass, not per token.

# %% [markdown]
# ## The floor
#
# For a large model, memory gives a lower bound: bytes of the weights divided by bytes per second. Take the 2.3
# billion effective parameters of E2B (without the embedding tables, of which a pass reads a few rows) in 16 bit, and a
# T4 GPU, which reads 320 GB/s and does 65 tera-operations per second in 16 bit:

# %% tags=["nbval-check-output"]
parameters, bytes_each, memory, compute = 2.3e9, 2, 320e9, 65e12
floor = parameters * bytes_each / memory
print(f"fetching: {1000 * floor:.1f} ms per pass, so at most {1 / floor:.0f} tokens/s at batch 1")
for n in (1, 5):
    print(f"arithmetic for {n} tokens: {1000 * 2 * parameters * n / compute:.2f} ms")

# %% [markdown]
# Faster arithmetic does not help. Three ways lead under the floor:
#
# - **fewer bytes**: *quantisation* stores each weight in fewer bits;
# - **more texts per pass**: *batching* fetches the weights once for several users. More tokens per second in all, but
#   no single user is served faster;
# - **more tokens of one text per pass**: speculative decoding.

# %% [markdown]
# The last two draw on the same reserve: arithmetic units that are idle while weights arrive. A server with many
# requests at a time has less of it left, so drafts win less there; lesson 12 has numbers.

# %% tags=["timing"]
texts = {n: long[:, :1].repeat(n, 1) for n in (1, 5)}  # five texts of one token
batches = time_all({n: lambda n=n: target(texts[n], use_cache=False) for n in texts})
five, one = (statistics.median(batches[n]) for n in (5, 1))
print(f"5 texts of 1 token: {five / one:.2f} times one text")
print(f"1 text of 5 tokens: {middle[5] / middle[1]:.2f} times one token")

# %% [markdown]
# ## Where this fails: a mixture of experts
#
# In a **mixture of experts** (26B-A4B is one) each layer has many feed-forward parts, the *experts*, and every token is
# sent to a few of them: 8 of 128. A pass fetches only the chosen ones. **Predict**: how many different experts do
# five tokens need?

# %% tags=["nbval-check-output"]
draws = torch.Generator().manual_seed(0)
for tokens in (1, 5, 17):
    chosen = [
        {e for _ in range(tokens) for e in torch.randperm(128, generator=draws)[:8].tolist()}
        for _ in range(200)
    ]
    print(f"{tokens:2} tokens: {statistics.mean(map(len, chosen)):5.1f} of 128 experts")

# %% [markdown]
# The cell lets each token choose at random; neighbours in a real text share more. But five tokens do not cost what one
# costs: a verify pass fetches more weights. In llama.cpp's own tests the drafter brought no speedup for the 26B-A4B
# (pull request 23398).

# %% [markdown]
# ## What a round costs
#
# Suppose somebody hands us four tokens that *might* come next. One pass over the newest token and these four verifies
# them all. The guesses are not free: the drafter runs once for each. Here is what one round spends on both.

# %% tags=["timing"]
from gemma_mtp_edu import reference_generate

assisted = reference_generate(pair, "Count from 1 to 12.", gamma=4, max_new_tokens=64)
draft = statistics.median(r.draft_seconds for r in assisted.draft_rounds)
verify = statistics.median(r.verify_seconds for r in assisted.draft_rounds)
print(f"a round: drafting 4 tokens {1000 * draft:.0f} ms, verifying {1000 * verify:.0f} ms")
print(f"it writes 1 to 5 tokens, {assisted.tokens_per_round:.1f} on average in this text")

# %% [markdown]
# ## Change this
#
# Does the advantage last for longer passes? Try more tokens, or more rows. On a GPU with a real pair, find the length
# at which a pass takes twice as long as one over one token.

# %% tags=["timing"]
more = time_all({n: lambda n=n: target(long[:, :n], use_cache=False) for n in (1, 65)}, repeats=3)
ratio = statistics.median(more[65]) / statistics.median(more[1])
print(f"65 tokens: {ratio:.2f} times one token")

# %% [markdown]
# ## Takeaways
#
# 1. Plain decoding makes one pass of the whole model for every token.
# 2. What a pass costs is paid mostly once per pass: fetching the weights in a large model, starting operations in
#    a small one. So five tokens cost far less than five passes, unless experts are chosen per token.
# 3. Quantisation, batching and drafting are three ways under the memory bound; the last two share one reserve.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) A verify pass takes `verify` times as long as a one-token pass; each drafter step takes
# `drafter` times as long. How many tokens must a round with `gamma` drafts **commit** (add to the text for good) to
# be as fast as plain decoding?
#
# <details><summary>Hint</summary>What does the round cost, counted in one-token passes? Plain decoding
# writes one token for each of those.</details>


# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def break_even(verify, gamma, drafter):
    return None  # your code


check("break_even", break_even)

# %% [markdown]
# **2.** (hard, 15 minutes) Replace the random draws above by a formula: each of `tokens` tokens chooses `chosen` of
# `experts` experts at random, all choices equally probable. How many different experts are read, on average?
#
# <details><summary>Hint</summary>Take one expert. With what probability does one token leave it out? And all of them?
# Means add up over experts.</details>


# %% tags=["nbval-check-output"]
def experts_read(experts, chosen, tokens):
    return None  # your code


check("experts_read", experts_read)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), section 3
# - Shazeer 2019, *Fast Transformer Decoding*, [arXiv:1911.02150](https://arxiv.org/abs/1911.02150),
#   on decoding as a memory-bandwidth problem
# - Williams, Waterman, Patterson 2009, *Roofline*, [doi:10.1145/1498765.1498785](https://doi.org/10.1145/1498765.1498785)
# - NVIDIA T4 data sheet (320 GB/s memory bandwidth, 65 TFLOPS in 16 bit)
# - transformers, `convert_gemma4_weights.py` (128 experts, 8 per token);
#   [ggml-org/llama.cpp#23398](https://github.com/ggml-org/llama.cpp/pull/23398)
#
# [Solutions](solutions_01_why_decoding_is_slow.ipynb) · Next: [02 Load a pair](02_load_a_pair.ipynb)
