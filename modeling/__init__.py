"""The TGDI model. Saving a checkpoint copies the modules of this folder and of `processing/` into it."""

# Importing transformers registers TGDI with it (`tgdi_hf.registration`), and registration imports modules of this
# folder. It has to run before any of them is loaded: otherwise the first `from transformers import ...` in a module
# would run it while that module is only partly initialised, and the imports would be circular.
import transformers
