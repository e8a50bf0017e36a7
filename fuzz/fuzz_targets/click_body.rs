#![no_main]
dragentity_fuzz::fuzz!("click_body");
