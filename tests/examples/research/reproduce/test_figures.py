import json

from matplotlib.figure import Figure

from examples.research.reproduce.collect import collect, results_of
from examples.research.reproduce.experiments import read_experiments
from examples.research.reproduce.figures import curves

from .recorded import result


def test_sweeps_are_drawn_as_curves(tmp_path):
    (tmp_path / "low_resource").mkdir()
    for name, f1 in (("10-mtb", 0.2), ("50-mtb", 0.4), ("10-tgdi", 0.3)):
        (tmp_path / "low_resource" / f"{name}-0.json").write_text(json.dumps(result(name, 0, f1)))
    experiments = [experiment for experiment in read_experiments("low_resource") if experiment.name != "50-tgdi"]
    axes = Figure().subplots()
    found = results_of("low_resource", tmp_path)
    curves(axes, "low_resource", [experiment for experiment in experiments if found[experiment.name]], found)
    drawn = {container.get_label(): container.lines[0].get_xydata().tolist() for container in axes.containers}
    assert drawn == {"mtb": [[10, 20], [50, 40]], "tgdi": [[10, 30]]}
    collect("low_resource", tmp_path)
    assert (tmp_path / "low_resource.png").is_file()
