import torch
from tests.test_staleness import *
from tests.test_staleness import _correct_is_what_has_an_even_length
def test_x(base, smoke):
    al=lambda m:{p.data_ptr()%64 for p in m.parameters()}
    run=stale_run(smoke,1)
    def lp(m): return train.collect(m,None,prompts_of(run),run,1)[1].log_prob
    ms=[load_checkpoint(base,CPU)[0] for _ in range(4)]
    A=lp(ms[0])
    for m in ms: print(torch.equal(A,lp(m)),al(m), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    l=train.start(run,base)
    print(torch.equal(A,lp(l.model)),al(l.model)); s=l.sampling.advance(); print(torch.equal(A,lp(s)),al(s))
    for m in ms: print(torch.equal(A,lp(m)),al(m), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    assert 0
