import os

# scikit-learn's threads wait for each other on a busy machine; set before it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
