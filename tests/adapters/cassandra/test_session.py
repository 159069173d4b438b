"""How rows travel: in batches that one node owns and no server warns about."""

from cassandra.query import BoundStatement

from messaging.adapters.cassandra.connection import EngineSession
from messaging.adapters.cassandra.session import CassandraSession, batched

_ROW = "INSERT INTO {ks}.messages (conversation_id, bucket, message_id, body) VALUES (?, ?, ?, ?)"
_OTHER = "INSERT INTO {ks}.dm_pairs (low, high, conversation_id) VALUES (?, ?, ?)"


def rows(engine: EngineSession, keyspace: str, *, partitions: int, each: int, size: int = 10) -> list[BoundStatement]:
    prepared = engine().prepare(_ROW.format(ks=keyspace))
    # As they come: the partitions take turns.
    return [prepared.bind((c, 0, n, b"x" * size)) for n in range(each) for c in range(partitions)]


def test_a_batch_has_ten_partitions_at_most(cassandra_engine: EngineSession, cassandra_keyspace: str) -> None:
    found = list(batched(rows(cassandra_engine, cassandra_keyspace, partitions=23, each=2), lambda key: ""))
    assert [len(batch) for batch in found] == [20, 20, 6]
    assert [len({row.routing_key for row in batch}) for batch in found] == [10, 10, 3]


def test_a_batch_is_small_and_a_large_row_goes_alone(cassandra_engine: EngineSession, cassandra_keyspace: str) -> None:
    small = rows(cassandra_engine, cassandra_keyspace, partitions=1, each=200)
    assert [len(batch) for batch in batched(small, lambda key: "")] == [57, 57, 57, 29]
    large = rows(cassandra_engine, cassandra_keyspace, partitions=3, each=1, size=65_536)
    assert [len(batch) for batch in batched([*small[:2], *large], lambda key: "")] == [2, 1, 1, 1]


def test_a_batch_is_of_one_owner(cassandra_engine: EngineSession, cassandra_keyspace: str) -> None:
    mixed = rows(cassandra_engine, cassandra_keyspace, partitions=9, each=3)
    owners = {row.routing_key: "abc"[index % 3] for index, row in enumerate(mixed[:9])}
    found = list(batched(mixed, owners.__getitem__))
    assert [{owners[row.routing_key] for row in batch} for batch in found] == [{"a"}, {"b"}, {"c"}]
    assert sorted(id(row) for batch in found for row in batch) == sorted(id(row) for row in mixed)


def test_tables_do_not_share_partitions(cassandra_engine: EngineSession, cassandra_keyspace: str) -> None:
    other = cassandra_engine().prepare(_OTHER.format(ks=cassandra_keyspace))
    mixed = rows(cassandra_engine, cassandra_keyspace, partitions=6, each=1)
    mixed += [other.bind((c, c, c)) for c in range(6)]
    assert [len(batch) for batch in batched(mixed, lambda key: "")] == [10, 2]


def test_the_owner_is_asked_of_the_ring(cassandra: CassandraSession, cassandra_engine: EngineSession) -> None:
    [host] = cassandra_engine().cluster.metadata.all_hosts()
    [row] = rows(cassandra_engine, cassandra.keyspace, partitions=1, each=1)
    driver = cassandra._open()
    assert driver.owner_of()(row.routing_key) == ""
    # As in a cluster of several nodes.
    driver.session.cluster.metadata.add_or_return_host(other := type(host)("127.0.0.9", lambda host: None, host_id=1))
    try:
        assert driver.owner_of()(row.routing_key) == str(host.host_id)
    finally:
        driver.session.cluster.metadata.remove_host(other)
