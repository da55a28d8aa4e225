"""Stamps of one writer ascend; two writers never have the same one."""

from cgcython.store.keepers.cql.stamps import Stamps, just_above, now_us


def test_stamps_ascend_and_are_of_now():
    stamps, before = Stamps(5), now_us()
    found = [stamps.next() for _ in range(1000)]
    assert found == sorted(set(found))
    assert before <= found[0] < before + 1_000_000
    assert stamps.last == found[-1]


def test_a_stamp_is_above_another_whatever_that_is():
    stamps = Stamps(1)
    far = now_us() + 10**9
    for above in range(far, far + 600, 7):
        assert stamps.next(above) > above
    assert stamps.next() > far


def test_writers_of_other_numbers_share_no_stamp():
    found = [{Stamps(number).next(above=10**17) for _ in range(3)} for number in range(128)]
    assert len(set.union(*found)) == 128
    removing = {just_above(stamp) for some in found for stamp in some}
    assert removing.isdisjoint(set.union(*found))
