# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/12_real_checkpoints.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F12_real_checkpoints.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/12_real_checkpoints.ipynb)

# %% [markdown]
# # 12 Real checkpoints
#
# **Goal**: decide for a real Gemma 4 pair whether to draft and how many tokens: by memory, cost, texts, requests at
# once and temperature. You end with a decision table and the command of a server.
#
# **Minutes**: 50. **Prerequisites**: lessons 08 and 10. A GPU is welcome, not needed.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %% [markdown]
# In Colab choose a GPU first: Runtime, Change runtime type. `auto` then takes E2B if it fits and downloads its
# weights, 10 GB. Without a GPU or a network the pair that came with the course stands in. All of the lesson still
# runs, but its times say nothing about a real Gemma. Name a larger pair if you have room for it.

# %%
PAIR = "auto"  # @param ["auto", "pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]
CONTEXT = 2048  # @param {type:"integer"}

# %%
import statistics
import time

import torch

from gemma_mtp_edu import PROMPTS, load_pair, memory_plan, plots
from gemma_mtp_edu import autoregressive_generate, speculative_generate

free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 0
print(f"GPU: {free / 1e9:.1f} GB = {free / 2**30:.1f} GiB free")

# %% [markdown]
# ## What would fit?
#
# Count before you download. And mind the unit: a GB has 1e9 bytes, a GiB 2**30, which is 7% more. Weights are
# counted in GB; torch and nvidia-smi show GiB.

# %% tags=["nbval-check-output"]
GIB = {"T4": 14.56, "L4": 22.0, "A100": 39.1}  # what torch finds on Colab's GPUs
GB = {gpu: size * 2**30 / 1e9 for gpu, size in GIB.items()}
for gpu, size in GIB.items():
    print(f"{gpu:4} {size:5} GiB = {GB[gpu]:.1f} GB")

# %% [markdown]
# A pair needs the target's weights, the drafter's, the keys and values of the whole context, and activations: what
# a pass computes and throws away. **Predict** for E2B in 16 bit and 2,048 tokens: which of the four is largest,
# which smallest?

# %% tags=["nbval-check-output"]
plan = memory_plan("E2B", "float16", context_length=2048)
for part, size in plan.parts.items():
    print(f"{part:12} {size / 1e9:6.2f} GB")
assert plan.parts["target"] > plan.total_bytes / 2 > plan.parts["cache"]

# %% [markdown]
# "2B" has 5.1 billion parameters, because per-layer embeddings and the parts for pictures and sound count too.
# The cache is almost nothing: 15 of the 35 layers keep keys and values, and 12 of those only 512 tokens.
#
# **Predict**: E2B can read 131,072 tokens. On a T4, too? Which part grows?

# %%
contexts = (2048, 8192, 32_768, 131_072)
needs = {
    name: {n: memory_plan(name, "bfloat16", n).total_bytes / 1e9 for n in contexts}
    for name in ("E2B", "E4B", "12B", "26B-A4B")
}
ax = plots.lines_chart(needs, "tokens of context", "GB (1e9 bytes)", GB)
ax.set_xscale("log", base=2)
ax.set_xticks(contexts, [f"{n // 1024}k" for n in contexts])
more = {name: row[contexts[-1]] - row[contexts[0]] for name, row in needs.items()}
ax.set_title(f"From 2k to 128k tokens: E2B +{more['E2B']:.1f} GB, 12B +{more['12B']:.1f} GB")
plots.show_figure(ax)

# %% [markdown]
# That plan holds for a prompt that is read in **chunks**, as this package does it, 512 tokens at a time. What would
# one pass over the whole prompt need on top? **Predict** the size of the mask alone: one byte for every pair of
# tokens.

# %% tags=["nbval-check-output"]
tokens, widest = 131_072, 12_288  # of E2B's feed-forward layers
for chunk in (tokens, 512):
    mask, layer = chunk * tokens, 2 * 3 * widest * chunk
    print(f"{chunk:6} tokens a pass: mask {mask / 1e9:5.2f} GB, widest layer {layer / 1e9:5.2f} GB")

# %% [markdown]
# Servers read prompts in chunks for the same reason. The plan leaves out what an attention kernel may write down
# of its scores, and some hundred MB of CUDA itself: a T4 has room for those with E2B.
#
# ## Weights that need not be there
#
# E2B and E4B have a table of 256 numbers per token **and layer**. A pass reads a few rows of it. **Predict**: how
# much of E4B is that, and does the rest fit a T4?

