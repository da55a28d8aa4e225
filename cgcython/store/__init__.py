"""Keeps records: in stores, and in columnar shards."""

from cgcython.manifest import RecordInfo
from cgcython.store.moved import Reencoded
from cgcython.store.records import RecordStore
from cgcython.store.repair import repair
from cgcython.store.repair_report import RepairReport
from cgcython.store.statistics import StoreStatistics
from cgcython.store.verify_report import VerifyReport

__all__ = [
    "RecordInfo",
    "RecordStore",
    "Reencoded",
    "RepairReport",
    "StoreStatistics",
    "VerifyReport",
    "repair",
]
