"""The one-process engine: supervised base, batched sampler, RL loop, checkpoints. CPU or one GPU.

Read in this order: ``train.py`` (the RL loop), ``update.py`` (one optimizer update), ``sampler.py``, ``stale.py``,
``policy.py``, ``metrics.py``, ``finite.py``, ``supervised.py``, ``work_folder.py``; ``transformers_sampler.py`` samples
any checkpoint for the evaluation.
"""