# %% tags=["nbval-check-output"]
table = 2 * 262_144 * 256 * 42  # bytes: 16 bit, vocabulary, numbers per layer, layers
whole = memory_plan("E4B", "float16").total_bytes
print(
    f"E4B: {whole / 1e9:.1f} GB, less its table of {table / 1e9:.1f} GB: {(whole - table) / 1e9:.1f} GB"
)
print(
    "fits a T4:", whole / 1e9 < GB["T4"], "and without the table:", (whole - table) / 1e9 < GB["T4"]
)

# %% [markdown]
# A report for E4B keeps that table in the CPU's memory and sends only the rows over: the same 2,287 tokens, no
# slower (transformers#47705). llama.cpp did so for Gemma 3n (llama.cpp#14430); `load_pair` does not.

# %% [markdown]
# ## Load it

# %%
chosen_pair = PAIR
if PAIR == "auto":
    chosen_pair = "E2B" if memory_plan("E2B", "float16", CONTEXT).fits(free) else "pocket"
try:
    pair = load_pair(chosen_pair)
except (OSError, MemoryError) as error:  # no network and nothing cached, or no room
    print(error)
    pair = load_pair("pocket")
bundled = pair.name == "pocket"
print(pair.name, pair.target.dtype)

# %% tags=["nbval-check-output"]
plan = memory_plan(pair.name, pair.target.dtype, CONTEXT)
planned = plan.parts["target"] + plan.parts["drafter"]
loaded = sum(m.get_memory_footprint(return_buffers=False) for m in (pair.target, pair.drafter))
print("weights within 5% of the plan:", abs(loaded / planned - 1) < 0.05)

# %% [markdown]
# ## Read before you time
#
# On a T4, which only emulates bfloat16, `load_pair` takes float16, whose range is small. Reports differ: fine in
# unsloth#4875, infinities in a feed-forward layer in unsloth-zoo#600. A pair that overflows writes one token again
# and again, very fast; no clock would tell. So read an answer first.

# %%
prompts = {name: PROMPTS[name][0] for name in ("json", "list", "qa", "story", "code")}
TOKENS = 18 if bundled else 96
answer = autoregressive_generate(pair, prompts["story"], max_new_tokens=40)
print(answer.text)
assert len(set(answer.token_ids)) > 10, "it repeats itself: take another dtype or pair"

# %% [markdown]
# ## What a round costs
#
# For 1, 8 and 64 requests at once: a target pass over 1, 3, 5 and 9 tokens of each, and one draft step, in units
# of a decode step with as many requests. The drafter is called as in lesson 04, all requests in one batch.
#
# **Predict**: which of the two grows with the number of requests, the price of a draft or of a verify pass?

# %%
GAMMAS, BATCHES = (2, 4, 8), (1, 8, 64)
WAIT = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}


def seconds_of(work):
    WAIT.get(pair.device.type, lambda: None)()
    start = time.perf_counter()
    work()
    WAIT.get(pair.device.type, lambda: None)()
    return time.perf_counter() - start


@torch.no_grad()
def costs(requests, turns=5):
    ids = pair.encode(prompts["story"]).expand(requests, -1)
    state = {"output_hidden_states": True, "return_shared_kv_states": True}
    out = pair.target(ids, use_cache=False, **state)
    newest = pair.target.get_input_embeddings()(ids[:, -1:])
    inputs = torch.cat([newest, out.hidden_states[-1][:, -1:]], dim=-1)
    position = torch.full_like(ids[:, :1], ids.shape[1] - 1)
    more = {"position_ids": position, "shared_kv_states": out.shared_kv_states}
    works = {n: lambda n=n: pair.target(ids[:, :n], use_cache=False) for n in (1, 3, 5, 9)}
    works["draft"] = lambda: pair.drafter(inputs_embeds=inputs, **more)
    found = [{name: seconds_of(work) for name, work in works.items()} for _ in range(1 + turns)]
    medians = {name: statistics.median(turn[name] for turn in found[1:]) for name in works}
    return {name: seconds / medians[1] for name, seconds in medians.items()}


cost = {requests: costs(requests) for requests in BATCHES}

