"""The benchmark of search runs at a small size and prints a line per mix and number of threads."""

import importlib.util
from pathlib import Path

PATH = Path(__file__).parents[2] / "asv_bench" / "search_at_size.py"


def loaded():
    spec = importlib.util.spec_from_file_location("search_at_size", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_a_line_per_mix_and_number_of_threads(capsys):
    module = loaded()
    assert module.main(["--records", "3000", "--queries", "2", "--threads", "1,2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * len(module.MIXES)
    assert all(float(line.split()[3]) > 0 for line in lines[1:])


def test_it_compares_graphs_with_scans(capsys):
    arguments = ["--records", "2000", "--queries", "40", "--approximate", "--embedders", "E9"]
    assert loaded().main(arguments) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert (line[0], float(line[1]) >= 0.8) == ("E9", True)


def test_it_times_files(capsys):
    assert loaded().main(["--records", "2000", "--files"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == ["E1", "E2", "E7", "E8", "E9"]
