#![no_main]
dragentity_fuzz::fuzz!("mp4");