# %% tags=["timing"]
for requests, row in cost.items():
    passes = ", ".join(f"{n} tokens {row[n]:.2f}" for n in (3, 5, 9))
    print(f"{requests:2} requests: {passes}; a draft {row['draft']:.2f}")

# %% [markdown]
# The verify pass grows most: with many requests the processor has no idle time left for its extra tokens. And in a
# **mixture of experts** a token passes a few experts only (26B-A4B: 8 of 128). Five tokens choose more of them
# than one does, so their weights must be read as well, and a verify pass is not nearly free even for one request.
# Run it for the 26B if you can.

# %% [markdown]
# ## One length for all
#
# A server has one flag for the draft length and gets every kind of text. Begin with one request at a time, greedy.
# One run of each prompt and draft length, which also warms up, says how many tokens a round writes. Divided by
# what a round costs, that is the prediction. **Predict** yourself, first: which draft length wins over all five
# texts together?

# %%
my_guess = None  # such as 4


def run(name, gamma, **settings):
    if gamma == 0:
        return autoregressive_generate(pair, prompts[name], max_new_tokens=TOKENS, **settings)
    how = {"gamma": gamma, "max_new_tokens": TOKENS}
    return speculative_generate(pair, prompts[name], **how, **settings)


def tokens_per_round(traces):
    return sum(len(t.token_ids) - 1 for t in traces) / sum(len(t.rounds) - 1 for t in traces)


def predict(gamma, requests, tokens):
    return tokens[gamma] / (gamma * cost[requests]["draft"] + cost[requests][gamma + 1])


# %%
warm = {(name, gamma): run(name, gamma) for name in prompts for gamma in (0, *GAMMAS)}
greedy = {g: tokens_per_round([warm[name, g] for name in prompts]) for g in GAMMAS}
predicted = {gamma: predict(gamma, 1, greedy) for gamma in GAMMAS}

# %% tags=["timing"]
for gamma in GAMMAS:
    print(f"{gamma} drafts: {greedy[gamma]:.2f} tokens a round, predicted {predicted[gamma]:.2f}x")

# %% [markdown]
# ## Then measure
#
# As lesson 10 asks: all lengths in turns, five turns after the warm-up, the prefill apart, all five texts' seconds
# together, medians with their spread.

# %%
turns = []
for _ in range(5):
    traces = {case: run(*case) for case in warm}
    tpot = {}  # seconds per token, over all texts
    for gamma in (0, *GAMMAS):
        alike = [traces[name, gamma] for name in prompts]
        seconds = sum(r.seconds for trace in alike for r in trace.rounds[1:])
        tpot[gamma] = seconds / sum(len(trace.token_ids) - 1 for trace in alike)
    turns.append({gamma: tpot[0] / tpot[gamma] for gamma in GAMMAS})
measured = {gamma: statistics.median(turn[gamma] for turn in turns) for gamma in GAMMAS}

# %% tags=["nbval-check-output"]
same = all(warm[name, g].token_ids == warm[name, 0].token_ids for name in prompts for g in GAMMAS)
print("every drafted text is the plain one:", same or pair.target.dtype.itemsize < 4)
assert same or pair.target.dtype.itemsize < 4  # 16 bit: a tie may fall the other way (lesson 05)

# %% tags=["timing"]
rows = {
    f"{gamma} drafts": {
        "predicted": predicted[gamma], "measured": measured[gamma],
        "lowest turn": min(turn[gamma] for turn in turns),
        "highest turn": max(turn[gamma] for turn in turns),
    }
    for gamma in GAMMAS
}  # fmt: skip
chosen, best = (max(speeds, key=speeds.get) for speeds in (predicted, measured))
ax = plots.plot_speeds(rows)
ax.set_title(f"Predicted best: {chosen} drafts; measured best: {best}")
plots.show_figure(ax)

# %% [markdown]
# How far off were the predictions, and did it matter? What counts is the speed that you get by trusting them. They
# leave out what the loops do beside their passes: a decode step pays for that at every token, a round only once.
# So they may well be too low.

# %% tags=["timing"]
errors = {gamma: f"{predicted[gamma] / measured[gamma] - 1:+.0%}" for gamma in GAMMAS}
print("errors:", errors)
print(f"the prediction's length keeps {measured[chosen] / measured[best]:.0%} of the best speed")

