# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/12_real_checkpoints.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F12_real_checkpoints.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/12_real_checkpoints.ipynb)

# %% [markdown]
# # 12 Real checkpoints
#
# **Goal**: take a real Gemma 4 pair through all that you have learned: plan its memory, predict, measure, score
# the prediction, keep a card, and build the command that serves it.
#
# **Minutes**: 30. **Prerequisites**: lessons 08 and 10. A GPU is welcome, not needed.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %% [markdown]
# In Colab choose a GPU first: Runtime, Change runtime type. `auto` then takes a pair that fits it and downloads
# its weights, for E2B 10 GB. Without a GPU or a network the pair that came with the course stands in. All of
# the lesson still runs, but its times say nothing about a real Gemma.

# %%
PAIR = "auto"  # @param ["auto", "pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]
CONTEXT = 2048  # @param {type:"integer"}

# %%
import torch
from gemma_mtp_edu.models import choose_device, free_memory, gigabytes, peak_memory

device = choose_device()
free = free_memory(device)
capability = torch.cuda.get_device_capability() if device.type == "cuda" else None
print(f"{device.type}, {gigabytes(free)} free, compute capability {capability}")

# %% [markdown]
# ## What would fit?
#
# Out of memory after ten minutes of download is a poor lesson. So count first. A pair needs the target's
# weights, the drafter's, the keys and values of the whole context, and room to work.
#
# **Predict** for E2B in 16 bit and 2048 tokens: which of the four is largest, which smallest?

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.models import memory_plan

plan = memory_plan("E2B", "float16", context_length=2048)
for part, size in plan.parts.items():
    print(f"{part:8} {gigabytes(size)}")
assert plan.parts["target"] > plan.total_bytes / 2 > plan.parts["cache"]

# %% [markdown]
# "2B" has 5.1 billion parameters, because per-layer embeddings and the parts for pictures and sound count too.
# The cache is almost nothing: 15 of the 35 layers keep keys and values, and 12 of those only 512 tokens
# (its plan is in lesson 06). Others report 13 GB for this pair; what is not weights or cache went into *working*.

# %% [markdown]
# The dotted line is what a Colab T4 has left: 14.6 GB. Which pairs are to the left of it?

# %%
from gemma_mtp_edu.models import PAIRS
from gemma_mtp_edu import plots

T4 = 14_600_000_000
plans = [memory_plan(name, "float16") for name in PAIRS if name != "pocket"]
plots.show_figure(plots.plot_memory(plans, T4))

# %% [markdown]
# ## Which one to take
#
# `auto` takes E2B as soon as it fits, and a larger pair only where a third of the memory stays free: for long
# contexts, and because larger pairs download and run longer. The second number of a line is the GPU's
# compute capability; from 8.0 on it computes in bfloat16. **Predict** the right-hand side.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.models import pick_pair

gpus = {"T4": (14.6, (7, 5)), "L4": (22, (8, 9)), "A100": (40, (8, 0)), "H100": (80, (9, 0))}
for gpu, (size, version) in gpus.items():
    print(f"{gpu:5} {size:5} GB, {version}: ", *pick_pair(int(size * 1e9), version))
print("no GPU: ", *pick_pair(int(64e9), None))
assert pick_pair(T4, (7, 5)) == ("E2B", "float16")

# %% [markdown]
# E4B fits an L4 as well: name it in `PAIR` and it is taken. A pair that does not fit is never loaded.

# %%
from gemma_mtp_edu import load_pair
from gemma_mtp_edu.models import choose_dtype

name = pick_pair(free, capability, context_length=CONTEXT)[0] if PAIR == "auto" else PAIR
if name != "pocket" and not memory_plan(name, choose_dtype(device), CONTEXT).fits(free):
    name = "pocket"
try:
    pair = load_pair(name)
except (OSError, MemoryError) as error:  # no network and nothing cached, or no room
    print(error)
    pair = load_pair("pocket")
bundled = pair.name == "pocket"
print(pair.name, pair.target.dtype)

# %% [markdown]
# Was the plan right? Add up the weights as they lie in memory now.

