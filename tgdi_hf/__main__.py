"""`python -m tgdi_hf` is the command `tgdi`."""

from .cli.main import main

if __name__ == "__main__":
    main()
