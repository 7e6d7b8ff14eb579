"""A rollout of training that fails, once in each process that samples: loaded by VERL_USE_EXTERNAL_MODULES."""

import wrapt

FAILED: list[str] = []


@wrapt.when_imported("verl.experimental.agent_loop.single_turn_agent_loop")
def _lose_one(module):
    def run(wrapped, _, arguments, options):
        problem = options["extra_info"]["problem_id"]
        if problem.startswith("train-") and not FAILED:
            FAILED.append(problem)
            raise RuntimeError("this rollout is lost on purpose")
        return wrapped(*arguments, **options)

    wrapt.wrap_function_wrapper(module, "SingleTurnAgentLoop.run", run)