# %% tags=["nbval-check-output"]
plan = memory_plan(pair.name, pair.target.dtype, CONTEXT)
planned = plan.parts["target"] + plan.parts["drafter"]
loaded = sum(m.get_memory_footprint(return_buffers=False) for m in (pair.target, pair.drafter))
print("weights within 5% of the plan:", abs(loaded / planned - 1) < 0.05)

# %% [markdown]
# ## Read before you time
#
# Four kinds of text; some are easier to guess than others. First the beginning of one answer, to read. float16
# has a small range, and a pair that overflows writes one token again and again, very fast: no clock would tell.

# %%
from gemma_mtp_edu import autoregressive_generate
from gemma_mtp_edu import PROMPTS

prompts = {name: PROMPTS[name][0] for name in ("json", "list", "qa", "story")}
TOKENS = 40 if bundled else 96
answer = autoregressive_generate(pair, prompts["story"], max_new_tokens=TOKENS)
print(answer.text)
assert len(set(answer.token_ids)) > 10, "it repeats itself: take another dtype or pair"

# %% [markdown]
# ## Before: the cost model's verdict
#
# Two measurements, no drafted text. The **costs** of passes, of this pair on this machine; and a **profile** of
# each text, which says how many drafts would be kept from every position.
#
# **Predict**: which text gains most from drafts? Which draft length would you set?

# %%
my_guess = None  # such as ("json", 4)

# %%
from accelerate.utils.memory import clear_device_cache
from gemma_mtp_edu import CostModel
from gemma_mtp_edu import acceptance_profile

cost = CostModel.calibrate(pair, lengths=(1, 2, 3, 5, 9), contexts=(64,), repeats=3)
profiles = {
    name: acceptance_profile(pair, prompt, max_gamma=8, max_new_tokens=TOKENS)
    for name, prompt in prompts.items()
}
clear_device_cache(garbage_collection=True)

# %% [markdown]
# Each verdict ends with how dear a draft and a verify pass may become. Divide by what they cost: which of the
# two has less room?

# %% tags=["timing"]
verdict = {name: plots.verdict_text(cost.verdict(profile)) for name, profile in profiles.items()}
for name, words in verdict.items():
    print(f"{name}: {words}\n")

# %% [markdown]
# Written down, lest the measurement change our memory of it. The verdict tried every length up to 8. We measure
# four of them, so "best" below means best of 1, 2, 4 and 8.

# %% tags=["timing"]
from gemma_mtp_edu import Constant, replay

GAMMAS = (1, 2, 4, 8)
predicted = {
    (name, gamma): cost.predict_trace(replay(profile, Constant(gamma))).speedup
    for name, profile in profiles.items() for gamma in GAMMAS
}  # fmt: skip
print("drafts", *(f"{gamma:4}" for gamma in GAMMAS))
for name in profiles:
    print(f"{name:6}", *(f"{predicted[name, gamma]:.2f}" for gamma in GAMMAS))

# %% [markdown]
# ## Then measure
#
# As lesson 10 asks: plain and drafted runs of the same text in turns, the first turn dropped, medians, the
# prefill apart. With a real pair this takes some minutes, so each text reports when it is done, and its memory
# is given back.

# %%
from gemma_mtp_edu.analysis import timed_runs
from gemma_mtp_edu.measure import measurements

runs = {}
for name, prompt in prompts.items():
    runs |= timed_runs(pair, {name: prompt}, GAMMAS, max_new_tokens=TOKENS, repeats=2)
    clear_device_cache(garbage_collection=True)
    print(name, "✓")
measured = measurements(runs, predicted)

# %% [markdown]
# The same texts? In float32 they must be. In 16 bit a near tie may fall the other way (lesson 05); then the
# speeds are compared per token.

# %% tags=["nbval-check-output"]
same = all(m.same_text for m in measured)
print("every drafted text is the plain one:", same or pair.target.dtype.itemsize < 4)
assert same or pair.target.dtype.itemsize < 4

# %% [markdown]
# Everything so far goes into one record, the **card**. First its figure of promise and truth: how far apart are
# the two marks of a row?

# %% tags=["timing"]
from gemma_mtp_edu.measure import Plan, ResultsCard, conditions

