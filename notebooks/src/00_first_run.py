# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/00_first_run.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F00_first_run.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/00_first_run.ipynb)

# %% [markdown]
# # 00 First run: the same text, sooner
#
# **Goal**: run Gemma 4's multi-token prediction (MTP) from end to end, see that the text does not
# change, and count what was saved.
#
# **Minutes**: 15. **Prerequisites**: Python; you have used a language model before.

# %% [markdown]
# ## Setup
#
# This cell installs what is missing and says what it found. It never changes torch or ipywidgets.

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %% [markdown]
# ## Pick a pair
#
# MTP needs two models: a **target** that decides, and a small **drafter** that proposes. A drafter's step
# gives one token; *multi-token* means that several such steps follow each run of the target. `pocket` is a
# tiny pair that comes with this course; it has Gemma 4's architecture and runs on any CPU. On a Colab GPU,
# choose a real pair (E2B needs about 13 GB) and run everything again.

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %% [markdown]
# ## Load the models
#
# These are the steps of Google's tutorial (its address is at the end); its first line,
# `pip install torch accelerate transformers`, brings releases that run it. A drafter is an ordinary checkpoint,
# loaded like any other.

# %%
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from gemma_mtp_edu import model_ids

TARGET_MODEL_ID, ASSISTANT_MODEL_ID = model_ids(PAIR)
processor = AutoProcessor.from_pretrained(TARGET_MODEL_ID)

# %%
from gemma_mtp_edu.models import choose_device, choose_dtype

device = choose_device()
dtype = torch.float32 if PAIR == "pocket" else choose_dtype(device)
target_model = AutoModelForCausalLM.from_pretrained(TARGET_MODEL_ID, dtype=dtype, device_map=device)
assistant_model = AutoModelForCausalLM.from_pretrained(
    ASSISTANT_MODEL_ID, dtype=dtype, device_map=device
)

# %% [markdown]
# The two models together are a pair. Building a `ModelPair` checks that they fit: one vocabulary, and a
# drafter of the sizes that this target needs. Lesson 02 looks inside both.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import ModelPair

pair = ModelPair(target_model, assistant_model, processor, name=PAIR)
print(type(target_model).__name__, "+", type(assistant_model).__name__)

# %% [markdown]
# ## Ask something
#
# The chat template puts the question between the turn marks that the model was trained with.

# %% tags=["nbval-check-output"]
question = "Explain the concepts of speculative decoding and MTP in 3 sentences."
messages = [{"role": "user", "content": question}]
input_text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
inputs = processor(text=input_text, return_tensors="pt").to(target_model.device)
print(input_text)

# %% [markdown]
# ## First without a drafter
#
# Google's tutorial starts with the drafter on. Then you cannot know what it changed. So first the target
# alone: one **pass** (a run of the whole model) for every token. `do_sample=False` is *greedy* decoding:
# always the most probable token, nothing random.

# %% tags=["nbval-check-output"]
prompt_length = inputs["input_ids"].shape[1]
plain = target_model.generate(**inputs, max_new_tokens=128, do_sample=False)
print(processor.decode(plain[0][prompt_length:], skip_special_tokens=True))

# %% [markdown]
# **Predict** before you go on: with a drafter, will the text be the same, nearly the same, or worse?

# %% [markdown]
# ## Now with the drafter
#
# `assistant_model=` is all it takes to switch MTP on.

# %% tags=["nbval-check-output"]
outputs = target_model.generate(
    **inputs, assistant_model=assistant_model, max_new_tokens=128, do_sample=False
)
response = processor.decode(outputs[0][prompt_length:], skip_special_tokens=True)
print(response)

# %% [markdown]
# Compare every token, not only what you see:

# %% tags=["nbval-check-output"]
same = torch.equal(plain, outputs)
print("identical token by token:", same)
assert same or dtype != torch.float32  # 16 bit rounds: a near tie may fall the other way

