"""`python -m tgdi_hf` runs the command `tgdi`."""

from .cli.main import main

if __name__ == "__main__":
    main()