# %% [markdown]
# Five prompts and some 20 tokens of each are few. For a decision take fifty of your own, as long as your users' are.

# %% [markdown]
# ## Temperature
#
# Gemma's own settings sample: temperature 1, top-k 64, top-p 0.95. A draft is then accepted with probability
# min(1, p/q) (lesson 05). **Predict**: more tokens per round than greedy, or fewer?

# %%
SAMPLED = {"temperature": 1.0, "top_k": 64, "top_p": 0.95}
drawn = {gamma: [run(name, gamma, seed=0, **SAMPLED) for name in prompts] for gamma in GAMMAS}
sampled = {gamma: tokens_per_round(traces) for gamma, traces in drawn.items()}

# %% tags=["timing"]
for gamma in GAMMAS:
    print(
        f"{gamma} drafts: {greedy[gamma]:.2f} tokens a round greedy, {sampled[gamma]:.2f} sampled"
    )

# %% [markdown]
# These come from our loop, which draws its drafts from the drafter's distribution. transformers drafts greedily
# even then, which accepts other tokens, and the text is no longer the target's (lesson 05).

# %% [markdown]
# ## Many requests at once
#
# A server decodes its requests in one batch. Take the costs that you measured for 8 and for 64 of them, all in
# step: each round drafts for all and verifies for all. **Predict**: from how many requests on does drafting no
# longer pay, and does sampling get there before greedy decoding?

# %%
RATES = {"greedy": greedy, "sampled": sampled}
speeds = {
    name: {requests: max(predict(g, requests, rate) for g in GAMMAS) for requests in BATCHES}
    for name, rate in RATES.items()
}
ax = plots.lines_chart(speeds, "requests at once", "predicted speedup, best length", {"plain": 1})
ax.set_xscale("log", base=2)
ax.set_xticks(BATCHES, list(map(str, BATCHES)))
many = speeds["greedy"][BATCHES[-1]]
ax.set_title(f"Greedy: {speeds['greedy'][1]:.2f}x for 1 request, {many:.2f}x for {BATCHES[-1]}")
plots.show_figure(ax)

# %% [markdown]
# This is a bound: requests of different lengths do not stay in step, and some round always waits. transformers
# itself assists one request only:

# %%
two = pair.encode(prompts["json"]).expand(2, -1)
try:
    pair.target.generate(two, assistant_model=pair.drafter, max_new_tokens=4)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Against what?
#
# The speedups above are over this package's own loop, in eager PyTorch. On a GPU that is a slow baseline: plain
# `generate` with a **static cache** is compiled there, and assisted generation needs a cache that can be cut
# back. So the question for a GPU is whether drafting in eager mode beats compiled decoding. Run this there:

# %% tags=["timing"]
ids = pair.encode(prompts["story"])
how = {"max_new_tokens": TOKENS, "do_sample": False, "attention_mask": torch.ones_like(ids)}
compiled = {"cache_implementation": "static"} if pair.device.type == "cuda" else {}
calls = {
    "plain, eager": how,
    "plain, static cache" if compiled else "plain, again": how | compiled,
    "assisted, eager": how | {"assistant_model": pair.drafter},
}
pair.drafter.generation_config.num_assistant_tokens = best
for name, arguments in calls.items():
    times = [seconds_of(lambda: pair.target.generate(ids, **arguments)) for _ in range(4)]  # noqa: B023
    print(f"{name}: {TOKENS / statistics.median(times[1:]):.0f} tokens/s, prefill included")

# %% [markdown]
# On a CPU nothing is compiled, so the second row repeats the first: their difference is noise. Servers fuse and
# capture their kernels, with drafts or without; there both sides are fast.

# %% [markdown]
# ## What others measured
#
# Drafting over plain, for 1 and for 4 requests at once (mlx-vlm#1166: one Mac, one prompt, 2 drafts). **Predict**
# which of the three keeps its gain: the small one, the mixture of experts, or the large dense one?

# %% [markdown]
# | pair | 1 request | 4 requests |
# |---|--:|--:|
# | E2B | 1.26x | 1.01x |
# | 26B-A4B | 1.33x | 0.91x |
# | 31B | 1.36x | 1.38x |
#
# The large dense model still waits for its weights with four requests. But with prompts of mixed lengths 4
# requests to the 31B got 0.78x in another program, which could not batch them (mlxcel#160).

