"""Options of `from_pretrained` that concern a processor; `transformers.pipeline` also passes those of the model."""

from collections.abc import Mapping
from typing import Any

# Options for finding and loading files.
OF_FILES = {
    *("backend", "cache_dir", "code_revision", "force_download", "local_files_only", "proxies", "revision"),
    *("subfolder", "token", "tqdm_class", "trust_remote_code", "use_fast", "user_agent", "_commit_hash"),
    *("_from_auto", "_from_pipeline"),
}
# Options of `PreTrainedModel.from_pretrained` that processors do not have.
OF_MODELS = {
    *("adapter_kwargs", "adapter_name", "allow_all_kernels", "attn_implementation", "config", "device", "device_map"),
    *("device_mesh", "disable_mmap", "distributed_config", "dtype", "experts_implementation", "fusion_config"),
    *("generation_config", "gguf_file", "ignore_mismatched_sizes", "kernel_config", "key_mapping", "load_in_4bit"),
    *("load_in_8bit", "low_cpu_mem_usage", "max_memory", "offload_buffers", "offload_folder", "offload_state_dict"),
    *("output_loading_info", "quantization_config", "state_dict", "torch_dtype", "tp_plan", "tp_size", "use_kernels"),
    *("use_safetensors", "variant", "weights_only"),
}


def processor_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Removes the options of the model. A tokenizer saves every option that it is loaded with, but a `torch.dtype` cannot
    be written as JSON, and a device is specific to one machine.
    """
    if "_from_pipeline" in options:  # `model_kwargs` may also contain fields of the model's configuration
        return {name: value for name, value in options.items() if name in OF_FILES}
    return {name: value for name, value in options.items() if name not in OF_MODELS}
