"""A cluster of two workers gives what one process gives, to the bit."""

import numpy as np
import pytest

from analytics.backtest.scale import fleet_of, measure, model_for
from analytics.scoring import score_fleet
from tests.policies import a_policy

distributed = pytest.importorskip("distributed")
from analytics.cluster import score_on_cluster  # noqa: E402 - the extra must be there first

pytestmark = pytest.mark.heavy


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Dask leaves closing sockets to the collector
def test_two_workers_give_the_same_bits() -> None:
    policy = a_policy().replenishment
    fleet, model = fleet_of(3000, 5), model_for(policy, 3)
    alone = score_fleet(fleet, model, policy, shard_devices=700)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        together = score_on_cluster(fleet, model, policy, client, shard_devices=700)
        workers = {str(name) for name in client.nthreads()}
        told = measure(1000, policy, cluster=cluster.scheduler_address)
    assert len(workers) == 2
    assert told["devices"] == 1000
    assert np.array_equal(alone.days, together.days)
    assert np.array_equal(alone.pages_per_day, together.pages_per_day, equal_nan=True)
    assert np.array_equal(alone.replenish, together.replenish)
