# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/00_first_run.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F00_first_run.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/00_first_run.ipynb)

# %% [markdown]
# # 00 First run: the target alone, then with its drafter
#
# **Goal**: run Gemma 4's multi-token prediction (MTP) from end to end, compare the two texts, and count
# what each of the two models did.
#
# **Minutes**: 20. **Prerequisites**: Python; you have used a language model before.

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
# ## The idea
#
# A language model writes one token at a time: each **pass** (a run of the whole model) yields one. In
# *speculative decoding* a small **drafter** proposes several tokens, and the large **target** verifies all of
# them in a single pass. Below is one such **round**, made up as an example.

# %%
from gemma_mtp_edu import plots

plots.show_figure(plots.plot_idea())

# %% [markdown]
# Read it from the top. The target predicts the next token after *every* token that it reads. So its prediction
# after `A` verifies the draft `·fox`, its prediction after `·fox` verifies `·ran`, and so on. Where they first
# differ, its own prediction enters the text. Lesson 02 shows with tensors why one pass can do this.

# %% [markdown]
# ## Pick a pair
#
# `pocket` is a tiny pair that comes with this course; it has Gemma 4's architecture and runs on any CPU. On a
# Colab GPU, choose a real pair (E2B needs about 11 GB) and run everything again.

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %% [markdown]
# ## Load the models
#
# These are the steps of Google's tutorial (its address is at the end); its first line,
# `pip install torch accelerate transformers`, brings versions that run it. A drafter is an ordinary checkpoint,
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

# %% tags=["nbval-check-output"]
for model in (target_model, assistant_model):
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{type(model).__name__:28}{count / 1e6:8.1f} million parameters")

# %% [markdown]
# The drafter of `pocket` is large beside its target; that of E2B has 78 million parameters beside 5.1 billion.
# Lesson 02 looks inside both, lesson 01 says what makes a model this small slow.

# %% [markdown]
# ## Ask something
#
# The chat template puts the question between **control tokens**: tokens such as `<|turn>` that are no text, but
# tell the model who speaks and where a turn ends. A text that the model writes ends with one, too: `<turn|>`.

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
# alone. `do_sample=False` is *greedy* decoding: always the most probable token, nothing random.

# %% tags=["nbval-check-output"]
prompt_length = inputs["input_ids"].shape[1]
plain = target_model.generate(**inputs, max_new_tokens=128, do_sample=False)
print(processor.decode(plain[0][prompt_length:], skip_special_tokens=True))

# %% [markdown]
# The answer itself claims: the same text in fewer target passes. **Predict** before you believe it: the same to
# the last token, or nearly? And with four drafts in a round, how many times fewer passes at best?

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
print("identical token by token:", torch.equal(plain, outputs))

# %% [markdown]
# With greedy decoding the target decides every token, so **in exact arithmetic** the text is always the one that
# it writes alone. Computers round. A pass over five tokens adds numbers up in another order than five passes over
# one, and the scores then differ in their last digits. Where the two best tokens are almost equally probable,
# the other one may win.

# %% [markdown]
# In fp32, which `pocket` uses, that is rare. Real pairs run in 16 bit, which rounds far more coarsely: there `False`
# is no error. It means that the target went another way at an almost equal choice. Where did the texts part?

# %% tags=["nbval-check-output"]
length = min(plain.shape[1], outputs.shape[1])
differ = (plain[0, :length] != outputs[0, :length]).nonzero()
print("first difference:", int(differ[0]) - prompt_length if len(differ) else "none")

# %% [markdown]
# Lesson 05 looks at such positions, and at what the two best tokens had there.

# %% [markdown]
# ## Count the passes
#
# PyTorch calls a **hook** whenever a model runs. So count: one for each pass of the target, one for each step of
# the drafter.

# %% tags=["nbval-check-output"]
from collections import Counter

passes = Counter()
hooks = [
    target_model.register_forward_hook(lambda *_: passes.update(["target"])),
    assistant_model.register_forward_hook(lambda *_: passes.update(["drafter"])),
]
for options in ({}, {"assistant_model": assistant_model}):
    passes.clear()
    target_model.generate(**inputs, max_new_tokens=128, do_sample=False, **options)
    print("with drafter" if options else "target alone", dict(passes))
