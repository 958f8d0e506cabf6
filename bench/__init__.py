"""The benchmark program: zarrc, its peers, and what the machine allows, interleaved in one run.

``python -m bench --help`` says how to use it. The parts: `workloads` say what is done, `libraries` how each
library does it, `worker` is the child process that runs them (one for each library), `run` interleaves the
children, `results` holds what was measured, `targets`, `report`, `plots` and `compare` judge and show it.
"""
