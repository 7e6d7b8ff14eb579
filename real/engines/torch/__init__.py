"""The one-process engine: supervised base model, RL loop, checkpoints. CPU or one GPU.

Read in this order: ``train.py`` (the RL loop), ``update.py`` (one optimizer update), ``policy.py``, ``measure.py``,
``supervised.py``; from other wings ``models/batched_sampler.py``, which draws the rollouts,
``engines/finite.py`` and ``system/work_folder.py``.
"""
