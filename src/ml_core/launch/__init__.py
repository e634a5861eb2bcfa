"""A training stage in several processes (ranks), started here or by hand with torchrun.

parent.py     starts torchrun for one stage, waits, and gives back what rank 0 made of it or the first error
agent.py      torchrun in a session of its own, with its reports in a file
rank.py       what each rank runs: the stage's function, to the end or to the first error
company.py    the same where the user has started torchrun: rank 0 leads through all stages, the others follow
folder.py     the folder through which they speak: the stage to run, the result, the first error, who is alive
watch.py      ends a rank when another has failed, or when whoever started it is gone
"""
