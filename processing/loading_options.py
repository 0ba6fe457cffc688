"""Which options of `from_pretrained` concern a processor: `transformers.pipeline` passes it those of the model, too."""

from collections.abc import Mapping
from typing import Any

# Where to look for files, and how to load them.
OF_FILES = {
    *("backend", "cache_dir", "code_revision", "force_download", "local_files_only", "proxies", "revision"),
    *("subfolder", "token", "tqdm_class", "trust_remote_code", "use_fast", "user_agent", "_commit_hash"),
    *("_from_auto", "_from_pipeline"),
}
# Those of `PreTrainedModel.from_pretrained` that no processor has.
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
    Without the options of the model. A tokenizer keeps every option that it is loaded with and writes it into its
    file: a `torch.dtype` is no JSON, and a device is that of one machine.
    """
    if "_from_pipeline" in options:  # `model_kwargs`, which may also be fields of the model's configuration
        return {name: value for name, value in options.items() if name in OF_FILES}
    return {name: value for name, value in options.items() if name not in OF_MODELS}
