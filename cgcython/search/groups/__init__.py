"""Searches a folder of shards group by group, on workers, with the results of one searcher."""

from cgcython.search.groups.searching import GroupSearcher as GroupSearcher
from cgcython.search.groups.searching import search_groups as search_groups
