"""The paper's runs on verl 0.9.1, vLLM and Ray, from one GPU to many; by registration and subclassing, without a fork.

Nothing here is imported by the rest of ``real`` until a job needs it, so that the laptop needs none of the three.
"""