for hook in hooks:
    hook.remove()

# %% [markdown]
# The target alone needs a pass for every token. With the drafter it needs fewer, and the drafter runs instead:
# *multi-token* prediction means several small steps after each run of the target, not several tokens at once.

# %% [markdown]
# ## What happened inside
#
# `reference_generate` runs the very same `generate()` with such hooks, and keeps what they saw. It takes a
# `ModelPair`: both models with the processor, checked to fit. Each row is one round; in the boxes, `·` is a
# space. Round 0 is the **prefill**: the target reads the prompt and gives the first token.

# %%
from gemma_mtp_edu import ModelPair, reference_generate

pair = ModelPair(target_model, assistant_model, processor, name=PAIR)
assisted = reference_generate(pair, question, max_new_tokens=128)
assisted

# %% [markdown]
# `pocket` has memorised this answer, so nearly all of these drafts are right. What if they are not?

# %% [markdown]
# ## When drafts are wrong
#
# A story can continue in many ways. **Predict**: what is the least that a round with four drafts adds to the text,
# and what is the most? Then look for such rounds in the picture.

# %%
story = reference_generate(
    pair, "Write a story about a baker who lives near a lake.", max_new_tokens=64
)
first = story.rounds[:6]
ax = plots.plot_rounds(story, count=len(first))
count = sum(len(record.token_ids) for record in first)
ax.set_title(f"{count} tokens from {len(first)} target passes", loc="left")
plots.show_figure(ax)

# %% tags=["nbval-check-output"]
added = [len(record.token_ids) for record in story.draft_rounds[:-1]]  # the text may cut the last
print("tokens per round:", added)
assert 1 <= min(added) and max(added) <= 5

# %% [markdown]
# At least one, at most five. If the first draft is rejected, the target's *correction* still enters the text. If all
# four are accepted, its prediction after the last draft does: the **bonus** token. A draft after a rejected one is
# always discarded, because it continues a text that was not written.

# %% [markdown]
# Many easy drafts in this story only finish a word. `pocket` knows 2,048 tokens, so it spells: `·li`, `br`, `ary`;
# after the first piece the rest is easy. Gemma 4 has 262,144 tokens and spells less, so do not expect its drafts
# to be accepted as often.

# %% [markdown]
# ## What was saved
#
# Fewer target passes are not yet less time. **Predict**: is the speedup larger or smaller than the ratio of the
# passes, and why?

# %% tags=["timing"]
alone = reference_generate(pair, question, assisted=False, max_new_tokens=128)
for name, trace in (("target alone", alone), ("with drafter", assisted)):
    print(f"{name}: {trace.target_passes:3} target passes, {trace.seconds:5.2f} s")
print(f"passes {alone.target_passes / assisted.target_passes:.1f} to 1,", end=" ")
print(f"speedup {alone.seconds / assisted.seconds:.1f}x")

# %% [markdown]
# Smaller: each draft costs a step of the drafter, and a pass that verifies five tokens takes longer than a pass
# over one. The seconds belong to the machine that ran this page, and are of one run each; run the cell a few
# times. Lesson 01 measures what a pass costs, lesson 07 makes a formula of it, and lesson 10 shows how to time
# fairly.

# %% [markdown]
# ## Many drafts or few?
#
# The number of drafts per round, called `gamma`, is yours to choose. **Predict**: with 15 drafts instead of
# 2, will there be fewer target passes? Will more drafts be wasted?

# %% tags=["nbval-check-output"]
for gamma in (2, 4, 15):
    trace = reference_generate(pair, question, gamma=gamma, max_new_tokens=128)
    wasted = trace.drafter_passes - trace.n_accepted
    print(f"{gamma:2} drafts: {trace.target_passes:3} target passes, {wasted:3} drafts wasted")

