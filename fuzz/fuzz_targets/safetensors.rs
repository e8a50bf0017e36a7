#![no_main]
dragentity_fuzz::fuzz!("safetensors");