# %% [markdown]
# More drafts are not always better. 26B-A4B on a DGX Spark, vLLM, 8 requests: 303.6 tokens/s with 2 drafts, 210.0
# with 4; for one request they were equal (spark-vllm-docker#343, which calls its throughput with 8 requests
# noisy). llama.cpp saw no speedup for that model at all (llama.cpp#23398). And with long contexts drafting may pay
# again where it had stopped: reading the cache is expensive then (vllm#48627, 31B).

# %% [markdown]
# **A quantised target** is cheaper, so drafts must be cheaper, too; and it can go wrong. vLLM once prepared the
# drafter as if it were quantised as well: it accepted 0.2% (vllm#41789) or did not load (vllm#41745, since
# mended). If acceptance is near 0, suspect the program, not the pair.

# %% [markdown]
# **Other drafters** exist for these targets: EAGLE-3 and DFlash. On the 26B EAGLE-3 sped llama.cpp up where
# MTP did not (llama.cpp#23398, a comment); on the 12B a paper has DFlash below EAGLE-3 (DeepSpec#76). Measure.

# %% [markdown]
# ## The decision table
#
# Your own rows first, then published ones. "off" where the best length is predicted to gain less than 5%.

# %%
PUBLISHED = [
    ("E2B", "1", "greedy", "2", "1.26x mlx-vlm#1166; vLLM's recipe: 2"),
    ("E2B", "4", "greedy", "off", "1.01x mlx-vlm#1166"),
    ("E4B", "1", "greedy", "4", "2.07x short, 1.05x long code: iprajax/gemma4-mtp"),
    ("12B", "1", "greedy", "3", "JSON 2.35x, code 1.95x: llama.cpp#23398"),
    ("26B-A4B", "1", "greedy", "2", "1.33x mlx-vlm#1166; none in llama.cpp#23398"),
    ("26B-A4B", "4", "greedy", "off", "0.91x mlx-vlm#1166"),
    ("26B-A4B", "8", "unsaid", "2, not 4", "spark-vllm-docker#343, no run without drafts"),
    ("31B", "1", "greedy", "2", "1.36x mlx-vlm#1166"),
    ("31B", "4", "greedy", "2", "1.38x mlx-vlm#1166; mixed lengths off: 0.78x mlxcel#160"),
    ("any", "any", "sampled", "measure", "no report of both sides is known to us"),
]


# %%
def decide(requests, rate):
    speeds = {gamma: predict(gamma, requests, rate) for gamma in GAMMAS}
    best = max(speeds, key=speeds.get)
    return (str(best) if speeds[best] > 1.05 else "off"), f"at best {speeds[best]:.2f}x, here"


mine = [
    (pair.name, str(requests), name, *decide(requests, rate))
    for name, rate in RATES.items() for requests in BATCHES
]  # fmt: skip

# %% tags=["timing"]
for row in [("pair", "requests", "decoding", "drafts", "why"), *mine, *PUBLISHED]:
    print("{:8} {:9} {:8} {:9} {}".format(*row))

# %% [markdown]
# Read it as a starting point. The draft lengths of the published rows are those that were measured or recommended
# there, on other machines, with other texts.

# %% [markdown]
# ## Into production
#
# Three servers know these drafters, each with other flags. The commands are built from your pair and length; for
# `pocket`, which no server knows, they are E2B's, with the length that vLLM's recipe recommends. Compare
# **off** with **on**: the two commands differ in the drafter only, not in the number of GPUs.

# %%
from gemma_mtp_edu.measure import serving_commands

name, length = ("E2B", 2) if bundled else (pair.name, best)
longest = 8192  # tokens of your longest request, prompt and answer
off, (vllm, sglang, llama_cpp) = (
    serving_commands(name, gamma, context_length=longest) for gamma in (0, length)
)
print(f"{off[0]}\n\n{vllm}")

# %% [markdown]
# vLLM 0.20.1 does not know the drafter (vllm#42005): take a later one. For the **12B** up to 0.22.1 is too old
# (lna-lab/gemma4-12b-vllm-sm120), and vLLM's recipe names an image of its own and 4 to 8 drafts. Its recipe wants
# 24 GB or more even for E2B, so not a T4.
#
# It can also take a length per batch size, `num_speculative_tokens_per_batch_size` (vllm#32374): your table,
# as a flag. Test it: one report saw throughput collapse at the threshold (vllm#49548).