# %% [markdown]
# More drafts save target passes as long as they are right. The further ahead, the more of them are wrong, and in the
# last round the text ends before the drafts do. Which number is best depends on the text and on your machine.

# %% [markdown]
# ## A schedule for the draft length
#
# In the tutorial you set the number on the drafter's `generation_config`, and a schedule with it.
# `"heuristic"` should add 2 drafts after a round in which all were accepted, and take 1 away otherwise.
# **Predict** the draft lengths of the first rounds for `question`, starting from 4.

# %% tags=["nbval-check-output"]
assistant_model.generation_config.num_assistant_tokens = 4
assistant_model.generation_config.num_assistant_tokens_schedule = "heuristic"
drafted = [0]  # steps of the drafter, from one target pass to the next


def count_step(*_):
    drafted[-1] += 1


hooks = [
    assistant_model.register_forward_hook(count_step),
    target_model.register_forward_hook(lambda *_: drafted.append(0)),
]
target_model.generate(
    **inputs, assistant_model=assistant_model, max_new_tokens=128, do_sample=False
)
for hook in hooks:
    hook.remove()
print("drafts by round:", drafted[1:-1])

# %% [markdown]
# Did the number change? Measure before you rely on a setting: a schedule may be ignored silently. Lesson 09 builds
# schedules that work; [docs/releases.md](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/docs/releases.md)
# says what each version of transformers does.

# %%
assistant_model.generation_config.num_assistant_tokens_schedule = "constant"

# %% [markdown]
# ## Ask the doctor
#
# Does the course run on this machine? `doctor()` tries it: it loads the pair, compares texts, compares the memory
# that each pair needs with what is free, and makes a widget. A *fail* comes with what to do; a *note* stops nothing.
# `print(report)` tells every line, as `python -m gemma_mtp_edu doctor` does in a terminal.

# %% tags=["timing"]
from gemma_mtp_edu import doctor

report = doctor()
report

# %% [markdown]
# ## Change this
#
# Type a prompt of your own. Structured text (JSON, code, counting) is easy to guess. Can you find a prompt of which
# less than half of the drafts are accepted?

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
# 2. With greedy decoding the text is, in exact arithmetic, what the target alone would have written.
# 3. What is saved depends on how many drafts are accepted, which depends on the text; and on what drafting
#    and verifying cost.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) A text has `n_tokens`. The prefill gives the first one; each round after it adds
# `per_round` tokens to the text. How many target passes is that, prefill included?
#
# <details><summary>Hint</summary>The last round may be only partly used: round up
# (<code>math.ceil</code>).</details>


# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def passes_needed(n_tokens, per_round):
    return None  # your code


check("passes_needed", passes_needed)

# %% [markdown]
# **2.** (hard, 15 minutes) Write the comparison of this lesson as a function, with transformers alone: for any
# prompt, is the greedy text the same with and without drafter, and how many target passes did each run make? Allow 128
# new tokens. `pair` is the `ModelPair` from above; use its `target`, `drafter` and `processor`.
#
# <details><summary>Hint</summary>Chat template, processor, a hook on <code>pair.target</code>, two calls of
# <code>generate</code>. Empty your counter between the calls, and remove the hook at the end.</details>


# %% tags=["nbval-check-output"]
def compare_runs(prompt, pair):
    """Return (same_text, passes_alone, passes_with_drafter)."""
    return None  # your code


check("compare_runs", compare_runs, pair)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, *Fast Inference from Transformers via Speculative Decoding*,
#   [arXiv:2211.17192](https://arxiv.org/abs/2211.17192)
# - Google, *Gemma 4 Multi-Token Prediction using Hugging Face Transformers*
#   ([ai.google.dev](https://ai.google.dev/gemma/docs/mtp/mtp))
# - transformers documentation of
#   [gemma4_assistant](https://huggingface.co/docs/transformers/model_doc/gemma4_assistant)
# - vllm-project/recipes, Google/Gemma4.md (sizes of E2B and its drafter)
#
# [Solutions](solutions_00_first_run.ipynb) · Next: [01 Why decoding is slow](01_why_decoding_is_slow.ipynb)
