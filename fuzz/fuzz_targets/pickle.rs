#![no_main]
dragentity_fuzz::fuzz!("pickle");