facts = conditions(pair, Plan(GAMMAS, 2, TOKENS))
card = ResultsCard(pair.name, measured, prompts, verdict, peak_memory(device), facts)
marks = {
    f"{m.workload}, gamma {m.gamma}": {
        "measured": card.speedup(m.workload, m.gamma), "predicted": m.predicted_speedup,
    }
    for m in measured if m.gamma
}  # fmt: skip
plots.show_figure(plots.plot_speeds(marks))

# %% [markdown]
# ## After: the verdict on the verdict
#
# Two questions. How far off were the numbers? And did it matter: had you trusted the prediction, how much of
# the best speed would you have? A speed within 5% of plain decoding counts as about even.

# %% tags=["timing"]
import statistics


def side(speedup):
    return "about even" if abs(speedup - 1) <= 0.05 else speedup > 1


errors = sorted(map(abs, card.prediction_errors().values()))
print(f"median error {statistics.median(errors):.0%}, worst {errors[-1]:.0%}")
drafted = [m for m in measured if m.gamma]
right = [side(m.predicted_speedup) == side(card.speedup(m.workload, m.gamma)) for m in drafted]
print(f"whether drafting pays: predicted right in {sum(right)} of {len(drafted)} cases")
for name, (guess, fastest, kept) in card.best_lengths().items():
    lengths = f"best with {guess} drafts by prediction, with {fastest} by measurement"
    print(f"{name}: {lengths}; the prediction's gives {kept:.0%} of the best speed")

# %% [markdown]
# The share of the best speed is the useful number. A prediction may be 10% off everywhere and still name the right
# length. Look at the side, too: where nearly all marks miss to one side, the machine was faster or slower when
# the costs were taken; where they scatter, it is the texts. Then measure again.

# %% [markdown]
# ## One length for all
#
# A server has one flag for the draft length and gets every kind of text. **Predict**: do you take the mean of
# the speedups, or add the seconds?

# %% tags=["timing"]
for gamma, speed in card.overall_speedups().items():
    mean = statistics.mean(card.speedup(name, gamma) for name in prompts)
    print(f"{plots.drafts(gamma)}: all seconds together {speed:.2f} times as fast, mean {mean:.2f}")
best = card.length_for_all()
print("so:", plots.drafts(best))

# %% [markdown]
# The seconds decide. A mean counts a short answer as much as a long one, but who waits, waits for seconds. The two
# can name different lengths (exercise 2).

# %% [markdown]
# ## Your card
#
# The picture and its numbers, to keep and to compare with others'. Nothing is sent anywhere: two files appear
# beside this notebook, in Colab under the folder sign at the left.

# %% tags=["timing"]
from pathlib import Path

ax = plots.plot_card(card)
ax.figure.savefig("results_card.png", dpi=150, bbox_inches="tight")
Path("results_card.json").write_text(card.to_json(), encoding="utf-8")
plots.show_figure(ax)

# %% [markdown]
# In the JSON stand prompts, every median, the predictions, hardware and releases: what somebody needs to
# believe the number or to try it. It holds no folder and no name of yours.

# %% tags=["nbval-check-output"]
again = ResultsCard.from_json(Path("results_card.json").read_text(encoding="utf-8"))
print("reads back as the same card:", again == card)
print(*(key for key in sorted(again.provenance)))
assert again == card

# %% [markdown]
# ## Into production
#
# The same pair, served to many. Here are three of the servers that know Gemma 4's drafters, each with other
# flags. The commands below are built from **your** best length. With the bundled pair, which no server knows,
# they are E2B's with the length that vLLM's recipe recommends.

# %%
from gemma_mtp_edu.measure import serving_commands

name, length = ("E2B", PAIRS["E2B"].draft_length) if bundled else (pair.name, best)
vllm, sglang, llama_cpp = serving_commands(name, length, context_length=CONTEXT)
print(vllm)

# %% [markdown]
# Its Gemma 4 recipe asks for a GPU of 24 GB or more even for E2B, so not a T4. A release from before May 2026
# takes the drafter for an ordinary small model and may fail.
#
# A round verifies one more token than was drafted, and the next server wants both numbers. It can also draft
# several continuations at once; a top-k of 1 makes a single chain, as in this course.

