"""Sampling of problems by vLLM, on one GPU or data-parallel over several: one engine per GPU, one client.

vLLM's own client gives each request to the engine with the least to do. Only what vLLM 0.24 and 0.30 have in common is
called: ``AsyncLLM.from_engine_args``, ``generate`` and ``shutdown``.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from types import FrameType
from typing import ClassVar

import torch

from real.config import ConfigError, Evaluation
from real.models.chat import Response, Sampler, sample_seed
from real.models.checkpoints import first_line, load_model
from real.models.lean import Model
from real.system.errors import ExpectedError
from real.tasks.problems import Problem

try:
    import vllm
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.sampling_params import RequestOutputKind, SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
except ModuleNotFoundError as missing:
    if missing.name != "vllm":
        raise
    raise ConfigError(
        "vLLM is not installed in this environment; build one that has it by `make gpu-env` and activate it, or give "
        "--sampler torch"
    ) from None

# vLLM refuses a temperature above the second, and raises one below the first with no more than a warning
TEMPERATURES = (0.01, 2.0)
# an engine that has its workers to end takes up to nine seconds; vLLM's own default kills it after five
SHUTDOWN_SECONDS = 30.0


class EngineError(ExpectedError):
    """vLLM could not start, or stopped; its own log, above the message, has the cause."""


class VllmSampler(Sampler):
    """A sampler of one checkpoint on one machine; :meth:`close` ends its processes.

    The engines start with the first call of :meth:`sample`: what has been sampled before needs none.
    """

    library: str = "vllm"
    packages: ClassVar = {"vllm": vllm.__version__}

    def __init__(self, name: str, settings: Evaluation, device: str, engines: int = 1, trust_remote_code: bool = False):
        """Read what the checkpoint says of itself (see :class:`Sampler`); the engines load its weights.

        Args:
            engines: copies of the model that share the requests, each on a GPU of its own. Their number is no part of
                the identity: how requests meet in a batch changes with their timing anyway.

        Raises:
            ConfigError: vLLM can't sample on the device, or at the temperature.
        """
        if device != current_platform.device_type:
            raise ConfigError(
                f"device: {device!r} is asked for, but this vLLM samples on {current_platform.device_type or 'nothing'}"
                " here; change --device, or give --sampler torch"
            )
        lowest, highest = TEMPERATURES
        if not lowest <= settings.temperature <= highest:
            raise ConfigError(
                f"evaluation.temperature is {settings.temperature}, but vLLM samples at {lowest} to {highest}; "
                "change it (--temperature), or give --sampler torch"
            )
        super().__init__(name, settings, device, trust_remote_code)
        self.engines = engines
        self._runner, self._requests = asyncio.Runner(), count()
        self._engine: AsyncLLM | None = None
        self._length = 0

    def _open(self, dtype: torch.dtype | None) -> Model:
        # without its weights: only to know what it is, and that none is missing, over which vLLM samples silently
        return load_model(self.name, self.revision, dtype, self.trust_remote_code, device_map="meta")

    def close(self) -> None:
        """End the engines and wait for their processes; further sampling is an error."""
        self._stop()
        self._runner.close()

    def sample(self, problems: Sequence[Problem], samples: int) -> list[Response]:
        """``samples`` responses to each problem, side by side; see :class:`Sampler`.

        Raises:
            EngineError: vLLM could not start with the checkpoint, or stopped.
        """
        self.check(problems)
        self._start()
        seeds = [sample_seed(self.settings.seed, problem.problem_id, k) for problem in problems for k in range(samples)]
        prompts = [prompt for prompt in map(self._prompt, problems) for _ in range(samples)]
        try:
            return self._runner.run(self._respond_to_all(prompts, seeds))
        except (EngineDeadError, EngineGenerateError) as error:
            raise EngineError(
                f"{self.name}: vLLM stopped while it sampled ({first_line(error)}); read its log above, and run the "
                "same command again to go on from the last finished chunk"
            ) from None

    async def _respond_to_all(self, prompts: Sequence[list[int]], seeds: Sequence[int]) -> list[Response]:
        return await asyncio.gather(*map(self._respond, prompts, seeds))

    async def _respond(self, prompt: list[int], seed: int) -> Response:
        assert self._engine is not None
        settings = self.settings
        parameters = SamplingParams(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_response_tokens,
            seed=seed,
            stop_token_ids=self.ends,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        async for output in self._engine.generate({"prompt_token_ids": prompt}, parameters, str(next(self._requests))):
            completion = output.outputs[0]
        ids = list(completion.token_ids)
        return Response(self._text(ids), len(ids), completion.finish_reason == "length")

    def _start(self) -> None:
        """Start the engines, unless they run already and have room for the longest prompt."""
        length = self.longest_prompt + self.settings.max_response_tokens
        if self._engine is not None and length <= self._length:
            return
        self._stop()
        # an evaluation reports to nobody unless its user says so
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        arguments = AsyncEngineArgs(
            model=self.name,
            revision=self.revision,
            load_format="safetensors",
            trust_remote_code=self.trust_remote_code,
            # prompts go in as token ids, and come out so; ends are ours, and no other default of the model counts
            skip_tokenizer_init=True,
            generation_config="vllm",
            dtype=self.identity["dtype"],
            # room for the longest response, not for the model's whole context, which may not fit the GPU
            max_model_len=length,
            enforce_eager=self.device == "cpu",
            data_parallel_size=self.engines,
            disable_log_stats=True,
        )
        try:
            with _interruptible():
                self._engine, self._length = AsyncLLM.from_engine_args(arguments), length
        except Exception as error:  # vLLM has no class of its own for it
            raise EngineError(
                f"{self.name}: vLLM could not start with this checkpoint ({first_line(error)}); read its log above, "
                "and check that the weights fit the memory"
            ) from None

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.shutdown(timeout=SHUTDOWN_SECONDS)
            self._engine = None


class _InterruptedError(BaseException):
    """What KeyboardInterrupt is called while engines start."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let the signals that interrupt this process do so while engines start, whoever handles them.

    vLLM's zmq_socket_ctx drops a KeyboardInterrupt that comes while it waits for an engine, and would go on waiting.
    Where other code of its start drops whatever is raised, the interruption comes once the engines have started.
    """
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        try:
            handlers[signal.Signals(number)](number, frame)
        except KeyboardInterrupt:
            interrupted = True
            raise _InterruptedError from None

    in_main_thread = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if in_main_thread}
    # neither "ignore" nor "end the process at once", which are no functions
    handlers = {number: handler for number, handler in found.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    except BaseException:
        if not interrupted:
            raise
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is interrupt:  # a handler may have had its signal ignored from now on
                signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt
