#!/bin/sh
# install_torch.sh PYTHON VERSION [cpu]: torch into PYTHON's environment, for the Makefile; `cpu`: no build but the
# CPU's. torch has a line of its own, because its CPU and CUDA builds have different hashes, so no lock can hold it. On
# Linux the default registry's build brings gigabytes of CUDA, so without a GPU torch's own CPU builds are taken where
# they can be had. TORCH_INDEX_URL names another place.
set -eu
python=$1 version=$2 only=${3:-}
cpu_builds=https://download.pytorch.org/whl/cpu

has_gpu() { nvidia-smi --list-gpus 2>/dev/null | grep -q '^GPU'; }

# without pip's configuration, whose further indexes could answer in the place of this one
reached() {
    "$python" -m pip --isolated --timeout 5 --retries 0 index versions torch --index-url "$cpu_builds" 2>/dev/null |
        grep -qF "$version+cpu"
}

index=${TORCH_INDEX_URL:-}
if [ -n "$index" ]; then
    from="the index that TORCH_INDEX_URL names"
elif [ -z "$only" ] && [ "$(uname -s)" != Linux ]; then
    from="the default registry: its build for $(uname -s) has no CUDA"
elif [ -z "$only" ] && has_gpu; then
    from="the default registry: nvidia-smi lists a GPU"
elif reached; then
    index=$cpu_builds
    from="$index: without a GPU, CUDA's gigabytes would be idle"
else
    from="the default registry: $cpu_builds can't be reached, or has no build for this Python"
fi
echo "make: takes torch $version from $from"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile \
    ${index:+--index-url "$index"} "torch==$version${only:++$only}" || {
    echo "make: could not install torch $version${only:++$only}; check the network, or name an index that has it:" \
        "TORCH_INDEX_URL=$cpu_builds" >&2
    exit 1
}