# %%
print(sglang)

# %% [markdown]
# SGLang counts the token that a round starts from, so its `--speculative-num-draft-tokens` is one more than the
# drafts. It can also draft several continuations at once; a top-k of 1 makes a single chain, as in this course.
# It turns NEXTN into its FROZEN_KV_MTP for these drafters (sglang#24436).

# %%
print(llama_cpp)

# %% [markdown]
# llama.cpp needs GGUF files, made here with the script in its repository. It has supported Gemma 4 drafters since
# June 2026 (llama.cpp#23398; for E2B and E4B #24282). In June 2026 the 12B's drafter did not convert (a comment
# there). Older pages say `--draft-max`: that argument has been removed. llama.cpp leaves out the centroid
# head, so a draft of E2B or E4B costs more there.

# %% [markdown]
# Do not expect your speedup there. Measure TTFT, TPOT and throughput at *your* number of requests, with one draft
# less and one more, and with none.

# %% [markdown]
# ## Change this
#
# - `BATCHES = (1, 32, 256)`: does your machine turn to "off"?
# - `SAMPLED` with temperature 0.3: nearer to greedy, or not?
# - With a GPU: `PAIR`, and `TOKENS = 512`. Which rows change?

# %% [markdown]
# ## Takeaways
#
# 1. Weights are most of the memory; count in one unit, and read long prompts in chunks.
# 2. Whether to draft depends on the pair **and** on requests at once, temperature, texts and program: make your own
#    table, and let "off" be one of its answers.
# 3. Compare like with like: the same GPUs, the best baseline that you could run instead, the same texts.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) A target has some layers with full attention and some with a sliding window. How many cache
# positions does it hold, over all layers, after `context` tokens?
#
# <details><summary>Hint</summary>A sliding layer keeps the last <code>window</code> tokens, once there are so
# many.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def cache_positions(full, sliding, window, context):
    return None  # your code


check("cache_positions", cache_positions)

# %% [markdown]
# **2.** (medium, 8 minutes) `sweep` holds for each draft length the seconds of every workload; 0 is plain decoding.
# Which one length makes somebody who asks for all of them wait least?
#
# <details><summary>Hint</summary>Do you add speedups, or seconds? <code>min(sweep, key=...)</code> takes the key
# with the least of something.</details>


# %% tags=["nbval-check-output"]
def one_length(sweep):
    return None  # your code


check("one_length", one_length)

# %% [markdown]
# **3.** (hard, 15 minutes) On a machine a pass over up to `knee` tokens takes one unit of time (it waits for the
# weights), over more of them `tokens / knee` (it computes). A draft step takes `draft` decode steps, whatever the
# number of requests. Drafts are right with chance `alpha`: up to how many requests at once do `gamma` drafts pay?
# 0 if never.

# %% [markdown]
# <details><summary>Hint</summary>Write the time of a decode step and of a round for b requests. Lesson 07 has
# the tokens of a round. Then try b = 1, 2, 3, ...; far enough up, why does it never pay?</details>


# %% tags=["nbval-check-output"]
def most_requests(alpha, gamma, draft, knee):
    return None  # your code


check("most_requests", most_requests)

# %% [markdown]
# ## Sources
#
# - Sizes: transformers, `convert_gemma4_weights.py`; the table on the CPU:
#   [transformers#47705](https://github.com/huggingface/transformers/issues/47705)
# - Requests at once: [mlx-vlm#1166](https://github.com/Blaizzy/mlx-vlm/pull/1166),
#   [mlxcel#160](https://github.com/lablup/mlxcel/pull/160),
#   [spark-vllm-docker#343](https://github.com/eugr/spark-vllm-docker/issues/343)
# - vLLM: [MTP](https://docs.vllm.ai/en/stable/features/speculative_decoding/mtp/), its recipe for Gemma 4, and the
#   issues and pull requests named above
# - SGLang, [cookbook for Gemma 4](https://github.com/sgl-project/sglang/blob/main/docs/cookbook/autoregressive/Google/Gemma4.mdx)
# - llama.cpp, [server options](https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md) and
#   [pull request 23398](https://github.com/ggml-org/llama.cpp/pull/23398)
#
# All read in November 2026.
#
# [Solutions](solutions_12_real_checkpoints.ipynb)