# %%
print(sglang)

# %% [markdown]
# It sees that the drafter is a Gemma 4 assistant and turns NEXTN into its FROZEN_KV_MTP. Its cookbook takes 5
# steps for every size; its table of hardware names data-centre GPUs.
#
# The last one runs on laptops too. It can run quantised weights; these commands make bf16, and
# `--outtype q8_0` halves it. First it needs a file of each model.

# %%
print(llama_cpp)

# %% [markdown]
# It needs GGUF files, made here with the script in its repository. Gemma 4 drafters since June 2026 (pull
# requests 23398 and, for E2B and E4B, 24282). Older pages say `--draft-max`: that argument has been removed. It
# leaves out the centroid head, so a draft of E2B or E4B costs more there, and fewer may be best.

# %% [markdown]
# Do not expect your speedup there. A server fuses its kernels, so drafts and passes cost something else, and it
# batches requests, which makes verify passes dearer (lesson 10). Your length is where to start: measure it
# there, with one less and one more, and with none.

# %% [markdown]
# ## Change this
#
# E2B can read 131,072 tokens. **Predict**: on a T4, too? Which part grows? A prompt is read in one pass, with
# all its tokens in the widest layer at once. Try other pairs and lengths; then, with a GPU, set `PAIR` and run
# the lesson again.

# %% tags=["nbval-check-output"]
plan = memory_plan("E2B", "float16", 131_072)
print(*(f"{part} {gigabytes(size)}" for part, size in plan.parts.items()), sep=", ")
print("fits in", gigabytes(T4), plan.fits(T4))

# %% [markdown]
# ## Takeaways
#
# 1. With a short context, weights are most of the memory; a long one can need as much again. Count before you
#    download, and pick dtype and pair by it.
# 2. Predict, write it down, measure, score. What counts is the speed that you get by trusting the prediction.
# 3. One length serves all texts where it makes their seconds fewest, and it holds for one machine and one
#    server: with another, measure again.

# %% [markdown]
# ## Exercises
#
# **1.** A target has some layers with full attention and some with a sliding window. How many token entries
# does its cache hold after `context` tokens?
#
# <details><summary>Hint</summary>A sliding layer keeps the last <code>window</code> tokens, once there are so
# many.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def cache_entries(full, sliding, window, context):
    return None  # your code


check("cache_entries", cache_entries)

# %% [markdown]
# **2.** `sweep` holds for each draft length the seconds of every workload; 0 is plain decoding. Which one
# length makes somebody who asks for all of them wait least?
#
# <details><summary>Hint</summary><code>min(sweep, key=...)</code> takes the key with the least of
# something.</details>


# %% tags=["nbval-check-output"]
def one_length(sweep):
    return None  # your code


check("one_length", one_length)

# %% [markdown]
# **3.** From predicted and measured speedups by draft length: you set the length that was predicted to be best.
# Which share of the best measured speed do you get?
#
# <details><summary>Hint</summary>The prediction only chooses. The speed that you get is measured.</details>


# %% tags=["nbval-check-output"]
def kept_speed(predicted, measured):
    return None  # your code


check("kept_speed", kept_speed)

# %% [markdown]
# ## Sources
#
# - Sizes: transformers, `convert_gemma4_weights.py`; published needs: those of README's table
# - vLLM, [MTP](https://docs.vllm.ai/en/stable/features/speculative_decoding/mtp/), and its recipe for Gemma 4
# - SGLang, [cookbook for Gemma 4](https://github.com/sgl-project/sglang/blob/main/docs/cookbook/autoregressive/Google/Gemma4.mdx)
#   and [pull request 24436](https://github.com/sgl-project/sglang/pull/24436)
# - llama.cpp, [server options](https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md) and
#   pull requests [23398](https://github.com/ggml-org/llama.cpp/pull/23398) and
#   [24282](https://github.com/ggml-org/llama.cpp/pull/24282)
#
# All read in November 2026. Solutions: `solutions_12_real_checkpoints`.
