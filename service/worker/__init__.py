"""Who works: lease a job, draw its bands, publish them, finish."""
