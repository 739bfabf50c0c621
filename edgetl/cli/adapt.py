"""edgetl adapt"""

from edgetl.cli.chain import chain_command, show_folders

command = chain_command("adapt", "adapt", "Fine-tune the backbone on the few shots of RECIPE.", show_folders)