# %% [markdown]
# ## What happened inside
#
# `reference_generate` runs the very same `generate()` and listens. Each row below is one **round**: the
# drafter proposes four tokens, and the target verifies them in one pass. It keeps the drafts up to the
# first wrong one and adds **one token of its own**, unless the text ends inside the drafts. In the boxes,
# `·` is a space.

# %%
from gemma_mtp_edu import reference_generate

assisted = reference_generate(pair, question, max_new_tokens=128)
assisted

# %% [markdown]
# Round 0 is the **prefill**: the target reads the prompt and gives the first token. `<turn|>` ends the
# answer. `pocket` has learned this answer, so all of these drafts are right. What if they are not?

# %% [markdown]
# ## When drafts are wrong
#
# A story could go on in many ways. Below, each round has two lanes: what the drafter proposed, and the one
# token that the target added. A *correction* takes the place of the first rejected draft; a *bonus*
# follows drafts that were all accepted. **Predict**: can a draft be kept that stands behind a rejected one?

# %%
from gemma_mtp_edu import plots

story = reference_generate(
    pair, "Write a short story about a fox who finds a drum.", max_new_tokens=64
)
plots.show_figure(plots.plot_rounds(story, count=5))

# %% [markdown]
# No: all drafts behind a rejected one are thrown away, because they continue a text that is not written.
# Still no round is empty, since the target adds its own token. So no target pass writes less than in plain
# decoding.

# %% [markdown]
# ## What was saved
#
# Back to the question. The text is the same, so what counts is the number of target passes. Each pass of
# the plain run wrote one token.

# %% tags=["nbval-check-output"]
alone = reference_generate(pair, question, assisted=False, max_new_tokens=128)
assert alone.token_ids == assisted.token_ids or dtype != torch.float32
print("target passes without drafter:", alone.target_passes)
print("target passes with drafter:   ", assisted.target_passes)
print(f"drafts accepted: {assisted.n_accepted} of {assisted.drafter_passes}")

# %% [markdown]
# Fewer passes are a promise; time is the proof. Both runs are warm by now. These seconds belong to the
# machine that ran this page: run the cell to see yours.

# %% tags=["timing"]
for name, trace in (("plain", alone), ("with drafter", assisted)):
    print(f"{name:12} {trace.seconds:5.2f} s, {len(trace.token_ids) / trace.seconds:5.1f} tokens/s")
print(f"ratio {alone.seconds / assisted.seconds:.2f}")

# %% [markdown]
# The time falls by less than the number of passes does. Each draft costs a step of the drafter, and a pass
# that verifies five tokens takes somewhat longer than a pass over one. Lesson 01 measures both; lesson 07
# makes a formula of them.

# %% [markdown]
# ## Many drafts or few?
#
# The number of drafts per round, called `gamma`, is yours to choose. **Predict**: with 15 drafts instead of
# 2, will there be fewer target passes? Will more drafts be wasted?

# %% tags=["nbval-check-output"]
traces = {4: assisted}
for gamma in (2, 15):
    traces[gamma] = reference_generate(pair, question, gamma=gamma, max_new_tokens=128)
for gamma, trace in sorted(traces.items()):
    wasted = trace.drafter_passes - trace.n_accepted
    print(f"{gamma:2} drafts: {trace.target_passes:3} target passes, {wasted:3} drafts wasted")

# %% [markdown]
# More drafts save target passes, but more may be wasted: far ahead even this drafter errs, and in the last
# round the text ends before the drafts do. Each draft also costs a pass of the drafter. Which number is best
# depends on the text and on your machine.

# %% [markdown]
# ## A schedule that does nothing
#
# In the tutorial you set the number on the drafter's `generation_config`, and a schedule with it.
# `"heuristic"` should add 2 drafts after a round in which all were accepted, and take 1 away otherwise.

# %%
assistant_model.generation_config.num_assistant_tokens = 4
assistant_model.generation_config.num_assistant_tokens_schedule = "heuristic"

# %% [markdown]
# Does it? The trace knows how many tokens each round drafted.

