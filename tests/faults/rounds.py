"""The faults, how often each is tried, and what a round of tries is."""

import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.faults import damage, disk, downloads, folders, kills, laundering, orphans
from tests.faults.place import Place, last_lines
from tests.faults.tries import Tried


@dataclass(frozen=True)
class Fault:
    """A fault, and how often it is tried: rounds, each in a copy of its own, times tries in a row."""

    name: str
    run: Callable[[Place, Random, int], Iterator[Tried]]
    full: tuple[int, int]
    short: tuple[int, int]


# the longest rounds first
FAULTS = (
    Fault("job killed under Snakemake", kills.jobs_killed_under_snakemake, (1, 6), (0, 0)),
    Fault("training killed", kills.training_killed, (1, 10), (1, 3)),
    Fault("evaluation killed", kills.evaluation_killed, (1, 10), (0, 0)),
    Fault("disk full under Snakemake", disk.disk_full_under_snakemake, (1, 2), (0, 0)),
    Fault("Snakemake killed", orphans.snakemake_killed, (1, 3), (0, 0)),
    Fault("state damaged", damage.state_damaged, (2, 4), (1, 1)),
    Fault("disk full, job", disk.disk_full_for_a_job, (2, 3), (1, 1)),
    Fault("base killed", kills.base_killed, (1, 6), (0, 0)),
    Fault("training interrupted", kills.training_interrupted, (1, 6), (1, 1)),
    Fault("results unwritable", folders.results_unwritable, (1, 10), (1, 1)),
    Fault("disk full, table", disk.disk_full_for_a_table, (1, 5), (1, 1)),
    Fault("download killed", downloads.download_killed, (1, 8), (1, 2)),
    Fault("preparation killed", downloads.preparation_killed, (1, 4), (0, 0)),
    Fault("mirror vanished", downloads.mirror_vanished, (1, 5), (1, 2)),
    Fault("disk full, dataset", disk.disk_full_for_a_dataset, (1, 2), (0, 0)),
    Fault("result edited", laundering.results_edited, (2, 40), (1, 8)),
    Fault("link forged", laundering.links_forged, (1, 32), (1, 3)),
    Fault("results swapped", laundering.results_swapped, (1, 18), (1, 3)),
    Fault("artefact damaged", damage.artefact_damaged, (1, 60), (1, 40)),
    Fault("damage read", damage.reading_damage, (1, 24), (1, 12)),
)


def play(name: str, place: Place, key: str, tries: int) -> list[Tried]:
    """One round of a fault in a copy of the reference; the copy is kept if anything was lost."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended then too
    place.scratch.mkdir()
    shutil.copytree(place.reference, place.checkout, symlinks=True)
    fault = next(fault for fault in FAULTS if fault.name == name)
    tried: list[Tried] = []
    try:
        tried.extend(fault.run(place, Random(key), tries))
    except KeyboardInterrupt:  # all that was started is ended by now; the pool would go on with the next round
        os._exit(130)
    except Exception:  # a mistake of the harness proves nothing, so it must not pass for survival
        tried.append(Tried("the round broke off", lost=last_lines(traceback.format_exc(), 6)))
    if not any(one.lost for one in tried):
        shutil.rmtree(place.checkout)
        shutil.rmtree(place.scratch)
    return tried
