# What can't work, said in a sentence before the first job: Snakemake itself would end in a traceback.

import atexit
import errno
from contextlib import ExitStack

from snakemake.utils import validate

from real.commands.exhibits import exhibits
from real.config import read
from real.evidence.claims.schema import load_claims
from real.planning.preflight import disk_is_too_small
from real.records.jobs import in_the_way
from real.records.scale_file import OtherScaleError, require_own_results
from real.system.locks import HeldError, exclusive

if read(CONFIG_FILES) != dict(config):
    raise WorkflowError(
        "--config is not read; write an overlay file (paper_configs/variants) and name it after the scale's"
    )

try:
    load_claims()
except ConfigError as error:
    raise WorkflowError(str(error))

# no defaults are set: a scale's class would get those of the others, which it doesn't know
validate(
    config, workflow.source_path("../schemas/config.schema.json"), set_default=False
)

if obstacle := in_the_way(Path(RESULTS), declared):
    raise WorkflowError(
        f"{obstacle}: is no folder, but results belong below it; move it away and run the same command again"
    )
try:
    require_own_results(experiment)
except OtherScaleError as error:
    raise WorkflowError(str(error))
for exhibit in exhibits()[:-1]:  # the report comes last and has none
    caption = Path(f"workflow/report/{exhibit.name}.rst")
    if not caption.exists():
        raise WorkflowError(
            f"{caption}: no such file; write the caption of the exhibit {exhibit.name} there"
        )

alone = ExitStack()  # held until Snakemake ends
atexit.register(alone.close)


onstart:
    # not before: a dry run may read what it can't write
    place = Path(RESULTS)
    folder = next(path for path in [place, *place.parents] if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = os.strerror(errno.EROFS if read_only else errno.EACCES)
        raise WorkflowError(
            f"{folder}: can't be written ({reason}), but results belong there; mend that and run the same command again"
        )
    costly = [
        os.path.relpath(os.path.dirname(job.output.provenance), RESULTS)
        for job in workflow.dag.needrun_jobs()
        if job.rule.name in ("train", "evaluate_base", "evaluate")
    ]
    if costly and (reason := disk_is_too_small(experiment, costly)):
        raise WorkflowError(reason)
    # another checkout may share the folder, which Snakemake's own lock, one of the checkout, doesn't know of
    (place / "work").mkdir(parents=True, exist_ok=True)
    try:
        alone.enter_context(exclusive(place / "work" / "snakemake"))
    except HeldError as error:
        raise WorkflowError(
            f"{RESULTS}: process {error.pid}, a Snakemake of another checkout, is making these results; wait for it "
            "to end, or end it, and run the same command again"
        )


onsuccess:
    alone.close()


onerror:
    alone.close()
