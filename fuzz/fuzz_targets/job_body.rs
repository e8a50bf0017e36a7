#![no_main]
dragentity_fuzz::fuzz!("job_body");
