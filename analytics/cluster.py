"""The same scoring over many machines: Dask maps the shards of a fleet over workers (extra `dask`).

Nothing is computed differently. The shards are those of `scoring`, their pooled figures do not depend on who works on
them, and the results are put together in their order, so that a cluster gives what one process gives, to the bit.
Threads inside a worker would only fight over its cores: each shard runs on one.
"""

from functools import partial

from distributed import Client
from threadpoolctl import threadpool_limits

from analytics.scoring import SHARD_DEVICES, FleetArrays, FleetScores, score_shard
from analytics.supplies import SupplyModel
from crm_core.domain.policy import ReplenishmentPolicy


def _on_worker(
    shard: FleetArrays, model: SupplyModel, policy: ReplenishmentPolicy, holidays: frozenset[int]
) -> FleetScores:
    with threadpool_limits(limits=1):
        return score_shard(shard, model, policy, holidays)


def score_on_cluster(
    fleet: FleetArrays, model: SupplyModel, policy: ReplenishmentPolicy, client: Client, *,
    holidays: frozenset[int] = frozenset(), shard_devices: int = SHARD_DEVICES,
) -> FleetScores:  # fmt: skip
    """Return what `scoring.score_fleet` returns, worked out by the workers of `client`.

    The model travels once to every worker, a shard to the one that scores it. A worker that dies is replaced by Dask; an
    error in a shard is raised here.
    """
    shared = client.scatter(model, broadcast=True)
    work = partial(_on_worker, policy=policy, holidays=holidays)
    futures = [
        client.submit(work, client.scatter(shard), shared, pure=False)
        for shard in fleet.shards(shard_devices)
    ]
    return FleetScores.joined(client.gather(futures))
