"""Parts of transformers that are quick on a CPU, each with its plain formula beside it: other devices take that one."""