# %% tags=["nbval-check-output"]
trace = reference_generate(pair, question, max_new_tokens=128)
print([len(r.draft_ids) for r in trace.draft_rounds])

# %% [markdown]
# The number never changes: for these drafters transformers ignores the schedule silently, and has done so since
# 5.20 (PR 48982 dropped it; 5.17 still had it). A later lesson builds schedules that work. Which release does
# what is measured, not remembered:
# [docs/releases.md](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/docs/releases.md).

# %%
assistant_model.generation_config.num_assistant_tokens_schedule = "constant"

# %% [markdown]
# ## Ask the doctor
#
# Does the course run on this machine? `doctor()` tries it: it loads the pair, compares both loops, the library's
# and this course's, on one prompt, compares the memory that each pair needs with what is free, and makes a
# widget. A *note* stops nothing and may come with advice; a *fail* comes with what to do. **Predict**: does it
# know of the schedule? Other faults of your release will be new to you; skip them for now.

# %% tags=["timing"]
from gemma_mtp_edu import doctor

report = doctor()
report

# %% [markdown]
# Under *transformers' own loop* stands what this course's tests measured of your release. Lesson 05 shows the
# sampling, 06 the KV (what a model keeps of tokens it has read), 09 the schedule; the number of drafts in a call,
# the stop string and the batch appear only here.

# %% [markdown]
# `python -m gemma_mtp_edu doctor` prints the same in a terminal.

# %% [markdown]
# ## Change this
#
# Type a prompt of your own. Structured text (JSON, code, counting) is easy to guess, a story is not: compare
# the share of accepted drafts.

# %% tags=["nbval-check-output"]
my_prompt = (
    "Write a JSON record for a person named Mira Olsen who is 31 years old and lives in Oslo."
)
mine = reference_generate(pair, my_prompt, max_new_tokens=128)
print(mine.text)
for name, trace in (("my prompt", mine), ("the story", story)):
    print(f"{name}: {trace.acceptance_rate:.0%} accepted, {trace.tokens_per_round:.2f} per round")

# %% [markdown]
# ## Takeaways
#
# 1. The drafter proposes; the target verifies in one pass and adds one token of its own, unless the text
#    ends inside the drafts.
# 2. With greedy decoding the text is what the target alone would have written.
# 3. What is saved depends on how many drafts are accepted, which depends on the text; and on what drafting
#    and verifying cost.

# %% [markdown]
# ## Exercises
#
# **1.** How many target passes did the drafter save for `question`? Compute it from `alone` and
# `assisted`.
#
# <details><summary>Hint</summary>A trace has a property <code>target_passes</code>.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check

saved = None  # your answer
check("saved_passes", saved, alone, assisted)

# %% [markdown]
# **2.** A text has `n_tokens`. The prefill gives the first one; each round after it adds `per_round` tokens
# to the text. How many target passes is that, prefill included?
#
# <details><summary>Hint</summary>The last round may be only partly used: round up
# (<code>math.ceil</code>).</details>


# %% tags=["nbval-check-output"]
def passes_needed(n_tokens, per_round):
    return None  # your code


check("passes_needed", passes_needed)

# %% [markdown]
# **3.** Find a prompt of which less than half of the drafts are accepted.
#
# <details><summary>Hint</summary>What could go on in many ways? Open lists, for example: any five of
# something.</details>

# %% tags=["nbval-check-output"]
hard_prompt = None  # your prompt, as text
check("hard_prompt", pair, hard_prompt)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, *Fast Inference from Transformers via Speculative Decoding*,
#   [arXiv:2211.17192](https://arxiv.org/abs/2211.17192)
# - Google, *Gemma 4 Multi-Token Prediction using Hugging Face Transformers*
#   ([ai.google.dev](https://ai.google.dev/gemma/docs/mtp/mtp))
# - transformers documentation of
#   [gemma4_assistant](https://huggingface.co/docs/transformers/model_doc/gemma4_assistant)
#
# Solutions: in `docs/instructor_guide.md`. Next: `01_why_decoding_is_slow`.
