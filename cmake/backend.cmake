# Backends: ref (always), cpu (our vector kernels, once per CPU feature level)
# and onednn. Without oneDNN there is no OpenMP either: sanitizer and fuzzing
# builds never mix two OpenMP runtimes.
set(LMB_BACKEND_LIBS "" CACHE INTERNAL "")
